// bench/native/head_parser_bench.cc: nanoseconds per request head, best of several rounds.
//
//   g++ -std=c++20 -O2 -iquote src-native bench/native/head_parser_bench.cc \
//     src-native/http/head_parser.cc src-native/http/head_meaning.cc -o /tmp/head_parser_bench

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "http/head_parser.h"

namespace {

const std::string kSmall =
    "GET /files/1k.html HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: load/1.0 (bench)\r\n"
    "Accept: */*\r\nAccept-Encoding: identity\r\nConnection: keep-alive\r\n\r\n";

const std::string kBrowser =
    "GET /docs/index.html?lang=de HTTP/1.1\r\nHost: localhost:8080\r\nConnection: keep-alive\r\n"
    "sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\"\r\nsec-ch-ua-mobile: ?0\r\n"
    "sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"
    "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: de-DE,de;q=0.9,en;q=0.7\r\n\r\n";

void measure(const char* name, const std::string& bytes, uint32_t spanCount) {
  constexpr int kRounds = 2000;
  constexpr int kParses = 500;
  iol::http::HeadParser parser;
  iol::http::RequestHead head;
  iol::http::ByteSpan spans[2];
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  const auto size = static_cast<uint32_t>(bytes.size());
  const uint32_t cut = spanCount == 1 ? size : size / 2;
  spans[0] = {data, cut};
  spans[1] = {data + cut, size - cut};
  double best = 1e9;
  uint64_t consumed = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int count = 0; count < kParses; ++count) {
      consumed += parser.parse({spans, spanCount}, head).consumedBytes;
    }
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    best = std::min(best, taken.count() / kParses);
  }
  const bool isRight = consumed == uint64_t{kRounds} * kParses * size;
  std::printf("%-8s %4u bytes, %u span(s), %2u fields: %6.0f ns%s\n", name, size, spanCount,
              head.fieldCount, best, isRight ? "" : "  NOT PARSED");
}

}  // namespace

int main() {
  measure("small", kSmall, 1);
  measure("small", kSmall, 2);
  measure("browser", kBrowser, 1);
  measure("browser", kBrowser, 2);
  return 0;
}
