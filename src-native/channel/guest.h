// channel/guest.h: a domain's end of the control plane: attaching, making own segments known,
// being granted others'.
//
//   Attaching --Welcome--> Attached --end of file--> Alone      what was granted goes on
//       \--Refused / lost--> Refused   \--detach()--> Detached
//
// In a guest process the Guest makes Window and Domain from what the host answers; a domain of
// the host's own process exists already and is given in Options. After the host's end a new host
// is a new window: make a new Guest.
//
// Ownership   owns Window and Domain that it made: pools must be gone before it.
// Threads     the domain's.
// Failure     as each call says; a host that breaks a rule is left (Alone), with failure().
// Cost        a system call per message. What is granted is asked once; steady state: nothing.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/status.h"
#include "channel/control_socket.h"
#include "channel/host_address.h"
#include "pool/pool.h"
#include "sys/poll_set.h"
#include "window/window.h"

namespace iol {

class GuestListener {
 public:
  virtual void onAttached() {}
  virtual void onRefused(const Status&) {}
  // No more grants. Ok: the host's end of file; else what it did.
  virtual void onHostGone(const Status&) {}
  virtual void onGranted(uint32_t /*segmentNumber*/) {}
  virtual void onDenied(uint32_t /*segmentNumber*/, const Status&) {}
  // Epoch 0: nobody has that label.
  virtual void onFound(const char* /*label*/, DomainName) {}
  // descriptors[0] is the sender's pidfd, as the host knows it; the others are as they came.
  virtual void onRelay(DomainName /*from*/, const uint8_t* /*body*/, std::vector<sys::Fd>) {}
  virtual void onRelayRefused(DomainName /*to*/, const Status&) {}
  // All that waited for the control socket has gone: what was WouldBlock may be tried again.
  virtual void onRoom() {}
  // A domain that we had to do with is no more.
  virtual void onEnded(DomainName) {}

 protected:
  ~GuestListener() = default;
};

class Guest final : public SegmentSource {
 public:
  struct Options {
    const char* label = "";      // What access lists and find() call this domain.
    uint64_t windowId = 0;       // The window that is expected; 0: any.
    Window::Options window;      // Of the window that is made; its maxBytes bounds this process.
    Domain* existing = nullptr;  // A domain of the host's own process.
  };
  enum class State : uint8_t { Attaching, Attached, Refused, Alone, Detached };

  // Connects and says hello; Attached follows in onReady().
  static Result<std::unique_ptr<Guest>> connect(const HostAddress& address, Options options,
                                                GuestListener* listener = nullptr);
  ~Guest();
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  const sys::Fd& fd() const { return ready_.fd(); }
  void onReady();
  // For programs without a loop: onReady() until no longer Attaching. TimedOut, or failure().
  Status awaitAttached(int64_t timeoutMs);

  State state() const { return state_; }
  const Status& failure() const { return failure_; }
  Window& window() { return *window_; }
  Domain& domain() { return *domain_; }

  // Asks who calls itself that; onFound.
  Status find(const char* label);
  // 64 bytes and up to three descriptors to another domain; onRelay there, or onRelayRefused
  // here. From the first one on the host keeps what either has for the other until unlink().
  Status relay(DomainName to, const uint8_t (&body)[kRelayBodyBytes], std::span<const int> fds);
  // Who sent us relays: process, user and group as the kernel told the host, the label as it calls
  // itself. Null when it never did.
  const Credentials* whoIs(DomainName domain) const;
  // The last channel with that domain is closed and drained.
  void unlink(DomainName peer);
  // Leaves in order: every hold must be back, every pool gone (Busy). Owners forget this domain.
  Status detach();
  // The same whatever is held, as when the process ends: for a thread that ends in a process that
  // lives on. What it owns stays with the host for those that were, or may be, sent it. Pools must
  // be gone, the source of the domain's segments unset before they are.
  Status leave();
  // Unmaps what is retired, and dead owners' segments in which nothing is held. onReady() begins
  // with it: take what onGranted() tells of before the next onReady(), or it is asked for again.
  void sweep();
  // Whether there is anything that sweep() will let go of, now or once it is no longer held; and
  // whether it may be no longer held, or news of it came, since the last sweep.
  bool hasToLetGo() const { return hasToLetGo_; }
  bool maySweep() const {
    return hasToLetGo_ && (hasNews_ || domain_->releasesOfLeaving() != releasesSwept_);
  }

  // SegmentSource
  Status request(uint32_t number) override;
  Status publish(Segment& own) override;
  void retire(Segment& own) override;
  bool ownerHasEnded(DomainName owner) override;
  void needNumbers() override;

  size_t grantedSegments() const { return granted_.size(); }

 private:
  struct Granted {
    uint32_t number;
    DomainName owner;
    bool isRetired = false;
  };
  struct Neighbour {
    uint64_t tag;
    DomainName name;
    sys::Fd pidfd;
    bool hasEnded = false;
    bool isLinked = false;  // It has sent us relays: then we know who it is.
    Credentials who = {};
  };
  struct WaitingTable {
    DomainName holder;
    uint64_t epoch;
    sys::Fd table;
    sys::Fd pidfd;
  };

  Guest(sys::PollSet ready, sys::Fd socket, Options options, GuestListener* listener);
  Status sayHello(const HostAddress& address);
  void readHost();
  void takeMessage(ControlSocket::Received& received);
  void onWelcome(const WelcomeMessage& welcome, sys::Fd block);
  Status settleIn(const WelcomeMessage& welcome, sys::Fd block);
  void onRefusedMessage(const RefusedMessage& refused);
  void onOwner(const OwnerMessage& message);
  void onGrant(const GrantMessage& message, sys::Fd memory, sys::Fd pidfd);
  void onRelayMessage(const RelayMessage& message, std::vector<sys::Fd> fds);
  void onEndedMessage(DomainName domain);
  void deny(uint32_t number, const Status& status);
  void addTables();
  bool isOver(const Granted& segment) const;
  void noteLeaving() { hasToLetGo_ = hasNews_ = true; }
  Neighbour& meet(DomainName name, sys::Fd pidfd);
  const Neighbour* neighbour(DomainName name) const;
  Neighbour* neighbour(DomainName name) {
    return const_cast<Neighbour*>(std::as_const(*this).neighbour(name));
  }
  void lose(const Status& why);
  Status send(const ControlMessage& message, std::initializer_list<int> fds = {});
  void updateInterest();

  sys::PollSet ready_;
  ControlSocket socket_;
  Options options_;
  std::string address_;
  char label_[kDomainLabelBytes] = {};
  GuestListener* listener_;
  State state_ = State::Attaching;
  Status failure_;
  std::unique_ptr<Window> ownWindow_;
  std::unique_ptr<Domain> ownDomain_;
  Window* window_ = nullptr;
  Domain* domain_ = nullptr;
  const HostBlock* block_ = nullptr;
  sys::Interest interest_ = sys::Interest::Read;
  bool hasAskedNumbers_ = false;
  bool hasToLetGo_ = false;
  bool hasNews_ = false;
  uint64_t releasesSwept_ = 0;
  uint64_t nextTag_ = 1;
  std::vector<uint32_t> poolsTold_;
  std::vector<Granted> granted_;
  std::unordered_map<uint32_t, Status> asked_;  // Ok: no answer yet.
  std::deque<WaitingTable> tables_;             // In their order.
  std::vector<Neighbour> neighbours_;
};

}  // namespace iol
