#include "channel/sender.h"

#include <algorithm>
#include <new>
#include <utility>

#include "aggregate/slice_iterator.h"
#include "base/crash_point.h"
#include "base/fence.h"
#include "sys/limits.h"

namespace iol {
namespace {

// Memory that the receiver is done with is filled again while it is warm, instead of as much of it
// as the ring has room to name: looked for after so many bytes, if they were several messages.
constexpr uint64_t kBytesUnsettled = 1 << 20;
constexpr uint32_t kMessagesUnsettled = 4;

}  // namespace

Sender::Sender(Doorbell& doorbell, Pool& lists, const ChannelName& name)
    : doorbell_(doorbell), lists_(lists), name_(name), mask_(name.ringBytes / 8 - 1) {
  doorbell_.senders_.push_back(this);
  doorbell_.domain().addInFlight(this);
}

Result<std::unique_ptr<Sender>> Sender::create(Doorbell& doorbell, Pool& lists,
                                               const ChannelName& name) {
  Result<RingMemory> own = RingMemory::create(name, RingMemory::Side::Sender);
  if (!own.isOk()) return own.status();
  std::unique_ptr<Sender> sender(new (std::nothrow) Sender(doorbell, lists, name));
  if (sender == nullptr) return Status(Code::NoMemory, "channel");
  sender->own_ = own.take();
  sender->name_.label = "";  // The caller's; the memory has it.
  return sender;
}

Sender::~Sender() {
  close();
  releaseFlights(kIndexMax);
  for (const Slice& each : untaken_) doorbell_.domain().release(each);
  doorbell_.domain().removeInFlight(this);
  std::erase(doorbell_.senders_, this);
}

Status Sender::connect(Link& link, sys::Fd receiverMemory) {
  Result<RingMemory> peer =
      RingMemory::open(name_, RingMemory::Side::Receiver, std::move(receiverMemory));
  if (!peer.isOk()) return peer.status();
  peer_ = peer.take();
  link_ = &link;
  fullFence();
  if (published_ != 0) link_->ringIfAsleep();
  rungFor_ = published_;
  return {};
}

Result<SendOutcome> Sender::trySend(const Aggregate& aggregate, std::span<const uint8_t> metadata) {
  Result<SendOutcome> outcome = enqueue(aggregate, metadata);
  if (outcome.isOk() && outcome.value() == SendOutcome::Sent) isCorked_ ? show() : publish();
  return outcome;
}

Result<SendOutcome> Sender::enqueue(const Aggregate& aggregate, std::span<const uint8_t> metadata) {
  if (sys::isForkedChild()) return Status(Code::Forked, "channel");
  if (metadata.size() > kMetadataBytesMax) {
    return Status(Code::TooLarge, "metadata", metadata.size(), kMetadataBytesMax);
  }
  if (aggregate.sliceCount() > kDescriptorsMax) {
    return Status(Code::TooManySlices, "message", aggregate.sliceCount(), kDescriptorsMax);
  }
  const bool isListElsewhere = aggregate.sliceCount() > kDescriptorsInline;
  const uint32_t here = isListElsewhere ? 1 : aggregate.sliceCount();
  lookForClose();
  if (bytesUnsettled_ >= kBytesUnsettled && messagesUnsettled_ >= kMessagesUnsettled) settle();
  const bool hasRoom = makeRoom(frameWords(static_cast<uint32_t>(metadata.size()), here));
  if (isClosed_ || isPeerClosed_ || (link_ != nullptr && link_->isDead())) return end();
  if (!hasRoom) {
    publish();  // Nobody makes room who was not woken for what is there.
    return SendOutcome::Full;
  }
  IOL_TRY(exportAll(aggregate));
  if (isListElsewhere) IOL_TRY(writeListBuffer(aggregate));
  if (waitsFor_ != 0) setWaitsFor(0);
  writeMessage(aggregate, metadata);
  return SendOutcome::Sent;
}

void Sender::lookForClose() {
  if (peer_.isOpen() && peer_.receiver().closed.load(std::memory_order_acquire) != 0) {
    isPeerClosed_ = true;
  }
}

SendOutcome Sender::end() {
  isEndTold_ = true;
  settle();
  const bool isDead = link_ != nullptr && link_->isDead() && !isClosed_ && !isPeerClosed_;
  return isDead ? SendOutcome::PeerDead : SendOutcome::Closed;
}

// The peer's index is read only when what we know of it is not enough.
bool Sender::makeRoom(uint32_t words) {
  const uint64_t ringWords = mask_ + 1;
  const auto hasBytes = [&] { return bytesInFlight_ < bytesMax_ || flights_.size() < 2; };
  const auto hasWords = [&] { return at_ + words - consumed_ <= ringWords; };
  if (hasWords() && hasBytes()) return true;
  settle();
  if (hasWords() && hasBytes()) return true;
  // Not at the first room: a wake-up is to be worth half a ring of messages.
  if (!hasWords())
    setWaitsFor(at_ + std::max<uint64_t>(words, ringWords / 2) - ringWords);
  else
    setWaitsFor(consumed_ + (at_ - consumed_ + 1) / 2);
  return false;
}

void Sender::setWaitsFor(uint64_t index) {
  if (waitsFor_ == index) return;
  waitsFor_ = index;
  IOL_CRASH_POINT(RingWaitsFor);
  // No fence: it matters only once we sleep, and announcing sleep has one.
  own_.sender().waitsFor.store(index, std::memory_order_relaxed);
}

Status Sender::exportAll(const Aggregate& aggregate) {
  Domain& domain = doorbell_.domain();
  descriptors_.clear();
  for (SliceIterator each(aggregate); !each.isAtEnd(); each.next()) {
    IOL_TRY(domain.exportSlice(each.slice()));
    descriptors_.push_back(describe(each.slice()));
  }
  return {};
}

// The list's own bytes are made here, not moved: descriptors become bytes of a buffer.
Status Sender::writeListBuffer(const Aggregate& aggregate) {
  Result<Draft> draft = lists_.allocate(uint64_t{aggregate.sliceCount()} * kDescriptorBytes);
  if (!draft.isOk()) return draft.status();
  writeList(draft.value().bytes(), descriptors_);
  list_ = draft.value().seal();
  const Status exported = doorbell_.domain().exportSlice(list_);
  if (!exported.isOk()) doorbell_.domain().release(list_);
  return exported;
}

void Sender::writeMessage(const Aggregate& aggregate, std::span<const uint8_t> metadata) {
  Domain& domain = doorbell_.domain();
  const uint32_t count = aggregate.sliceCount();
  const bool isListElsewhere = count > kDescriptorsInline;
  for (SliceIterator each(aggregate); !each.isAtEnd(); each.next()) {
    inFlight_.push(each.slice());
    domain.retain(each.slice());
  }
  if (isListElsewhere) {
    inFlight_.push(list_);  // With the hold that it was allocated with.
    descriptors_.assign(1, describe(list_));
  }
  RingWriter ring{own_.words(), mask_, at_};
  writeFrame(ring, count, isListElsewhere, metadata, descriptors_);
  at_ = ring.at;
  bytesUnsettled_ += aggregate.byteLength();
  messagesUnsettled_++;
  bytesInFlight_ += aggregate.byteLength();
  flights_.push({at_, count + (isListElsewhere ? 1 : 0), isListElsewhere, !metadata.empty(),
                 aggregate.byteLength()});
}

void Sender::show() {
  if (published_ == at_ || isClosed_ || sys::isForkedChild()) return;
  published_ = at_;
  IOL_CRASH_POINT(RingPublish);
  own_.sender().published.store(published_, std::memory_order_release);
}

void Sender::publish() {
  show();
  if (rungFor_ == published_ || link_ == nullptr || isClosed_ || sys::isForkedChild()) return;
  rungFor_ = published_;
  fullFence();  // Pairs with Doorbell::prepareToSleep: it sees the message, or we its word.
  link_->ringIfAsleep();
}

void Sender::setCorked(bool isCorked) {
  isCorked_ = isCorked;
  if (!isCorked) publish();
}

void Sender::close() {
  if (isClosed_ || sys::isForkedChild()) return;
  publish();
  isClosed_ = true;
  IOL_CRASH_POINT(RingCloseSender);
  own_.sender().published.store(published_ | kIndexClosed, std::memory_order_release);
  if (link_ == nullptr) return;
  fullFence();
  link_->ringIfAsleep();
}

void Sender::settle() {
  bytesUnsettled_ = 0;
  messagesUnsettled_ = 0;
  if (!peer_.isOpen()) {
    if (isClosed_) releaseFlights(kIndexMax);
    return;
  }
  // Dead before the index is read: what it consumed until then no longer matters.
  if (link_->isDead()) {
    releaseFlights(kIndexMax);
    return;
  }
  const uint64_t consumed = peer_.receiver().consumed.load(std::memory_order_acquire);
  if (consumed < consumed_ || consumed > published_) {
    fail(Status(Code::BadDescriptor, "consumed index", consumed, published_));
    return;
  }
  consumed_ = consumed;
  lookForClose();
  releaseFlights(isPeerClosed_ ? kIndexMax : consumed_);
}

void Sender::releaseFlights(uint64_t until) {
  Domain& domain = doorbell_.domain();
  const uint64_t takenUntil = keepsUntaken_ ? taken() : kIndexMax;
  while (!flights_.empty() && flights_.front().end <= until) {
    const Flight flight = flights_.pop();
    bytesInFlight_ -= flight.bytes;
    const bool isKept = flight.end > takenUntil && !flight.hasMetadata;
    for (uint32_t left = flight.slices; left > 0; left--) {
      const bool isPayload = !flight.hasList || left > 1;
      const Slice slice = inFlight_.pop();
      if (isKept && isPayload) {
        untaken_.push_back(slice);
      } else {
        domain.release(slice);
      }
    }
  }
}

// Also of a dead receiver: its memory says how far it had come.
uint64_t Sender::taken() const {
  if (!peer_.isOpen()) return consumed_;
  const uint64_t consumed = peer_.receiver().consumed.load(std::memory_order_acquire);
  return consumed < consumed_ || consumed > published_ ? consumed_ : consumed;
}

void Sender::keepUntaken(uint64_t bytesMax) {
  bytesMax_ = bytesMax;
  keepsUntaken_ = true;
}

Aggregate Sender::takeBack() {
  settle();
  releaseFlights(kIndexMax);
  Domain& domain = doorbell_.domain();
  Aggregate untaken(domain);
  // Why not before: joining tiny slices allocates, and that settles senders, this one too.
  for (const Slice& each : std::exchange(untaken_, {})) {
    if (!untaken.adopt(each).isOk()) domain.release(each);
  }
  return untaken;
}

void Sender::fail(Status status) {
  if (!isPeerClosed_) {
    failure_ = status;
    doorbell_.domain().facts().noteIncident(IncidentKind::Corrupt, name_.receiver, status);
  }
  isPeerClosed_ = true;
  releaseFlights(kIndexMax);
  close();
}

size_t Sender::abandon() {
  settle();
  isClosed_ = true;
  size_t left = 0;
  while (!flights_.empty()) {
    for (uint32_t slices = flights_.pop().slices; slices > 0; slices--, left++) {
      (void)inFlight_.pop();
    }
  }
  return left;
}

bool Sender::hasWork() const {
  if (!isAwaited_ || !peer_.isOpen() || isEndTold_ || isClosed_) return false;
  if (link_->isDead() || isPeerClosed_) return true;
  if (peer_.receiver().closed.load(std::memory_order_acquire) != 0) return true;
  // Not looked at for nothing: the receiver writes that line with each message.
  return waitsFor_ != 0 && peer_.receiver().consumed.load(std::memory_order_acquire) >= waitsFor_;
}

bool Sender::takeWork() {
  if (!hasWork()) return false;
  isEndTold_ = link_->isDead() || isPeerClosed_ || peer_.receiver().closed.load() != 0;
  if (waitsFor_ != 0) setWaitsFor(0);
  return true;
}

}  // namespace iol
