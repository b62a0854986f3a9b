// http/body_framing.h: which of the next bytes are body, without touching the body.
//
//   4;x=y\r\n  abcd  \r\n 3\r\n  efg  \r\n 0\r\n Trailer: t\r\n \r\n
//   [framing ][body][framing   ][body][framing                     ] done
//
// Drains a body that nobody wants, or finds the runs of one that somebody does. Strict like the
// head parser: CRLF only, no white space in a chunk line, extensions and trailers checked, bounded
// and dropped.
//
// Ownership   borrows the bytes during step().
// Threads     one at a time.
// Failure     BodyError with its HTTP status; the connection must close, its framing is lost.
// Cost        O(framing bytes), O(1) per run of body bytes; no allocation.
// May include own folder
#pragma once

#include <cstdint>

#include "http/head_text.h"
#include "http/request_head.h"

namespace iol::http {

enum class BodyError : uint8_t {
#define IOL_BODY_ERROR(name, status, text) k##name,
#include "http/body_errors.def"
#undef IOL_BODY_ERROR
};

const char* bodyErrorName(BodyError error);
const char* bodyErrorText(BodyError error);
uint16_t bodyErrorHttpStatus(BodyError error);

struct BodyLimits {
  uint32_t extensionBytesMax = 4 * 1024;  // Of all chunks together.
  uint32_t trailerBytesMax = 8 * 1024;    // Line ends included.
};

enum class BodyStatus : uint8_t { kMore, kDone, kRefused };

// What the bytes given to step() begin with: framing, then body. What follows, if anything, is for
// the next step() or, after kDone, for the next head.
struct BodyStep {
  BodyStatus status = BodyStatus::kMore;
  BodyError error = BodyError::kNone;
  uint32_t framingBytes = 0;
  uint32_t bodyBytes = 0;
};

class BodyFraming {
 public:
  // The body that follows `head`. A request without length and coding has none: done at once.
  // Nor has CONNECT, whatever it says.
  explicit BodyFraming(const RequestHead& head, const BodyLimits& limits = {});

  [[nodiscard]] BodyStep step(ByteSpan bytes);

  bool isDone() const { return state_ == State::kDone; }

  // Body bytes certain to come before any framing does: how much a receive may take in directly.
  uint64_t remainingRunBytes() const { return state_ <= State::kChunkData ? remaining_ : 0; }

  // Body bytes that step() has announced so far; for the caller's limit.
  uint64_t bodyBytes() const { return bodyBytes_; }

 private:
  enum class State : uint8_t {
    kLengthData,
    kChunkData,
    kChunkDataCr,
    kChunkDataLf,
    kSizeStart,
    kSize,
    kSizeLf,
    kExtensionStart,
    kExtensionName,
    kExtensionValueStart,
    kExtensionToken,
    kExtensionQuoted,
    kExtensionEscape,
    kExtensionQuotedEnd,
    kTrailerStart,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kEndLf,
    kDone,
    kRefused,
  };

  BodyError stepFraming(uint8_t byte);
  BodyError stepSize(uint8_t byte);
  BodyError stepExtension(uint8_t byte);
  BodyError stepTrailer(uint8_t byte);
  bool isForbiddenTrailer(uint8_t byte);
  BodyError endSizeLine(uint8_t byte, BodyError otherwise);

  BodyLimits limits_;
  State state_;
  BodyError error_ = BodyError::kNone;
  uint8_t sizeDigits_ = 0;
  uint32_t extensionBytes_ = 0;
  uint32_t trailerBytes_ = 0;
  uint32_t trailerNameAt_ = 0;
  uint32_t trailerMatches_ = 0;  // Bits of the forbidden names that this one may still become.
  uint64_t remaining_ = 0;       // Of the length or of the chunk; while its size is read, the size.
  uint64_t bodyBytes_ = 0;
};

}  // namespace iol::http
