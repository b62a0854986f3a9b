#include "aggregate/slice_iterator.h"

#include "aggregate/tree.h"

namespace iol {

using tree::Branch;
using tree::Node;

static_assert(tree::kHeightMax <= 16, "SliceIterator::kLevelsMax must be as large");

SliceIterator::SliceIterator(const Aggregate& aggregate, uint64_t at) {
  if (at >= aggregate.byteLength()) return;
  if (aggregate.root_ == nullptr) {
    entry_ = first_ = last_ = &aggregate.only_;
    return;
  }
  if (aggregate.isPart_) {
    from_ = aggregate.bytesBefore_;
    to_ = from_ + aggregate.byteLength_;
    at += from_;
  }
  const Node* node = aggregate.root_;
  while (node->height > 0) {
    const tree::Position position = tree::entryWith<Branch>(node, at);
    path_[levels_++] = {node, position.index};
    start_ += position.start;
    at -= position.start;
    node = tree::entriesOf<Branch>(node)[position.index].node;
  }
  enter(node);
  const tree::Position position = tree::entryWith<Slice>(node, at);
  start_ += position.start;
  entry_ = first_ + position.index;
  look();
}

void SliceIterator::cut(uint64_t end) {
  if (end <= from_ || start_ >= to_) {
    entry_ = nullptr;
    return;
  }
  const uint64_t from = std::max(start_, from_);
  cut_ = entry_->part(static_cast<uint32_t>(from - start_),
                      static_cast<uint32_t>(std::min(end, to_) - from));
}

void SliceIterator::enter(const Node* leaf) {
  first_ = tree::entriesOf<Slice>(leaf);
  last_ = first_ + leaf->count - 1;
}

void SliceIterator::nextLeaf() {
  uint32_t level = levels_;
  entry_ = nullptr;
  while (level > 0 && path_[level - 1].index + 1 == path_[level - 1].node->count) level--;
  if (level == 0) return;
  path_[level - 1].index++;
  for (;; level++) {
    const Node* node = tree::entriesOf<Branch>(path_[level - 1].node)[path_[level - 1].index].node;
    if (level == levels_) {
      enter(node);
      break;
    }
    path_[level] = {node, 0};
  }
  entry_ = first_;
}

void SliceIterator::previousLeaf() {
  uint32_t level = levels_;
  entry_ = nullptr;
  while (level > 0 && path_[level - 1].index == 0) level--;
  if (level == 0) return;
  path_[level - 1].index--;
  for (;; level++) {
    const Node* node = tree::entriesOf<Branch>(path_[level - 1].node)[path_[level - 1].index].node;
    if (level == levels_) {
      enter(node);
      break;
    }
    path_[level] = {node, node->count - 1u};
  }
  entry_ = last_;
}

}  // namespace iol
