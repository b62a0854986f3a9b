#include "aggregate/aggregate.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "sys/iovec.h"

namespace iol {

Aggregate::Aggregate(Aggregate&& other) noexcept
    : domain_(other.domain_),
      byteLength_(std::exchange(other.byteLength_, 0)),
      slices_(std::move(other.slices_)) {
  other.slices_.clear();
}

Aggregate& Aggregate::operator=(Aggregate&& other) noexcept {
  if (this != &other) {
    clear();
    domain_ = other.domain_;
    byteLength_ = std::exchange(other.byteLength_, 0);
    slices_ = std::move(other.slices_);
    other.slices_.clear();
  }
  return *this;
}

Status Aggregate::adopt(const Slice& slice) {
  if (slices_.size() >= kSlicesMax) {
    return Status(Code::TooManySlices, "aggregate", slices_.size() + 1, kSlicesMax);
  }
  if (slice.length == 0) {  // An empty slice names nothing, so it holds nothing.
    domain_->release(slice);
    return {};
  }
  slices_.push_back(slice);
  byteLength_ += slice.length;
  return {};
}

Status Aggregate::append(const Slice& slice) {
  if (slices_.size() >= kSlicesMax) {
    return Status(Code::TooManySlices, "aggregate", slices_.size() + 1, kSlicesMax);
  }
  if (slice.length == 0) return {};
  domain_->retain(slice);
  slices_.push_back(slice);
  byteLength_ += slice.length;
  return {};
}

Status Aggregate::replace(uint64_t from, uint64_t to, const Aggregate& other) {
  const size_t most = slices_.size() + other.slices_.size();
  if (most > kSlicesMax) return Status(Code::TooManySlices, "aggregate", most, kSlicesMax);
  Aggregate joined = slice(0, from);
  for (const Slice& slice : other.slices_) (void)joined.append(slice);
  Aggregate tail = slice(std::max(from, to), byteLength_);
  for (const Slice& slice : tail.slices_) (void)joined.append(slice);
  *this = std::move(joined);
  return {};
}

Aggregate Aggregate::split(uint64_t bytes) {
  Aggregate front = slice(0, bytes);
  truncateFront(bytes);
  return front;
}

void Aggregate::remove(uint64_t from, uint64_t to) {
  const Aggregate nothing(*domain_);
  if (from < to) (void)replace(from, to, nothing);
}

const Slice& Aggregate::sliceOf(uint64_t at, uint64_t* sliceFrom) const {
  uint64_t start = 0;
  for (const Slice& slice : slices_) {
    if (at < start + slice.length) {
      *sliceFrom = start;
      return slice;
    }
    start += slice.length;
  }
  IOL_CHECK(at < byteLength_);
  return slices_.back();
}

Aggregate Aggregate::clone() const { return slice(0, byteLength_); }

Aggregate Aggregate::slice(uint64_t from, uint64_t to) const {
  Aggregate part(*domain_);
  to = std::min(to, byteLength_);
  uint64_t start = 0;
  for (const Slice& whole : slices_) {
    const uint64_t end = start + whole.length;
    if (start >= to) break;
    if (end > from) {
      const uint64_t first = std::max(from, start) - start;
      const uint64_t last = std::min(to, end) - start;
      const Slice piece =
          whole.part(static_cast<uint32_t>(first), static_cast<uint32_t>(last - first));
      if (piece.length > 0) {
        domain_->retain(piece);
        part.slices_.push_back(piece);
        part.byteLength_ += piece.length;
      }
    }
    start = end;
  }
  return part;
}

void Aggregate::truncateFront(uint64_t bytes) {
  bytes = std::min(bytes, byteLength_);
  byteLength_ -= bytes;
  size_t gone = 0;
  while (bytes > 0) {
    Slice& first = slices_[gone];
    if (first.length > bytes) {
      first = first.part(static_cast<uint32_t>(bytes), first.length - static_cast<uint32_t>(bytes));
      break;
    }
    bytes -= first.length;
    domain_->release(first);
    gone++;
  }
  slices_.erase(slices_.begin(), slices_.begin() + static_cast<ptrdiff_t>(gone));
}

void Aggregate::truncateBack(uint64_t byteLength) {
  while (byteLength_ > byteLength) {
    Slice& last = slices_.back();
    const uint64_t surplus = byteLength_ - byteLength;
    if (last.length > surplus) {
      last.length -= static_cast<uint32_t>(surplus);
      byteLength_ = byteLength;
      return;
    }
    byteLength_ -= last.length;
    domain_->release(last);
    slices_.pop_back();
  }
}

void Aggregate::clear() {
  for (const Slice& slice : slices_) domain_->release(slice);
  slices_.clear();
  byteLength_ = 0;
}

uint32_t Aggregate::gather(uint64_t from, iovec* vectors, uint32_t count) const {
  uint32_t filled = 0;
  uint64_t start = 0;
  for (const Slice& slice : slices_) {
    if (filled == count) break;
    const uint64_t end = start + slice.length;
    if (end > from) {
      const uint64_t skip = from > start ? from - start : 0;
      vectors[filled].iov_base = const_cast<uint8_t*>(slice.data()) + skip;
      vectors[filled].iov_len = slice.length - skip;
      filled++;
    }
    start = end;
  }
  return filled;
}

uint64_t Aggregate::copyTo(uint8_t* to, uint64_t from, uint64_t length, CopyReason reason) const {
  uint64_t start = 0;
  uint64_t copied = 0;
  for (const Slice& slice : slices_) {
    if (copied == length) break;
    const uint64_t end = start + slice.length;
    if (end > from + copied) {
      const uint64_t skip = from + copied - start;
      const uint64_t bytes = std::min<uint64_t>(slice.length - skip, length - copied);
      copyBytes(to + copied, slice.data() + skip, bytes, reason);
      copied += bytes;
    }
    start = end;
  }
  return copied;
}

}  // namespace iol
