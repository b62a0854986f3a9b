#include "pool/domain.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "pool/pool.h"
#include "pool/span.h"
#include "sys/limits.h"

namespace iol {

Result<std::unique_ptr<Domain>> Domain::create(Window& window) {
  Result<DomainName> name = window.takeDomain();
  if (!name.isOk()) return name.status();
  Result<std::unique_ptr<Domain>> domain = create(window, name.value());
  if (!domain.isOk()) window.returnDomain(name.value());
  return domain;
}

Result<std::unique_ptr<Domain>> Domain::create(Window& window, DomainName name) {
  std::unique_ptr<Domain> domain(new (std::nothrow) Domain(window, name));
  if (domain == nullptr) return Status(Code::NoMemory, "domain");
  Result<std::unique_ptr<HoldTable>> holds = HoldTable::create(window.id(), name, name);
  if (!holds.isOk()) return holds.status();
  Result<std::unique_ptr<Facts>> facts = Facts::create(window, name);
  if (!facts.isOk()) return facts.status();
  domain->ownHolds_ = holds.take();
  domain->facts_ = facts.take();
  return domain;
}

Domain::Domain(Window& window, DomainName name)
    : window_(window), name_(name), ordinalsUsed_(kOrdinalsMax, false) {}

Domain::~Domain() {
  IOL_CHECK(pools_.empty());
  if (ownHolds_ != nullptr) window_.returnDomain(name_);
}

// A forked child has no counters: what its destructors let go was never its own.
void Domain::retain(const Slice& slice) {
  if (sys::isForkedChild()) return;
  const Segment& segment = *slice.segment;
  holdsOf(segment).take(segment.ordinal(), segment.chunkOf(slice.slot), slice.slot);
}

void Domain::markKernelVisible(const Slice& slice) {
  const Segment& segment = *slice.segment;
  holdsOf(segment).setKernelVisible(segment.ordinal(), slice.slot, true);
}

void Domain::release(const Slice& slice) {
  if (sys::isForkedChild()) return;
  const Segment& segment = *slice.segment;
  const bool isLast =
      holdsOf(segment).drop(segment.ordinal(), segment.chunkOf(slice.slot), slice.slot);
  if (!isLast) return;
  if (segment.isOwn()) {
    Pool::ownOf(segment).pool->onLastHold(slice);
    return;
  }
  if (segment.isLeaving()) releasesOfLeaving_++;
  if (segment.isViewed()) tellViews(*slice.segment, segment.chunkOf(slice.slot));
}

// A view of foreign bytes serves the buffers that start in its first chunk.
void Domain::tellViews(Segment& segment, uint32_t chunk) {
  if (viewListener_ == nullptr) return;
  if (holdsOf(segment).heldInChunk(segment.ordinal(), chunk) != 0) return;
  viewListener_->onViewIdle(segment, chunk);
}

ViewSpan Domain::viewSpan(const Slice& slice) const {
  const Segment& segment = *slice.segment;
  if (segment.isOwn()) return Pool::ownOf(segment).pool->viewSpan(slice);
  if (segment.unitBytes() == 0) return {segment.dataOffset(), segment.dataBytes(), 0};
  ViewSpan span;
  span.firstChunk = segment.chunkOf(slice.slot);
  span.offset = segment.dataOffset() + span.firstChunk * kChunkBytes;
  span.bytes = kChunkBytes;
  if (segment.unitBytes() == kSmallUnitBytes) return span;  // None of those crosses a border.
  const uint64_t left = segment.dataOffset() + segment.chunks() * kChunkBytes - span.offset;
  const uint64_t bufferBytes =
      std::min(segment.chunkEntry(span.firstChunk).load(std::memory_order_relaxed), left);
  // Whole chunks begin at a border; others somewhere in the chunk, the last unit at the latest.
  const bool isWhole = bufferBytes % kChunkBytes == 0;
  const uint64_t reach = bufferBytes + (isWhole ? 0 : 2 * kChunkBytes - kMediumUnitBytes - 1);
  span.bytes = std::clamp(reach / kChunkBytes * kChunkBytes, kChunkBytes, left);
  return span;
}

void Domain::markViewed(const Slice& slice) {
  if (slice.segment->isOwn()) {
    Pool::ownOf(*slice.segment).pool->markViewed(slice);
  } else {
    slice.segment->setViewed();
  }
}

void Domain::watchLastHold(const Slice& slice) {
  OwnSegment& own = Pool::ownOf(*slice.segment);
  if (own.watched.empty()) own.watched.resize(own.segment->slots());
  own.watched[slice.slot] = true;
  own.spanAt(own.segment->chunkOf(slice.slot))->isWatched = true;
}

Status Domain::takeNamed(Segment& segment, uint32_t slot) {
  if (sys::isForkedChild()) return Status(Code::Forked, "window");
  if (slot >= segment.slots()) {
    return Status(Code::BadDescriptor, "slot", slot, segment.slots());
  }
  // A free slot or a draft must not be held because a peer says so: only what was exported.
  if (segment.isOwn() && !Pool::ownOf(segment).isExported(slot)) {
    return Status(Code::Stale, "slot", slot);
  }
  holdsOf(segment).take(segment.ordinal(), segment.chunkOf(slot), slot);
  return {};
}

TakeOutcome Domain::checkNamed(const Segment& segment, uint32_t slot, uint64_t generation) {
  const TakeOutcome outcome = checkTaken(segment, slot, generation, false);
  if (outcome != TakeOutcome::Revoking || source_ == nullptr) return outcome;
  // Dead first, then the generation once more: a living owner may have gone on in between.
  const bool isDead = !segment.isOwn() && source_->ownerHasEnded(segment.owner());
  return isDead ? checkTaken(segment, slot, generation, true) : outcome;
}

Status Domain::exportSlice(const Slice& slice) {
  if (!slice.segment->isOwn()) return {};
  OwnSegment& own = Pool::ownOf(*slice.segment);
  if (!own.isPublished && source_ != nullptr) {
    IOL_TRY(source_->publish(*own.segment));
    own.isPublished = true;
  }
  own.pool->exportBuffer(slice);
  return {};
}

bool Domain::isHeldElsewhere(const Slice& slice) const {
  const Segment& segment = *slice.segment;
  if (!Pool::ownOf(segment).isExported(slice.slot)) return false;
  return peers_.scan(segment.ordinal(), segment.chunkOf(slice.slot), slice.slot).isHeld;
}

Segment* Domain::segment(uint32_t number) const {
  const auto found = segments_.find(number);
  return found == segments_.end() ? nullptr : found->second;
}

Status Domain::adoptSegment(std::unique_ptr<Segment> segment) {
  if (this->segment(segment->number()) != nullptr) {
    return Status(Code::BadDescriptor, "segment number", segment->number());
  }
  Result<HoldTable*> holds = holdsFor(segment->owner());
  if (!holds.isOk()) return holds.status();
  // Its owner has used the ordinal again, so whatever had it is retired.
  for (const std::unique_ptr<Segment>& each : foreignSegments_) {
    if (each->owner() != segment->owner() || each->ordinal() != segment->ordinal()) continue;
    (void)holds.value()->clearKernelVisible(*each);
  }
  segment->setKeeper(holds.value());
  segments_[segment->number()] = segment.get();
  foreignSegments_.push_back(std::move(segment));
  noteSegmentAnswer();
  return {};
}

bool Domain::forgetSegment(uint32_t number) {
  const auto at = std::find_if(
      foreignSegments_.begin(), foreignSegments_.end(),
      [number](const std::unique_ptr<Segment>& each) { return each->number() == number; });
  if (at == foreignSegments_.end()) return true;
  const Segment& segment = **at;
  const bool isReplaced = std::any_of(foreignSegments_.begin(), foreignSegments_.end(),
                                      [&segment](const std::unique_ptr<Segment>& each) {
                                        return each.get() != &segment &&
                                               each->owner() == segment.owner() &&
                                               each->ordinal() == segment.ordinal();
                                      });
  HoldTable& holds = holdsOf(segment);
  // Why not those of the one that came after it: that one's storage is in use.
  if (!isReplaced && !holds.clearKernelVisible(segment)) return false;
  for (uint32_t chunk = 0; chunk < segment.chunks(); chunk++) {
    if (holds.heldInChunk(segment.ordinal(), chunk) != 0) return false;
  }
  if (viewListener_ != nullptr) viewListener_->onSegmentRetired(**at);
  segments_.erase(number);
  foreignSegments_.erase(at);
  return true;
}

void Domain::forgetSegments() {
  for (const std::unique_ptr<Segment>& segment : foreignSegments_) {
    if (viewListener_ != nullptr) viewListener_->onSegmentRetired(*segment);
    segments_.erase(segment->number());
  }
  foreignSegments_.clear();
}

void Domain::setSegmentSource(SegmentSource* source) {
  source_ = source;
  if (source == nullptr) return;
  for (const Segment* segment : ownSegments()) Pool::ownOf(*segment).isPublished = false;
}

bool Domain::forgetOwner(DomainName owner) {
  for (const std::unique_ptr<Segment>& each : foreignSegments_) {
    if (each->owner() == owner) return false;
  }
  std::erase_if(foreignHolds_, [owner](const ForeignHolds& each) { return each.owner == owner; });
  return true;
}

Result<HoldTable*> Domain::holdsFor(DomainName owner) {
  if (owner == name_) return ownHolds_.get();
  for (const ForeignHolds& each : foreignHolds_) {
    if (each.owner == owner) return each.table.get();
  }
  Result<std::unique_ptr<HoldTable>> table = HoldTable::create(window_.id(), name_, owner);
  if (!table.isOk()) return table.status();
  foreignHolds_.push_back({owner, table.take()});
  return foreignHolds_.back().table.get();
}

uint64_t Domain::liveHolds() const {
  uint64_t sum = ownHolds_->liveHolds();
  for (const ForeignHolds& each : foreignHolds_) sum += each.table->liveHolds();
  return sum;
}

std::vector<const Segment*> Domain::ownSegments() const {
  std::vector<const Segment*> known;
  for (const Pool* pool : pools_) {
    for (const Segment* segment : pool->segments()) {
      if (segment != nullptr) known.push_back(segment);
    }
  }
  return known;
}

void Domain::noteDeath(const PeerHolds::Death& death) {
  for (const auto& [ordinal, slot] : death.kernelVisible) {
    for (Pool* pool : pools_) pool->markPunched(ordinal, slot);
  }
}

void Domain::reapDeadPeers() {
  if (!peers_.anyHasDied()) return;
  for (const PeerHolds::Death& death : peers_.reapDead(ownSegments())) noteDeath(death);
}

void Domain::forgetPeer(DomainName peer) { noteDeath(peers_.remove(peer, ownSegments())); }

void Domain::settleInFlight() {
  for (InFlightHolds* each : inFlight_) each->settle();
  for (const ForeignHolds& each : foreignHolds_) each.table->forgetTime();
}

Pool* Domain::poolOf(const Slice& slice) const {
  if (!slice.segment->isOwn()) return nullptr;
  Pool* pool = Pool::ownOf(*slice.segment).pool;
  return &pool->domain() == this ? pool : nullptr;
}

}  // namespace iol
