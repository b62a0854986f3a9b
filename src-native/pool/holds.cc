#include "pool/holds.h"

#include <new>

#include "base/crash_point.h"
#include "base/fence.h"
#include "sys/clock.h"
#include "sys/limits.h"
#include "sys/memory.h"
#include "sys/process.h"

namespace iol {
namespace {

constexpr uint32_t kRaisesPerLook = 64;  // The clock costs some ten times what a raise does.

constexpr uint32_t countOf(uint32_t word) { return word & kHoldCountMax; }

const uint8_t* regionOf(const uint8_t* base, uint32_t ordinal) {
  return base + kHoldRegionsOffset + uint64_t{ordinal} * kHoldRegionBytes;
}

const HoldWord& chunkWord(const uint8_t* base, uint32_t ordinal, uint32_t chunk) {
  return reinterpret_cast<const HoldWord*>(regionOf(base, ordinal))[chunk];
}

const HoldWord& slotWord(const uint8_t* base, uint32_t ordinal, uint32_t slot) {
  return reinterpret_cast<const HoldWord*>(regionOf(base, ordinal) + kHoldSlotCountsOffset)[slot];
}

}  // namespace

Result<std::unique_ptr<HoldTable>> HoldTable::create(uint64_t windowId, DomainName holder,
                                                     DomainName owner) {
  if (sys::isForkedChild()) return Status(Code::Forked, "hold table");
  std::unique_ptr<HoldTable> table(new (std::nothrow) HoldTable());
  if (table == nullptr) return Status(Code::NoMemory, "hold table");
  Result<sys::Fd> memory = sys::createMemory("io-lite-holds", kHoldTableBytes);
  if (!memory.isOk()) return memory.status();
  table->memory_ = memory.take();
  Result<uint8_t*> mapped = sys::mapWritable(table->memory_, kHoldTableBytes);
  if (!mapped.isOk()) return mapped.status();
  table->base_ = mapped.value();
  Result<sys::Fd> readOnly = sys::reopenReadOnly(table->memory_);
  if (!readOnly.isOk()) return readOnly.status();
  table->readOnlyFd_ = readOnly.take();
  IOL_TRY(sys::commit(table->memory_, 0, sys::kPageBytes));
  HoldTableHeader header{};
  header.magic = kHoldTableMagic;
  header.format = kFormat;
  header.byteOrder = kByteOrder;
  header.windowId = windowId;
  header.domainSlot = holder.slot;
  header.domainEpoch = holder.epoch;
  header.ownerSlot = owner.slot;
  header.ownerEpoch = owner.epoch;
  table->isForeign_ = !(holder == owner);
  *reinterpret_cast<HoldTableHeader*>(table->base_) = header;
  return table;
}

HoldTable::~HoldTable() { sys::unmap(base_, kHoldTableBytes); }

HoldWord& HoldTable::chunkWordOf(uint32_t ordinal, uint32_t chunk) const {
  return const_cast<HoldWord&>(chunkWord(base_, ordinal, chunk));
}

// Only the domain's own thread stores, so a plain load and store is an increment.
void HoldTable::raiseChunk(uint32_t ordinal, uint32_t chunk) {
  HoldWord& word = chunkWordOf(ordinal, chunk);
  uint32_t before = word.load(std::memory_order_relaxed);
  if (before == 0 && isForeign_) {
    if (raised_++ % kRaisesPerLook == 0) seconds_ = static_cast<uint32_t>(sys::monotonicSeconds());
    before = seconds_ << kHoldChunkCountBits;
  }
  word.store(before + 1, std::memory_order_relaxed);
}

void HoldTable::lowerChunk(uint32_t ordinal, uint32_t chunk) {
  HoldWord& word = chunkWordOf(ordinal, chunk);
  const uint32_t after = word.load(std::memory_order_relaxed) - 1;
  word.store((after & kHoldChunkCountMask) == 0 ? 0 : after, std::memory_order_release);
}

HoldWord* HoldTable::slotCounts(uint32_t ordinal) const {
  return reinterpret_cast<HoldWord*>(const_cast<uint8_t*>(regionOf(base_, ordinal)) +
                                     kHoldSlotCountsOffset);
}

// The chunk count is raised before and lowered after, so that an owner that sees it zero may
// skip the slot page. Pairs with PeerHolds::scan.
void HoldTable::take(uint32_t ordinal, uint32_t chunk, uint32_t slot) {
  HoldWord& word = slotCounts(ordinal)[slot];
  const uint32_t before = word.load(std::memory_order_relaxed);
  liveHolds_++;
  if (countOf(before) == kHoldCountMax) return;  // Saturated: sticks for ever.
  if (before == 0) {
    IOL_CRASH_POINT(HoldChunkRaise);
    raiseChunk(ordinal, chunk);
  }
  IOL_CRASH_POINT(HoldRaise);
  word.store(before + 1, std::memory_order_release);
}

bool HoldTable::drop(uint32_t ordinal, uint32_t chunk, uint32_t slot) {
  HoldWord& word = slotCounts(ordinal)[slot];
  const uint32_t before = word.load(std::memory_order_relaxed);
  liveHolds_--;
  if (countOf(before) == kHoldCountMax) return false;
  IOL_CRASH_POINT(HoldLower);
  // Release: every load of the payload happened before the owner can see the count fall.
  word.store(before - 1, std::memory_order_release);
  if (before == 1) {
    IOL_CRASH_POINT(HoldChunkLower);
    lowerChunk(ordinal, chunk);
  }
  return countOf(before) == 1;
}

uint32_t HoldTable::count(uint32_t ordinal, uint32_t slot) const {
  return countOf(slotCounts(ordinal)[slot].load(std::memory_order_relaxed));
}

uint32_t HoldTable::heldInChunk(uint32_t ordinal, uint32_t chunk) const {
  return chunkWordOf(ordinal, chunk).load(std::memory_order_relaxed) & kHoldChunkCountMask;
}

// Set only while held, so the chunk count is already raised; cleared likewise.
void HoldTable::setKernelVisible(uint32_t ordinal, uint32_t slot, bool visible) {
  HoldWord& word = slotCounts(ordinal)[slot];
  const uint32_t before = word.load(std::memory_order_relaxed);
  IOL_CRASH_POINT(HoldKernelVisible);
  word.store(visible ? before | kHoldKernelVisible : before & ~kHoldKernelVisible,
             std::memory_order_release);
}

bool HoldTable::clearKernelVisible(uint32_t ordinal, uint32_t chunk, uint32_t slot) {
  HoldWord& word = slotCounts(ordinal)[slot];
  if (word.load(std::memory_order_relaxed) != kHoldKernelVisible) return false;
  word.store(0, std::memory_order_release);
  lowerChunk(ordinal, chunk);
  return true;
}

bool HoldTable::clearKernelVisible(const Segment& retired) {
  const uint32_t ordinal = retired.ordinal();
  bool isClear = true;
  for (uint32_t slot = 0; slot < retired.slots();) {
    const uint32_t chunk = retired.chunkOf(slot);
    if (heldInChunk(ordinal, chunk) == 0) {
      while (slot < retired.slots() && retired.chunkOf(slot) == chunk) slot++;
      continue;
    }
    clearKernelVisible(ordinal, chunk, slot);
    isClear = isClear && count(ordinal, slot) == 0;
    slot++;
  }
  return isClear;
}

void fenceAfterTake() { fullFence(); }

TakeOutcome checkTaken(const Segment& segment, uint32_t slot, uint64_t generation,
                       bool ownerIsDead) {
  if ((generation & kGenerationRevoking) != 0) return TakeOutcome::Stale;
  const uint64_t now = segment.generation(slot).load(std::memory_order_acquire);
  if (now == generation) return TakeOutcome::Taken;
  if (now == (generation | kGenerationRevoking)) {
    return ownerIsDead ? TakeOutcome::Taken : TakeOutcome::Revoking;
  }
  return TakeOutcome::Stale;
}

PeerHolds::~PeerHolds() {
  for (Table& table : tables_) sys::unmap(const_cast<uint8_t*>(table.base), kHoldTableBytes);
}

void PeerHolds::follow(const EpochWord* epochWord, uint64_t epoch) {
  epochWord_ = epochWord;
  epochKnown_ = epoch;
}

Status PeerHolds::add(DomainName domain, sys::Fd table, sys::Fd pidfd, uint64_t epoch) {
  if (epoch != epochKnown_ + 1) {
    return Status(Code::BadDescriptor, "owner's epoch", epoch, epochKnown_ + 1);
  }
  if (!deaths_.has_value()) {
    Result<sys::PollSet> set = sys::PollSet::create();
    if (!set.isOk()) return set.status();
    deaths_ = set.take();
  }
  IOL_TRY(sys::checkForeignMemory(table, kHoldTableBytes));
  Result<uint8_t*> mapped = sys::mapReadOnly(table, kHoldTableBytes);
  if (!mapped.isOk()) return mapped.status();
  const HoldTableHeader header = *reinterpret_cast<const HoldTableHeader*>(mapped.value());
  const bool isOurs = header.magic == kHoldTableMagic && header.format == kFormat &&
                      header.byteOrder == kByteOrder && header.domainSlot == domain.slot &&
                      header.domainEpoch == domain.epoch;
  Status status;
  if (!isOurs) status = Status(Code::Format, "hold table", header.format, kFormat);
  if (status.isOk()) status = deaths_->add(pidfd, sys::Interest::Read, domain.slot);
  if (!status.isOk()) {
    sys::unmap(mapped.value(), kHoldTableBytes);
    return status;
  }
  tables_.push_back({domain, std::move(pidfd), mapped.value()});
  epochKnown_ = epoch;
  return {};
}

PeerHolds::Scan PeerHolds::scan(uint32_t ordinal, uint32_t chunk, uint32_t slot) const {
  Scan result;
  // Read after the mark: a domain that joined since may have taken what we are about to free.
  if (epochWord_ != nullptr && epochWord_->load(std::memory_order_acquire) > epochKnown_) {
    result.isHeld = true;
    return result;
  }
  for (const Table& table : tables_) {
    // Pairs with HoldTable::take and drop.
    if (chunkWord(table.base, ordinal, chunk).load(std::memory_order_acquire) == 0) continue;
    const uint32_t word = slotWord(table.base, ordinal, slot).load(std::memory_order_acquire);
    if (countOf(word) != 0) result.isHeld = true;
    if ((word & kHoldKernelVisible) != 0) result.isKernelVisible = true;
  }
  return result;
}

// The kernel may still read what a dead domain had marked: noted before its table is forgotten.
PeerHolds::Death PeerHolds::bury(size_t index, const std::vector<const Segment*>& segments) {
  Table& table = tables_[index];
  Death death{table.domain, {}};
  for (const Segment* segment : segments) {
    const uint32_t ordinal = segment->ordinal();
    for (uint32_t slot = 0; slot < segment->slots();) {
      const uint32_t chunk = segment->chunkOf(slot);
      if (chunkWord(table.base, ordinal, chunk).load(std::memory_order_acquire) == 0) {
        // Nothing in this chunk: on to the first slot of the next one.
        while (slot < segment->slots() && segment->chunkOf(slot) == chunk) slot++;
        continue;
      }
      const uint32_t word = slotWord(table.base, ordinal, slot).load(std::memory_order_acquire);
      if ((word & kHoldKernelVisible) != 0) death.kernelVisible.emplace_back(ordinal, slot);
      slot++;
    }
  }
  deaths_->remove(table.pidfd);
  sys::unmap(const_cast<uint8_t*>(table.base), kHoldTableBytes);
  tables_.erase(tables_.begin() + static_cast<ptrdiff_t>(index));
  return death;
}

bool PeerHolds::anyHasDied() const {
  sys::Readiness ready[1];
  return !tables_.empty() && deaths_->wait(ready) > 0;
}

std::vector<PeerHolds::Death> PeerHolds::reapDead(const std::vector<const Segment*>& segments) {
  std::vector<Death> deaths;
  for (size_t index = 0; index < tables_.size();) {
    if (sys::processHasEnded(tables_[index].pidfd)) {
      deaths.push_back(bury(index, segments));
    } else {
      index++;
    }
  }
  return deaths;
}

PeerHolds::Death PeerHolds::remove(DomainName domain, const std::vector<const Segment*>& segments) {
  for (size_t index = 0; index < tables_.size(); index++) {
    if (tables_[index].domain == domain) return bury(index, segments);
  }
  return {domain, {}};
}

}  // namespace iol
