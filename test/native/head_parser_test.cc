// test/native/head_parser_test.cc: what no table of whole requests can say: pieces, limits, state.

#include <string>
#include <vector>

#include "head_compare.h"
#include "http/head_parser.h"
#include "test.h"

namespace {

using namespace iol::http;  // NOLINT: a test of this folder.
using iol::test::sameHead;

const std::string kBrowserHead =
    "\r\nGET http://a.test/p/q?r=s HTTP/1.1\r\nHost:\t localhost:8080 \t\r\n"
    "Connection: keep-alive, TE\r\nAccept-Encoding: gzip, br\r\nX-Empty:\r\n"
    "If-None-Match: \"a\", \"b\"\r\nRange: bytes=0-9\r\nif-none-match: *\r\n"
    "Content-Length: 12345\r\nExpect: 100-continue\r\n\r\n";

ByteSpan spanOf(const std::string& bytes, size_t from, size_t to) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()) + from, static_cast<uint32_t>(to - from)};
}

HeadResult parseWhole(HeadParser& parser, const std::string& bytes, RequestHead& head) {
  const ByteSpan span = spanOf(bytes, 0, bytes.size());
  return parser.parse({&span, 1}, head);
}

HeadResult parseWhole(const std::string& bytes, const HeadLimits& limits = {}) {
  HeadParser parser(limits);
  RequestHead head;
  return parseWhole(parser, bytes, head);
}

// A head of exactly `size` bytes, made long by one field.
std::string headOfSize(size_t size) {
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
  bytes.append(size - bytes.size() - 4, 'x');
  return bytes + "\r\n\r\n";
}

std::string headWithFields(uint32_t count) {
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (uint32_t index = 1; index < count; ++index) bytes += "X: y\r\n";
  return bytes + "\r\n";
}

std::string headWithTarget(size_t size) {
  return "GET /" + std::string(size - 1, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

TEST(aHeadCutIntoThreeSpansAnywhereReadsTheSame) {
  HeadParser parser;
  RequestHead whole;
  REQUIRE(parseWhole(parser, kBrowserHead, whole).status == HeadStatus::kComplete);
  const size_t size = kBrowserHead.size();
  for (size_t one = 0; one <= size; ++one) {
    for (size_t two = one; two <= size; two += 3) {
      // Copies of exact size, so that ASan sees a read past a span.
      const std::vector<std::string> parts = {kBrowserHead.substr(0, one),
                                              kBrowserHead.substr(one, two - one),
                                              kBrowserHead.substr(two)};
      std::vector<std::vector<uint8_t>> exact;
      std::vector<ByteSpan> spans;
      for (const std::string& part : parts) exact.emplace_back(part.begin(), part.end());
      for (const auto& part : exact) {
        spans.push_back({part.data(), static_cast<uint32_t>(part.size())});
      }
      RequestHead head;
      const HeadResult result = parser.parse(spans, head);
      CHECK(result.status == HeadStatus::kComplete);
      CHECK_EQ(result.consumedBytes, size);
      CHECK(sameHead(whole, head));
      if (iol::test::hasFailed()) return;
    }
  }
}

TEST(aHeadThatArrivesByteByByteReadsTheSame) {
  HeadParser parser;
  RequestHead whole;
  REQUIRE(parseWhole(parser, kBrowserHead, whole).status == HeadStatus::kComplete);
  RequestHead head;
  for (size_t length = 0; length < kBrowserHead.size(); ++length) {
    const ByteSpan span = spanOf(kBrowserHead, 0, length);
    const HeadResult result = parser.parse({&span, 1}, head);
    REQUIRE(result.status == HeadStatus::kIncomplete);
    CHECK_EQ(result.consumedBytes, 0u);
    CHECK_EQ(parser.scannedBytes(), length);
    CHECK_EQ(parser.isIdle(), length <= 2);
  }
  CHECK(parseWhole(parser, kBrowserHead, head).status == HeadStatus::kComplete);
  CHECK(sameHead(whole, head));
}

TEST(bytesThatWereScannedAreNotReadAgainUntilTheHeadIsComplete) {
  HeadLimits limits;
  limits.headBytesMax = 64 * 1024;
  HeadParser parser(limits);
  RequestHead head;
  const std::string bytes = headOfSize(64 * 1024);
  // Rubbish in place of what an earlier call has seen: a second look would refuse it.
  const std::string rubbish(bytes.size(), '\0');
  for (size_t length = 1; length < bytes.size(); ++length) {
    const ByteSpan spans[] = {spanOf(rubbish, 0, length - 1), spanOf(bytes, length - 1, length)};
    REQUIRE(parser.parse(spans, head).status == HeadStatus::kIncomplete);
  }
  const HeadResult result = parseWhole(parser, bytes, head);
  CHECK(result.status == HeadStatus::kComplete);
  CHECK_EQ(result.consumedBytes, bytes.size());
  CHECK_EQ(head.fields[1].value.length, bytes.size() - 32);
}

TEST(rangesPointIntoTheHeadAlsoAfterAnEmptyLine) {
  HeadParser parser;
  RequestHead head;
  REQUIRE(parseWhole(parser, kBrowserHead, head).status == HeadStatus::kComplete);
  auto text = [&](HeadRange range) { return kBrowserHead.substr(range.offset, range.length); };
  CHECK_EQ(text(head.methodToken), "GET");
  CHECK_EQ(text(head.target), "http://a.test/p/q?r=s");
  CHECK_EQ(text(head.authority), "a.test");
  CHECK_EQ(text(head.path), "/p/q");
  CHECK_EQ(text(head.query), "r=s");
  CHECK_EQ(text(head.valueOf(KnownHeader::kHost)), "localhost:8080");
  CHECK_EQ(text(head.valueOf(KnownHeader::kIfNoneMatch)), "\"a\", \"b\"");
  CHECK_EQ(head.repeatedHeaders, bitOf(KnownHeader::kIfNoneMatch));
  CHECK(head.isConditional());
  CHECK(!head.has(KnownHeader::kUpgrade));
  CHECK_EQ(head.contentLength, 12345u);
  CHECK(head.expectation == Expectation::kContinue);
}

TEST(oneHeadIsConsumedAndTheNextLeftAlone) {
  HeadParser parser;
  RequestHead head;
  const std::string first = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string both = first + "POST /2 HTTP/1.1\r\nHost: b\r\nContent-Length: 3\r\n\r\nabc";
  CHECK_EQ(parseWhole(parser, both, head).consumedBytes, first.size());
  CHECK_EQ(parser.scannedBytes(), 0u);
  const std::string rest = both.substr(first.size());
  CHECK_EQ(parseWhole(parser, rest, head).consumedBytes, rest.size() - 3);
  CHECK(head.method == Method::kPost);
  CHECK_EQ(head.contentLength, 3u);
  // Nothing of the second request is left in the third.
  CHECK_EQ(parseWhole(parser, first, head).consumedBytes, first.size());
  CHECK(head.method == Method::kGet);
  CHECK(!head.hasContentLength);
  CHECK_EQ(head.contentLength, 0u);
  CHECK_EQ(head.knownHeaders, bitOf(KnownHeader::kHost));
}

TEST(noBytesAndEmptySpansAreAnIdleConnection) {
  HeadParser parser;
  RequestHead head;
  CHECK(parser.parse({}, head).status == HeadStatus::kIncomplete);
  const ByteSpan empty[] = {{nullptr, 0}, {nullptr, 0}};
  CHECK(parser.parse(empty, head).status == HeadStatus::kIncomplete);
  CHECK(parser.isIdle());
}

TEST(aRefusedHeadStaysRefusedUntilReset) {
  HeadParser parser;
  RequestHead head;
  const HeadResult refused = parseWhole(parser, "GET / HTTP/1.1\nHost: a\r\n\r\n", head);
  CHECK(refused.status == HeadStatus::kRefused);
  CHECK(refused.error == HeadError::kBareLf);
  CHECK_EQ(refused.httpStatus, 400);
  CHECK(refused.closeConnection);
  CHECK_EQ(refused.consumedBytes, 0u);
  const std::string good = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  CHECK(parseWhole(parser, good, head).error == HeadError::kBareLf);
  parser.reset();
  const HeadResult complete = parseWhole(parser, good, head);
  CHECK(complete.status == HeadStatus::kComplete);
  CHECK(!complete.closeConnection);
  CHECK_EQ(complete.httpStatus, 0);
}

TEST(aHeadMayBeAsLongAsTheLimitAndNotAByteLonger) {
  CHECK(parseWhole(headOfSize(16 * 1024)).status == HeadStatus::kComplete);
  const HeadResult result = parseWhole(headOfSize(16 * 1024 + 1));
  CHECK(result.error == HeadError::kHeadTooLarge);
  CHECK_EQ(result.httpStatus, 431);
  CHECK(result.closeConnection);
  CHECK(parseWhole(headOfSize(64), {.headBytesMax = 64}).status == HeadStatus::kComplete);
  CHECK(parseWhole(headOfSize(64), {.headBytesMax = 63}).error == HeadError::kHeadTooLarge);
  // The limit is about the head, not about what follows it.
  CHECK(parseWhole(headOfSize(64) + headOfSize(64), {.headBytesMax = 64}).status ==
        HeadStatus::kComplete);
}

TEST(aTargetMayBeAsLongAsTheLimitAndNotAByteLonger) {
  CHECK(parseWhole(headWithTarget(8 * 1024)).status == HeadStatus::kComplete);
  const HeadResult result = parseWhole(headWithTarget(8 * 1024 + 1));
  CHECK(result.error == HeadError::kTargetTooLong);
  CHECK_EQ(result.httpStatus, 414);
  // Also when it is cut off, so that nobody waits for an end that does not come.
  CHECK(parseWhole("GET /" + std::string(8 * 1024, 'a')).error == HeadError::kTargetTooLong);
  // And when it fills the whole head.
  CHECK(parseWhole(headWithTarget(100), {.headBytesMax = 64}).error == HeadError::kTargetTooLong);
}

TEST(aHeadMayHaveAsManyFieldsAsTheLimitAndNotOneMore) {
  CHECK(parseWhole(headWithFields(100)).status == HeadStatus::kComplete);
  const HeadResult result = parseWhole(headWithFields(101));
  CHECK(result.error == HeadError::kTooManyFields);
  CHECK_EQ(result.httpStatus, 431);
  CHECK(parseWhole(headWithFields(2), {.fieldsMax = 2}).status == HeadStatus::kComplete);
  CHECK(parseWhole(headWithFields(3), {.fieldsMax = 2}).error == HeadError::kTooManyFields);
  // A limit above the room there is counts as that room.
  CHECK(parseWhole(headWithFields(101), {.fieldsMax = 1000}).error == HeadError::kTooManyFields);
}

TEST(aKnownHeaderInTheLastFieldIsFound) {
  HeadParser parser;
  RequestHead head;
  std::string bytes = headWithFields(99);
  bytes.insert(bytes.size() - 2, "If-Unmodified-Since: x\r\n");
  REQUIRE(parseWhole(parser, bytes, head).status == HeadStatus::kComplete);
  CHECK_EQ(head.fieldCount, 100u);
  CHECK_EQ(head.knownIndex[static_cast<uint32_t>(KnownHeader::kIfUnmodifiedSince)], 99);
}

TEST(anErrorIsReportedAtItsByteAndNotAtTheEndOfTheHead) {
  CHECK(parseWhole("\x16").error == HeadError::kBadMethod);
  CHECK(parseWhole("GET / HTTP/2").error == HeadError::kVersionNotSupported);
  CHECK(parseWhole("GET / HTTP/1.1\r\nA ").error == HeadError::kBadFieldName);
  CHECK(parseWhole("GET / HTTP/1.1\r\nA: b\n").error == HeadError::kBareLf);
}

TEST(everyByteIsAllowedOrRefusedWhereTheTableOfClassesSays) {
  auto accepts = [](const std::string& bytes) {
    return parseWhole(bytes).status == HeadStatus::kComplete;
  };
  const std::string tokenMarks = "!#$%&'*+-.^_`|~";
  for (int value = 0; value < 256; ++value) {
    const std::string byte(1, static_cast<char>(value));
    const bool isAlnum = (value >= '0' && value <= '9') || (value >= 'A' && value <= 'Z') ||
                         (value >= 'a' && value <= 'z');
    const bool isToken = isAlnum || (value != 0 && tokenMarks.find(byte) != std::string::npos);
    const bool isTarget = value > 0x20 && value < 0x7f && value != '#';
    const bool isValue = value == '\t' || (value >= 0x20 && value != 0x7f);
    CHECK_EQ(accepts("A" + byte + "B / HTTP/1.1\r\nHost: a\r\n\r\n"), isToken);
    CHECK_EQ(accepts("GET /" + byte + "b HTTP/1.1\r\nHost: a\r\n\r\n"), isTarget);
    CHECK_EQ(accepts("GET / HTTP/1.1\r\nHost: a\r\nX: a" + byte + "b\r\n\r\n"), isValue);
    // A colon in a name ends it, and the rest is a value.
    CHECK_EQ(accepts("GET / HTTP/1.1\r\nHost: a\r\nX" + byte + "Y: b\r\n\r\n"),
             isToken || value == ':');
  }
}

TEST(aReaderComparesAndJoinsOverSpanBorders) {
  const std::string bytes = "xHoSt: example";
  const ByteSpan spans[] = {spanOf(bytes, 0, 3), spanOf(bytes, 3, 3), spanOf(bytes, 3, 14)};
  const HeadText text(spans);
  CHECK(text.equals({1, 4}, "HoSt"));
  CHECK(!text.equals({1, 4}, "host"));
  CHECK(text.equalsIgnoringCase({1, 4}, "host"));
  CHECK(!text.equalsIgnoringCase({1, 3}, "host"));
  CHECK(text.contiguous({1, 4}) == nullptr);
  CHECK(text.contiguous({1, 2}) == spans[0].data + 1);
  CHECK(text.contiguous({7, 7}) == spans[2].data + 4);
  ByteWalk walk = text.walk({12, 9});  // Longer than there are bytes.
  CHECK_EQ(walk.next(), 'l');
  CHECK_EQ(walk.next(), 'e');
  CHECK_EQ(walk.next(), -1);
}

TEST(everyErrorHasANameATextAndAStatusThatSaysNo) {
  for (int value = 1; value <= static_cast<int>(HeadError::kEncodingInHttp10); ++value) {
    const auto error = static_cast<HeadError>(value);
    CHECK(std::string(headErrorName(error)).size() > 3);
    CHECK(std::string(headErrorText(error)).size() > 8);
    CHECK(headErrorHttpStatus(error) >= 400);
  }
}

}  // namespace
