#include "http/answer_head.h"

#include "aggregate/slice_iterator.h"

namespace iol::http {
namespace {

// Lines of at least one character, each ended by CRLF; no CR, LF or NUL anywhere else.
class LineCheck {
 public:
  bool accept(uint8_t byte) {
    if (byte > '\r') {
      isLineEmpty_ = false;
      return !isAfterReturn_;
    }
    if (byte == '\n') {
      const bool endsLine = isAfterReturn_ && !isLineEmpty_;
      isAfterReturn_ = false;
      isLineEmpty_ = true;
      return endsLine;
    }
    const bool isFirstReturn = !isAfterReturn_;
    isAfterReturn_ = byte == '\r';
    return isFirstReturn && byte != '\0';
  }
  bool isAtLineEnd() const { return isLineEmpty_ && !isAfterReturn_; }

 private:
  bool isLineEmpty_ = true;
  bool isAfterReturn_ = false;
};

}  // namespace

bool isAnswerHead(const Aggregate& head) {
  constexpr char kBegin[] = "HTTP/1.";
  constexpr uint32_t kBeginBytes = sizeof(kBegin) - 1;
  uint64_t at = 0;
  LineCheck lines;
  for (SliceIterator it(head); !it.isAtEnd(); it.next()) {
    const Slice& slice = it.slice();
    const uint8_t* const bytes = slice.data();
    for (uint32_t i = 0; i < slice.length; i++, at++) {
      if (at < kBeginBytes && bytes[i] != static_cast<uint8_t>(kBegin[at])) return false;
      if (!lines.accept(bytes[i])) return false;
    }
  }
  return at > kBeginBytes && lines.isAtLineEnd();
}

}  // namespace iol::http
