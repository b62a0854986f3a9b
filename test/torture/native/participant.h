// test/torture/native/participant.h: one process of a torture: attaches, opens channels, sends,
// receives, forwards, holds for a while, closes, leaves and comes again, each as its role likes it,
// and checks everything that it gets. What is not as promised is a complaint and the end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "channel/channels.h"
#include "payload.h"
#include "scoreboard.h"

namespace iol::torture {

class Participant final : GuestListener, ChannelsListener {
 public:
  Participant(Scoreboard& board, uint32_t seat, uint64_t seed);
  ~Participant();
  // The exit code: 0, or 3 after a complaint.
  int run();

 private:
  // A channel and what both ends say of it.
  struct Line {
    Channel* channel = nullptr;
    uint32_t outIndex = 0;
    Record* out = nullptr;
    Record* in = nullptr;
    uint64_t nextOut = 0;
    uint64_t nextIn = 0;
    bool canSend = true;
    bool isInOver = false;
    // The message at its front waits since then, for a grant or a revoking owner; and so did all that
    // was sent until the other moment.
    int64_t waitsSinceNs = 0;
    int64_t waitedUntilNs = 0;
    bool isForGrant = false;
    int64_t closeNs = 0;
  };
  struct Held {
    Aggregate payload;
    Contents contents;
    int64_t untilNs;
  };
  struct Opening {
    uint64_t id;
    DomainName to;
    int64_t sinceNs;
  };

  // Coming and going (participant.cc)
  bool attach();
  bool tryAttach(const std::string& address);
  void turn();
  void sleep(int64_t untilNs);
  void noteWait();
  int64_t waitedSince(int64_t ns) const;
  void takeOrders();
  bool leave(int64_t deadlineNs);
  void standUp();
  void accountFor();
  bool isAllBack();
  std::string whatIsLeft();
  [[noreturn]] void complain(const std::string& what);
  void mustBeOk(const char* what, const Status& status);

  // Channels (participant_lines.cc)
  void work();
  void openSome();
  void openTo(uint32_t seat);
  void receiveAll();
  void receiveFrom(Line& line);
  void onMessage(Line& line);
  void noteTransit(Line& line, int64_t sentNs, int64_t now);
  void onStale(Line& line);
  void onEnd(Line& line, ReceiveOutcome outcome);
  void closeWhatIsOver();
  void closeLine(size_t index);
  void dropHeld(bool all);
  void sendSome();
  void sendBatch(Line& line, uint32_t count);
  void burstAndExit();
  void forward(const Aggregate& payload, const Contents& contents);
  bool send(Line& line, const Aggregate& payload, Contents& contents, bool isForeign);
  bool compose(Aggregate& payload, Contents& contents);
  bool addBuffer(Aggregate& payload, Contents& contents, uint32_t length);
  uint32_t anyLength();
  Line* anyLine();

  void onHostGone(const Status& why) override;
  void onDenied(uint32_t, const Status&) override {}
  void onRelay(DomainName from, const uint8_t* body, std::vector<sys::Fd> fds) override;
  void onRelayRefused(DomainName to, const Status& why) override;
  void onRoom() override;
  void onEnded(DomainName name) override;
  Status onOpening(DomainName from, const char* label) override;
  void onChannel(Channel& channel) override;
  void onRefused(uint64_t id, const Status& why) override;

  Phase phase() const { return static_cast<Phase>(board_.phase.load()); }
  void setState(State state) { seat_.state.store(static_cast<uint32_t>(state)); }
  bool isRole(Role role) const { return role_ == role; }

  Scoreboard& board_;
  uint32_t number_;
  Seat& seat_;
  Role role_;
  Random random_;
  uint64_t serials_;
  uint32_t windowSeen_ = 0;
  bool isLeaving_ = false;
  // How long this process had waited for a processor, at the last turns' beginnings.
  struct Waited {
    int64_t atNs = 0;
    int64_t waitedNs = 0;
  };
  static constexpr uint32_t kTurnsKept = 512;
  Waited waited_[kTurnsKept];
  uint32_t turns_ = 0;
  int schedule_ = -1;  // /proc/self/schedstat
  uint32_t sleepless_ = 0;
  int64_t attachedNs_ = 0;
  int64_t leaveNs_ = 0;
  int64_t nextSendNs_ = 0;
  int64_t nextOpenNs_ = 0;
  std::unique_ptr<Guest> guest_;
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<Pool> sealedPool_;
  std::unique_ptr<Doorbell> doorbell_;
  std::unique_ptr<Channels> channels_;
  std::unique_ptr<Message> message_;
  std::vector<std::unique_ptr<Line>> lines_;
  std::vector<Held> held_;
  std::vector<Opening> openings_;
  std::string suspicion_;  // True unless the host is dead, which we may not have read yet.
};

// The window's host, in the seat kept for it.
int runHost(Scoreboard& board);
// Becomes Node with a program of test/torture/node; returns only when it cannot.
int runNode(Scoreboard& board, uint32_t number, uint64_t seed);

}  // namespace iol::torture
