#include "cache/index.h"

#include <bit>
#include <new>

#include "base/check.h"
#include "sys/memory.h"

namespace iol {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;

// How often a reader looks again at an entry that is being written. A dead owner leaves it so.
constexpr int kTriesMax = 16;

uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9e37'79b9'7f4a'7c15;
  return hash ^ (hash >> 29);
}

uint32_t homeOf(const sys::FileFacts& file, uint64_t block, uint32_t slots) {
  uint64_t hash = mix(mix(0, file.dev), file.ino);
  hash = mix(mix(hash, file.size), static_cast<uint64_t>(file.mtimeNs));
  hash = mix(mix(hash, static_cast<uint64_t>(file.ctimeNs)), block);
  return static_cast<uint32_t>(mix(hash, 1) >> 16) & (slots - 1);
}

struct Snapshot {
  IndexState state = IndexState::Removed;
  IndexRecord record;
  uint32_t sequence = 0;
};

// One try. Every word is loaded once.
bool load(const IndexEntry& entry, Snapshot& out) {
  // Pairs with: IndexWriter::store, the last store.
  out.sequence = entry.sequence.load(kAcquire);
  if (out.sequence & 1) return false;
  // Pairs with: IndexWriter::store. Whoever sees a new word here sees the odd sequence below.
  out.state = static_cast<IndexState>(entry.state.load(kAcquire));
  out.record.file.dev = entry.dev.load(kAcquire);
  out.record.file.ino = entry.ino.load(kAcquire);
  out.record.file.size = entry.fileBytes.load(kAcquire);
  out.record.file.mtimeNs = static_cast<int64_t>(entry.mtimeNs.load(kAcquire));
  out.record.file.ctimeNs = static_cast<int64_t>(entry.ctimeNs.load(kAcquire));
  out.record.offset = entry.offset.load(kAcquire);
  out.record.generation = entry.generation.load(kAcquire);
  out.record.segmentNumber = entry.segmentNumber.load(kAcquire);
  out.record.slot = entry.slot.load(kAcquire);
  out.record.sliceOffset = entry.sliceOffset.load(kAcquire);
  out.record.length = entry.length.load(kAcquire);
  return entry.sequence.load(kRelaxed) == out.sequence;
}

}  // namespace

Result<std::unique_ptr<IndexWriter>> IndexWriter::create(Window& window, DomainName owner,
                                                         uint32_t slots) {
  IOL_CHECK(std::has_single_bit(slots));
  const uint64_t bytes = indexBytes(slots);
  IOL_TRY(window.reserve(bytes));
  std::unique_ptr<IndexWriter> index(new IndexWriter(window));
  index->slots_ = slots;  // From here on the destructor gives the reserved bytes back.
  auto memory = sys::createMemory("iol-file-index", bytes);
  if (!memory.isOk()) return memory.status();
  index->memory_ = memory.take();
  auto readOnly = sys::reopenReadOnly(index->memory_);
  if (!readOnly.isOk()) return readOnly.status();
  index->readOnlyFd_ = readOnly.take();
  auto base = sys::mapWritable(index->memory_, bytes);
  if (!base.isOk()) return base.status();
  index->base_ = base.value();
  auto* header = new (index->base_) IndexHeader{};
  header->format = kFormat;
  header->byteOrder = kByteOrder;
  header->windowId = window.id();
  header->ownerSlot = owner.slot;
  header->ownerEpoch = owner.epoch;
  header->slots = slots;
  header->magic = kIndexMagic;
  return index;
}

IndexWriter::~IndexWriter() {
  if (base_ != nullptr) sys::unmap(base_, indexBytes(slots_));
  window_.unreserve(indexBytes(slots_));
}

IndexEntry& IndexWriter::entry(uint32_t place) {
  return reinterpret_cast<IndexEntry*>(base_ + kIndexEntriesOffset)[place];
}

std::optional<uint32_t> IndexWriter::insert(const IndexRecord& record) {
  if (live_ >= slots_ / 2) return std::nullopt;
  const uint32_t home = homeOf(record.file, record.offset / kExtentBytesMax, slots_);
  for (uint32_t probe = 0; probe < kIndexProbesMax; ++probe) {
    const uint32_t place = (home + probe) & (slots_ - 1);
    IndexEntry& candidate = entry(place);
    if (candidate.state.load(kRelaxed) == static_cast<uint32_t>(IndexState::Live)) continue;
    store(candidate, record);
    ++live_;
    return place;
  }
  return std::nullopt;
}

void IndexWriter::store(IndexEntry& to, const IndexRecord& record) {
  const uint32_t sequence = to.sequence.load(kRelaxed);
  to.sequence.store(sequence + 1, kRelaxed);
  // Pairs with: load() above. Each release keeps the odd sequence before it.
  to.dev.store(record.file.dev, kRelease);
  to.ino.store(record.file.ino, kRelease);
  to.fileBytes.store(record.file.size, kRelease);
  to.mtimeNs.store(static_cast<uint64_t>(record.file.mtimeNs), kRelease);
  to.ctimeNs.store(static_cast<uint64_t>(record.file.ctimeNs), kRelease);
  to.offset.store(record.offset, kRelease);
  to.generation.store(record.generation, kRelease);
  to.segmentNumber.store(record.segmentNumber, kRelease);
  to.slot.store(record.slot, kRelease);
  to.sliceOffset.store(record.sliceOffset, kRelease);
  to.length.store(record.length, kRelease);
  to.state.store(static_cast<uint32_t>(IndexState::Live), kRelease);
  to.sequence.store(sequence + 2, kRelease);
}

void IndexWriter::setState(IndexEntry& to, IndexState state) {
  const uint32_t sequence = to.sequence.load(kRelaxed);
  to.sequence.store(sequence + 1, kRelaxed);
  to.state.store(static_cast<uint32_t>(state), kRelease);
  to.sequence.store(sequence + 2, kRelease);
}

void IndexWriter::erase(uint32_t place) {
  --live_;
  const auto stateAt = [&](uint32_t at) {
    return static_cast<IndexState>(entry(at & (slots_ - 1)).state.load(kRelaxed));
  };
  if (stateAt(place + 1) != IndexState::Empty) {
    setState(entry(place), IndexState::Removed);
    return;
  }
  // No probe goes beyond this place, so it and the removed ones before it become Empty again.
  setState(entry(place), IndexState::Empty);
  for (uint32_t step = 1; step < slots_; ++step) {
    const uint32_t before = (place - step) & (slots_ - 1);
    if (stateAt(before) != IndexState::Removed) return;
    setState(entry(before), IndexState::Empty);
  }
}

void IndexWriter::retire() {
  // Pairs with: IndexReader::isRetired.
  reinterpret_cast<IndexHeader*>(base_)->isRetired.store(1, kRelease);
}

Result<IndexReader> IndexReader::attach(const uint8_t* base, uint64_t bytes, uint64_t windowId) {
  if (bytes < indexBytes(kIndexSlotsMin)) return Status(Code::Format, "file index", bytes);
  const auto* header = reinterpret_cast<const IndexHeader*>(base);
  // Untrusted: copied once, then checked.
  const uint32_t slots = header->slots;
  const bool isOurs = header->magic == kIndexMagic && header->format == kFormat &&
                      header->byteOrder == kByteOrder && header->windowId == windowId;
  if (!isOurs || !std::has_single_bit(slots) || slots > kIndexSlotsMax ||
      indexBytes(slots) != bytes) {
    return Status(Code::Format, "file index", header->format, kFormat);
  }
  return IndexReader(base, slots);
}

const IndexEntry& IndexReader::entry(uint32_t place) const {
  return reinterpret_cast<const IndexEntry*>(base_ + kIndexEntriesOffset)[place];
}

std::optional<IndexReader::Found> IndexReader::find(const sys::FileFacts& file,
                                                    uint64_t position) const {
  const uint64_t block = position / kExtentBytesMax;
  auto found = findFrom(block, file, position);
  if (!found && block > 0) found = findFrom(block - 1, file, position);
  return found;
}

std::optional<IndexReader::Found> IndexReader::findFrom(uint64_t block, const sys::FileFacts& file,
                                                        uint64_t position) const {
  const uint32_t home = homeOf(file, block, slots_);
  for (uint32_t probe = 0; probe < kIndexProbesMax; ++probe) {
    const uint32_t place = (home + probe) & (slots_ - 1);
    Snapshot seen;
    bool isWhole = false;
    for (int tries = 0; tries < kTriesMax && !isWhole; ++tries) isWhole = load(entry(place), seen);
    if (!isWhole) continue;
    if (seen.state == IndexState::Empty) return std::nullopt;
    const IndexRecord& record = seen.record;
    if (seen.state == IndexState::Live && record.file.sameVersion(file) &&
        record.offset <= position && position - record.offset < record.length &&
        record.length <= kExtentBytesMax) {
      return Found{record, place, seen.sequence};
    }
  }
  return std::nullopt;
}

bool IndexReader::isUnchanged(const Found& found) const {
  return entry(found.place).sequence.load(kAcquire) == found.sequence;
}

bool IndexReader::isRetired() const {
  // Pairs with: IndexWriter::retire.
  return reinterpret_cast<const IndexHeader*>(base_)->isRetired.load(kAcquire) != 0;
}

}  // namespace iol
