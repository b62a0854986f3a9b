// net/hot_buffers.h: which large buffers are sent so often that sending them by reference pays.
//
//   <address, generation> -> how often its first byte was sent          a small table, lossy
//
// A buffer whose pages the kernel has seen is never refilled in place (I4): giving its memory back
// and fetching other costs some 90 us a 64 KiB once, and a send by reference saves a part of that
// each time. Who sends copies until as much was lost as the price, and references from then on, is
// at no time more than twice as dear as the better of the two. A buffer whose pages are huge, or
// could be made so, is always copied: they are not given back one by one (sys/small_pages.h).
//
// Ownership   remembers names, holds no buffer; of a hot one it keeps a descriptor and a page for
//             every 2 MiB: of at most kEntries, and with a sixteenth of the process's descriptors.
// Threads     the domain's own.
// Failure     none: what is forgotten is copied for a while.
// Cost        a few instructions for each send of a large buffer; none for small ones; 15 to
//             50 us when one becomes hot.
// May include base/ sys/ window/ pool/
#pragma once

#include <array>
#include <cstdint>

#include "pool/size_classes.h"
#include "pool/slice.h"
#include "sys/fd.h"

namespace iol::net {

// From here on a buffer has its chunks for itself, so that nobody else's storage has to be given up
// with it.
constexpr uint32_t kReferenceBytesMin = kMediumBytesMax + 1;

class HotBuffers {
 public:
  // Buffers sent more than `copiesBefore` times are hot; 0: none ever is.
  explicit HotBuffers(uint32_t copiesBefore);

  bool isHot(const Slice& slice) const {
    const Entry& entry = entries_[indexOf(slice)];
    return entry.isOf(slice) && slice.offset + slice.length <= entry.referableBytes;
  }
  // Its first byte is about to be sent.
  void noteSend(const Slice& slice);
  // Gives all descriptors back, for when there are none left.
  void forget();

 private:
  struct Entry {
    uint64_t address = UINT64_MAX;  // No other segment is ever there, unlike at a pointer.
    uint32_t sends = 0;
    uint64_t generation = 0;
    uint64_t referableBytes = 0;  // From the buffer's start; 0: not hot.
    sys::Fd smallPages;           // Of these bytes.
    bool isOf(const Slice& slice) const {
      return address == startOf(slice) && generation == slice.generation;
    }
  };
  static constexpr uint32_t kEntries = 256;
  static uint64_t startOf(const Slice& slice) { return slice.address() - slice.offset; }
  static uint32_t indexOf(const Slice& slice) {
    const uint64_t hash = startOf(slice) * 0x9e3779b97f4a7c15ull;
    return static_cast<uint32_t>(hash >> 56);
  }

  void clear(Entry& entry);
  void keepSmall(Entry& entry, const Slice& slice);

  uint32_t copiesBefore_;
  uint32_t keptMax_;  // Entries with a descriptor.
  uint32_t kept_ = 0;
  uint32_t hand_ = 0;  // Whose is given back next when there are too many.
  std::array<Entry, kEntries> entries_{};
};

}  // namespace iol::net
