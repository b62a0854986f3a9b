#include "aggregate/search.h"

#include <algorithm>
#include <cstring>

namespace iol {

bool equalsAt(const Aggregate& bytes, uint64_t at, const uint8_t* other, size_t length) {
  if (at > bytes.byteLength() || length > bytes.byteLength() - at) return false;
  while (length > 0) {
    uint64_t start;
    const Slice& slice = bytes.sliceOf(at, &start);
    const size_t skip = at - start;
    const size_t part = std::min<size_t>(slice.length - skip, length);
    if (std::memcmp(slice.data() + skip, other, part) != 0) return false;
    at += part;
    other += part;
    length -= part;
  }
  return true;
}

uint64_t indexOf(const Aggregate& bytes, const uint8_t* needle, size_t length, uint64_t from) {
  if (length == 0) return std::min(from, bytes.byteLength());
  while (from < bytes.byteLength()) {
    uint64_t start;
    const Slice& slice = bytes.sliceOf(from, &start);
    const uint8_t* data = slice.data();
    const void* found =
        std::memchr(data + (from - start), needle[0], slice.length - (from - start));
    if (found == nullptr) {
      from = start + slice.length;
      continue;
    }
    from = start + static_cast<uint64_t>(static_cast<const uint8_t*>(found) - data);
    if (equalsAt(bytes, from, needle, length)) return from;
    from++;
  }
  return kNotFound;
}

uint64_t lastIndexOf(const Aggregate& bytes, const uint8_t* needle, size_t length, uint64_t from) {
  if (length > bytes.byteLength()) return kNotFound;
  for (uint64_t at = std::min(from, bytes.byteLength() - length) + 1; at-- > 0;) {
    if (equalsAt(bytes, at, needle, length)) return at;
  }
  return kNotFound;
}

int compare(const Aggregate& left, const Aggregate& right) {
  const uint64_t length = std::min(left.byteLength(), right.byteLength());
  for (uint64_t at = 0; at < length;) {
    uint64_t leftFrom;
    uint64_t rightFrom;
    const Slice& one = left.sliceOf(at, &leftFrom);
    const Slice& other = right.sliceOf(at, &rightFrom);
    const uint64_t end = std::min(leftFrom + one.length, rightFrom + other.length);
    const int order = std::memcmp(one.data() + (at - leftFrom), other.data() + (at - rightFrom),
                                  std::min(end, length) - at);
    if (order != 0) return order;
    at = end;
  }
  if (left.byteLength() == right.byteLength()) return 0;
  return left.byteLength() < right.byteLength() ? -1 : 1;
}

}  // namespace iol
