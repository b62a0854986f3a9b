// Hits on several extents: the same slices, their recency, and who holds them.
#include "cache_world.h"
#include "test.h"

namespace iol::test {
namespace {

constexpr uint64_t kMiB = 1 << 20;

struct RunWorld : CacheWorld {
  explicit RunWorld(uint64_t cacheMiB) : CacheWorld(optionsOf(cacheMiB)) {}
  static FileCache::Options optionsOf(uint64_t cacheMiB) {
    FileCache::Options options;
    options.maxBytes = cacheMiB * kMiB;
    return options;
  }
  CachedFilePtr fileOf(const std::string& name, uint64_t mebibytes, uint32_t seed) {
    put(name, pattern(mebibytes * kMiB, seed));
    CachedFilePtr file = open(name).take();
    CHECK(read(file, 0, file->byteLength()).isOk());
    return file;
  }
  bool isCached(const CachedFilePtr& file, uint64_t mebibyte) {
    return cache->tryRead(*file, mebibyte * kMiB, 1).isOk();
  }
};

TEST(aHitOnSeveralExtentsIsTheirSlices) {
  RunWorld world(16);
  const CachedFilePtr file = world.fileOf("a", 4, 1);
  const std::string text = pattern(4 * kMiB, 1);
  for (int round = 0; round < 3; ++round) {
    for (const uint64_t from : {uint64_t{0}, uint64_t{5}, kMiB, 2 * kMiB - 1}) {
      const auto bytes = world.cache->tryRead(*file, from, 2 * kMiB);
      REQUIRE(bytes.isOk());
      CHECK(textOf(bytes.value()) == text.substr(from, 2 * kMiB));
      CHECK_EQ(bytes.value().sliceAt(0).address(),
               world.cache->tryRead(*file, from, 1).value().sliceAt(0).address());
    }
    // What takes the place of an extent is in the next hit.
    auto draft = world.pool->allocate(10);
    std::memcpy(draft.value().bytes(), text.data() + kMiB + 7, 10);
    Aggregate piece(*world.domain);
    REQUIRE(piece.adopt(draft.value().seal()).isOk());
    REQUIRE(world.cache->insert(*file, kMiB + 7, piece).isOk());
    const auto again = world.cache->tryRead(*file, 0, 4 * kMiB);
    REQUIRE(again.isOk());
    uint64_t start = 0;
    CHECK_EQ(again.value().sliceOf(kMiB + 7, &start).address(), piece.sliceAt(0).address());
    CHECK(textOf(again.value()) == text);
  }
}

TEST(aGapBetweenExtentsIsNoHit) {
  RunWorld world(16);
  world.put("a", pattern(4 * kMiB, 1));
  const CachedFilePtr file = world.open("a").take();
  REQUIRE(world.read(file, 0, kMiB).isOk());
  REQUIRE(world.read(file, 2 * kMiB, 2 * kMiB).isOk());
  CHECK_EQ(world.cache->tryRead(*file, 0, 2 * kMiB).status().code(), Code::WouldBlock);
  CHECK_EQ(world.cache->tryRead(*file, 0, 4 * kMiB).status().code(), Code::WouldBlock);
  CHECK(world.cache->tryRead(*file, 2 * kMiB, 2 * kMiB).isOk());
}

TEST(whatALongHitUsedGoesLast) {
  RunWorld world(8);
  const CachedFilePtr old = world.fileOf("old", 4, 1);
  const CachedFilePtr other = world.fileOf("other", 4, 2);
  CHECK(world.cache->tryRead(*old, 0, 2 * kMiB).isOk());
  const CachedFilePtr more = world.fileOf("more", 4, 3);  // Four extents must go.
  CHECK(world.isCached(old, 0));
  CHECK(world.isCached(old, 1));
  CHECK(!world.isCached(old, 2));
  CHECK(!world.isCached(old, 3));
  CHECK(!world.isCached(other, 0));
  CHECK(world.isCached(other, 3));
}

TEST(whatAReaderHoldsFromALongHitGoesLast) {
  RunWorld world(8);
  const CachedFilePtr held = world.fileOf("held", 4, 1);
  const CachedFilePtr other = world.fileOf("other", 4, 2);
  {
    const Aggregate bytes = world.cache->tryRead(*held, 0, 4 * kMiB).take();
    CHECK(world.cache->tryRead(*other, 0, 4 * kMiB).isOk());  // Later, but nobody holds it.
    const CachedFilePtr more = world.fileOf("more", 4, 3);
    CHECK(world.isCached(held, 0));
    CHECK(world.isCached(held, 3));
    CHECK(!world.isCached(other, 0));
    CHECK(textOf(bytes) == pattern(4 * kMiB, 1));
  }
  world.cache->close();
  CHECK_EQ(world.domain->liveHolds(), 0u);
}

}  // namespace
}  // namespace iol::test
