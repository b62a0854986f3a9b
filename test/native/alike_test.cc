// test/native/alike_test.cc: which requests may be given one answer.

#include <cstring>
#include <optional>
#include <string>

#include "http/alike.h"
#include "http/head_parser.h"
#include "test.h"

namespace {

using iol::http::bitOf;
using iol::http::ByteSpan;
using iol::http::HeadText;
using iol::http::KnownHeader;
using iol::http::Likeness;
using iol::http::RequestHead;

constexpr uint32_t kEncoding = bitOf(KnownHeader::kAcceptEncoding);
constexpr uint32_t kRange = bitOf(KnownHeader::kRange);
constexpr uint32_t kTags = bitOf(KnownHeader::kIfMatch) | bitOf(KnownHeader::kIfNoneMatch);

// A parsed head, cut in two after `cut` bytes.
struct Parsed {
  explicit Parsed(const std::string& lines, size_t cut = 0) : text(lines + "Host: a\r\n\r\n") {
    const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
    spans[0] = {bytes, static_cast<uint32_t>(cut == 0 ? text.size() : cut)};
    spans[1] = {bytes + spans[0].length, static_cast<uint32_t>(text.size()) - spans[0].length};
    iol::http::HeadParser parser;
    CHECK(parser.parse({spans, cut == 0 ? 1u : 2u}, head).status ==
          iol::http::HeadStatus::kComplete);
  }
  HeadText view() const { return HeadText({spans, spans[1].length == 0 ? 1u : 2u}); }

  std::string text;
  ByteSpan spans[2];
  RequestHead head;
};

std::optional<Likeness> likenessOf(const Parsed& request, uint32_t uses) {
  return Likeness::of(request.head, request.view(), uses);
}

bool areAlike(const Parsed& one, const Parsed& other, uint32_t uses) {
  const std::optional<Likeness> likeness = likenessOf(one, uses);
  CHECK(likeness.has_value());
  const bool isAlike = likeness->isOf(other.head, other.view());
  if (isAlike) {
    CHECK_EQ(*Likeness::hashOf(one.head, one.view()), *Likeness::hashOf(other.head, other.view()));
  }
  return isAlike;
}

TEST(onlyHeadersThatAreUsedCount) {
  const Parsed plain("GET /a HTTP/1.1\r\n");
  const Parsed gzip("GET /a HTTP/1.1\r\nAccept-Encoding: gzip\r\n");
  const Parsed brotli("GET /a HTTP/1.1\r\nUser-Agent: x\r\naccept-encoding:  br\r\n");
  const Parsed brotliToo("GET /a HTTP/1.1\r\nAccept-Encoding: br \r\nConnection: close\r\n");
  CHECK(areAlike(plain, gzip, 0));
  CHECK(areAlike(plain, gzip, kRange));
  CHECK(!areAlike(plain, gzip, kEncoding));
  CHECK(!areAlike(gzip, plain, kEncoding));
  CHECK(!areAlike(gzip, brotli, kEncoding));
  CHECK(areAlike(brotli, brotliToo, kEncoding));
}

TEST(methodVersionAndTargetAlwaysCount) {
  const Parsed request("GET /a?b HTTP/1.1\r\n");
  CHECK(areAlike(request, Parsed("GET /a?b HTTP/1.1\r\n"), 0));
  CHECK(!areAlike(request, Parsed("HEAD /a?b HTTP/1.1\r\n"), 0));
  CHECK(!areAlike(request, Parsed("GET /a?b HTTP/1.0\r\n"), 0));
  CHECK(!areAlike(request, Parsed("GET /a HTTP/1.1\r\n"), 0));
  CHECK(!areAlike(request, Parsed("GET /a?c HTTP/1.1\r\n"), 0));
  CHECK(!areAlike(request, Parsed("GET http://a/a?b HTTP/1.1\r\n"), 0));
}

TEST(valuesDoNotRunTogether) {
  const Parsed one("GET / HTTP/1.1\r\nIf-Match: ab\r\nIf-None-Match: c\r\n");
  const Parsed other("GET / HTTP/1.1\r\nIf-Match: a\r\nIf-None-Match: bc\r\n");
  const Parsed swapped("GET / HTTP/1.1\r\nIf-None-Match: c\r\nIf-Match: ab\r\n");
  const Parsed empty("GET / HTTP/1.1\r\nIf-Match:\r\nIf-None-Match: abc\r\n");
  CHECK(!areAlike(one, other, kTags));
  CHECK(!areAlike(one, empty, kTags));
  CHECK(areAlike(one, swapped, kTags));
}

TEST(whatIsNotSimpleIsLikeNothing) {
  CHECK(!likenessOf(Parsed("POST / HTTP/1.1\r\nContent-Length: 1\r\n"), 0));
  CHECK(!likenessOf(Parsed("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"), 0));
  CHECK(!likenessOf(Parsed("GET / HTTP/1.1\r\nExpect: 100-continue\r\n"), 0));
  CHECK(!likenessOf(Parsed("PURGE / HTTP/1.1\r\n"), 0));
  const Parsed twice("GET / HTTP/1.1\r\nRange: bytes=0-1\r\nRange: bytes=2-3\r\n");
  CHECK(!likenessOf(twice, kRange));
  CHECK(likenessOf(twice, kEncoding).has_value());
  CHECK(!areAlike(Parsed("GET / HTTP/1.1\r\nRange: bytes=0-1\r\n"), twice, kRange));
  const std::string limit(iol::http::kLikenessBytesMax - 2, 'x');
  CHECK(likenessOf(Parsed("GET /" + limit + " HTTP/1.1\r\n"), 0).has_value());
  CHECK(!likenessOf(Parsed("GET /" + limit + "x HTTP/1.1\r\n"), 0));
}

TEST(aRequestInPiecesIsLikeNothing) {
  const std::string lines = "GET /abc HTTP/1.1\r\nRange: bytes=0-1\r\n";
  const Parsed whole(lines);
  const Parsed inTarget(lines, 6);
  const Parsed inValue(lines, lines.find("=0"));
  CHECK(!likenessOf(inTarget, 0));
  CHECK(!Likeness::hashOf(inTarget.head, inTarget.view()));
  CHECK(!likenessOf(inValue, kRange));
  CHECK(!areAlike(whole, inValue, kRange));
  CHECK(areAlike(whole, inValue, 0));
}

}  // namespace
