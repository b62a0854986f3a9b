#include "net/hot_buffers.h"

#include <algorithm>

#include "base/check.h"
#include "sys/limits.h"
#include "sys/small_pages.h"
#include "window/segment.h"

namespace iol::net {

HotBuffers::HotBuffers(uint32_t copiesBefore)
    : copiesBefore_(copiesBefore),
      keptMax_(static_cast<uint32_t>(std::min<uint64_t>(kEntries, sys::descriptorsMax() / 16))) {}

void HotBuffers::noteSend(const Slice& slice) {
  IOL_DCHECK(slice.offset == 0);
  if (copiesBefore_ == 0) return;
  Entry& entry = entries_[indexOf(slice)];
  if (!entry.isOf(slice)) {
    // Why not at once: of two that share a place the one that is sent more often shall keep it.
    if (entry.sends > 1) {
      --entry.sends;
      return;
    }
    clear(entry);
    entry.address = startOf(slice);
    entry.generation = slice.generation;
    entry.sends = 1;
    return;
  }
  // Why no more: one that is gone shall make room as soon as another is hot.
  if (entry.sends <= copiesBefore_) ++entry.sends;
  if (entry.sends <= copiesBefore_ || slice.length <= entry.referableBytes) return;
  const Segment& segment = *slice.segment;
  if (segment.unitBytes() == 0) {  // It goes with its one buffer, whole: its pages may be huge.
    entry.referableBytes = segment.dataBytes();
    return;
  }
  keepSmall(entry, slice);
}

void HotBuffers::keepSmall(Entry& entry, const Slice& slice) {
  entry.sends = 1;  // When it fails it is tried again after as many copies.
  if (keptMax_ == 0) return;
  while (kept_ >= keptMax_ && !entry.smallPages.isOpen()) {
    Entry& other = entries_[hand_++ % kEntries];
    if (other.smallPages.isOpen()) clear(other);
  }
  const Segment& segment = *slice.segment;
  Result<sys::Fd> kept =
      sys::keepPagesSmall(segment.readOnlyFd(), segment.slotOffset(slice.slot), slice.length);
  if (!kept.isOk()) return;
  if (!entry.smallPages.isOpen()) ++kept_;
  entry.smallPages = kept.take();
  entry.referableBytes = slice.length;
  entry.sends = copiesBefore_ + 1;
}

void HotBuffers::clear(Entry& entry) {
  if (entry.smallPages.isOpen()) --kept_;
  entry = Entry();
}

void HotBuffers::forget() {
  for (Entry& entry : entries_) clear(entry);
}

}  // namespace iol::net
