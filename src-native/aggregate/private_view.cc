#include "aggregate/private_view.h"

#include <algorithm>
#include <utility>

#include "aggregate/search.h"
#include "aggregate/slice_iterator.h"
#include "sys/limits.h"
#include "sys/memory.h"

namespace iol {
namespace {

constexpr uint64_t kPage = sys::kPageBytes;
// Copies of this size and more ask first whether the machine has the memory.
constexpr uint64_t kAskBytesMin = 1 << 20;

constexpr uint64_t pageDown(uint64_t at) { return at / kPage * kPage; }
constexpr uint64_t pageUp(uint64_t at) { return pageDown(at + kPage - 1); }

// Bytes that follow each other in the source and in memory: slices of one segment, side by side.
struct Run {
  const Segment* segment;
  uint64_t offset;  // In the segment.
  uint64_t at;      // In the source, and later in the view.
  uint64_t length;
};

std::vector<Run> runsOf(const Aggregate& source) {
  std::vector<Run> runs;
  for (SliceIterator it(source); !it.isAtEnd(); it.next()) {
    const Slice& slice = it.slice();
    const uint64_t offset = slice.segment->slotOffset(slice.slot) + slice.offset;
    if (!runs.empty() && runs.back().segment == slice.segment &&
        runs.back().offset + runs.back().length == offset) {
      runs.back().length += slice.length;
    } else {
      runs.push_back({slice.segment, offset, it.start(), slice.length});
    }
  }
  return runs;
}

// What of a run can be mapped when it is at `at` of the view's memory; empty when too short.
ByteRange mappable(const Run& run, uint64_t at) {
  if ((run.offset - at) % kPage != 0) return {at, at};
  const uint64_t from = pageUp(at);
  const uint64_t to = pageDown(at + run.length);
  return to >= from + kMapBytesMin ? ByteRange{from, to} : ByteRange{at, at};
}

// The place in the first page with which most bytes can be mapped.
uint32_t bestLead(const std::vector<Run>& runs) {
  std::vector<uint64_t> mapped(kPage);
  for (const Run& run : runs) {
    const uint64_t lead = (run.offset - run.at) % kPage;
    const ByteRange range = mappable(run, lead + run.at);
    mapped[lead] += range.to - range.from;
  }
  return static_cast<uint32_t>(std::max_element(mapped.begin(), mapped.end()) - mapped.begin());
}

Status checkRoom(uint64_t bytes) {
  if (bytes < kAskBytesMin) return {};
  const Result<sys::MemoryRoom> room = sys::memoryRoom();
  if (!room.isOk()) return room.status();
  const uint64_t available = room.value().availableBytes;
  return bytes <= available ? Status() : Status(Code::NoMemory, "mapping", bytes, available);
}

void copyRun(uint8_t* base, const Run& run, uint64_t lead, uint64_t from, uint64_t to) {
  const uint8_t* bytes = run.segment->readOnly() + run.offset;
  copyBytes(base + from, bytes + (from - lead - run.at), to - from, CopyReason::Map);
}

uint64_t sumOf(const std::vector<ByteRange>& ranges) {
  uint64_t sum = 0;
  for (const ByteRange& range : ranges) sum += range.to - range.from;
  return sum;
}

}  // namespace

Result<PrivateView> PrivateView::create(const Aggregate& source, uint64_t bytesMax) {
  PrivateView view(source.clone());
  if (source.byteLength() == 0) return view;
  const std::vector<Run> runs = runsOf(source);
  const uint64_t lead = bestLead(runs);
  if (source.byteLength() > bytesMax || lead > bytesMax - source.byteLength()) {
    return Status(Code::TooLarge, "mapping", source.byteLength() + lead, bytesMax);
  }
  uint64_t mapped = 0;
  uint64_t overlays = 0;
  for (const Run& run : runs) {
    const ByteRange range = mappable(run, lead + run.at);
    mapped += range.to - range.from;
    if (range.to > range.from) overlays++;
  }
  const uint64_t total = pageUp(lead + source.byteLength());
  view.lead_ = static_cast<uint32_t>(lead);
  view.ownBytes_ = total - mapped;
  IOL_TRY(checkRoom(view.ownBytes_));
  Result<sys::PrivateMap> map = sys::PrivateMap::reserve(total, overlays);
  if (!map.isOk()) return map.status();
  *view.memory_ = map.take();
  for (const Run& run : runs) {
    const uint64_t at = lead + run.at;
    const ByteRange range = mappable(run, at);
    if (range.to > range.from) {
      IOL_TRY(view.memory_->overlay(range.from, run.segment->readOnlyFd(),
                                    run.offset + (range.from - at), range.to - range.from));
    }
    copyRun(view.memory_->base(), run, lead, at, range.from);
    copyRun(view.memory_->base(), run, lead, range.to, at + run.length);
  }
  IOL_TRY(view.memory_->keepFromChildren());
  return view;
}

std::vector<ByteRange> PrivateView::changesIn(const sys::PrivateMap::Pages& pages) const {
  std::vector<ByteRange> changed;
  const uint64_t end = byteLength();
  for (const ByteRange& range : pages.ranges) {
    for (uint64_t page = range.from; page < range.to; page += kPage) {
      const uint64_t from = std::max<uint64_t>(page, lead_) - lead_;
      const uint64_t to = std::min(page + kPage - lead_, end);
      if (equalsAt(source_, from, bytes() + from, to - from)) continue;
      if (!changed.empty() && changed.back().to == from) {
        changed.back().to = to;
      } else {
        changed.push_back({from, to});
      }
    }
  }
  return changed;
}

uint64_t PrivateView::privateBytes() const {
  const sys::PrivateMap::Pages own = pages();
  return own.isExact ? sumOf(own.ranges) : ownBytes_ + sumOf(changesIn(own));
}

// The kernel copied a page at its first store: counted when it is next seen.
void PrivateView::countStored(uint64_t privateBytes) {
  const uint64_t stored = privateBytes > ownBytes_ ? privateBytes - ownBytes_ : 0;
  if (stored <= countedBytes_) return;
  countCopy(stored - countedBytes_, CopyReason::Map);
  countedBytes_ = stored;
}

// Why whole pages even where the view begins within one: as a source of the next view the buffer
// lies as this one does.
Status PrivateView::appendChanged(Aggregate& result, ByteRange range, Pool& pool) const {
  while (range.from < range.to) {
    const uint64_t skip = (range.from + lead_) % kPage;
    const uint64_t length = std::min(range.to - range.from, kOwnSegmentBytes - skip);
    Result<Draft> draft = pool.allocate(skip + length);
    if (!draft.isOk()) return draft.status();
    std::fill_n(draft.value().bytes(), skip, uint8_t{0});
    copyBytes(draft.value().bytes() + skip, bytes() + range.from, length, CopyReason::MapSeal);
    if (result.sliceCount() == kSlicesMax) {
      return Status(Code::TooManySlices, "aggregate", kSlicesMax + 1, kSlicesMax);
    }
    const Slice sealed = draft.value().seal();
    IOL_TRY(result.adopt(sealed.part(static_cast<uint32_t>(skip), static_cast<uint32_t>(length))));
    range.from += length;
  }
  return {};
}

Result<Aggregate> PrivateView::snapshot(Pool& pool) {
  if (byteLength() == 0) return source_.clone();
  const sys::PrivateMap::Pages own = pages();
  const std::vector<ByteRange> changed = changesIn(own);
  countStored(own.isExact ? sumOf(own.ranges) : ownBytes_ + sumOf(changed));
  Aggregate result(source_.domain());
  uint64_t at = 0;
  for (const ByteRange& range : changed) {
    IOL_TRY(result.append(source_.slice(at, range.from)));
    IOL_TRY(appendChanged(result, range, pool));
    at = range.to;
  }
  IOL_TRY(result.append(source_.slice(at, byteLength())));
  return result;
}

}  // namespace iol
