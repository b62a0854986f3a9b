// aggregate/aggregate.h: an ordered, mutable list of slices; editing it never touches a byte.
//
//   aggregate   [slice 0][slice 1][slice 2] ...   length = sum of their lengths
//                   |        |        \-> buffer B
//                   \--------\----------> buffer A (slices may overlap)
//
//   one slice: in the aggregate itself        more: a tree (tree.h), shared with clones and
//                                             slices, and changed only where nobody shares it
//
//   part        tree   [ . . . |======|======|=== . . ]     a slice that has a quarter or more of
//                              ^ before          ^ end      a tree's bytes is that tree, and where
//
// A part shares the holds on what it leaves out, so it keeps at most kPartOf times its own bytes;
// an edit ends that, and so does a slice of it that is less than that.
//
// Slices of one buffer of which one ends where the next begins are one slice. Many tiny slices are
// joined by the rule in coalesce.h, the only copy that is made unasked.
//
// Ownership   every slice in a leaf is one hold of the domain, and aggregates that share the leaf
//             share the hold. Move-only; copy by clone().
// Threads     made, edited and destroyed on the domain's own. Another thread may read an aggregate
//             that nobody edits, moves or destroys meanwhile, while its domain edits others, clones
//             of it included: no node that two aggregates share is changed.
// Failure     TooManySlices (kSlicesMax), and nothing is changed; otherwise the edit cannot fail.
// Cost        n slices: clone O(1); append of a slice O(1) entries moved on average; a part looks
//             at O(log n) nodes and makes none; every other edit, sliceOf and sliceAt O(log n), and
//             a release for each slice that nobody has any more. Counted in steps(). Only copyTo
//             moves payload.
// May include base/ sys/ window/ pool/
#pragma once

#include <cstdint>

#include "base/copy.h"
#include "base/status.h"
#include "pool/domain.h"
#include "pool/slice.h"

struct iovec;

namespace iol {

namespace tree {
struct Node;
struct Branch;
}  // namespace tree

constexpr uint32_t kSlicesMax = 1u << 24;
constexpr uint64_t kPartOf = 4;

class Aggregate {
 public:
  explicit Aggregate(Domain& domain) : domain_(&domain) {}
  Aggregate(Aggregate&& other) noexcept;
  Aggregate& operator=(Aggregate&& other) noexcept;
  Aggregate(const Aggregate&) = delete;
  Aggregate& operator=(const Aggregate&) = delete;
  ~Aggregate() { clear(); }

  uint64_t byteLength() const { return byteLength_; }
  uint32_t sliceCount() const { return sliceCount_; }
  Slice sliceAt(uint32_t index) const;
  // The slice that has byte `at` (below byteLength()), and the place of that slice's first byte.
  Slice sliceOf(uint64_t at, uint64_t* sliceFrom) const;
  Domain& domain() const { return *domain_; }

  // Takes over the caller's hold on the slice.
  Status adopt(const Slice& slice);
  // These take holds of their own; `other` may be *this. Places are clamped to the length.
  Status append(const Slice& slice);
  Status append(const Aggregate& other);
  Status prepend(const Aggregate& other) { return insert(0, other); }
  Status insert(uint64_t at, const Aggregate& other) { return replace(at, at, other); }
  // Bytes [from, to) give way to those of `other`.
  Status replace(uint64_t from, uint64_t to, const Aggregate& other);

  Aggregate clone() const;
  // Bytes [from, to); both are clamped to the length.
  Aggregate slice(uint64_t from, uint64_t to) const;
  // Takes the first `bytes` bytes out and returns them: two parts, but where nobody else has the
  // tree: then each keeps only what is its own.
  Aggregate split(uint64_t bytes);
  // Out of the middle of a slice it makes one slice more, kSlicesMax or not.
  void remove(uint64_t from, uint64_t to);
  void truncateFront(uint64_t bytes);      // Drops the first `bytes`.
  void truncateBack(uint64_t byteLength);  // Keeps the first `byteLength`.
  void clear();

  // Fills up to `count` iovecs with the bytes from `from` on; returns how many were filled.
  uint32_t gather(uint64_t from, iovec* vectors, uint32_t count) const;
  // Copies [from, from + length) out; returns the bytes copied.
  uint64_t copyTo(uint8_t* to, uint64_t from, uint64_t length, CopyReason reason) const;

  // What edits and look-ups in trees have cost on this thread since it began.
  struct Steps {
    uint64_t nodes = 0;     // Visited or made.
    uint64_t entries = 0;   // Slices and branches moved within or between nodes.
    uint64_t released = 0;  // Dropped: the price of what was once added.
  };
  static Steps steps();

 private:
  friend class SliceIterator;

  // The slices as a tree, and this empty; and back.
  tree::Branch take();
  void put(const tree::Branch& root);
  tree::Branch share() const;
  // The tree that root_ is, of which a part has some.
  tree::Branch tree() const;
  enum class Parts : uint8_t { Allowed, None };
  Aggregate range(uint64_t from, uint64_t to, Parts parts) const;
  bool putPart(const Aggregate& whole, uint64_t from, uint64_t to);
  bool putFew(const Aggregate& whole, uint64_t from, uint64_t to);
  void pushBack(const Slice& slice);
  void trim(uint64_t bytes, bool isFront);

  Domain* domain_;
  uint64_t byteLength_ = 0;
  tree::Node* root_ = nullptr;  // Null: at most one slice, in only_.
  uint32_t sliceCount_ = 0;
  // Of a part (two slices or more): what of the tree comes before it.
  bool isPart_ = false;
  uint32_t slicesBefore_ = 0;
  uint64_t bytesBefore_ = 0;
  Slice only_;
};

}  // namespace iol
