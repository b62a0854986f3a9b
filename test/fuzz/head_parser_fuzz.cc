// test/fuzz/head_parser_fuzz.cc: the bytes of a head decide, not the pieces in which they come.
//
// For any input, under ordinary and under tiny limits:
//   - whole, byte by byte, and in four spans the result and the head are the same;
//   - every range of an accepted head lies inside it;
//   - an accepted head that is written anew from its ranges parses to the same meaning.
//
// Sources: src-native/http/head_parser.cc src-native/http/head_meaning.cc

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "head_compare.h"
#include "http/head_parser.h"

namespace {

using namespace iol::http;  // NOLINT: a test of this folder.

void require(bool condition) {
  if (!condition) std::abort();
}

struct Parsed {
  HeadResult result;
  RequestHead head;
};

bool sameParse(const Parsed& a, const Parsed& b) {
  if (a.result.status != b.result.status || a.result.error != b.result.error) return false;
  if (a.result.status != HeadStatus::kComplete) return true;
  return a.result.consumedBytes == b.result.consumedBytes && iol::test::sameHead(a.head, b.head);
}

Parsed parseWhole(const uint8_t* data, size_t size, const HeadLimits& limits) {
  Parsed parsed;
  HeadParser parser(limits);
  const ByteSpan span = {data, static_cast<uint32_t>(size)};
  parsed.result = parser.parse({&span, 1}, parsed.head);
  return parsed;
}

Parsed parseByteByByte(const uint8_t* data, size_t size, const HeadLimits& limits) {
  Parsed parsed;
  HeadParser parser(limits);
  for (size_t length = 0; length <= size; ++length) {
    const ByteSpan span = {data, static_cast<uint32_t>(length)};
    parsed.result = parser.parse({&span, 1}, parsed.head);
    if (parsed.result.status != HeadStatus::kIncomplete) break;
  }
  return parsed;
}

// Each span is an allocation of its own, so that ASan sees a read past its end.
Parsed parseInSpans(const uint8_t* data, size_t size, const HeadLimits& limits) {
  uint32_t hash = 2166136261u;
  for (size_t at = 0; at < size; ++at) hash = (hash ^ data[at]) * 16777619u;
  std::vector<std::vector<uint8_t>> pieces;
  size_t from = 0;
  for (int cut = 0; cut < 3; ++cut) {
    hash = hash * 1664525u + 1013904223u;
    const size_t to = from + (hash >> 8) % (size - from + 1);
    pieces.emplace_back(data + from, data + to);
    from = to;
  }
  pieces.emplace_back(data + from, data + size);
  std::vector<ByteSpan> spans;
  for (const auto& piece : pieces) {
    spans.push_back({piece.data(), static_cast<uint32_t>(piece.size())});
  }
  Parsed parsed;
  HeadParser parser(limits);
  parsed.result = parser.parse(spans, parsed.head);
  return parsed;
}

void requireRangesInside(const RequestHead& head, size_t size) {
  require(head.byteLength <= size);
  auto isInside = [&](HeadRange range) {
    return range.offset <= head.byteLength && range.length <= head.byteLength - range.offset;
  };
  require(isInside(head.methodToken) && head.methodToken.length > 0);
  require(isInside(head.target) && head.target.length > 0);
  require(isInside(head.authority) && isInside(head.path) && isInside(head.query));
  require(head.fieldCount <= kHeaderFieldsMax);
  for (uint32_t index = 0; index < head.fieldCount; ++index) {
    require(isInside(head.fields[index].name) && head.fields[index].name.length > 0);
    require(isInside(head.fields[index].value));
  }
  for (uint32_t index = 0; index < kKnownHeaderCount; ++index) {
    if (head.has(static_cast<KnownHeader>(index)))
      require(head.knownIndex[index] < head.fieldCount);
  }
}

void requireSameMeaningAnew(const uint8_t* data, const RequestHead& head) {
  auto textIn = [](const uint8_t* bytes, HeadRange range) {
    return std::string(reinterpret_cast<const char*>(bytes) + range.offset, range.length);
  };
  auto text = [&](HeadRange range) { return textIn(data, range); };
  std::string anew = text(head.methodToken) + " " + text(head.target) + " HTTP/1.";
  anew += static_cast<char>('0' + head.versionMinor);
  anew += "\r\n";
  for (uint32_t index = 0; index < head.fieldCount; ++index) {
    anew += text(head.fields[index].name) + ": " + text(head.fields[index].value) + "\r\n";
  }
  anew += "\r\n";
  const auto* bytes = reinterpret_cast<const uint8_t*>(anew.data());
  const Parsed other = parseWhole(bytes, anew.size(), {1u << 20, 1u << 20, kHeaderFieldsMax});
  require(other.result.status == HeadStatus::kComplete);
  require(other.result.consumedBytes == anew.size());
  auto otherText = [&](HeadRange range) { return textIn(bytes, range); };
  require(other.head.method == head.method && other.head.targetForm == head.targetForm);
  require(other.head.isKeepAlive == head.isKeepAlive && other.head.isChunked == head.isChunked);
  require(other.head.contentLength == head.contentLength);
  require(other.head.hasContentLength == head.hasContentLength);
  require(other.head.expectation == head.expectation);
  require(other.head.knownHeaders == head.knownHeaders);
  require(other.head.repeatedHeaders == head.repeatedHeaders);
  require(otherText(other.head.authority) == text(head.authority));
  require(otherText(other.head.path) == text(head.path));
  require(otherText(other.head.query) == text(head.query));
  for (uint32_t index = 0; index < head.fieldCount; ++index) {
    require(otherText(other.head.fields[index].value) == text(head.fields[index].value));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const HeadLimits tiny = {.headBytesMax = 96, .targetBytesMax = 12, .fieldsMax = 3};
  for (const HeadLimits& limits : {HeadLimits(), tiny}) {
    const Parsed whole = parseWhole(data, size, limits);
    require(sameParse(whole, parseByteByByte(data, size, limits)));
    require(sameParse(whole, parseInSpans(data, size, limits)));
    require(whole.result.closeConnection == (whole.result.status == HeadStatus::kRefused));
    if (whole.result.status != HeadStatus::kComplete) continue;
    require(whole.result.consumedBytes == whole.head.byteLength);
    require(whole.head.byteLength <= limits.headBytesMax);
    requireRangesInside(whole.head, size);
    requireSameMeaningAnew(data, whole.head);
  }
  return 0;
}
