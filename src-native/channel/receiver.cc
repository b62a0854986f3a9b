#include "channel/receiver.h"

#include <new>

#include "base/check.h"
#include "base/crash_point.h"
#include "base/fence.h"
#include "sys/limits.h"

namespace iol {
namespace {

constexpr uint64_t kNeverQuiet = ~0ull;

}  // namespace

Status checkExtent(const Slice& slice) {
  const Segment& segment = *slice.segment;
  const uint64_t end = uint64_t{slice.offset} + slice.length;
  const uint64_t extent =
      segment.chunkEntry(segment.chunkOf(slice.slot)).load(std::memory_order_acquire);
  if (end > extent) return Status(Code::BadDescriptor, "slice", end, extent);
  const uint64_t last = segment.slotOffset(slice.slot) + end;
  if (last > segment.totalBytes()) {
    return Status(Code::BadDescriptor, "slice", last, segment.totalBytes());
  }
  return {};
}

Receiver::Receiver(Doorbell& doorbell, Link& link, const ChannelName& name)
    : doorbell_(doorbell), domain_(doorbell.domain()), link_(link), mask_(name.ringBytes / 8 - 1) {
  doorbell_.receivers_.push_back(this);
}

Result<std::unique_ptr<Receiver>> Receiver::create(Doorbell& doorbell, Link& link,
                                                   const ChannelName& name, sys::Fd senderMemory) {
  Result<RingMemory> peer =
      RingMemory::open(name, RingMemory::Side::Sender, std::move(senderMemory));
  if (!peer.isOk()) return peer.status();
  Result<RingMemory> own = RingMemory::create(name, RingMemory::Side::Receiver);
  if (!own.isOk()) return own.status();
  std::unique_ptr<Receiver> receiver(new (std::nothrow) Receiver(doorbell, link, name));
  if (receiver == nullptr) return Status(Code::NoMemory, "channel");
  receiver->own_ = own.take();
  receiver->peer_ = peer.take();
  return receiver;
}

Receiver::~Receiver() {
  close();
  std::erase(doorbell_.receivers_, this);
}

ReceiveOutcome Receiver::tryReceive(Message& message) {
  IOL_DCHECK(&message.aggregate.domain() == &domain_);
  if (isClosed_) return ReceiveOutcome::Closed;
  if (sys::isForkedChild()) {
    failure_ = Status(Code::Forked, "channel");
    return ReceiveOutcome::Closed;
  }
  // Death before index: what a dead sender had published is received first.
  const bool isDead = link_.isDead();
  const uint64_t word = peer_.sender().published.load(std::memory_order_acquire);
  quiet_ = word;
  if (!isRead_) {
    const uint64_t published = word & ~kIndexClosed;
    if (!isPossible(published)) {
      return corrupt(
          Status(Code::BadDescriptor, "published index", published, consumed_ + mask_ + 1));
    }
    published_ = published;
    if (published == consumed_) return nothing(word, isDead);
    const RingReader ring{peer_.words(), mask_, consumed_};
    const Status status = readFrame(ring, published - consumed_, frame_);
    if (!status.isOk()) return corrupt(status);
    isRead_ = true;
  }
  const ReceiveOutcome outcome = takeMessage(message);
  isAwaiting_ = outcome == ReceiveOutcome::AwaitingGrant;
  answersSeen_ = domain_.segmentAnswers();
  const bool isRefused = outcome == ReceiveOutcome::Denied || outcome == ReceiveOutcome::Stale;
  const bool stays =
      isAwaiting_ || outcome == ReceiveOutcome::Revoking || (keepsRefused_ && isRefused);
  if (!stays && !isClosed_) consume(frame_.words);
  return outcome;
}

bool Receiver::isPossible(uint64_t published) const {
  return published >= published_ && published - consumed_ <= mask_ + 1 &&
         published % kCellWords == 0;
}

ReceiveOutcome Receiver::nothing(uint64_t word, bool isDead) {
  if ((word & kIndexClosed) == 0 && !isDead) return ReceiveOutcome::Empty;
  isEndTold_ = true;
  return (word & kIndexClosed) != 0 ? ReceiveOutcome::Closed : ReceiveOutcome::PeerDead;
}

ReceiveOutcome Receiver::takeMessage(Message& message) {
  while (true) {
    ReceiveOutcome outcome = isTaken_ ? ReceiveOutcome::Received : takeSlices();
    if (outcome == ReceiveOutcome::Received) outcome = checkSlices();
    if (outcome != ReceiveOutcome::Received || !frame_.isListElsewhere) {
      if (outcome != ReceiveOutcome::Received) return outcome;
      break;
    }
    outcome = readListBuffer();
    if (outcome != ReceiveOutcome::Received) return outcome;
  }
  message.aggregate.clear();
  for (const Slice& slice : slices_) (void)message.aggregate.adopt(slice);
  message.metadata.swap(frame_.metadata);
  slices_.clear();
  isTaken_ = false;
  return ReceiveOutcome::Received;
}

// Holds at once whatever is in segments that are here, for only that keeps them mapped while the
// others are asked for.
ReceiveOutcome Receiver::takeSlices() {
  bool isAwaiting = false;
  slices_.resize(frame_.descriptors.size());
  for (size_t index = 0; index < slices_.size(); index++) {
    Slice& slice = slices_[index];
    if (slice.segment != nullptr) continue;  // Held since an earlier look.
    const Descriptor& descriptor = frame_.descriptors[index];
    Segment* segment = index > 0 ? slices_[index - 1].segment : nullptr;
    ReceiveOutcome found = ReceiveOutcome::Received;
    if (segment == nullptr || segment->number() != descriptor.segment) {
      found = findSegment(descriptor.segment, &segment);
    }
    if (found == ReceiveOutcome::AwaitingGrant) {
      isAwaiting = true;
      continue;
    }
    Status status;
    if (found == ReceiveOutcome::Received) status = domain_.takeNamed(*segment, descriptor.slot);
    if (found != ReceiveOutcome::Received || !status.isOk()) {
      dropTaken();
      if (found != ReceiveOutcome::Received) return found;
      return status.code() == Code::Stale ? ReceiveOutcome::Stale : corrupt(status);
    }
    slice = {segment, descriptor.slot, descriptor.offset, descriptor.length, descriptor.generation};
  }
  if (isAwaiting) return ReceiveOutcome::AwaitingGrant;
  if (!slices_.empty()) fenceAfterTake();
  isTaken_ = true;
  checked_ = 0;
  revokingTurns_ = 0;
  return ReceiveOutcome::Received;
}

ReceiveOutcome Receiver::findSegment(uint32_t number, Segment** segment) {
  *segment = domain_.segment(number);
  if (*segment != nullptr) return ReceiveOutcome::Received;
  SegmentSource* const source = domain_.segmentSource();
  if (source == nullptr) return ReceiveOutcome::Stale;
  const Status status = source->request(number);
  if (status.code() == Code::AccessDenied) return ReceiveOutcome::Denied;
  if (!status.isOk()) return ReceiveOutcome::Stale;
  *segment = domain_.segment(number);  // It may have come at once.
  return *segment == nullptr ? ReceiveOutcome::AwaitingGrant : ReceiveOutcome::Received;
}

ReceiveOutcome Receiver::checkSlices() {
  for (; checked_ < slices_.size(); checked_++) {
    const Slice& slice = slices_[checked_];
    const TakeOutcome outcome = domain_.checkNamed(*slice.segment, slice.slot, slice.generation);
    if (outcome == TakeOutcome::Revoking) {
      revokingTurns_++;
      return ReceiveOutcome::Revoking;
    }
    if (outcome == TakeOutcome::Stale) {
      dropTaken();
      return ReceiveOutcome::Stale;
    }
    const Status status = checkExtent(slice);
    if (!status.isOk()) return corrupt(status);
  }
  return ReceiveOutcome::Received;
}

// The sender can still write the list: copied out once, then checked, then used.
ReceiveOutcome Receiver::readListBuffer() {
  list_.resize(size_t{frame_.count} * kDescriptorBytes);
  copyBytes(list_.data(), slices_[0].data(), list_.size(), CopyReason::Untrusted);
  dropTaken();
  frame_.isListElsewhere = false;
  const Status status = readList(list_.data(), frame_.count, frame_.descriptors);
  return status.isOk() ? ReceiveOutcome::Received : corrupt(status);
}

void Receiver::dropTaken() {
  for (const Slice& slice : slices_) {
    if (slice.segment != nullptr) domain_.release(slice);
  }
  slices_.clear();
  isTaken_ = false;
}

void Receiver::consume(uint64_t words) {
  consumed_ += words;
  isRead_ = false;
  if (consumed_ != published_ || (quiet_ & kIndexClosed) != 0) quiet_ = kNeverQuiet;
  IOL_CRASH_POINT(RingConsume);
  own_.receiver().consumed.store(consumed_, std::memory_order_release);
  fullFence();  // Pairs with the sender's Doorbell::prepareToSleep: it sees room, or we its words.
  IOL_CRASH_POINT(RingConsumed);
  const uint64_t waitsFor = peer_.sender().waitsFor.load(std::memory_order_relaxed);
  if (waitsFor != 0 && consumed_ >= waitsFor) link_.ringIfAsleep();
}

ReceiveOutcome Receiver::corrupt(Status status) {
  failure_ = status;
  domain_.facts().noteIncident(IncidentKind::Corrupt, link_.name(), status);
  close();
  return ReceiveOutcome::Corrupt;
}

void Receiver::close() {
  if (isClosed_ || sys::isForkedChild()) return;
  dropTaken();
  isClosed_ = true;
  IOL_CRASH_POINT(RingCloseReceiver);
  own_.receiver().closed.store(1, std::memory_order_release);
  fullFence();
  link_.ringIfAsleep();
}

// An owner is done in microseconds, or it is stopped.
int32_t Receiver::retryMs() const {
  if (!isTaken_ || isPaused_) return -1;
  return revokingTurns_ <= 10 ? 1 : 20;
}

bool Receiver::hasUntaken() const {
  const uint64_t word = peer_.sender().published.load(std::memory_order_acquire);
  return !isClosed_ && (word & ~kIndexClosed) != consumed_;
}

bool Receiver::isSenderClosed() const {
  return (peer_.sender().published.load(std::memory_order_acquire) & kIndexClosed) != 0;
}

bool Receiver::hasWork() const {
  if (isClosed_ || isPaused_) return false;
  if (isAwaiting_) return domain_.segmentAnswers() != answersSeen_;
  if (isTaken_) return false;
  if (link_.isDead() && !isEndTold_) return true;
  return peer_.sender().published.load(std::memory_order_acquire) != quiet_;
}

}  // namespace iol
