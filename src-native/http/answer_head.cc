#include "http/answer_head.h"

#include <utility>

#include "aggregate/slice_iterator.h"

namespace iol::http {
namespace {

// Lines in which there is something to see, each ended by CRLF; no CR, LF or NUL anywhere else.
class LineCheck {
 public:
  bool accept(uint8_t byte) {
    if (isAfterReturn_ != (byte == '\n')) return false;
    if (byte == '\n') {
      isAfterReturn_ = false;
      return !std::exchange(isLineEmpty_, true);
    }
    isAfterReturn_ = byte == '\r';
    if (byte > ' ') isLineEmpty_ = false;
    return byte != '\0';
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
