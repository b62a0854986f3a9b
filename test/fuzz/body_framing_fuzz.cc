// test/fuzz/body_framing_fuzz.cc: a chunked body is the same in pieces of any size.
//
// Sources: src-native/http/body_framing.cc

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "http/body_framing.h"

namespace {

using namespace iol::http;  // NOLINT: a test of this folder.

void require(bool condition) {
  if (!condition) std::abort();
}

struct Drained {
  std::string body;
  size_t consumed = 0;
  BodyStatus status = BodyStatus::kMore;
  BodyError error = BodyError::kNone;

  bool operator==(const Drained&) const = default;
};

// Each piece is an allocation of its own, so that ASan sees a read past its end.
Drained drain(const uint8_t* data, size_t size, size_t pieceBytes, const BodyLimits& limits) {
  RequestHead head;
  head.isChunked = true;
  BodyFraming framing(head, limits);
  Drained drained;
  while (drained.consumed < size && drained.status == BodyStatus::kMore) {
    const size_t length = std::min(pieceBytes, size - drained.consumed);
    const std::vector<uint8_t> piece(data + drained.consumed, data + drained.consumed + length);
    const uint64_t certain = std::min<uint64_t>(framing.remainingRunBytes(), length);
    const BodyStep step = framing.step({piece.data(), static_cast<uint32_t>(length)});
    require(step.framingBytes <= length && step.bodyBytes <= length - step.framingBytes);
    require(certain == 0 || (step.framingBytes == 0 && step.bodyBytes == certain));
    require(step.status != BodyStatus::kMore || step.framingBytes + step.bodyBytes > 0);
    require((step.status == BodyStatus::kRefused) == (step.error != BodyError::kNone));
    drained.body.append(piece.begin() + step.framingBytes,
                        piece.begin() + step.framingBytes + step.bodyBytes);
    drained.consumed += step.framingBytes + step.bodyBytes;
    drained.status = step.status;
    drained.error = step.error;
  }
  require(framing.bodyBytes() == drained.body.size());
  return drained;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const BodyLimits tiny = {.extensionBytesMax = 8, .trailerBytesMax = 16};
  for (const BodyLimits& limits : {BodyLimits(), tiny}) {
    const Drained whole = drain(data, size, size, limits);
    for (const size_t pieceBytes : {1, 2, 3, 7}) {
      require(whole == drain(data, size, pieceBytes, limits));
    }
  }
  return 0;
}
