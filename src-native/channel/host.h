// channel/host.h: the switchboard of a window: who is in, whose segment may be read by whom.
//
//   domain A --\                    segments: number -> owner, read-only memfd, who was granted it
//   domain B --- one socket each -- domains:  name, credentials, pidfd, pools' access lists
//   domain C --/                    host block: one epoch word per owner, written here alone
//
// Every domain joins by a Guest of its own, those of the host's process too. The host is on no hit
// path and no channel: when it dies, everything granted goes on; only grants and attaching end.
//
// A grant (reader B, owner A) is three steps in this order: B's hold table goes into A's socket;
// A's epoch word is raised; B gets the segment. So A either has the table in its socket or B has
// nothing, wherever the host dies; and the word is never ahead of what A can read, so A is never
// left waiting. A grant waits for its owner only while A's socket is full (some 200 unread
// messages); a dead owner needs no table. An owner that lives without a socket is granted no more.
//
// Ownership   owns sockets, pidfds and one descriptor of every segment that was made known.
// Threads     one: whoever calls onReady().
// Failure     a peer that breaks a rule is cut, with the reason told to the listener; the others
//             notice nothing. Limits are in Options and answered by Refused.
// Cost        a system call per message; nothing while nobody asks.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "channel/control_socket.h"
#include "channel/host_address.h"
#include "channel/host_facts.h"
#include "sys/poll_set.h"
#include "sys/timer.h"
#include "sys/unix_socket.h"
#include "window/window.h"

namespace iol {

class HostListener {
 public:
  virtual void onAttached(DomainName domain, const Credentials& who) = 0;
  // Ok: it left in order, or its process ended. Else why it was cut; it may live on.
  virtual void onGone(DomainName domain, const Status& why) = 0;
  // Somebody who never got in; pid 0 when not even that is known.
  virtual void onTurnedAway(uint32_t pid, const Status& why) = 0;

 protected:
  ~HostListener() = default;
};

inline bool contains(const std::vector<DomainName>& names, DomainName name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

class Host {
 public:
  struct Options {
    std::string socket;  // "@name" or a path; empty: an abstract name made of a random number.
    uint32_t pathMode = 0600;
    int64_t handshakeTimeoutMs = 5000;
    uint32_t domainsMax = 128;
    // Of committed data of one domain; 0: as much as the window. Guests keep it themselves; of
    // one that does not, the host sees what it has published, each time that it publishes more.
    uint64_t domainBytesMax = 0;
  };

  static Result<std::unique_ptr<Host>> create(Window& window, Options options,
                                              HostListener* listener = nullptr);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // What children find in IOL_WINDOW.
  const HostAddress& address() const { return address_; }

  // Poll fd() for input, then call onReady(); it never blocks.
  const sys::Fd& fd() const { return ready_.fd(); }
  void onReady();

  struct DomainFacts {
    DomainName name;
    Credentials who;
    bool hasSocket;
    bool hasEnded;  // Its segments are kept for those who may still read them.
    uint32_t segments;
    size_t unsent;
  };
  std::vector<DomainFacts> domains() const;
  size_t segmentCount() const { return segments_.size(); }
  size_t waitingForHandshake() const { return handshakes_; }

 private:
  struct WantedSegment {
    uint32_t number;
    DomainName owner;      // Epoch 0: not known yet.
    bool isAsked = false;  // For its hold table.
  };
  struct Peer {
    uint64_t id = 0;
    ControlSocket socket;
    sys::Interest interest = sys::Interest::Read;
    Credentials who;
    sys::Fd pidfd;
    DomainName name;  // Epoch 0: still shaking hands.
    bool hasEnded = false;
    bool isLocal = false;     // A domain of our own process.
    uint64_t attachedMs = 0;  // Since 1970, as when its state was last another.
    uint64_t stateMs = 0;
    int64_t deadlineMs = 0;  // Of the handshake, or of the wait between end of file and death.
    std::unordered_map<uint32_t, AccessList> pools;
    std::vector<std::pair<uint32_t, uint32_t>> numbers;  // first, count
    uint32_t segments = 0;
    std::vector<WantedSegment> wanted;
    std::unordered_map<uint64_t, sys::Fd> tables;  // By owner: not yet with it.
    std::vector<DomainName> owners;                // Those that have our table.
    std::vector<DomainName> links;
    bool isAttached() const { return name.epoch != 0; }
  };
  struct HeldSegment {
    DomainName owner;
    uint32_t pool;
    uint64_t totalBytes;
    sys::Fd memory;
    std::vector<DomainName> readers;
  };

  Host(Window& window, Options options, HostListener* listener, sys::PollSet ready,
       sys::Timer timer, sys::UnixListener socket);
  Status makeBlock();
  void publishFacts();

  // Connections (host.cc)
  void acceptAll();
  bool acceptOne();
  void sweepDeadlines();
  void setTimer();
  // Reads what has come, up to a bound; true when there may be more. The peer may be gone after.
  bool readPeer(Peer& peer);
  void takeMessage(Peer& peer, ControlSocket::Received& received);
  void answer(Peer& peer, const ControlMessage& message, const std::vector<int>& fds = {});
  void refuse(Peer& peer, MessageType request, const Status& status, uint32_t subject = 0,
              uint32_t epoch = 0);
  // A message that nobody asked for: left out when the peer does not read.
  void tell(Peer& peer, const ControlMessage& message, const std::vector<int>& fds = {});
  void updateInterest(Peer& peer);
  void cut(Peer& peer, const Status& why);
  void turnAway(const Credentials& who, const Status& why);
  void onSocketClosed(Peer& peer);
  void hearOut(Peer& peer);
  void buryClosed();

  // Domains and what they say (host_domains.cc)
  void onHello(Peer& peer, const HelloMessage& hello);
  Status admit(Peer& peer, const HelloMessage& hello);
  void onPool(Peer& peer, const PoolMessage& message);
  void onSegment(Peer& peer, const SegmentMessage& message, sys::Fd memory);
  Status checkSegment(const Peer& peer, const SegmentMessage& message, const sys::Fd& memory);
  Status checkQuota(const Peer& peer, uint64_t allocatedBytes) const;
  void onRetire(Peer& peer, uint32_t number);
  void onNumbers(Peer& peer);
  void onFind(Peer& peer, const LabelMessage& message);
  void onRelay(Peer& peer, const RelayMessage& message, const std::vector<sys::Fd>& fds);
  void onEnd(Peer& peer);
  void dropUnreachable(DomainName owner);

  // Grants (host_grants.cc)
  void onWant(Peer& reader, uint32_t number);
  void onTable(Peer& reader, DomainName owner, sys::Fd table);
  void settleWants(Peer& reader);
  void settleAllWants();
  enum class Step : uint8_t { Done, Waiting };
  Step tryGrant(Peer& reader, WantedSegment& wanted);
  Step introduce(Peer& reader, Peer& owner);
  void grant(Peer& reader, uint32_t number, HeldSegment& segment, Peer& owner);
  void onLetGo(Peer& reader, DomainName owner);

  Peer* find(DomainName name);
  Peer* ownerOfNumber(uint32_t number);

  Window& window_;
  Options options_;
  HostListener* listener_;
  sys::PollSet ready_;
  sys::Timer timer_;
  sys::UnixListener socket_;
  HostAddress address_;
  sys::Fd blockFd_;             // Read-only; what guests get.
  HostBlock* block_ = nullptr;  // Written here alone.
  std::unique_ptr<HostFactsPage> facts_;
  uint64_t nextId_ = 1;
  size_t handshakes_ = 0;
  std::unordered_map<uint64_t, std::unique_ptr<Peer>> peers_;
  std::unordered_map<uint32_t, HeldSegment> segments_;
  std::vector<uint64_t> closed_;  // Who is over: erased at the end of the turn.
  bool isReading_ = false;        // On behalf of a request, other domains' sockets.
};

}  // namespace iol
