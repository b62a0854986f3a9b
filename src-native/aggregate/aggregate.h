// aggregate/aggregate.h: an ordered, mutable list of slices; editing it never touches a byte.
//
//   aggregate   [slice 0][slice 1][slice 2] ...   length = sum of their lengths
//                   |        |        \-> buffer B
//                   \--------\----------> buffer A (slices may overlap)
//
// Ownership   every slice in the list is one hold of the domain; destroying drops them. Move-only;
//             copy by clone().
// Threads     the domain's own.
// Failure     TooManySlices (kSlicesMax); otherwise the edit cannot fail.
// Cost        append O(1), clone, concat, slice O(slices moved); only copyTo moves payload.
// May include base/ sys/ window/ pool/
#pragma once

#include <cstdint>
#include <vector>

#include "base/copy.h"
#include "base/status.h"
#include "pool/domain.h"
#include "pool/slice.h"

struct iovec;

namespace iol {

constexpr uint32_t kSlicesMax = 1u << 24;

class Aggregate {
 public:
  explicit Aggregate(Domain& domain) : domain_(&domain) {}
  Aggregate(Aggregate&& other) noexcept;
  Aggregate& operator=(Aggregate&& other) noexcept;
  Aggregate(const Aggregate&) = delete;
  Aggregate& operator=(const Aggregate&) = delete;
  ~Aggregate() { clear(); }

  uint64_t byteLength() const { return byteLength_; }
  uint32_t sliceCount() const { return static_cast<uint32_t>(slices_.size()); }
  const Slice& sliceAt(uint32_t index) const { return slices_[index]; }
  // The slice that has byte `at` (below byteLength()), and the place of that slice's first byte.
  const Slice& sliceOf(uint64_t at, uint64_t* sliceFrom) const;
  Domain& domain() const { return *domain_; }

  // Takes over the caller's hold on the slice.
  Status adopt(const Slice& slice);
  // These take holds of their own; `other` may be *this. Places are clamped to the length.
  Status append(const Slice& slice);
  Status append(const Aggregate& other) { return insert(byteLength_, other); }
  Status prepend(const Aggregate& other) { return insert(0, other); }
  Status insert(uint64_t at, const Aggregate& other) { return replace(at, at, other); }
  // Bytes [from, to) give way to those of `other`.
  Status replace(uint64_t from, uint64_t to, const Aggregate& other);

  Aggregate clone() const;
  // Bytes [from, to); both are clamped to the length.
  Aggregate slice(uint64_t from, uint64_t to) const;
  // Takes the first `bytes` bytes out and returns them.
  Aggregate split(uint64_t bytes);
  void remove(uint64_t from, uint64_t to);
  void truncateFront(uint64_t bytes);      // Drops the first `bytes`.
  void truncateBack(uint64_t byteLength);  // Keeps the first `byteLength`.
  void clear();

  // Fills up to `count` iovecs with the bytes from `from` on; returns how many were filled.
  uint32_t gather(uint64_t from, iovec* vectors, uint32_t count) const;
  // Copies [from, from + length) out; returns the bytes copied.
  uint64_t copyTo(uint8_t* to, uint64_t from, uint64_t length, CopyReason reason) const;

 private:
  Domain* domain_;
  uint64_t byteLength_ = 0;
  std::vector<Slice> slices_;
};

}  // namespace iol
