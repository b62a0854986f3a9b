// aggregate/private_view.h: all bytes of an aggregate in one piece, for changes here and there.
//
//   source   [--- slice of A ---][- slice of B -][---------- slice of C ----------]
//   view     |====pages of A====:bb:bbbbbbbbbbb:cc:===========pages of C==========|
//             mapped, not copied  copied at once    mapped; a store copies its page
//   snapshot [ A ][dirty][ A ][- slice of B -][------- C -------][dirty][--- C ---]
//
// A slice can be mapped where its bytes lie at the same place of a page as in the view. The view
// begins so far into its first page (lead()) that most bytes do; the rest, the pages that slices
// share, and runs shorter than kMapBytesMin are copied when the view is made (reason `map`).
// This is the mmap of the paper's third case: many small changes scattered over much data.
//
// Ownership   holds the source until it is destroyed, so no mapped page can change. The memory may
//             outlive the view: somebody may have its address (memory()).
// Threads     the domain's own; the bytes may be stored to by any.
// Failure     TooLarge, NoMemory, TooManySlices (mappings), System. A snapshot fails like
//             Pool::allocate; the view is as it was.
// Cost        create: a system call per mapped run and the copies. A first store: one page.
//             snapshot: the pages stored to are compared and, if they differ, copied (reason
//             `mapSeal`); everything else is shared with the source.
// May include base/ sys/ window/ pool/
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "aggregate/aggregate.h"
#include "base/status.h"
#include "pool/pool.h"
#include "sys/private_map.h"

namespace iol {

using sys::ByteRange;

// A shorter run is copied: a mapping costs what copying 1 to 2 pages does, and there are not many.
constexpr uint64_t kMapBytesMin = 16 << 10;

class PrivateView {
 public:
  // `bytesMax` bounds lead and bytes together.
  static Result<PrivateView> create(const Aggregate& source, uint64_t bytesMax);

  uint64_t byteLength() const { return source_.byteLength(); }
  // Writable; null when there are none.
  uint8_t* bytes() const { return memory_->base() + lead_; }
  // Bytes before them in their page: zeros.
  uint32_t lead() const { return lead_; }
  const std::shared_ptr<sys::PrivateMap>& memory() const { return memory_; }

  // Memory that is the view's own: what was copied when it was made, and the pages stored to (where
  // /proc cannot tell those: about as many as differ).
  uint64_t privateBytes() const;
  // Pages, or what of them is in the view, that differ from the source; neighbours are joined.
  std::vector<ByteRange> changes() const { return changesIn(pages()); }
  // The bytes as they are now. The view goes on.
  Result<Aggregate> snapshot(Pool& pool);

  // For tests: how pages that were stored to are found.
  void setPageFinder(sys::PageFinder finder) { finder_ = finder; }

 private:
  explicit PrivateView(Aggregate source)
      : source_(std::move(source)), memory_(std::make_shared<sys::PrivateMap>()) {}
  sys::PrivateMap::Pages pages() const { return memory_->privatePages(finder_); }
  std::vector<ByteRange> changesIn(const sys::PrivateMap::Pages& pages) const;
  void countStored(uint64_t privateBytes);
  Status appendChanged(Aggregate& result, ByteRange range, Pool& pool) const;

  Aggregate source_;
  std::shared_ptr<sys::PrivateMap> memory_;
  uint32_t lead_ = 0;
  uint64_t ownBytes_ = 0;      // Whole pages that were never mapped.
  uint64_t countedBytes_ = 0;  // Pages that the kernel copied, as far as they were counted.
  sys::PageFinder finder_ = sys::PageFinder::Scan;
};

}  // namespace iol
