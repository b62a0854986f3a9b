// Several messages with one fence after all takes, and one store of the consumed index.
//
// The order of tryReceive() holds for each of them: counted, then fenced, then its generation read,
// then consumed. A batch ends before the first message that needs more than that; what was counted
// for it and those behind is dropped, for their sender holds on until they are consumed.
#include "channel/receiver.h"

#include <algorithm>

#include "base/fence.h"
#include "sys/limits.h"

namespace iol {

namespace {

uint64_t payloadOf(const Frame& frame) {
  uint64_t bytes = 0;
  for (const Descriptor& each : frame.descriptors) bytes += each.length;
  return bytes;
}

}  // namespace

ReceiveOutcome Receiver::receiveBatch(std::span<Message> messages, size_t& received,
                                      const BatchLimits& limits) {
  received = 0;
  if (messages.empty()) return ReceiveOutcome::Received;
  if (!isRead_ && !isClosed_ && !sys::isForkedChild()) received = takeBatch(messages, limits);
  if (received > 0) return ReceiveOutcome::Received;
  const ReceiveOutcome outcome = tryReceive(messages[0]);
  received = outcome == ReceiveOutcome::Received ? 1 : 0;
  return outcome;
}

size_t Receiver::takeBatch(std::span<Message> messages, BatchLimits left) {
  const uint64_t word = peer_.sender().published.load(std::memory_order_acquire);
  const uint64_t published = word & ~kIndexClosed;
  if (!isPossible(published)) return 0;
  published_ = published;
  quiet_ = word;
  size_t count = 0;
  slices_.clear();
  for (uint64_t at = consumed_; count < messages.size() && at < published; count++) {
    if (count == batch_.size()) batch_.emplace_back();
    Batched& each = batch_[count];
    const RingReader ring{peer_.words(), mask_, at};
    if (!readFrame(ring, published - at, each.frame).isOk()) break;
    const uint64_t payload = payloadOf(each.frame);
    const size_t metadata = each.frame.metadata.size();
    if (count > 0 && (payload > left.payloadBytes || metadata > left.metadataBytes)) break;
    if (each.frame.isListElsewhere || !holdAll(each.frame)) break;
    left.payloadBytes -= std::min(payload, left.payloadBytes);
    left.metadataBytes -= std::min(metadata, left.metadataBytes);
    each.end = slices_.size();
    at += each.frame.words;
  }
  if (count == 0) return 0;
  fenceAfterTake();
  size_t good = 0;
  size_t from = 0;
  uint64_t words = 0;
  for (; good < count && isGood(from, batch_[good].end); good++) {
    Message& message = messages[good];
    message.aggregate.clear();
    for (; from < batch_[good].end; from++) (void)message.aggregate.adopt(slices_[from]);
    message.metadata.swap(batch_[good].frame.metadata);
    words += batch_[good].frame.words;
  }
  dropFrom(from);
  slices_.clear();  // The others are the messages' now.
  if (good > 0) consume(words);
  return good;
}

// Nothing is asked for here: what is not at hand is tryReceive()'s.
bool Receiver::holdAll(const Frame& frame) {
  const size_t first = slices_.size();
  for (const Descriptor& each : frame.descriptors) {
    const bool isSame = slices_.size() > first && slices_.back().segment->number() == each.segment;
    Segment* const segment = isSame ? slices_.back().segment : domain_.segment(each.segment);
    if (segment == nullptr || !domain_.takeNamed(*segment, each.slot).isOk()) {
      dropFrom(first);
      return false;
    }
    slices_.push_back({segment, each.slot, each.offset, each.length, each.generation});
  }
  return true;
}

bool Receiver::isGood(size_t from, size_t to) const {
  for (size_t index = from; index < to; index++) {
    const Slice& slice = slices_[index];
    const TakeOutcome outcome = domain_.checkNamed(*slice.segment, slice.slot, slice.generation);
    if (outcome != TakeOutcome::Taken || !checkExtent(slice).isOk()) return false;
  }
  return true;
}

void Receiver::dropFrom(size_t first) {
  for (size_t index = first; index < slices_.size(); index++) domain_.release(slices_[index]);
  slices_.resize(first);
}

}  // namespace iol
