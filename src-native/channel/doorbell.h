// channel/doorbell.h: how a domain sleeps until a peer has something for it, or has died.
//
//   peer   publish  ->  full fence  ->  read our sleep word: odd? press the button
//   we     sleep word = odd  ->  full fence  ->  read all rings again  ->  sleep on fd()
//
// One per domain, whatever the number of channels: one word, one descriptor. While both sides are
// awake nobody makes a system call. The two fences see to it that a peer reads our announcement or
// we read its message (test/model/channel.pml).
//
// Ownership   owns the domain block, the bell, and senders that linger until their messages are
//             consumed. Links, senders and receivers register themselves; they end before it.
// Threads     the domain's own.
// Failure     System, NoMemory, Format.
// Cost        a sleep and its wake-up: four system calls. wait() first spins for spinNs, which
//             saves the sleep when an answer is near; each spin in vain makes it skip twice as
//             many, up to 63 of 64: so two domains on one processor hardly spin.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <memory>
#include <vector>

#include "base/status.h"
#include "channel/ring_layout.h"
#include "pool/domain.h"
#include "sys/bell.h"
#include "sys/poll_set.h"

namespace iol {

class Link;
class Receiver;
class Sender;

class Doorbell {
 public:
  static constexpr int64_t kSpinNsDefault = 10'000;
  using Stats = DoorbellFigures;

  static Result<std::unique_ptr<Doorbell>> create(Domain& domain);
  ~Doorbell();
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  Domain& domain() { return domain_; }
  // For peers: the domain block, read-only, and a button, a new one for each.
  const sys::Fd& blockFd() const { return readOnlyFd_; }
  Result<sys::Fd> makeButton() const { return bell_.makeButton(); }

  // For an event loop: poll fd() between prepareToSleep() and wake(). prepareToSleep answers false
  // when there is something to look at; then do not sleep. The timeout is how long to sleep at
  // most, in ms; -1: for ever.
  const sys::Fd& fd() const { return pollSet_.fd(); }
  // Sender::publish for what corked senders have not rung for. prepareToSleep does it, too.
  void publishAll();
  bool prepareToSleep();
  int32_t sleepMs() const;
  void wake();
  // The first half of wake(), for a loop that saw nothing on fd(): no system call.
  void withdraw();
  // The same as fd() and wake() in two, for a loop that polls both: fd() is a set of sets, which
  // costs the kernel at each ring, and us a call to learn which it was.
  const sys::Fd& bellFd() const { return bell_.fd(); }
  const sys::Fd& deathsFd() const { return deaths_.fd(); }
  void onBell();
  void onDeaths();
  // Spins as wait() does before it sleeps; true when there is something to look at.
  bool spinForWork();
  // Whether anybody could ring, or something that was sent is not yet taken.
  bool isIdle() const { return links_.empty() && lingering_.empty(); }

  // For a program without a loop: returns when there is something to look at, or after the time.
  void wait(int64_t timeoutMs);
  void setSpinNs(int64_t spinNs) { spinNs_ = spinNs; }

  // Keeps a closed sender until the receiver has taken its last message.
  void linger(std::unique_ptr<Sender> sender);
  size_t lingering() const { return lingering_.size(); }
  void sweepLingering();
  // Sender::abandon for all of them; returns their holds.
  size_t abandonLingering();

  const Stats& stats() const { return block_->figures; }

 private:
  friend class Link;
  friend class Receiver;
  friend class Sender;
  Doorbell(Domain& domain, sys::Bell bell, sys::PollSet pollSet, sys::PollSet deaths);
  bool findWork();
  bool spin();

  Domain& domain_;
  sys::Bell bell_;
  sys::PollSet pollSet_;  // The bell and deaths_.
  sys::PollSet deaths_;   // Peers' pidfds.
  sys::Fd memory_;
  sys::Fd readOnlyFd_;
  DomainBlock* block_ = nullptr;
  uint64_t sleep_ = 0;  // Our own copy of the word.
  int64_t spinNs_ = kSpinNsDefault;
  uint32_t spinsSkipped_ = 0;  // After the last spin in vain.
  uint32_t spinsToSkip_ = 0;
  std::vector<Link*> links_;
  std::vector<Sender*> senders_;
  std::vector<Receiver*> receivers_;
  std::vector<std::unique_ptr<Sender>> lingering_;
};

}  // namespace iol
