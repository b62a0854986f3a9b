// aggregate/slice_iterator.h: the slices of an aggregate one after the other, in either direction.
//
//   for (SliceIterator it(bytes, from); !it.isAtEnd(); it.next()) use(it.slice(), it.start());
//
// Ownership   borrows the aggregate; any edit of it, or its end, ends the iterator.
// Threads     as the aggregate.
// Failure     none.
// Cost        O(log n) to begin, O(1) a step on average.
// May include base/ sys/ window/ pool/
#pragma once

#include <algorithm>
#include <cstdint>

#include "aggregate/aggregate.h"

namespace iol {

class SliceIterator {
 public:
  // On the slice that has byte `at`; at the end when there is none.
  explicit SliceIterator(const Aggregate& aggregate, uint64_t at = 0);

  // Past the last slice, or before the first: there it stays.
  bool isAtEnd() const { return entry_ == nullptr; }
  const Slice& slice() const { return isCut_ ? cut_ : *entry_; }
  // The place of the slice's first byte.
  uint64_t start() const { return std::max(start_, from_) - from_; }
  uint64_t end() const { return start() + slice().length; }

  void next() {
    start_ += entry_->length;
    if (entry_ == last_) {
      nextLeaf();
    } else {
      entry_++;
    }
    look();
  }
  void previous() {
    if (entry_ == first_) {
      previousLeaf();
    } else {
      entry_--;
    }
    if (entry_ != nullptr) start_ -= entry_->length;
    look();
  }

 private:
  static constexpr uint32_t kLevelsMax = 16;
  struct Level {
    const tree::Node* node;
    uint32_t index;
  };

  void nextLeaf();
  void previousLeaf();
  void enter(const tree::Node* leaf);

  // Of the entry what is in the part of the tree; at the end when nothing is.
  void look() {
    if (entry_ == nullptr) return;
    const uint64_t end = start_ + entry_->length;
    isCut_ = start_ < from_ || end > to_;
    if (isCut_) cut(end);
  }
  void cut(uint64_t end);

  const Slice* entry_ = nullptr;
  const Slice* first_ = nullptr;  // Of the leaf.
  const Slice* last_ = nullptr;
  uint64_t start_ = 0;  // In the tree, as are these two: where the aggregate is in it.
  uint64_t from_ = 0;
  uint64_t to_ = UINT64_MAX;
  bool isCut_ = false;
  Slice cut_;
  uint32_t levels_ = 0;     // Above the leaf.
  Level path_[kLevelsMax];  // From the root; where the leaf below is.
};

// Calls use(bytes, length) for each run of bytes in [from, to), clamped, until one returns false.
template <typename Use>
void forEachRun(const Aggregate& aggregate, uint64_t from, uint64_t to, Use use) {
  to = std::min(to, aggregate.byteLength());
  if (from >= to) return;
  for (SliceIterator it(aggregate, from); !it.isAtEnd() && it.start() < to; it.next()) {
    const uint64_t skip = from > it.start() ? from - it.start() : 0;
    const uint64_t length = std::min(it.end(), to) - it.start() - skip;
    if (!use(it.slice().data() + skip, static_cast<size_t>(length))) return;
  }
}

}  // namespace iol
