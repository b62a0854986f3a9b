// bench/native/checksum_bench.cc: checksums in GB/s, and a value that is known in ns.
//
//   g++ -std=c++20 -O2 -fno-exceptions -fno-rtti -iquote src-native bench/native/checksum_bench.cc \
//     src-native/{base,sys,window,pool,aggregate}/*.cc -o /tmp/checksum_bench && /tmp/checksum_bench

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "aggregate/checksum.h"
#include "aggregate/derived.h"
#include "pool/pool.h"

namespace {

volatile uint32_t sink;

// Nanoseconds of one call, the best of several rounds.
template <typename Work>
double bestOf(Work work) {
  double best = 1e18;
  uint64_t calls = 1;
  for (int round = 0; round < 12; round++) {
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t call = 0; call < calls; call++) work();
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    best = std::min(best, taken.count() / static_cast<double>(calls));
    if (taken.count() < 5e6) calls *= 4;
  }
  return best;
}

}  // namespace

int main() {
  std::vector<uint8_t> bytes(1 << 20);
  for (size_t at = 0; at < bytes.size(); at++) bytes[at] = static_cast<uint8_t>(at * 31);
  std::printf("%10s %16s %16s %16s  (GB/s, ns)\n", "bytes", "internet", "crc32c", "crc32c, table");
  for (size_t length : {64, 256, 1024, 2048, 4096, 16384, 65536, 1 << 20}) {
    const auto size = static_cast<double>(length);
    const double sum = bestOf([&] { sink = iol::internetSum(bytes.data(), length); });
    const double crc = bestOf([&] { sink = iol::crc32c(0, bytes.data(), length); });
    const double table = bestOf([&] { sink = iol::crc32cByTable(0, bytes.data(), length); });
    std::printf("%10zu %7.1f %8.0f %7.1f %8.0f %7.1f %8.0f\n", length, size / sum, sum, size / crc,
                crc, size / table, table);
  }
  std::printf("combine, 64 KiB  %.1f ns\ncombine, 65535 bytes  %.1f ns\n",
              bestOf([] { sink = iol::combineCrc32c(sink | 1, 5, 65536); }),
              bestOf([] { sink = iol::combineCrc32c(sink | 1, 5, 65535); }));

  iol::Window window({1ull << 30});
  auto domain = iol::Domain::create(window).take();
  auto pool = iol::Pool::create(*domain, {}).take();
  iol::DerivedValues values(*domain);
  const auto make = [&](uint64_t length) {
    iol::Aggregate one(*domain);
    (void)one.adopt(pool->allocate(length).value().seal());
    return one;
  };
  const iol::Aggregate one = make(65536);
  iol::Aggregate many(*domain);
  for (int index = 0; index < 16; index++) (void)many.append(make(65536 + 64 * index));
  std::printf(
      "known checksum  %.1f ns\nknown crc32c  %.1f ns\n"
      "known checksum of 16 slices  %.1f ns\nknown crc32c of 16 slices  %.1f ns\n",
      bestOf([&] { sink = values.internetChecksum(one); }),
      bestOf([&] { sink = values.crc32c(one); }),
      bestOf([&] { sink = values.internetChecksum(many); }),
      bestOf([&] { sink = values.crc32c(many); }));
  return 0;
}
