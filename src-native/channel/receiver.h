// channel/receiver.h: the receiving end of a channel: names from a peer become held aggregates.
//
//   copy the message out once -> check it -> find its segments -> count a hold on each buffer ->
//   one full fence -> read each generation -> bounds -> advance the consumed index
//
// Nothing that the peer writes is read twice or believed. What is wrong with one message does not
// touch other channels: rubbish closes this one, a message that cannot be taken yet stays where it
// is.
//
// Ownership   owns its side of the channel and the holds of a message that is being taken.
// Threads     the domain's own.
// Failure     ReceiveOutcome; after Corrupt, failure() says what was wrong.
// Cost        some twenty instructions per slice and two fences per message or batch; no system
//             call while the peer is awake. A list longer than a message holds is copied out
//             (`untrusted`).
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "aggregate/aggregate.h"
#include "base/status.h"
#include "channel/link.h"
#include "channel/message.h"
#include "channel/ring_memory.h"

namespace iol {

struct Message {
  explicit Message(Domain& domain) : aggregate(domain) {}
  Aggregate aggregate;
  std::vector<uint8_t> metadata;
};

enum class ReceiveOutcome : uint8_t {
  Received,
  Empty,          // Nothing now.
  Revoking,       // Its owner looks who holds it: the message stays; look again in a moment.
  AwaitingGrant,  // Its segment was asked for: the message stays; look again when it came.
  Denied,         // Of a pool that this domain may not read; that message is dropped.
  Stale,          // Its storage was recycled after some sender's death; that message is dropped.
  Corrupt,        // The peer sent rubbish: this channel is closed.
  Closed,         // The sender closed it and everything was received, or it was closed here.
  PeerDead,       // The sender died and everything it published was received.
};

class Receiver {
 public:
  static Result<std::unique_ptr<Receiver>> create(Doorbell& doorbell, Link& link,
                                                  const ChannelName& name, sys::Fd senderMemory);
  ~Receiver();
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  // What the sender maps.
  const sys::Fd& fd() const { return own_.readOnlyFd(); }

  // `message` is changed only when one was Received. As long as more is there the domain does not
  // sleep: read on until Empty, or pause().
  ReceiveOutcome tryReceive(Message& message);
  // As many as are there, up to messages.size() and the limits, which the first one may exceed;
  // with two fences for all of them. Received: at least one, `received` says how many; anything
  // else is what tryReceive() says of the first.
  struct BatchLimits {
    uint64_t payloadBytes = ~0ull;
    size_t metadataBytes = SIZE_MAX;
  };
  ReceiveOutcome receiveBatch(std::span<Message> messages, size_t& received,
                              const BatchLimits& limits);
  ReceiveOutcome receiveBatch(std::span<Message> messages, size_t& received) {
    return receiveBatch(messages, received, BatchLimits());
  }
  // Nothing more is taken; the sender hears Closed and holds nothing more for us.
  void close();
  // A message that is Denied or Stale stays where it is instead of being dropped: its sender is
  // told by other means, and takes it back.
  void keepRefused() { keepsRefused_ = true; }
  bool keepsRefused() const { return keepsRefused_; }
  // Whether something was published that is not yet taken, and whether the sender has closed.
  bool hasUntaken() const;
  bool isSenderClosed() const;
  const Status& failure() const { return failure_; }
  // When to look again at a message whose owner revokes: soon, then less and less; -1: not at all.
  int32_t retryMs() const;
  // Whether its front waits for a segment, or for somebody to look again since that came.
  bool isAwaitingGrant() const { return isAwaiting_; }
  bool hasWork() const;
  // Until resumed it keeps nobody awake, whatever the sender has published.
  void pause() { isPaused_ = true; }
  void resume() { isPaused_ = false; }
  // The domain ends: nothing is told to the sender, whom the kernel or the host tells.
  void abandon() { isClosed_ = true; }

 private:
  Receiver(Doorbell& doorbell, Link& link, const ChannelName& name);
  ReceiveOutcome nothing(uint64_t word, bool isDead);
  ReceiveOutcome takeMessage(Message& message);
  ReceiveOutcome takeSlices();
  ReceiveOutcome findSegment(uint32_t number, Segment** segment);
  ReceiveOutcome checkSlices();
  ReceiveOutcome readListBuffer();
  ReceiveOutcome corrupt(Status status);
  void dropTaken();
  void consume(uint64_t words);
  bool isPossible(uint64_t published) const;
  size_t takeBatch(std::span<Message> messages, BatchLimits left);
  bool holdAll(const Frame& frame);
  bool isGood(size_t from, size_t to) const;
  void dropFrom(size_t first);

  Doorbell& doorbell_;
  Domain& domain_;
  Link& link_;
  RingMemory own_;
  RingMemory peer_;
  uint64_t mask_;
  uint64_t consumed_ = 0;
  uint64_t published_ = 0;  // As last read, checked.
  uint64_t quiet_ = 0;      // Nothing to do as long as the peer's word is this one.
  bool isClosed_ = false;
  bool isEndTold_ = false;
  bool isPaused_ = false;
  bool keepsRefused_ = false;
  Status failure_;
  // The message at consumed_, once it was copied out.
  bool isRead_ = false;
  // A hold is counted for each of slices_; until then for those whose segment is set.
  bool isTaken_ = false;
  size_t checked_ = 0;
  uint32_t revokingTurns_ = 0;
  bool isAwaiting_ = false;  // A segment of the message, since that many answers.
  uint64_t answersSeen_ = 0;
  Frame frame_;
  std::vector<Slice> slices_;
  std::vector<uint8_t> list_;
  // A batch while it is taken: its messages, and where the slices of each end in slices_.
  struct Batched {
    Frame frame;
    size_t end = 0;
  };
  std::vector<Batched> batch_;
};

// The slice lies inside its buffer, as far as the owner's chunk entry tells, and its segment. Read
// after the generation was found equal.
Status checkExtent(const Slice& slice);

}  // namespace iol
