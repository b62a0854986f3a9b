#include "net/hot_buffers.h"

#include "base/check.h"
#include "sys/small_pages.h"
#include "window/segment.h"

namespace iol::net {

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
    entry = Entry{slice.segment, slice.slot, 1, slice.generation, 0, {}};
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
  Result<sys::Fd> kept =
      sys::keepPagesSmall(segment.readOnlyFd(), segment.slotOffset(slice.slot), slice.length);
  if (kept.isOk()) {
    entry.smallPages = kept.take();
    entry.referableBytes = slice.length;
  } else {
    entry.sends = 1;  // Asked again after as many copies.
  }
}

}  // namespace iol::net
