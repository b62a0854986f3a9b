// channel/sender.h: the sending end of a channel: aggregates by name, in order, never blocking.
//
//   enqueue   export, hold for the flight, write the message       (several)
//   publish   one release store; one full fence; ring if the peer sleeps
//   corked    trySend stores, for a peer that is awake; publish() fences and rings, for all of it
//   settle    what the receiver has consumed is held no more
//
// Ownership   owns its side of the channel and one hold on every buffer in flight: until the
//             receiver's consumed index has passed the message, or the receiver is dead. Destroy it
//             when isSettled(), or let Doorbell::linger() do it: else messages are lost.
// Threads     the domain's own.
// Failure     TooManySlices, TooLarge (metadata), what the pool and the control plane refuse
//             (WouldBlock: try again later). Nothing was sent or taken then. A peer whose indices
//             are rubbish closes the channel: Closed, and failure() says why.
// Cost        some ten instructions per slice; no system call while the peer is awake.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "aggregate/aggregate.h"
#include "base/fifo.h"
#include "base/status.h"
#include "channel/link.h"
#include "channel/message.h"
#include "channel/ring_memory.h"
#include "pool/pool.h"

namespace iol {

enum class SendOutcome : uint8_t {
  Sent,
  Full,      // Back-pressure: once the doorbell wakes us, try again.
  Closed,    // By the receiver, by close(), or because the peer's indices were rubbish.
  PeerDead,  // What was in flight is released.
};

class Sender final : public InFlightHolds {
 public:
  // `lists` is the pool that long lists of slices are written into. Sizes are fixed from here on.
  static Result<std::unique_ptr<Sender>> create(Doorbell& doorbell, Pool& lists,
                                                const ChannelName& name);
  ~Sender();
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  // What the receiver maps.
  const sys::Fd& fd() const { return own_.readOnlyFd(); }
  // The receiver has answered. What was sent before is rung for now.
  Status connect(Link& link, sys::Fd receiverMemory);

  Result<SendOutcome> trySend(const Aggregate& aggregate, std::span<const uint8_t> metadata = {});
  // The same in two parts, for batches.
  Result<SendOutcome> enqueue(const Aggregate& aggregate, std::span<const uint8_t> metadata = {});
  void publish();
  // Corked, trySend rings for nobody: publish() does, which must come before this domain sleeps.
  void setCorked(bool isCorked);

  // Nothing more is sent; the receiver gets what was, then Closed.
  void close();
  void settle() override;
  bool isSettled() const { return flights_.empty(); }
  // For what must arrive, by this way or another. At most `bytesMax` of payload are in flight, but
  // two messages always; what the receiver has not taken when the channel ends is for takeBack().
  void keepUntaken(uint64_t bytesMax);
  // All that was sent without metadata and not taken, in its order; nothing is in flight then. The
  // receiver has ended, or has said that it takes no more.
  Aggregate takeBack();
  bool isClosed() const { return isClosed_; }
  uint64_t bytesQueued() const { return (at_ - consumed_) * sizeof(RingWord); }
  const Status& failure() const { return failure_; }
  // Room for what was refused, or an end that was not yet told.
  bool hasWork() const;
  // The same, and then no more until trySend() finds the ring full again.
  bool takeWork();
  // Whether room or an end here keeps the domain awake.
  void setAwaited(bool isAwaited) { isAwaited_ = isAwaited; }
  // The domain ends: what is in flight stays held and untouched for the receiver, who is not told
  // of a close. Returns the holds that are left so.
  size_t abandon();

 private:
  struct Flight {
    uint64_t end = 0;  // Consumed when the receiver's index is here.
    uint32_t slices = 0;
    bool hasList = false;  // The last of them.
    bool hasMetadata = false;
    uint64_t bytes = 0;
  };
  Sender(Doorbell& doorbell, Pool& lists, const ChannelName& name);
  void lookForClose();
  void show();
  SendOutcome end();
  bool makeRoom(uint32_t words);
  Status writeListBuffer(const Aggregate& aggregate);
  Status exportAll(const Aggregate& aggregate);
  void writeMessage(const Aggregate& aggregate, std::span<const uint8_t> metadata);
  void releaseFlights(uint64_t until);
  uint64_t taken() const;
  void fail(Status status);
  void setWaitsFor(uint64_t index);

  Doorbell& doorbell_;
  Pool& lists_;
  ChannelName name_;
  RingMemory own_;
  RingMemory peer_;
  Link* link_ = nullptr;
  uint64_t mask_;
  uint64_t at_ = 0;         // Written up to here.
  uint64_t published_ = 0;  // Made known up to here.
  uint64_t rungFor_ = 0;    // And the peer woken, had it slept, up to here.
  bool isCorked_ = false;
  uint64_t consumed_ = 0;  // As last read, checked.
  uint64_t waitsFor_ = 0;
  bool isAwaited_ = true;
  uint64_t bytesUnsettled_ = 0;  // Of payload, since settle().
  uint32_t messagesUnsettled_ = 0;
  uint64_t bytesMax_ = ~0ull;
  uint64_t bytesInFlight_ = 0;
  bool keepsUntaken_ = false;  // Else it is released.
  std::vector<Slice> untaken_;
  bool isClosed_ = false;
  bool isPeerClosed_ = false;
  bool isEndTold_ = false;
  Status failure_;
  Fifo<Flight> flights_;
  Fifo<Slice> inFlight_;
  std::vector<Descriptor> descriptors_;
  Slice list_;
};

}  // namespace iol
