// aggregate/two_way.h: finds a needle in bytes that lie in slices, forwards or backwards.
//
//   needle   [ left part ][ right part ]      cut where the needle least repeats itself
//                         --> compared first; a mismatch after k equal bytes shifts by k + 1
//            <-- then the left part; a mismatch shifts by the needle's period
//
// Crochemore and Perrin, "Two-way string-matching", Journal of the ACM 38 (1991): no table, no
// memory, and at most some 2n + 5m bytes looked at, whatever the bytes are. Where nothing of the
// needle is known to match, memchr finds the next place for the first byte of the right part.
//
// Ownership   borrows the aggregate and the needle.
// Threads     as the aggregate.
// Failure     none.
// Cost        O(n + m), O(log n) to begin.
// May include base/ sys/ window/ pool/
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>

#include "aggregate/slice_iterator.h"

namespace iol {

enum class Direction : uint8_t { Forwards, Backwards };

// The bytes of an aggregate numbered from one of its ends.
template <Direction direction>
class DirectedText {
 public:
  DirectedText(const Aggregate& bytes, uint64_t from)
      : length_(bytes.byteLength()), it_(bytes, placeOf(from)) {
    open();
  }

  uint64_t length() const { return length_; }

  uint8_t at(uint64_t number) {
    const uint64_t place = placeOf(number);
    if (place - start_ >= bytes_) moveTo(place);
    return data_[place - start_];
  }

  // The first number in [from, to) whose byte is `byte`; `to` when there is none.
  uint64_t find(uint8_t byte, uint64_t from, uint64_t to) {
    while (from < to) {
      const uint64_t place = placeOf(from);
      if (place - start_ >= bytes_) moveTo(place);
      const uint64_t here = isForwards ? start_ + bytes_ - place : place - start_ + 1;
      const void* found = isForwards ? std::memchr(data_ + (place - start_), byte, here)
                                     : memrchr(data_, byte, here);
      if (found != nullptr) {
        const auto offset = static_cast<uint64_t>(static_cast<const uint8_t*>(found) - data_);
        return std::min(to, placeOf(start_ + offset));
      }
      from += here;
    }
    return to;
  }

 private:
  static constexpr bool isForwards = direction == Direction::Forwards;

  // From a number to its place, and back.
  uint64_t placeOf(uint64_t number) const { return isForwards ? number : length_ - 1 - number; }

  void moveTo(uint64_t place) {
    while (place >= it_.end()) it_.next();
    while (place < it_.start()) it_.previous();
    open();
  }
  void open() {
    data_ = it_.slice().data();
    start_ = it_.start();
    bytes_ = it_.slice().length;
  }

  const uint64_t length_;
  SliceIterator it_;
  const uint8_t* data_ = nullptr;
  uint64_t start_ = 0;
  uint64_t bytes_ = 0;
};

template <Direction direction>
class TwoWay {
 public:
  // `length` is at least 1.
  TwoWay(const uint8_t* needle, size_t length) : needle_(needle), length_(length) {
    size_t period;
    size_t otherPeriod;
    const size_t cut = maximalSuffix(false, &period);
    const size_t otherCut = maximalSuffix(true, &otherPeriod);
    cut_ = std::max(cut, otherCut);
    period_ = cut > otherCut ? period : otherPeriod;
    isPeriodic_ = period_ + cut_ <= length_;
    for (size_t index = 0; index < cut_ && isPeriodic_; index++) {
      isPeriodic_ = at(index) == at(index + period_);
    }
    if (!isPeriodic_) period_ = std::max(cut_, length_ - cut_) + 1;
  }

  // The first number in [from, to) where the needle begins, seen in this direction. All of it must
  // be within the text at each of them.
  std::optional<uint64_t> find(DirectedText<direction>& text, uint64_t from, uint64_t to) const {
    size_t known = 0;  // So many bytes of the needle match at `from` already.
    while (from < to) {
      if (known == 0) from = text.find(at(cut_), from + cut_, to + cut_) - cut_;
      if (from == to) break;
      size_t index = std::max(cut_, known);
      while (index < length_ && at(index) == text.at(from + index)) index++;
      if (index < length_) {
        from += index - cut_ + 1;
        known = 0;
        continue;
      }
      index = cut_;
      while (index > known && at(index - 1) == text.at(from + index - 1)) index--;
      if (index <= known) return from;
      from += period_;
      known = isPeriodic_ ? length_ - period_ : 0;
    }
    return std::nullopt;
  }

 private:
  uint8_t at(size_t index) const {
    return needle_[direction == Direction::Forwards ? index : length_ - 1 - index];
  }

  // Where the suffix that is greatest in the order of bytes, or in the reversed one, begins.
  size_t maximalSuffix(bool isReversed, size_t* period) const {
    size_t begin = 0;
    size_t candidate = 1;
    size_t same = 0;
    *period = 1;
    while (candidate + same < length_) {
      const uint8_t one = at(candidate + same);
      const uint8_t other = at(begin + same);
      if (one == other) {
        if (++same == *period) {
          candidate += *period;
          same = 0;
        }
      } else if ((one < other) != isReversed) {
        candidate += same + 1;
        same = 0;
        *period = candidate - begin;
      } else {
        begin = candidate++;
        same = 0;
        *period = 1;
      }
    }
    return begin;
  }

  const uint8_t* needle_;
  const size_t length_;
  size_t cut_ = 0;
  size_t period_ = 1;
  bool isPeriodic_ = false;
};

}  // namespace iol
