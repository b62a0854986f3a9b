#include "window/segment.h"

#include <new>

#include "sys/limits.h"
#include "window/window.h"

namespace iol {
namespace {

constexpr uint64_t roundUp(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

// Slots such that tables and data together fit `totalBytes`, data starting on a chunk border.
void layTables(SegmentHeader& header, const Segment::Shape& shape) {
  header.totalBytes = shape.totalBytes;
  header.unitBytes = shape.unitBytes;
  header.generationsOffset = kGenerationsOffset;
  if (shape.unitBytes == 0) {
    header.dataOffset = kChunkBytes;
    header.slots = 1;
    header.chunks = 1;
    return;
  }
  const uint64_t slotsAtMost = shape.totalBytes / shape.unitBytes;
  header.dataOffset =
      roundUp(kGenerationsOffset + slotsAtMost * sizeof(GenerationWord), kChunkBytes);
  const uint64_t dataBytes = (shape.totalBytes - header.dataOffset) / kChunkBytes * kChunkBytes;
  header.slots = static_cast<uint32_t>(dataBytes / shape.unitBytes);
  header.chunks = static_cast<uint32_t>(dataBytes / kChunkBytes);
}

// A reader trusts nothing of a foreign header: every bound that later code relies on is here.
Status checkHeader(const SegmentHeader& header, uint64_t windowId, uint64_t totalBytes) {
  if (header.magic != kSegmentMagic || header.byteOrder != kByteOrder) {
    return Status(Code::Format, "segment magic");
  }
  if (header.format != kFormat) return Status(Code::Format, "segment", header.format, kFormat);
  if (header.windowId != windowId) return Status(Code::Format, "segment of another window");
  SegmentHeader expected = header;
  const bool unitIsKnown = header.unitBytes == 0 || header.unitBytes == kSmallUnitBytes ||
                           header.unitBytes == kMediumUnitBytes;
  const bool sizeIsKnown = header.unitBytes == 0
                               ? totalBytes > kChunkBytes && totalBytes <= kLargeSegmentBytesMax
                               : totalBytes == kSegmentBytes;
  if (!unitIsKnown || !sizeIsKnown || header.ordinal >= kOrdinalsMax ||
      header.ownerSlot >= kDomainsMax) {
    return Status(Code::BadDescriptor, "segment shape", header.unitBytes, totalBytes);
  }
  Segment::Shape shape;
  shape.totalBytes = totalBytes;
  shape.unitBytes = header.unitBytes;
  layTables(expected, shape);
  if (expected.dataOffset != header.dataOffset || expected.slots != header.slots ||
      expected.chunks != header.chunks || expected.totalBytes != header.totalBytes ||
      expected.generationsOffset != header.generationsOffset) {
    return Status(Code::BadDescriptor, "segment tables", header.slots, expected.slots);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Segment>> Segment::create(Window& window, DomainName owner, Shape shape) {
  if (sys::isForkedChild()) return Status(Code::Forked, "window");
  std::unique_ptr<Segment> segment(new (std::nothrow) Segment());
  if (segment == nullptr) return Status(Code::NoMemory, "segment");
  SegmentHeader& header = segment->header_;
  layTables(header, shape);
  const uint32_t numbers =
      static_cast<uint32_t>(roundUp(shape.totalBytes, kSegmentBytes) / kSegmentBytes);
  Result<uint32_t> number = window.takeSegmentNumbers(numbers);
  if (!number.isOk()) return number.status();
  header.magic = kSegmentMagic;
  header.format = kFormat;
  header.byteOrder = kByteOrder;
  header.windowId = window.id();
  header.number = number.value();
  header.ordinal = shape.ordinal;
  header.pool = shape.pool;
  header.ownerSlot = owner.slot;
  header.ownerEpoch = owner.epoch;

  Result<sys::Fd> memory = sys::createMemory("io-lite-segment", header.totalBytes);
  if (!memory.isOk()) return memory.status();
  segment->memory_ = memory.take();
  Result<uint8_t*> writable = sys::mapWritable(segment->memory_, header.totalBytes);
  if (!writable.isOk()) return writable.status();
  segment->writable_ = writable.value();
  // The seal comes after our own writable mapping and before any other.
  if (shape.sealed) IOL_TRY(sys::sealFutureWrites(segment->memory_));
  segment->hasSealedWrites_ = shape.sealed;
  Result<sys::Fd> readOnlyFd = sys::reopenReadOnly(segment->memory_);
  if (!readOnlyFd.isOk()) return readOnlyFd.status();
  segment->readOnlyFd_ = readOnlyFd.take();
  Result<uint8_t*> readOnly = sys::mapReadOnly(segment->readOnlyFd_, header.totalBytes);
  if (!readOnly.isOk()) return readOnly.status();
  segment->readOnly_ = readOnly.value();
  IOL_TRY(sys::commit(segment->memory_, 0, kGenerationsOffset + sys::kPageBytes));
  *reinterpret_cast<SegmentHeader*>(segment->writable_) = header;
  segment->point(segment->writable_);
  return segment;
}

Result<std::unique_ptr<Segment>> Segment::open(uint64_t windowId, sys::Fd readOnly,
                                               uint64_t totalBytes) {
  if (totalBytes < kChunkBytes || totalBytes > kLargeSegmentBytesMax) {
    return Status(Code::BadDescriptor, "segment size", totalBytes, kLargeSegmentBytesMax);
  }
  IOL_TRY(sys::checkForeignMemory(readOnly, totalBytes));
  std::unique_ptr<Segment> segment(new (std::nothrow) Segment());
  if (segment == nullptr) return Status(Code::NoMemory, "segment");
  Result<uint8_t*> mapped = sys::mapReadOnly(readOnly, totalBytes);
  if (!mapped.isOk()) return mapped.status();
  segment->header_.totalBytes = totalBytes;  // For the destructor, until the header is checked.
  segment->hasSealedWrites_ = sys::hasSealedWrites(readOnly);
  segment->readOnlyFd_ = std::move(readOnly);
  segment->readOnly_ = mapped.value();
  // Untrusted: copied out once, then checked, then used.
  const SegmentHeader header = *reinterpret_cast<const SegmentHeader*>(segment->readOnly_);
  IOL_TRY(checkHeader(header, windowId, totalBytes));
  segment->header_ = header;
  segment->point(segment->readOnly_);
  return segment;
}

void Segment::point(uint8_t* base) {
  generations_ = reinterpret_cast<GenerationWord*>(base + header_.generationsOffset);
  chunkEntries_ = reinterpret_cast<ChunkEntry*>(base + kChunkEntriesOffset);
}

Segment::~Segment() {
  sys::unmap(writable_, header_.totalBytes);
  sys::unmap(readOnly_, header_.totalBytes);
}

}  // namespace iol
