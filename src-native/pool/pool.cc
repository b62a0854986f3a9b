#include "pool/pool.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/crash_point.h"
#include "base/fence.h"
#include "pool/committer.h"
#include "pool/span.h"
#include "sys/limits.h"

namespace iol {

Draft& Draft::operator=(Draft&& other) noexcept {
  if (this != &other) {
    abandon();
    pool_ = std::exchange(other.pool_, nullptr);
    slice_ = other.slice_;
  }
  return *this;
}

Slice Draft::seal(uint32_t length) {
  IOL_CHECK(isOpen() && length <= slice_.length);
  pool_->stats_.drafts--;
  pool_ = nullptr;
  Slice sealed = slice_;
  sealed.length = length;
  return sealed;
}

void Draft::abandon() {
  if (pool_ == nullptr) return;
  pool_->stats_.drafts--;
  std::exchange(pool_, nullptr)->domain_.release(slice_);
}

Result<std::unique_ptr<Pool>> Pool::create(Domain& domain, Options options) {
  if (sys::isForkedChild()) return Status(Code::Forked, "pool");
  std::unique_ptr<Pool> pool(new (std::nothrow) Pool(domain, options));
  if (pool == nullptr) return Status(Code::NoMemory, "pool");
  domain.pools_.push_back(pool.get());
  return pool;
}

namespace {
Pool::Options withLimit(Pool::Options options, const Window& window) {
  if (options.maxBytes == 0) options.maxBytes = window.maxBytes();
  options.label = nullptr;  // The caller's.
  return options;
}
}  // namespace

Pool::Pool(Domain& domain, Options options)
    : domain_(domain),
      options_(withLimit(options, domain.window())),
      number_(++domain.poolsMade_),
      facts_(domain.facts().describe(
          {number_, options.label != nullptr ? options.label : options.name, options_.sealed,
           options_.maxBytes, options_.idleBytesMax, options_.access})),
      stats_(facts_ != nullptr ? facts_->figures : unseen_) {}

Pool::~Pool() {
  std::erase(domain_.pools_, this);
  if (sys::isForkedChild()) return;  // The account is our parent's, and not mapped here.
  settleJobs(true);
  for (std::unique_ptr<OwnSegment>& own : segments_) {
    if (own != nullptr) retireSegment(*own);
  }
  domain_.facts().giveBack(facts_);
}

Pool& Pool::of(const Segment& own) { return *ownOf(own).pool; }

OwnSegment& Pool::ownOf(const Segment& segment) {
  IOL_DCHECK(segment.isOwn());
  return *static_cast<OwnSegment*>(segment.keeper());
}

namespace {
// A pool that is full names what was asked for, not the step in which it would have grown.
Result<Draft> asAsked(Result<Draft> draft, uint64_t byteLength) {
  if (draft.isOk() || draft.status().code() != Code::PoolFull) return draft;
  return Status(Code::PoolFull, draft.status().subject(), byteLength, draft.status().limit());
}
}  // namespace

Result<Draft> Pool::allocate(uint64_t byteLength) {
  if (sys::isForkedChild()) return Status(Code::Forked, "pool");
  if (byteLength > kBufferBytesMax) {
    return Status(Code::TooLarge, "buffer", byteLength, kBufferBytesMax);
  }
  const uint32_t length = static_cast<uint32_t>(std::max<uint64_t>(byteLength, 1));
  if (length <= kSmallBytesMax) {
    const uint32_t units = (length + kSmallUnitBytes - 1) / kSmallUnitBytes;
    return asAsked(allocateFrom(small_[classOfUnits(units)], kSmallUnitBytes,
                                unitsOfClass(classOfUnits(units)), byteLength),
                   byteLength);
  }
  if (length <= kMediumBytesMax) {
    const uint32_t units = (length + kMediumUnitBytes - 1) / kMediumUnitBytes;
    return asAsked(allocateFrom(medium_[classOfUnits(units)], kMediumUnitBytes,
                                unitsOfClass(classOfUnits(units)), byteLength),
                   byteLength);
  }
  return asAsked(
      length <= kOwnSegmentBytes ? allocateChunks(byteLength) : allocateSegment(byteLength),
      byteLength);
}

Result<Draft> Pool::allocateUpTo(uint64_t bytesMax) {
  Result<Draft> draft = allocate(bytesMax);
  const Status shortage = draft.status();
  for (uint64_t bytes = bytesMax / 2; isShortage(draft.status()); bytes /= 2) {
    if (bytes < kSmallUnitBytes) return shortage;
    draft = allocate(bytes);
  }
  return draft;
}

// A large buffer that came back is warm here and mapped at its readers; new memory is neither. Each
// allocation adds one at most to those that are looked at, so a few looks keep up.
constexpr size_t kLooksBeforeGrowth = 16;

Result<Draft> Pool::allocateFrom(ClassList& list, uint32_t unitBytes, uint32_t units,
                                 uint64_t byteLength) {
  if (list.empty()) {
    // Who has died is asked, for a system call, only when nothing came back without that.
    if (!pending_.empty() || domain_.hasInFlight()) collectPending();
    if (list.empty() && !pending_.empty()) collect();
    if (list.empty()) {
      const uint32_t chunks = unitBytes == kSmallUnitBytes ? 1 : kRunChunks;
      Result<Span*> span =
          carveSpan(unitBytes, chunks, uint64_t{unitBytes} * units, chunks * kChunkBytes, &list);
      if (!span.isOk()) return span.status();
    }
  }
  return takeSlot(*list.back(), byteLength);
}

Result<Draft> Pool::allocateChunks(uint64_t byteLength) {
  if (!pending_.empty() || domain_.hasInFlight()) collectPending(kLooksBeforeGrowth);
  const uint32_t chunks = static_cast<uint32_t>((byteLength + kChunkBytes - 1) / kChunkBytes);
  const uint64_t pages = (byteLength + sys::kPageBytes - 1) / sys::kPageBytes * sys::kPageBytes;
  Result<Span*> span = carveSpan(kMediumUnitBytes, chunks, chunks * kChunkBytes, pages, nullptr);
  if (!span.isOk()) return span.status();
  return takeSlot(*span.value(), byteLength);
}

Result<Draft> Pool::allocateSegment(uint64_t byteLength) {
  if (!pending_.empty() || domain_.hasInFlight()) collectPending(kLooksBeforeGrowth);
  Result<Draft> draft = tryAllocateSegment(byteLength);
  if (draft.isOk() || !makeRoom(draft.status())) return draft;
  return tryAllocateSegment(byteLength);
}

Result<Draft> Pool::tryAllocateSegment(uint64_t byteLength) {
  const uint64_t pages = (byteLength + sys::kPageBytes - 1) / sys::kPageBytes * sys::kPageBytes;
  Result<OwnSegment*> own = addSegment(0, pages + kChunkBytes);
  if (!own.isOk()) return own.status();
  Status status = commitChunks(*own.value(), 0, 1, pages);
  if (!status.isOk()) {
    retireSegment(*own.value());
    return status;
  }
  return takeSlot(*own.value()->spanAt(0), byteLength);
}

Draft Pool::takeSlot(Span& span, uint64_t byteLength) {
  OwnSegment& own = *span.segment;
  Segment& segment = *own.segment;
  uint32_t slot;
  if (!span.freeSlots.empty()) {
    slot = span.freeSlots.back();
    span.freeSlots.pop_back();
  } else {
    slot = segment.slotAt(segment.dataOffset() + span.firstChunk * kChunkBytes) +
           span.carved++ * span.slotStep;
  }
  span.live++;
  if (span.freeSlots.empty() && span.carved == span.capacity) unlistSpan(span);
  domain_.ownHolds_->take(segment.ordinal(), segment.chunkOf(slot), slot);
  stats_.allocations++;
  stats_.buffers++;
  stats_.drafts++;
  stats_.bytesInUse += span.bufferBytes;
  stats_.requestedTotal += byteLength;
  stats_.grantedTotal += span.bufferBytes;
  Draft draft;
  draft.pool_ = this;
  draft.slice_.segment = &segment;
  draft.slice_.slot = slot;
  draft.slice_.length = static_cast<uint32_t>(byteLength);
  draft.slice_.generation = segment.generation(slot).load(std::memory_order_relaxed);
  return draft;
}

void Pool::exportBuffer(const Slice& slice) {
  OwnSegment& own = ownOf(*slice.segment);
  if (own.exported.empty()) {
    own.exported.resize(own.segment->slots());
    own.pending.resize(own.segment->slots());
  }
  own.exported[slice.slot] = true;
}

// This domain holds the buffer no more. Nobody else ever knew an unexported name.
void Pool::onLastHold(const Slice& slice) {
  OwnSegment& own = ownOf(*slice.segment);
  Span& span = *own.spanAt(own.segment->chunkOf(slice.slot));
  if (domain_.ownHolds_->clearKernelVisible(own.segment->ordinal(),
                                            own.segment->chunkOf(slice.slot), slice.slot)) {
    span.mustPunch = true;
  }
  if (span.isWatched) tellWatchers(own, span, slice);
  if (!own.isExported(slice.slot)) {
    GenerationWord& word = own.segment->generation(slice.slot);
    word.store(word.load(std::memory_order_relaxed) + 2, std::memory_order_release);
    putBack(own, slice.slot);
  } else if (!own.pending[slice.slot] && !tryFree(own, slice.slot)) {
    own.pending[slice.slot] = true;
    pending_.emplace_back(&own, slice.slot);
    stats_.pending++;
  }
}

void Pool::tellWatchers(OwnSegment& own, Span& span, const Slice& slice) {
  if (!own.watched.empty() && own.watched[slice.slot]) {
    own.watched[slice.slot] = false;
    if (domain_.releaseListener_ != nullptr) domain_.releaseListener_->onLastHold(slice);
  }
  if (!span.isViewed || domain_.viewListener_ == nullptr) return;
  const HoldTable& holds = *domain_.ownHolds_;
  for (uint32_t chunk = span.firstChunk; chunk < span.firstChunk + span.chunks; chunk++) {
    if (holds.heldInChunk(own.segment->ordinal(), chunk) != 0) return;
  }
  span.isViewed = false;
  span.isWatched = !own.watched.empty();
  domain_.viewListener_->onViewIdle(*own.segment, span.firstChunk);
}

// The free protocol of design.md section 4; the entry that named the buffer is already removed.
bool Pool::revoke(OwnSegment& own, uint32_t slot, bool* kernelVisible) {
  const uint32_t ordinal = own.segment->ordinal();
  const uint32_t chunk = own.segment->chunkOf(slot);
  const PeerHolds& peers = domain_.peers();
  if (peers.scan(ordinal, chunk, slot).isHeld) return false;  // Racy, only to save the mark.
  GenerationWord& word = own.segment->generation(slot);
  const uint64_t generation = word.load(std::memory_order_relaxed);
  IOL_CRASH_POINT(GenerationMark);
  word.store(generation | kGenerationRevoking, std::memory_order_release);
  fullFence();  // Pairs with fenceAfterTake: the taker sees the mark, or we see its count.
  const PeerHolds::Scan scan = peers.scan(ordinal, chunk, slot);
  if (scan.isHeld) {
    IOL_CRASH_POINT(GenerationRestore);
    word.store(generation, std::memory_order_release);
    return false;
  }
  IOL_CRASH_POINT(GenerationNext);
  word.store(generation + 2, std::memory_order_release);
  *kernelVisible = scan.isKernelVisible;
  return true;
}

bool Pool::tryFree(OwnSegment& own, uint32_t slot) {
  fullFence();  // Between removing the entry and looking at the counts.
  bool kernelVisible = false;
  if (!revoke(own, slot, &kernelVisible)) return false;
  own.exported[slot] = false;
  if (kernelVisible) own.spanAt(own.segment->chunkOf(slot))->mustPunch = true;
  putBack(own, slot);
  return true;
}

void Pool::putBack(OwnSegment& own, uint32_t slot) {
  Span& span = *own.spanAt(own.segment->chunkOf(slot));
  stats_.buffers--;
  stats_.bytesInUse -= span.bufferBytes;
  span.live--;
  if (own.isLarge) {
    retireSegment(own);
    return;
  }
  const bool isWornOut =
      own.segment->generation(slot).load(std::memory_order_relaxed) + 2 >= kGenerationMax;
  if (!span.mustPunch && !isWornOut) span.freeSlots.push_back(slot);
  if (span.list != nullptr && span.listIndex == SIZE_MAX && !span.freeSlots.empty()) {
    listSpan(span);
  }
  // One empty span stays with its class, so that a lone buffer does not carve each time.
  const bool isSpare = span.list != nullptr && span.list->size() == 1 && !span.mustPunch;
  if (span.live == 0 && !isSpare) releaseSpan(span);
}

size_t Pool::collect() {
  domain_.reapDeadPeers();
  return collectPending();
}

size_t Pool::collectPending(size_t looksMax) {
  domain_.settleInFlight();
  size_t freed = 0;
  for (size_t looks = std::min(looksMax, pending_.size()); looks > 0; looks--) {
    if (pendingAt_ >= pending_.size()) pendingAt_ = 0;
    const auto [own, slot] = pending_[pendingAt_];
    // A peer may have sent it back: held here again, and pending again when that hold goes.
    const bool isOurs = domain_.ownHolds_->count(own->segment->ordinal(), slot) != 0;
    own->pending[slot] = false;
    if (isOurs || tryFree(*own, slot)) {
      pending_[pendingAt_] = pending_.back();
      pending_.pop_back();
      stats_.pending--;
      if (!isOurs) freed++;
    } else {
      own->pending[slot] = true;
      pendingAt_++;
    }
  }
  return freed;
}

// The kernel may still read the slot's pages for a domain that is gone (I4).
void Pool::markPunched(uint32_t ordinal, uint32_t slot) {
  for (const std::unique_ptr<OwnSegment>& own : segments_) {
    if (own == nullptr || own->segment->ordinal() != ordinal) continue;
    if (Span* span = own->spanAt(own->segment->chunkOf(slot))) span->mustPunch = true;
  }
}

Pool::Stats Pool::stats() const {
  Stats stats;
  if (sys::isForkedChild()) return stats;
  static_cast<PoolFigures&>(stats) = stats_;
  for (const std::unique_ptr<OwnSegment>& own : segments_) {
    if (own == nullptr) continue;
    stats.segments++;
  }
  stats.bytesFree =
      stats.bytesCommitted > stats.bytesInUse ? stats.bytesCommitted - stats.bytesInUse : 0;
  return stats;
}

std::vector<Segment*> Pool::segments() const {
  std::vector<Segment*> list;
  for (const std::unique_ptr<OwnSegment>& own : segments_) {
    list.push_back(own == nullptr ? nullptr : own->segment.get());
  }
  return list;
}

ViewSpan Pool::viewSpan(const Slice& slice) const {
  const OwnSegment& own = ownOf(*slice.segment);
  const Segment& segment = *own.segment;
  if (own.isLarge) return {segment.dataOffset(), segment.dataBytes(), 0};
  const Span& span = *own.spanAt(segment.chunkOf(slice.slot));
  return {segment.dataOffset() + span.firstChunk * kChunkBytes, span.chunks * kChunkBytes,
          span.firstChunk};
}

void Pool::markViewed(const Slice& slice) {
  OwnSegment& own = ownOf(*slice.segment);
  Span& span = *own.spanAt(own.segment->chunkOf(slice.slot));
  span.isViewed = true;
  span.isWatched = true;
}

}  // namespace iol
