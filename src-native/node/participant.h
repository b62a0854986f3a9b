// node/participant.h: what an environment's domain needs to take part in a window with a host: its
// guest, doorbell and channels, driven by the loop.
//
//   before the loop sleeps   spin a little; announce sleep; look once more
//   after it                 withdraw; tell JavaScript which awaited channels have something
//   guest's descriptor       grants, deaths, channels opened by others -> events
//
// A channel matters to the loop only while JavaScript waits for it: a reader that stopped reading
// lets the loop sleep, and its peer meets a full ring.
//
// Ownership   owns guest, doorbell, channels, and the domain unless that was there before.
// Threads     join(): any; everything else: the environment's.
// Failure     as each call says.
// Cost        a turn of the loop: no system call of its own unless a peer has rung.
// May include everything below node/
#pragma once

#include <node_api.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "channel/channels.h"
#include "node/handles.h"
#include "node/loop_watch.h"

namespace iol::node {

class EnvState;

// Why a channel matters to the loop, as lib/channel/channel.ts says it.
constexpr uint32_t kAwaitMessage = 1;
constexpr uint32_t kAwaitRoom = 2;
constexpr uint32_t kAwaitKeepsAlive = 4;
constexpr uint32_t kAwaitTurn = 8;  // Tell in the next turn, whatever there is.

struct ChannelEntry {
  Channel* channel = nullptr;
  uint32_t awaited = 0;
  bool mustRetry = false;  // The host was too busy to hear of a segment.
  bool isTurnDue = false;
};

// For lib/channel/membership.ts, which has the same numbers.
struct WindowEvent {
  int32_t what = 0;
  std::string text = {};
  Status why = {};
  std::string label = {};
  double numbers[7] = {};
};

class Participant final : public LoopClient, GuestListener, ChannelsListener {
 public:
  // Connects to the host and waits for its answer. `existing`: of the host's own process.
  static Result<std::unique_ptr<Participant>> join(const HostAddress& address,
                                                   const Guest::Options& options,
                                                   int64_t timeoutMs);
  ~Participant();
  Participant(const Participant&) = delete;
  Participant& operator=(const Participant&) = delete;

  Domain& domain() { return guest_->domain(); }
  const Guest& guest() const { return *guest_; }
  bool isLocal() const { return isLocal_; }
  const std::string& label() const { return label_; }
  bool isOpen() const { return channels_ != nullptr; }

  // Channels from here on; `lists` is a pool that every domain may read.
  Status open(EnvState& state, Pool& lists);
  // Closes all channels, in order or as a death would; returns the holds left in flight.
  size_t shut(bool inOrder);
  // After shut(), without pools: leaves the window.
  void leave();

  // Opens a channel to a domain, or to who is called `label` unless that is empty. An event with
  // the request's number follows.
  Result<uint64_t> connect(const std::string& label, DomainName to, const std::string& name,
                           uint64_t ringBytes);
  void setAcceptsChannels(bool accepts) { acceptsChannels_ = accepts; }
  void setSpinNs(int64_t spinNs);
  void setReferenced(bool isReferenced);

  Handles<ChannelEntry>& entries() { return entries_; }
  // What JavaScript waits for on a channel from now on.
  void await(int32_t handle, uint32_t awaited);
  void close(int32_t handle);
  Doorbell& doorbell() { return *doorbell_; }
  // Where several messages are taken into at once; empty again before the next ones are.
  std::span<Message> batch();

  // Opened: numbers are request or 0, handle, and of the peer slot, epoch, pid, uid, gid; the label
  // is the peer's. Refused: request. Denied: segment.
  enum class Event : int32_t { Opened = 1, Refused, HostGone, Denied };

 private:
  struct Request {
    uint64_t id;
    std::string label;     // Not yet found.
    uint64_t channel = 0;  // Its id once it is being opened.
    std::string name;
    uint64_t ringBytes;
  };
  Participant() = default;

  void onGuestReady() override;
  void onBell() override;
  void onDeaths() override;
  Sleep beforeSleep(bool willSleep) override;
  void afterSleep() override;

  void onHostGone(const Status& why) override;
  void onDenied(uint32_t number, const Status& why) override;
  void onFound(const char* label, DomainName name) override;
  void onRelay(DomainName from, const uint8_t* body, std::vector<sys::Fd> fds) override;
  void onRelayRefused(DomainName to, const Status& why) override;
  void onRoom() override;
  void onEnded(DomainName name) override;
  Status onOpening(DomainName from, const char* label) override;
  void onChannel(Channel& channel) override;
  void onRefused(uint64_t id, const Status& why) override;

  void refuse(const Request& request, const Status& why);
  void refuseAll(const Status& why);
  void letGo();
  void updateWatch();
  bool isReady(const ChannelEntry& entry) const;
  void tellReady();
  void tellReports();

  EnvState* state_ = nullptr;
  bool isLocal_ = false;
  std::string label_;
  std::unique_ptr<Guest> guest_;
  std::unique_ptr<Doorbell> doorbell_;
  std::unique_ptr<Channels> channels_;
  LoopWatch* watch_ = nullptr;
  bool isWatchingSleep_ = false;
  bool acceptsChannels_ = false;
  bool isReferenced_ = false;
  uint32_t keptAlive_ = 0;  // By channels.
  Handles<ChannelEntry> entries_;
  std::vector<int32_t> awaited_;
  uint64_t nextRequest_ = 1;
  std::vector<Request> requests_;
  std::vector<WindowEvent> reports_;
  std::vector<Message> batch_;
};

}  // namespace iol::node
