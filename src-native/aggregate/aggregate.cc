#include "aggregate/aggregate.h"

#include <algorithm>
#include <utility>

#include "aggregate/slice_iterator.h"
#include "aggregate/tree.h"
#include "base/check.h"
#include "sys/iovec.h"

namespace iol {

using tree::Branch;
using tree::Edge;
using tree::Editor;

namespace {

Status checkCount(uint64_t slices) {
  if (slices <= kSlicesMax) return {};
  return Status(Code::TooManySlices, "aggregate", slices, kSlicesMax);
}

}  // namespace

Aggregate::Steps Aggregate::steps() { return tree::steps; }

Aggregate::Aggregate(Aggregate&& other) noexcept
    : domain_(other.domain_),
      byteLength_(std::exchange(other.byteLength_, 0)),
      root_(std::exchange(other.root_, nullptr)),
      sliceCount_(std::exchange(other.sliceCount_, 0)),
      isPart_(std::exchange(other.isPart_, false)),
      slicesBefore_(std::exchange(other.slicesBefore_, 0)),
      bytesBefore_(std::exchange(other.bytesBefore_, 0)),
      only_(other.only_) {}

Aggregate& Aggregate::operator=(Aggregate&& other) noexcept {
  if (this != &other) {
    clear();
    domain_ = other.domain_;
    byteLength_ = std::exchange(other.byteLength_, 0);
    root_ = std::exchange(other.root_, nullptr);
    sliceCount_ = std::exchange(other.sliceCount_, 0);
    isPart_ = std::exchange(other.isPart_, false);
    slicesBefore_ = std::exchange(other.slicesBefore_, 0);
    bytesBefore_ = std::exchange(other.bytesBefore_, 0);
    only_ = other.only_;
  }
  return *this;
}

void Aggregate::clear() {
  if (root_ != nullptr) {
    Editor(*domain_).drop(std::exchange(root_, nullptr));
  } else if (sliceCount_ == 1) {
    domain_->release(only_);
  }
  sliceCount_ = 0;
  byteLength_ = 0;
  isPart_ = false;
  slicesBefore_ = 0;
  bytesBefore_ = 0;
}

// ---- Between one slice and a tree --------------------------------------------------------------

Branch Aggregate::tree() const {
  return isPart_ ? tree::measured(root_) : Branch{root_, byteLength_, sliceCount_};
}

Branch Aggregate::take() {
  Branch root = tree();
  root_ = nullptr;
  if (isPart_) {
    const uint64_t from = std::exchange(bytesBefore_, 0);
    root = Editor(*domain_).cut(root, from, from + byteLength_);
    isPart_ = false;
    slicesBefore_ = 0;
  }
  if (root.node == nullptr && sliceCount_ == 1) {
    root.node = tree::newNode(0, 1);
    tree::insertEntry(root.node, 0, only_);
  }
  byteLength_ = 0;
  sliceCount_ = 0;
  return root;
}

void Aggregate::put(const Branch& root) {
  byteLength_ = root.bytes;
  sliceCount_ = root.slices;
  if (root.slices > 1) {
    root_ = root.node;
  } else if (root.slices == 1) {
    only_ = tree::entriesOf<Slice>(root.node)[0];
    domain_->retain(only_);
    Editor(*domain_).drop(root.node);
  }
}

Branch Aggregate::share() const {
  if (root_ == nullptr || isPart_) return clone().take();
  root_->refs++;
  return {root_, byteLength_, sliceCount_};
}

// ---- Adding ------------------------------------------------------------------------------------

// Takes over the hold. The slice is not empty, and there may be one more.
void Aggregate::pushBack(const Slice& slice) {
  if (isPart_) put(take());
  if (sliceCount_ == 0) {
    only_ = slice;
    sliceCount_ = 1;
    byteLength_ = slice.length;
    return;
  }
  if (root_ == nullptr) {
    if (tree::touches(only_, slice)) {
      only_.length += slice.length;
      byteLength_ += slice.length;
      domain_->release(slice);
      return;
    }
    root_ = tree::newNode(0, 2);
    tree::insertEntry(root_, 0, only_);
  }
  if (tree::appendInPlace(root_, slice)) {
    byteLength_ += slice.length;
    sliceCount_++;
    return;
  }
  Branch root = take();
  Editor(*domain_).push(root, slice, Edge::Back);
  put(root);
}

Status Aggregate::adopt(const Slice& slice) {
  IOL_TRY(checkCount(uint64_t{sliceCount_} + 1));
  if (slice.length == 0) {  // An empty slice names nothing, so it holds nothing.
    domain_->release(slice);
  } else {
    pushBack(slice);
  }
  return {};
}

Status Aggregate::append(const Slice& slice) {
  IOL_TRY(checkCount(uint64_t{sliceCount_} + 1));
  if (slice.length == 0) return {};
  domain_->retain(slice);
  pushBack(slice);
  return {};
}

Status Aggregate::append(const Aggregate& other) {
  if (other.sliceCount_ == 1) return append(other.only_);
  return replace(byteLength_, byteLength_, other);
}

Status Aggregate::replace(uint64_t from, uint64_t to, const Aggregate& other) {
  from = std::min(from, byteLength_);
  to = std::clamp(to, from, byteLength_);
  const uint32_t oneMore = from > 0 && to < byteLength_ ? 1 : 0;  // Of a slice that is cut in two.
  IOL_TRY(checkCount(uint64_t{sliceCount_} + other.sliceCount_ + oneMore));
  // A few slices are cheaper to add one by one; more come as the tree that they are.
  Slice few[tree::kEntriesMin];
  uint32_t fewCount = 0;
  Branch middle;
  if (other.sliceCount_ <= tree::kEntriesMin) {
    for (SliceIterator it(other); !it.isAtEnd(); it.next()) few[fewCount++] = it.slice();
    for (uint32_t index = 0; index < fewCount; index++) domain_->retain(few[index]);
  } else {
    middle = other.share();
  }
  if (from == byteLength_ && fewCount > 0) {
    for (uint32_t index = 0; index < fewCount; index++) pushBack(few[index]);
    return {};
  }
  Editor editor(*domain_, tree::Tiny::Join);
  Branch head;
  Branch tail = take();
  if (from > 0 && tail.node != nullptr) {
    head = tail;
    head.node->refs++;
    head = editor.cut(head, 0, from);
  }
  tail = editor.cut(tail, to, tail.bytes);
  if (head.node != nullptr) {
    for (uint32_t index = 0; index < fewCount; index++) editor.push(head, few[index], Edge::Back);
  } else {
    for (uint32_t index = fewCount; index-- > 0;) editor.push(tail, few[index], Edge::Front);
  }
  put(editor.concat(editor.concat(head, middle), tail));
  return {};
}

// ---- Taking away -------------------------------------------------------------------------------

Aggregate Aggregate::clone() const {
  Aggregate copy(*domain_);
  if (root_ != nullptr) {
    root_->refs++;
  } else if (sliceCount_ == 1) {
    domain_->retain(only_);
  }
  copy.byteLength_ = byteLength_;
  copy.root_ = root_;
  copy.sliceCount_ = sliceCount_;
  copy.isPart_ = isPart_;
  copy.slicesBefore_ = slicesBefore_;
  copy.bytesBefore_ = bytesBefore_;
  copy.only_ = only_;
  return copy;
}

Aggregate Aggregate::slice(uint64_t from, uint64_t to) const {
  return range(from, to, Parts::Allowed);
}

Aggregate Aggregate::range(uint64_t from, uint64_t to, Parts parts) const {
  Aggregate part(*domain_);
  to = std::min(to, byteLength_);
  if (from >= to) return part;
  uint64_t start;
  const Slice first = sliceOf(from, &start);
  if (to <= start + first.length) {
    domain_->retain(first);
    part.pushBack(
        first.part(static_cast<uint32_t>(from - start), static_cast<uint32_t>(to - from)));
    return part;
  }
  const bool isPut =
      (parts == Parts::Allowed && part.putPart(*this, from, to)) || part.putFew(*this, from, to);
  if (!isPut) part.put(Editor(*domain_).cut(share(), from, to));
  return part;
}

// Two slices or more of `whole` as a part of the lowest tree that has them; false, and nothing
// done, when that would keep more than kPartOf times their bytes.
bool Aggregate::putPart(const Aggregate& whole, uint64_t from, uint64_t to) {
  from += whole.bytesBefore_;
  to += whole.bytesBefore_;
  const Branch lowest = tree::lowestWith(whole.tree(), &from, &to);
  if (to - from < lowest.bytes / kPartOf) return false;
  root_ = lowest.node;
  root_->refs++;
  byteLength_ = to - from;
  isPart_ = byteLength_ < lowest.bytes;
  bytesBefore_ = from;
  slicesBefore_ = from == 0 ? 0 : tree::indexWithByte(root_, from);
  const uint32_t slicesTo =
      to == lowest.bytes ? lowest.slices : tree::indexWithByte(root_, to - 1) + 1;
  sliceCount_ = slicesTo - slicesBefore_;
  return true;
}

// Two slices or more of `whole` as one leaf; false, and nothing done, when they are too many.
// Why: most cuts are of a few, and a leaf costs less than the nodes on two paths.
bool Aggregate::putFew(const Aggregate& whole, uint64_t from, uint64_t to) {
  Slice few[tree::kEntriesMax];
  uint32_t count = 0;
  for (SliceIterator it(whole, from); !it.isAtEnd() && it.start() < to; it.next()) {
    if (count == tree::kEntriesMax) return false;
    const uint64_t skip = from > it.start() ? from - it.start() : 0;
    const uint64_t end = std::min(it.end(), to);
    few[count++] = it.slice().part(static_cast<uint32_t>(skip),
                                   static_cast<uint32_t>(end - it.start() - skip));
  }
  for (uint32_t index = 0; index < count; index++) domain_->retain(few[index]);
  root_ = tree::newNode(0, count);
  tree::insertEntries(root_, 0, few, count);
  byteLength_ = to - from;
  sliceCount_ = count;
  return true;
}

Aggregate Aggregate::split(uint64_t bytes) {
  const bool isOwn = root_ != nullptr && root_->refs == 1 && !isPart_;
  Aggregate front = range(0, bytes, isOwn ? Parts::None : Parts::Allowed);
  truncateFront(bytes);
  return front;
}

void Aggregate::remove(uint64_t from, uint64_t to) {
  to = std::min(to, byteLength_);
  if (from >= to) return;
  if (from == 0) return truncateFront(to);
  if (to == byteLength_) return truncateBack(from);
  Editor editor(*domain_);
  Branch tail = take();
  Branch head = tail;
  head.node->refs++;
  head = editor.cut(head, 0, from);
  tail = editor.cut(tail, to, tail.bytes);
  put(editor.concat(head, tail));
}

void Aggregate::truncateFront(uint64_t bytes) { trim(std::min(bytes, byteLength_), true); }

void Aggregate::truncateBack(uint64_t byteLength) {
  if (byteLength < byteLength_) trim(byteLength_ - byteLength, false);
}

void Aggregate::trim(uint64_t bytes, bool isFront) {
  if (bytes == 0) return;
  if (bytes == byteLength_) return clear();
  if (root_ == nullptr) {
    const auto gone = static_cast<uint32_t>(bytes);
    only_ = only_.part(isFront ? gone : 0, only_.length - gone);
    byteLength_ -= bytes;
    return;
  }
  if (isPart_ || root_->refs > 1) {
    *this = isFront ? slice(bytes, byteLength_) : slice(0, byteLength_ - bytes);
    return;
  }
  Editor editor(*domain_);
  Branch root = take();
  if (!editor.trim(root, bytes, isFront ? Edge::Front : Edge::Back)) {
    root = isFront ? editor.cut(root, bytes, root.bytes) : editor.cut(root, 0, root.bytes - bytes);
  }
  put(root);
}

// ---- Reading -----------------------------------------------------------------------------------

Slice Aggregate::sliceAt(uint32_t index) const {
  IOL_CHECK(index < sliceCount_);
  if (root_ == nullptr) return only_;
  uint64_t start;
  if (isPart_ && index == 0) return sliceOf(0, &start);
  if (isPart_ && index + 1 == sliceCount_) return sliceOf(byteLength_ - 1, &start);
  return tree::sliceWithIndex(root_, slicesBefore_ + index);
}

Slice Aggregate::sliceOf(uint64_t at, uint64_t* sliceFrom) const {
  IOL_CHECK(at < byteLength_);
  *sliceFrom = 0;
  if (root_ == nullptr) return only_;
  uint64_t start;
  const Slice& slice = tree::sliceWithByte(root_, bytesBefore_ + at, &start);
  const uint64_t from = std::max(start, bytesBefore_);
  const uint64_t to = std::min(start + slice.length, bytesBefore_ + byteLength_);
  *sliceFrom = from - bytesBefore_;
  return slice.part(static_cast<uint32_t>(from - start), static_cast<uint32_t>(to - from));
}

uint32_t Aggregate::gather(uint64_t from, iovec* vectors, uint32_t count) const {
  uint32_t filled = 0;
  if (count == 0) return 0;
  if (root_ == nullptr && from < byteLength_) {
    vectors[0] = {const_cast<uint8_t*>(only_.data()) + from, byteLength_ - from};
    return 1;
  }
  forEachRun(*this, from, byteLength_, [&](const uint8_t* bytes, size_t length) {
    vectors[filled++] = {const_cast<uint8_t*>(bytes), length};
    return filled < count;
  });
  return filled;
}

uint64_t Aggregate::copyTo(uint8_t* to, uint64_t from, uint64_t length, CopyReason reason) const {
  uint64_t copied = 0;
  const uint64_t end = from + std::min(length, UINT64_MAX - from);
  forEachRun(*this, from, end, [&](const uint8_t* bytes, size_t count) {
    copyBytes(to + copied, bytes, count, reason);
    copied += count;
    return true;
  });
  return copied;
}

}  // namespace iol
