// http/head_parser.h: HTTP/1 request heads, strictly, over slices, without copying.
//
//   bytes --> [ HeadParser: one state per grammar element ] --> ranges in RequestHead
//                          at the empty line --> [ interpretHead: target, Host, framing ]
//
// The state machine sees each byte once and keeps state and offset, so a head may arrive in any
// pieces: the result depends on the bytes alone. What it refuses and RFC 9112 would allow: LF
// without CR (2.2), more than one CRLF before the request line, folded lines (5.2), a body length
// said twice, versions above 1.1. A target is made of the visible ASCII characters except '#';
// RFC 3986 has fewer, but browsers send | ^ ` { } and quotes as they are.
//
// Ownership   borrows spans and head during parse(); the caller keeps both, and hands in the same
//             bytes again, followed by more of them, until the result is not kIncomplete.
// Threads     one at a time.
// Failure     HeadError with its HTTP status; every one means closeConnection.
// Cost        O(new bytes) and no allocation; a few compares per known header at the end.
// May include own folder
#pragma once

#include <cstdint>
#include <span>

#include "http/head_text.h"
#include "http/request_head.h"

namespace iol::http {

enum class HeadError : uint8_t {
#define IOL_HEAD_ERROR(name, status, text) k##name,
#include "http/head_errors.def"
#undef IOL_HEAD_ERROR
};

const char* headErrorName(HeadError error);     // "BareLf"
const char* headErrorText(HeadError error);     // "a line ends with LF alone"
uint16_t headErrorHttpStatus(HeadError error);  // 400

struct HeadLimits {
  uint32_t headBytesMax = 16 * 1024;  // Everything up to and with the empty line.
  uint32_t targetBytesMax = 8 * 1024;
  uint32_t fieldsMax = kHeaderFieldsMax;  // More than kHeaderFieldsMax counts as that.
};

enum class HeadStatus : uint8_t { kComplete, kIncomplete, kRefused };

struct HeadResult {
  HeadStatus status = HeadStatus::kIncomplete;
  HeadError error = HeadError::kNone;
  uint16_t httpStatus = 0;       // The answer to a refused head, else 0.
  bool closeConnection = false;  // No byte after this head can be trusted to begin a request.
  uint32_t consumedBytes = 0;    // Of a complete head, else 0.
};

class HeadParser {
 public:
  explicit HeadParser(const HeadLimits& limits = {}) : limits_(limits) {}

  // Parses on where the last call stopped. `spans` together are all bytes of the connection that no
  // complete head has consumed: those of the last call, cut in whatever way, and perhaps more.
  // `head` must be the same one as long as the result is kIncomplete, and means something only
  // when it is kComplete. A complete head makes the parser ready for the next one; a refused one
  // stays refused until reset().
  [[nodiscard]] HeadResult parse(std::span<const ByteSpan> spans, RequestHead& head);

  void reset();

  // Bytes of an unfinished head that were looked at; 0 between requests. After an empty line that
  // came before the request line this is 2, and still nobody has asked for anything: see isIdle().
  uint32_t scannedBytes() const { return scanned_; }
  bool isIdle() const { return state_ <= State::kFirstByte; }
  // Whether the method of the head that is being parsed, or was refused, is in methodToken.
  bool hasMethod() const { return hasMethod_; }

 private:
  enum class State : uint8_t {
    kStart,
    kStartLf,
    kFirstByte,
    kMethod,
    kTarget,
    kVersion,
    kRequestLineEnd,
    kRequestLineLf,
    kFieldStart,
    kFieldName,
    kValueStart,
    kValue,
    kValueLf,
    kHeadLf,
    kComplete,
    kRefused,
  };
  struct Cursor;

  HeadError run(Cursor& cursor, RequestHead& head);
  HeadError stepRequestLine(Cursor& cursor, RequestHead& head);
  HeadError stepMethod(Cursor& cursor, RequestHead& head);
  HeadError stepTarget(Cursor& cursor, RequestHead& head);
  HeadError stepVersion(uint8_t byte, RequestHead& head);
  HeadError stepField(Cursor& cursor, RequestHead& head);
  HeadError stepFieldStart(Cursor& cursor, RequestHead& head);
  HeadError stepFieldName(Cursor& cursor, RequestHead& head);
  HeadError stepValue(Cursor& cursor, RequestHead& head);
  HeadResult refuse(HeadError error);

  HeadLimits limits_;
  State state_ = State::kStart;
  uint8_t versionAt_ = 0;  // Bytes of "HTTP/1.x" seen.
  bool hasMethod_ = false;
  HeadError error_ = HeadError::kNone;
  uint32_t scanned_ = 0;  // Where the next call goes on.
};

}  // namespace iol::http
