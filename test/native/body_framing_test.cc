// test/native/body_framing_test.cc: runs of body bytes, in any pieces, and the bounds.

#include <string>
#include <vector>

#include "http/body_framing.h"
#include "test.h"

namespace {

using namespace iol::http;  // NOLINT: a test of this folder.

RequestHead chunkedHead() {
  RequestHead head;
  head.isChunked = true;
  return head;
}

RequestHead headWithLength(uint64_t length) {
  RequestHead head;
  head.hasContentLength = true;
  head.contentLength = length;
  return head;
}

struct Drained {
  std::string body;
  BodyStatus status = BodyStatus::kMore;
  BodyError error = BodyError::kNone;
};

// Feeds `bytes` in pieces of `pieceBytes`, each in memory of its own.
Drained drain(BodyFraming framing, const std::string& bytes, size_t pieceBytes) {
  Drained drained;
  if (framing.isDone()) drained.status = BodyStatus::kDone;
  for (size_t at = 0; at < bytes.size() && drained.status == BodyStatus::kMore;) {
    const std::string text = bytes.substr(at, pieceBytes);
    const std::vector<uint8_t> piece(text.begin(), text.end());
    const auto length = static_cast<uint32_t>(piece.size());
    const BodyStep step = framing.step({piece.data(), length});
    CHECK(step.framingBytes + step.bodyBytes <= length);
    drained.body += text.substr(step.framingBytes, step.bodyBytes);
    at += step.framingBytes + step.bodyBytes;
    drained.status = step.status;
    drained.error = step.error;
    if (step.framingBytes + step.bodyBytes == 0) break;
  }
  CHECK_EQ(framing.bodyBytes(), drained.body.size());
  return drained;
}

TEST(aRequestWithoutLengthAndCodingHasNoBody) {
  CHECK(BodyFraming(RequestHead()).isDone());
  CHECK(BodyFraming(headWithLength(0)).isDone());
  CHECK(!BodyFraming(headWithLength(1)).isDone());
  CHECK(!BodyFraming(chunkedHead()).isDone());
  BodyFraming framing{RequestHead()};
  const uint8_t next[] = {'G', 'E', 'T'};
  const BodyStep step = framing.step({next, 3});
  CHECK(step.status == BodyStatus::kDone);
  CHECK_EQ(step.framingBytes + step.bodyBytes, 0u);
}

TEST(aBodyOfKnownLengthTakesSoManyBytesAndNotTheNextRequest) {
  BodyFraming framing(headWithLength(5));
  CHECK_EQ(framing.remainingRunBytes(), 5u);
  const uint8_t bytes[] = {'a', 'b', 'c', 'd', 'e', 'G', 'E', 'T'};
  BodyStep step = framing.step({bytes, 2});
  CHECK(step.status == BodyStatus::kMore);
  CHECK_EQ(step.bodyBytes, 2u);
  CHECK_EQ(framing.remainingRunBytes(), 3u);
  step = framing.step({bytes + 2, 6});
  CHECK(step.status == BodyStatus::kDone);
  CHECK_EQ(step.framingBytes, 0u);
  CHECK_EQ(step.bodyBytes, 3u);
  CHECK_EQ(framing.remainingRunBytes(), 0u);
  CHECK_EQ(framing.bodyBytes(), 5u);
}

TEST(aLengthBeyond32BitsIsCountedDown) {
  BodyFraming framing(headWithLength(UINT64_MAX));
  const uint8_t bytes[16] = {};
  CHECK_EQ(framing.step({bytes, 16}).bodyBytes, 16u);
  CHECK_EQ(framing.remainingRunBytes(), UINT64_MAX - 16);
}

TEST(aChunkedBodyReadsTheSameInPiecesOfEverySize) {
  const std::string bytes =
      "5;name=value;q=\"a\\\"b\"\r\nhello\r\n1\r\n \r\n00005\r\nworld\r\n0;last\r\n"
      "Trailer: x\r\nY:\r\n\r\n";
  for (size_t piece = 1; piece <= bytes.size() + 1; ++piece) {
    const Drained drained = drain(BodyFraming(chunkedHead()), bytes, piece);
    CHECK(drained.status == BodyStatus::kDone);
    CHECK_EQ(drained.body, "hello world");
  }
}

TEST(aChunkIsAnnouncedAsOneRun) {
  BodyFraming framing(chunkedHead());
  const std::string bytes = "ff\r\n" + std::string(255, 'x') + "\r\n0\r\n\r\nGET";
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  BodyStep step = framing.step({data, 4});
  CHECK_EQ(step.framingBytes, 4u);
  CHECK_EQ(step.bodyBytes, 0u);
  CHECK_EQ(framing.remainingRunBytes(), 255u);
  step = framing.step({data + 4, static_cast<uint32_t>(bytes.size() - 4)});
  CHECK_EQ(step.framingBytes, 0u);
  CHECK_EQ(step.bodyBytes, 255u);
  CHECK_EQ(framing.remainingRunBytes(), 0u);
  step = framing.step({data + 259, static_cast<uint32_t>(bytes.size() - 259)});
  CHECK(step.status == BodyStatus::kDone);
  CHECK_EQ(step.framingBytes, 7u);
  CHECK_EQ(step.bodyBytes, 0u);
}

TEST(aRefusedBodyStaysRefused) {
  BodyFraming framing(chunkedHead());
  const uint8_t bad[] = {'z', '0', '\r', '\n'};
  CHECK(framing.step({bad, 1}).error == BodyError::kBadChunkSize);
  const BodyStep step = framing.step({bad + 1, 3});
  CHECK(step.status == BodyStatus::kRefused);
  CHECK(step.error == BodyError::kBadChunkSize);
  CHECK_EQ(step.framingBytes + step.bodyBytes, 0u);
  CHECK(!framing.isDone());
}

TEST(extensionsAreBoundedOverAllChunks) {
  BodyLimits limits;
  limits.extensionBytesMax = 100;
  std::string chunk = "1;" + std::string(30, 'e') + "\r\nx\r\n";
  CHECK(drain(BodyFraming(chunkedHead(), limits), chunk + chunk + chunk + "0\r\n\r\n", 7).status ==
        BodyStatus::kDone);
  const Drained over =
      drain(BodyFraming(chunkedHead(), limits), chunk + chunk + chunk + chunk + "0\r\n\r\n", 7);
  CHECK(over.error == BodyError::kChunkExtensionsTooLong);
  CHECK_EQ(bodyErrorHttpStatus(over.error), 413);
  CHECK_EQ(over.body, "xxx");
}

TEST(trailersAreBounded) {
  BodyLimits limits;
  limits.trailerBytesMax = 20;
  const std::string fits = "0\r\nX: 3456789012345\r\n\r\n";
  CHECK(drain(BodyFraming(chunkedHead(), limits), fits, 3).status == BodyStatus::kDone);
  const std::string tooLong = "0\r\nX: 34567890123456\r\n\r\n";
  const Drained over = drain(BodyFraming(chunkedHead(), limits), tooLong, 3);
  CHECK(over.error == BodyError::kTrailersTooLong);
  CHECK_EQ(bodyErrorHttpStatus(over.error), 431);
}

TEST(everyBodyErrorHasANameATextAndAStatusThatSaysNo) {
  for (int value = 1; value <= static_cast<int>(BodyError::kTrailersTooLong); ++value) {
    const auto error = static_cast<BodyError>(value);
    CHECK(std::string(bodyErrorName(error)).size() > 3);
    CHECK(std::string(bodyErrorText(error)).size() > 8);
    CHECK(bodyErrorHttpStatus(error) >= 400);
  }
}

}  // namespace
