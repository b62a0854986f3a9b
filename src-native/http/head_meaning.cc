// http/head_meaning.cc: targets (RFC 9112 section 3.2), Host, and where a message ends (section 6).

#include "http/head_meaning.h"

#include <array>
#include <string_view>

#include "http/byte_classes.h"

namespace iol::http {

namespace {

constexpr std::array<std::string_view, 9> kMethodNames = {
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH",
};

// In the order of KnownHeader.
constexpr std::array<std::string_view, kKnownHeaderCount> kKnownHeaderNames = {
    "accept-encoding", "connection",        "content-length", "expect",   "host",
    "if-match",        "if-modified-since", "if-none-match",  "if-range", "if-unmodified-since",
    "range",           "transfer-encoding", "upgrade",
};

constexpr size_t kLongestKnownHeader = 19;

// For each length of a name, the bits of the known headers that are so long: at most two.
constexpr std::array<uint32_t, kLongestKnownHeader + 1> makeHeadersByLength() {
  std::array<uint32_t, kLongestKnownHeader + 1> bits{};
  for (uint32_t index = 0; index < kKnownHeaderCount; ++index) {
    bits[kKnownHeaderNames[index].size()] |= 1u << index;
  }
  return bits;
}
constexpr auto kHeadersByLength = makeHeadersByLength();

Method methodOf(const HeadText& text, HeadRange token) {
  for (size_t index = 0; index < kMethodNames.size(); ++index) {
    if (text.equals(token, kMethodNames[index])) return static_cast<Method>(index);
  }
  return Method::kOther;
}

// The offset in `range` of the first byte that is one of the two, or the range's length.
uint32_t findEither(const HeadText& text, HeadRange range, char one, char other) {
  ByteWalk bytes = text.walk(range);
  for (uint32_t index = 0; index < range.length; ++index) {
    const int byte = bytes.next();
    if (byte == one || byte == other) return index;
  }
  return range.length;
}

// uri-host [ ":" port ], where the host may be a name, an IPv4 or a bracketed IPv6 address.
struct AuthoritySyntax {
  bool isValid = false;
  bool hasHost = false;
  bool hasPort = false;
};

AuthoritySyntax checkAuthority(const HeadText& text, HeadRange range) {
  AuthoritySyntax syntax;
  ByteWalk bytes = text.walk(range);
  if (bytes.peek() == '[') {
    bytes.next();
    while (isByte(bytes.peek(), kHexByte) || bytes.peek() == ':' || bytes.peek() == '.') {
      bytes.next();
      syntax.hasHost = true;
    }
    if (bytes.next() != ']' || !syntax.hasHost) return syntax;
  } else {
    while (isByte(bytes.peek(), kRegNameByte) || bytes.peek() == '%') {
      if (bytes.next() == '%') {
        if (!isByte(bytes.next(), kHexByte) || !isByte(bytes.next(), kHexByte)) return syntax;
      }
      syntax.hasHost = true;
    }
  }
  uint32_t portDigits = 0;
  if (bytes.peek() == ':') {
    // RFC 9110 section 4.2.1: a port of no host names nothing.
    if (!syntax.hasHost) return syntax;
    bytes.next();
    while (isByte(bytes.peek(), kDigitByte)) {
      bytes.next();
      ++portDigits;
    }
  }
  syntax.hasPort = portDigits > 0;
  syntax.isValid = bytes.next() < 0 && portDigits <= 5;
  return syntax;
}

// Cuts `rest`, which is empty or begins with '/' or '?', into path and query.
void splitPath(const HeadText& text, HeadRange rest, RequestHead& head) {
  const uint32_t pathLength = findEither(text, rest, '?', '?');
  head.path = {rest.offset, pathLength};
  head.query = {rest.offset + rest.length, 0};
  if (pathLength < rest.length) {
    head.query = {rest.offset + pathLength + 1, rest.length - pathLength - 1};
  }
}

bool interpretAbsoluteTarget(const HeadText& text, RequestHead& head) {
  uint32_t schemeLength = 0;
  for (const std::string_view scheme : {"http://", "https://"}) {
    const auto length = static_cast<uint32_t>(scheme.size());
    if (head.target.length > length &&
        text.equalsIgnoringCase({head.target.offset, length}, scheme)) {
      schemeLength = length;
    }
  }
  if (schemeLength == 0) return false;
  const HeadRange rest = {head.target.offset + schemeLength, head.target.length - schemeLength};
  const uint32_t authorityLength = findEither(text, rest, '/', '?');
  head.targetForm = TargetForm::kAbsolute;
  head.authority = {rest.offset, authorityLength};
  splitPath(text, {rest.offset + authorityLength, rest.length - authorityLength}, head);
  const AuthoritySyntax syntax = checkAuthority(text, head.authority);
  return syntax.isValid && syntax.hasHost;
}

HeadError interpretTarget(const HeadText& text, RequestHead& head) {
  const int first = text.walk(head.target).peek();
  const uint32_t endOffset = head.target.offset + head.target.length;
  head.authority = head.path = head.query = {endOffset, 0};
  if (head.method == Method::kConnect) {
    head.targetForm = TargetForm::kAuthority;
    head.authority = head.target;
    const AuthoritySyntax syntax = checkAuthority(text, head.target);
    const bool isUsable = syntax.isValid && syntax.hasHost && syntax.hasPort;
    return isUsable ? HeadError::kNone : HeadError::kBadTarget;
  }
  if (first == '/') {
    head.targetForm = TargetForm::kOrigin;
    splitPath(text, head.target, head);
    return HeadError::kNone;
  }
  if (first == '*') {
    head.targetForm = TargetForm::kAsterisk;
    const bool isUsable = head.target.length == 1 && head.method == Method::kOptions;
    return isUsable ? HeadError::kNone : HeadError::kBadTarget;
  }
  return interpretAbsoluteTarget(text, head) ? HeadError::kNone : HeadError::kBadTarget;
}

void findKnownHeaders(const HeadText& text, RequestHead& head) {
  head.knownHeaders = 0;
  head.repeatedHeaders = 0;
  for (uint32_t field = 0; field < head.fieldCount; ++field) {
    const HeadRange name = head.fields[field].name;
    if (name.length > kLongestKnownHeader) continue;
    for (uint32_t bits = kHeadersByLength[name.length]; bits != 0; bits &= bits - 1) {
      const auto header = static_cast<uint32_t>(__builtin_ctz(bits));
      if (!text.equalsIgnoringCase(name, kKnownHeaderNames[header])) continue;
      const uint32_t bit = 1u << header;
      if ((head.knownHeaders & bit) != 0) {
        head.repeatedHeaders |= bit;
      } else {
        head.knownHeaders |= bit;
        head.knownIndex[header] = static_cast<uint16_t>(field);
      }
      break;
    }
  }
}

// One element of a comma-separated list, without white space around it, in lower case.
struct ListElement {
  char bytes[16];  // Longer than every element that means anything here.
  uint32_t length = 0;
  bool isToken = true;
  bool isLast = false;

  std::string_view text() const {
    return length <= sizeof(bytes) ? std::string_view(bytes, length) : std::string_view("(long)");
  }
};

ListElement nextElement(ByteWalk& bytes) {
  ListElement element;
  uint32_t spaces = 0;  // Seen since the last other byte; inside an element they are wrong.
  int byte = bytes.next();
  for (; byte >= 0 && byte != ','; byte = bytes.next()) {
    if (byte == ' ' || byte == '\t') {
      ++spaces;
      continue;
    }
    if (element.length > 0 && spaces > 0) element.isToken = false;
    spaces = 0;
    if (!isByte(byte, kTokenByte)) element.isToken = false;
    if (element.length < sizeof(element.bytes)) {
      element.bytes[element.length] = static_cast<char>(lowerAscii(static_cast<uint8_t>(byte)));
    }
    ++element.length;
  }
  element.isLast = byte < 0;
  return element;
}

// Calls visit(element) for each element of each line of a list header, until it returns false.
template <typename Visit>
void forEachElement(const HeadText& text, const RequestHead& head, KnownHeader header,
                    Visit visit) {
  if (!head.has(header)) return;
  const auto index = static_cast<uint32_t>(header);
  const bool isRepeated = (head.repeatedHeaders & bitOf(header)) != 0;
  const uint32_t first = head.knownIndex[index];
  const uint32_t end = isRepeated ? head.fieldCount : first + 1;
  for (uint32_t field = first; field < end; ++field) {
    if (!text.equalsIgnoringCase(head.fields[field].name, kKnownHeaderNames[index])) continue;
    ByteWalk bytes = text.walk(head.fields[field].value);
    while (true) {
      const ListElement element = nextElement(bytes);
      if (!visit(element)) return;
      if (element.isLast) break;
    }
  }
}

HeadError interpretHost(const HeadText& text, RequestHead& head) {
  if (!head.has(KnownHeader::kHost)) {
    return head.versionMinor >= 1 ? HeadError::kHostMissing : HeadError::kNone;
  }
  if ((head.repeatedHeaders & bitOf(KnownHeader::kHost)) != 0) return HeadError::kHostRepeated;
  const HeadRange host = head.valueOf(KnownHeader::kHost);
  if (!checkAuthority(text, host).isValid) return HeadError::kBadHost;
  // RFC 9112 section 3.2.2: the target's own authority wins.
  if (head.targetForm == TargetForm::kOrigin || head.targetForm == TargetForm::kAsterisk) {
    head.authority = host;
  }
  return HeadError::kNone;
}

HeadError interpretContentLength(const HeadText& text, RequestHead& head) {
  head.hasContentLength = head.has(KnownHeader::kContentLength);
  head.contentLength = 0;
  if (!head.hasContentLength) return HeadError::kNone;
  if ((head.repeatedHeaders & bitOf(KnownHeader::kContentLength)) != 0) {
    return HeadError::kContentLengthRepeated;
  }
  const HeadRange value = head.valueOf(KnownHeader::kContentLength);
  ByteWalk bytes = text.walk(value);
  if (value.length == 0) return HeadError::kBadContentLength;
  for (int byte = bytes.next(); byte >= 0; byte = bytes.next()) {
    if (!isByte(byte, kDigitByte)) return HeadError::kBadContentLength;
    const auto digit = static_cast<uint64_t>(byte - '0');
    if (__builtin_mul_overflow(head.contentLength, 10u, &head.contentLength) ||
        __builtin_add_overflow(head.contentLength, digit, &head.contentLength)) {
      return HeadError::kBadContentLength;
    }
  }
  return HeadError::kNone;
}

HeadError interpretTransferEncoding(const HeadText& text, RequestHead& head) {
  head.isChunked = false;
  if (!head.has(KnownHeader::kTransferEncoding)) return HeadError::kNone;
  if (head.versionMinor == 0) return HeadError::kEncodingInHttp10;
  if (head.hasContentLength) return HeadError::kLengthAndEncoding;
  bool isMalformed = false;
  bool isLastChunked = false;
  uint32_t chunkedCount = 0;
  uint32_t otherCount = 0;
  forEachElement(text, head, KnownHeader::kTransferEncoding, [&](const ListElement& element) {
    if (element.length == 0) isMalformed = true;
    isLastChunked = element.text() == "chunked" && element.isToken;
    isLastChunked ? ++chunkedCount : ++otherCount;
    return true;
  });
  // RFC 9112 section 6.3: without a final chunked nobody can tell where the body ends.
  if (isMalformed || !isLastChunked || chunkedCount > 1) return HeadError::kBadTransferEncoding;
  if (otherCount > 0) return HeadError::kUnknownTransferCoding;
  head.isChunked = true;
  return HeadError::kNone;
}

HeadError interpretConnection(const HeadText& text, RequestHead& head) {
  bool isMalformed = false;
  bool saysClose = false;
  bool saysKeepAlive = false;
  forEachElement(text, head, KnownHeader::kConnection, [&](const ListElement& element) {
    if (!element.isToken) isMalformed = true;
    if (element.text() == "close") saysClose = true;
    if (element.text() == "keep-alive") saysKeepAlive = true;
    return true;
  });
  if (isMalformed) return HeadError::kBadConnection;
  // RFC 9110 section 9.3.6: what follows CONNECT is a tunnel, or nobody knows what.
  head.isKeepAlive =
      !saysClose && (saysKeepAlive || head.versionMinor >= 1) && head.method != Method::kConnect;
  return HeadError::kNone;
}

void interpretExpect(const HeadText& text, RequestHead& head) {
  head.expectation = Expectation::kNone;
  // RFC 9110 section 10.1.1: a server ignores it in HTTP/1.0.
  if (!head.has(KnownHeader::kExpect) || head.versionMinor == 0) return;
  const bool isRepeated = (head.repeatedHeaders & bitOf(KnownHeader::kExpect)) != 0;
  const HeadRange value = head.valueOf(KnownHeader::kExpect);
  const bool isContinue = !isRepeated && text.equalsIgnoringCase(value, "100-continue");
  head.expectation = isContinue ? Expectation::kContinue : Expectation::kUnknown;
}

}  // namespace

HeadError interpretHead(const HeadText& text, RequestHead& head) {
  head.method = methodOf(text, head.methodToken);
  HeadError error = interpretTarget(text, head);
  if (error != HeadError::kNone) return error;
  findKnownHeaders(text, head);
  error = interpretHost(text, head);
  if (error == HeadError::kNone) error = interpretContentLength(text, head);
  if (error == HeadError::kNone) error = interpretTransferEncoding(text, head);
  if (error == HeadError::kNone) error = interpretConnection(text, head);
  interpretExpect(text, head);
  return error;
}

const char* methodName(Method method) {
  const auto index = static_cast<size_t>(method);
  return index < kMethodNames.size() ? kMethodNames[index].data() : "(other)";
}

const char* knownHeaderName(KnownHeader header) {
  return kKnownHeaderNames[static_cast<size_t>(header)].data();
}

}  // namespace iol::http
