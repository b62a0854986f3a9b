#include "aggregate/search.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "aggregate/slice_iterator.h"
#include "aggregate/two_way.h"

namespace iol {

bool equalsAt(const Aggregate& bytes, uint64_t at, const uint8_t* other, size_t length) {
  if (at > bytes.byteLength() || length > bytes.byteLength() - at) return false;
  bool isEqual = true;
  forEachRun(bytes, at, at + length, [&](const uint8_t* run, size_t count) {
    isEqual = std::memcmp(run, other, count) == 0;
    other += count;
    return isEqual;
  });
  return isEqual;
}

namespace {

// Why memchr first: it is many times faster where the needle's first byte is rare.
const void* findWithin(const uint8_t* bytes, size_t count, const uint8_t* needle, size_t length) {
  const void* first = std::memchr(bytes, needle[0], count - length + 1);
  if (first == nullptr) return nullptr;
  const auto skipped = static_cast<size_t>(static_cast<const uint8_t*>(first) - bytes);
  return memmem(first, count - skipped, needle, length);
}

}  // namespace

// Within a slice memmem, which is linear and faster; from there to the next slice that could have
// the needle within, borders and short slices included, TwoWay.
uint64_t indexOf(const Aggregate& bytes, const uint8_t* needle, size_t length, uint64_t from) {
  const uint64_t all = bytes.byteLength();
  if (length == 0) return std::min(from, all);
  if (length > all || from > all - length) return kNotFound;
  const uint64_t last = all - length;
  std::optional<DirectedText<Direction::Forwards>> text;
  std::optional<TwoWay<Direction::Forwards>> twoWay;
  for (SliceIterator it(bytes, from); from <= last;) {
    if (it.end() - from >= length) {
      const void* found =
          findWithin(it.slice().data() + (from - it.start()), it.end() - from, needle, length);
      if (found != nullptr) {
        return it.start() + (static_cast<const uint8_t*>(found) - it.slice().data());
      }
      from = it.end() - length + 1;
    }
    do it.next();
    while (!it.isAtEnd() && it.slice().length < length);
    const uint64_t to = it.isAtEnd() ? last + 1 : std::min(it.start(), last + 1);
    if (from < to) {
      if (!twoWay) {
        twoWay.emplace(needle, length);
        text.emplace(bytes, from);
      }
      const auto found = twoWay->find(*text, from, to);
      if (found) return *found;
    }
    from = to;
  }
  return kNotFound;
}

uint64_t lastIndexOf(const Aggregate& bytes, const uint8_t* needle, size_t length, uint64_t from) {
  const uint64_t all = bytes.byteLength();
  if (length == 0) return std::min(from, all);
  if (length > all) return kNotFound;
  // Backwards, a match at `from` begins with its last byte.
  const uint64_t number = all - length - std::min(from, all - length);
  DirectedText<Direction::Backwards> text(bytes, number);
  const auto found =
      TwoWay<Direction::Backwards>(needle, length).find(text, number, all - length + 1);
  return found ? all - length - *found : kNotFound;
}

int compare(const Aggregate& left, const Aggregate& right) {
  SliceIterator one(left);
  SliceIterator other(right);
  for (uint64_t at = 0; !one.isAtEnd() && !other.isAtEnd();) {
    const uint64_t end = std::min(one.end(), other.end());
    const uint8_t* bytes = one.slice().data() + (at - one.start());
    const uint8_t* otherBytes = other.slice().data() + (at - other.start());
    const int order = bytes == otherBytes ? 0 : std::memcmp(bytes, otherBytes, end - at);
    if (order != 0) return order;
    at = end;
    if (one.end() == end) one.next();
    if (other.end() == end) other.next();
  }
  if (left.byteLength() == right.byteLength()) return 0;
  return left.byteLength() < right.byteLength() ? -1 : 1;
}

}  // namespace iol
