// http/head_text.h: the unparsed bytes of a connection as a few spans, read by offset.
//
//   spans    [GET / HT][TP/1.1\r\nHost: exa][mple\r\n\r\n]
//   offset    0         8                   26                  HeadRange {offset 16, length 4}
//
// Ownership   borrows spans and bytes; both must outlive the reader.
// Threads     none of its own; a value.
// Failure     none: a range that the parser made lies inside the spans by construction.
// Cost        one span (the usual case): a pointer addition. Several: a walk over the list first.
// May include nothing of ours.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace iol::http {

// A run of bytes that somebody else keeps alive.
struct ByteSpan {
  const uint8_t* data = nullptr;
  uint32_t length = 0;
};

// A part of a head, counted from the first unparsed byte. Length 0 also says "not there".
struct HeadRange {
  uint32_t offset = 0;
  uint32_t length = 0;

  bool operator==(const HeadRange&) const = default;
};

// ASCII only, independent of the locale; right for letters, digits and '-', which is all it is for.
constexpr uint8_t lowerAscii(uint8_t byte) {
  return byte >= 'A' && byte <= 'Z' ? static_cast<uint8_t>(byte | 0x20) : byte;
}

// Walks the bytes of one range, over span borders.
class ByteWalk {
 public:
  ByteWalk(std::span<const ByteSpan> spans, HeadRange range) : left_(range.length) {
    uint32_t skip = range.offset;
    while (!spans.empty() && skip >= spans.front().length) {
      skip -= spans.front().length;
      spans = spans.subspan(1);
    }
    if (spans.empty()) {
      left_ = 0;
      return;
    }
    at_ = spans.front().data + skip;
    end_ = spans.front().data + spans.front().length;
    rest_ = spans.subspan(1);
  }

  // The next byte, or -1 at the end of the range.
  int next() {
    const int byte = peek();
    if (byte >= 0) {
      ++at_;
      --left_;
    }
    return byte;
  }

  int peek() {
    if (left_ == 0) return -1;
    while (at_ == end_) {
      if (rest_.empty()) return -1;
      at_ = rest_.front().data;
      end_ = at_ + rest_.front().length;
      rest_ = rest_.subspan(1);
    }
    return *at_;
  }

 private:
  const uint8_t* at_ = nullptr;
  const uint8_t* end_ = nullptr;
  std::span<const ByteSpan> rest_;
  uint32_t left_;
};

// Reads ranges of a head.
class HeadText {
 public:
  explicit HeadText(std::span<const ByteSpan> spans) : spans_(spans) {}

  ByteWalk walk(HeadRange range) const { return ByteWalk(spans_, range); }

  // The range's bytes in one piece, or nullptr when it crosses a span border (then walk() it).
  const uint8_t* contiguous(HeadRange range) const {
    uint32_t offset = range.offset;
    for (const ByteSpan& span : spans_) {
      if (offset < span.length) {
        return span.length - offset >= range.length ? span.data + offset : nullptr;
      }
      offset -= span.length;
    }
    return nullptr;
  }

  bool equals(HeadRange range, std::string_view text) const {
    if (range.length != text.size()) return false;
    ByteWalk bytes = walk(range);
    for (const char wanted : text) {
      if (bytes.next() != static_cast<uint8_t>(wanted)) return false;
    }
    return true;
  }

  // `lowerText` must be in lower case.
  bool equalsIgnoringCase(HeadRange range, std::string_view lowerText) const {
    if (range.length != lowerText.size()) return false;
    if (const uint8_t* flat = contiguous(range); flat != nullptr) {
      for (size_t index = 0; index < lowerText.size(); ++index) {
        if (lowerAscii(flat[index]) != static_cast<uint8_t>(lowerText[index])) return false;
      }
      return true;
    }
    ByteWalk bytes = walk(range);
    for (const char wanted : lowerText) {
      const int byte = bytes.next();
      if (byte < 0 || lowerAscii(static_cast<uint8_t>(byte)) != static_cast<uint8_t>(wanted)) {
        return false;
      }
    }
    return true;
  }

 private:
  std::span<const ByteSpan> spans_;
};

}  // namespace iol::http
