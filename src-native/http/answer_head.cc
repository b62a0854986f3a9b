#include "http/answer_head.h"

namespace iol::http {
namespace {

constexpr char kBegin[] = "HTTP/1.";
constexpr uint32_t kBeginBytes = sizeof(kBegin) - 1;
constexpr uint32_t kEndBytes = 4;

// The byte at `offset`, which is within the aggregate.
uint8_t byteAt(const Aggregate& head, uint64_t offset) {
  uint64_t start;
  const Slice& slice = head.sliceOf(offset, &start);
  return slice.data()[offset - start];
}

}  // namespace

bool isAnswerHead(const Aggregate& head) {
  const uint64_t length = head.byteLength();
  if (length < kBeginBytes + kEndBytes) return false;
  for (uint32_t at = 0; at < kBeginBytes; at++) {
    if (byteAt(head, at) != static_cast<uint8_t>(kBegin[at])) return false;
  }
  const bool endsWithLine = byteAt(head, length - 2) == '\r' && byteAt(head, length - 1) == '\n';
  const bool hasEmptyLine = byteAt(head, length - 4) == '\r' && byteAt(head, length - 3) == '\n';
  return endsWithLine && !hasEmptyLine;
}

}  // namespace iol::http
