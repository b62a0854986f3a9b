// bench/native/cache_hit_bench.cc: nanoseconds per FileCache::tryRead of what is cached, released
// again, best of several rounds.
//
//   node scripts/build-native.mjs && g++ -std=gnu++20 -O2 -pthread -iquote src-native
//     -iquote test/native bench/native/cache_hit_bench.cc build/Release/iolite_core.a
//     -o /tmp/cache_hit_bench

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>

#include "cache_world.h"

namespace {

using iol::Aggregate;

// An empty queue of jobs is all that a hit needs: the extents are inserted.
struct Extents {
  const char* name;
  uint64_t bytes;
  uint32_t sliceBytes;
};

// Best of several rounds of about a millisecond each: other work only adds.
double bestNs(iol::FileCache& cache, iol::CachedFile& file, uint64_t from, uint64_t bytes) {
  constexpr int kRounds = 60;
  int reads = 1;
  double best = 1e18;
  for (int round = 0; round < kRounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int read = 0; read < reads; ++read) {
      auto hit = cache.tryRead(file, from, bytes);
      if (!hit.isOk() || hit.value().byteLength() != bytes) std::abort();
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count() / reads);
    reads = static_cast<int>(1e6 / best) + 1;
  }
  return best;
}

void measure(const Extents& extents) {
  iol::test::CacheWorld world({}, {}, 1ull << 30);
  world.put("file", "");
  const std::string path = world.folder.at("file");
  const iol::sys::Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (::ftruncate(fd.get(), static_cast<off_t>(extents.bytes)) != 0) std::abort();
  const iol::CachedFilePtr file = world.open("file").take();
  Aggregate all(*world.domain);
  while (all.byteLength() < extents.bytes) {
    auto draft = world.pool->allocate(extents.sliceBytes);
    if (!draft.isOk() || !all.adopt(draft.value().seal()).isOk()) std::abort();
  }
  if (!world.cache->insert(*file, 0, all).isOk()) std::abort();
  all.clear();
  const double whole = bestNs(*world.cache, *file, 0, extents.bytes);
  const uint64_t half = extents.bytes / 2;
  const double inner = bestNs(*world.cache, *file, extents.bytes / 4 + 10, half);
  std::printf("%-28s %8.1f ns   its inner half %8.1f ns\n", extents.name, whole, inner);
}

}  // namespace

int main() {
  for (const Extents& extents : {
           Extents{"1 KiB, one extent", 1 << 10, 1 << 10},
           Extents{"64 KiB, one extent", 64 << 10, 64 << 10},
           Extents{"1 MiB, one extent", 1 << 20, 1 << 20},
           Extents{"1 MiB, 16 extents", 1 << 20, 64 << 10},
           Extents{"64 MiB, 64 extents", 64 << 20, 1 << 20},
           Extents{"64 MiB, 16384 extents", 64 << 20, 4 << 10},
       }) {
    measure(extents);
  }
}
