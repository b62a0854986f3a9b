// http/request_head.h: what the head parser says about one request: ranges and a few facts.
//
//   GET http://host/a/b?x=1 HTTP/1.1\r\n          target     http://host/a/b?x=1
//   Range: bytes=0-9 \r\n                         authority  host   path /a/b   query x=1
//   \r\n                                          fields[0]  name Range, value bytes=0-9
//
// Ownership   holds no bytes: ranges count from the first unparsed byte of the connection and mean
//             something only beside the spans that were parsed.
// Threads     a plain value.
// Cost        about 1.8 KB without pointers: keep one per half-read head, none per idle connection.
// May include own folder
#pragma once

#include <cstdint>

#include "http/head_text.h"

namespace iol::http {

inline constexpr uint32_t kHeaderFieldsMax = 100;

enum class Method : uint8_t {
  kGet,
  kHead,
  kPost,
  kPut,
  kDelete,
  kOptions,
  kTrace,
  kConnect,
  kPatch,
  kOther,  // Any other token; read methodToken.
};

// RFC 9112 section 3.2.
enum class TargetForm : uint8_t { kOrigin, kAbsolute, kAuthority, kAsterisk };

// What Expect asks for; kUnknown is for a 417. Always kNone in HTTP/1.0.
enum class Expectation : uint8_t { kNone, kContinue, kUnknown };

// The headers that a file server decides by; found once, so that nobody searches by name.
enum class KnownHeader : uint8_t {
  kAcceptEncoding,
  kConnection,
  kContentLength,
  kExpect,
  kHost,
  kIfMatch,
  kIfModifiedSince,
  kIfNoneMatch,
  kIfRange,
  kIfUnmodifiedSince,
  kRange,
  kTransferEncoding,
  kUpgrade,
};
inline constexpr uint32_t kKnownHeaderCount = static_cast<uint32_t>(KnownHeader::kUpgrade) + 1;

constexpr uint32_t bitOf(KnownHeader header) { return 1u << static_cast<uint32_t>(header); }

// Headers that make the answer depend on more than method and target.
inline constexpr uint32_t kConditionalHeaders =
    bitOf(KnownHeader::kIfMatch) | bitOf(KnownHeader::kIfNoneMatch) |
    bitOf(KnownHeader::kIfModifiedSince) | bitOf(KnownHeader::kIfUnmodifiedSince) |
    bitOf(KnownHeader::kIfRange) | bitOf(KnownHeader::kRange);

// Headers that may come once only. Host and Content-Length are refused when repeated; the others
// are left to policy, which sees them in repeatedHeaders.
inline constexpr uint32_t kSingletonHeaders =
    bitOf(KnownHeader::kContentLength) | bitOf(KnownHeader::kHost) |
    bitOf(KnownHeader::kIfModifiedSince) | bitOf(KnownHeader::kIfUnmodifiedSince) |
    bitOf(KnownHeader::kIfRange) | bitOf(KnownHeader::kRange);

struct HeaderField {
  HeadRange name;
  HeadRange value;  // Without white space around it.
};

struct RequestHead {
  uint32_t byteLength = 0;  // All of the head: a leading CRLF and the empty line included.
  uint32_t fieldCount = 0;

  Method method = Method::kOther;
  TargetForm targetForm = TargetForm::kOrigin;
  uint8_t versionMinor = 0;  // HTTP/1.x
  Expectation expectation = Expectation::kNone;
  bool isKeepAlive = false;
  bool isChunked = false;
  bool hasContentLength = false;
  uint64_t contentLength = 0;

  HeadRange methodToken;
  HeadRange target;
  HeadRange authority;  // Of an absolute or authority target, else the value of Host.
  HeadRange path;       // Not decoded; empty for authority-form, "*", and http://host alone.
  HeadRange query;      // Without the '?'.

  uint32_t knownHeaders = 0;                    // Bits of the known headers that are there,
  uint32_t repeatedHeaders = 0;                 // and of those that are there more than once.
  uint16_t knownIndex[kKnownHeaderCount] = {};  // Into fields; the first one of that name.

  HeaderField fields[kHeaderFieldsMax];  // The first fieldCount are set.

  bool has(KnownHeader header) const { return (knownHeaders & bitOf(header)) != 0; }
  bool isConditional() const { return (knownHeaders & kConditionalHeaders) != 0; }

  // The value of a header that has() says is there.
  HeadRange valueOf(KnownHeader header) const {
    return fields[knownIndex[static_cast<uint32_t>(header)]].value;
  }
  // A Host that there is gives the target's authority from now on.
  void setHost() {
    if (has(KnownHeader::kHost)) {
      fields[knownIndex[static_cast<uint32_t>(KnownHeader::kHost)]].value = authority;
    }
  }
};

const char* methodName(Method method);
const char* knownHeaderName(KnownHeader header);  // In lower case.

}  // namespace iol::http
