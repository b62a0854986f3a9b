// test/native/head_compare.h: whether two parsed heads say the same, for tests and fuzzing.
#pragma once

#include "http/request_head.h"

namespace iol::test {

inline bool sameHead(const http::RequestHead& a, const http::RequestHead& b) {
  bool same = a.byteLength == b.byteLength && a.fieldCount == b.fieldCount &&
              a.method == b.method && a.targetForm == b.targetForm &&
              a.versionMinor == b.versionMinor && a.expectation == b.expectation &&
              a.isKeepAlive == b.isKeepAlive && a.isChunked == b.isChunked &&
              a.hasContentLength == b.hasContentLength && a.contentLength == b.contentLength &&
              a.methodToken == b.methodToken && a.target == b.target &&
              a.authority == b.authority && a.path == b.path && a.query == b.query &&
              a.knownHeaders == b.knownHeaders && a.repeatedHeaders == b.repeatedHeaders;
  for (uint32_t index = 0; same && index < a.fieldCount; ++index) {
    same = a.fields[index].name == b.fields[index].name &&
           a.fields[index].value == b.fields[index].value;
  }
  for (uint32_t index = 0; same && index < http::kKnownHeaderCount; ++index) {
    const bool isThere = a.has(static_cast<http::KnownHeader>(index));
    same = !isThere || a.knownIndex[index] == b.knownIndex[index];
  }
  return same;
}

}  // namespace iol::test
