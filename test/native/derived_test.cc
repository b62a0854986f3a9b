// What is remembered of bytes: computed once per slice, right in every arrangement, gone with them.
#include "aggregate/derived.h"

#include <cstring>
#include <random>
#include <string>

#include "aggregate/checksum.h"
#include "pool/pool.h"
#include "test.h"

namespace iol {
namespace {

struct World {
  explicit World(size_t entriesMax = kDerivedEntriesMax)
      : window({4ull << 30}), domain(Domain::create(window).take()) {
    pool = Pool::create(*domain, {}).take();
    values = std::make_unique<DerivedValues>(*domain, entriesMax);
  }
  ~World() { CHECK_EQ(domain->liveHolds(), 0u); }
  Aggregate make(uint32_t length, uint32_t seed) {
    std::mt19937 random(seed);
    Draft draft = pool->allocate(length).take();
    for (uint32_t at = 0; at < length; at++) draft.bytes()[at] = static_cast<uint8_t>(random());
    Aggregate bytes(*domain);
    (void)bytes.adopt(draft.seal());
    return bytes;
  }
  Window window;
  std::unique_ptr<Domain> domain;
  std::unique_ptr<Pool> pool;
  std::unique_ptr<DerivedValues> values;
};

std::string textOf(const Aggregate& bytes) {
  std::string text(bytes.byteLength(), 0);
  bytes.copyTo(reinterpret_cast<uint8_t*>(text.data()), 0, text.size(), CopyReason::CopyOut);
  return text;
}

uint16_t plainChecksum(const Aggregate& bytes) {
  const std::string text = textOf(bytes);
  return static_cast<uint16_t>(
      ~internetSum(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

uint32_t plainCrc(const Aggregate& bytes) {
  const std::string text = textOf(bytes);
  return crc32c(0, reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

TEST(aSliceIsComputedOnceInWhateverAggregateItIs) {
  World world;
  const Aggregate shared = world.make(10001, 1);
  Aggregate one = world.make(5000, 2);
  (void)one.append(shared);
  Aggregate other = world.make(5001, 3);
  (void)other.append(shared);
  CHECK_EQ(world.values->crc32c(one), plainCrc(one));
  CHECK_EQ(world.values->stats().computed, 2u);
  CHECK_EQ(world.values->crc32c(other), plainCrc(other));
  CHECK_EQ(world.values->stats().computed, 3u);
  CHECK_EQ(world.values->stats().reused, 1u);
  CHECK_EQ(world.values->stats().reusedBytes, 10001u);
  // At an odd place as at an even one.
  CHECK_EQ(world.values->internetChecksum(one), plainChecksum(one));
  CHECK_EQ(world.values->internetChecksum(other), plainChecksum(other));
  CHECK_EQ(world.values->stats().computed, 6u);
  CHECK_EQ(world.values->stats().reused, 2u);
  CHECK_EQ(world.values->stats().entries, 6u);
}

TEST(aShortSliceIsNotRemembered) {
  World world;
  const Aggregate bytes = world.make(kRememberBytesMin - 1, 1);
  CHECK_EQ(world.values->crc32c(bytes), plainCrc(bytes));
  CHECK_EQ(world.values->internetChecksum(bytes), plainChecksum(bytes));
  CHECK_EQ(world.values->stats().entries, 0u);
  CHECK_EQ(world.values->stats().bytes, 0u);
}

TEST(aPartHasAValueOfItsOwn) {
  World world;
  const Aggregate whole = world.make(100000, 1);
  const Aggregate part = whole.slice(1, 50000);
  const Aggregate same = whole.slice(1, 50000);
  CHECK_EQ(world.values->crc32c(whole), plainCrc(whole));
  CHECK_EQ(world.values->crc32c(part), plainCrc(part));
  CHECK_EQ(world.values->crc32c(same), plainCrc(same));
  CHECK_EQ(world.values->stats().computed, 2u);
  CHECK_EQ(world.values->stats().reused, 1u);
}

TEST(valuesGoWithTheLastHold) {
  World world;
  const Aggregate stays = world.make(8000, 1);
  (void)world.values->crc32c(stays);
  {
    const Aggregate bytes = world.make(1 << 20, 2);
    Aggregate parts(*world.domain);
    for (uint64_t at = 0; at < 1 << 20; at += 8192) {
      const Aggregate part = bytes.slice(at, at + 8000);
      (void)world.values->crc32c(part);
      (void)world.values->internetChecksum(part);
      (void)parts.append(part);
    }
    CHECK_EQ(world.values->stats().entries, 1u + 2 * 128);
    CHECK(world.values->stats().bytes > 257 * 100);
  }
  CHECK_EQ(world.values->stats().entries, 1u);
}

TEST(aRecycledBufferHasNoOldValue) {
  World world;
  uint64_t address = 0;
  uint32_t before = 0;
  {
    const Aggregate bytes = world.make(100000, 1);
    address = bytes.sliceAt(0).address();
    before = world.values->crc32c(bytes);
  }
  const Aggregate bytes = world.make(100000, 2);
  CHECK_EQ(bytes.sliceAt(0).address(), address);
  CHECK(world.values->crc32c(bytes) != before);
  CHECK_EQ(world.values->crc32c(bytes), plainCrc(bytes));
}

TEST(memoryIsBoundedAndTheLeastRecentGoes) {
  World world(3);
  const Aggregate a = world.make(5000, 1);
  const Aggregate b = world.make(5000, 2);
  const Aggregate c = world.make(5000, 3);
  const Aggregate d = world.make(5000, 4);
  for (const Aggregate* each : {&a, &b, &c, &a, &d}) (void)world.values->crc32c(*each);
  CHECK_EQ(world.values->stats().entries, 3u);
  CHECK_EQ(world.values->stats().computed, 4u);
  (void)world.values->crc32c(a);
  CHECK_EQ(world.values->stats().computed, 4u);
  (void)world.values->crc32c(b);  // It was the one that went.
  CHECK_EQ(world.values->stats().computed, 5u);
}

TEST(aDigestIsOfThisListOfSlices) {
  World world;
  const Aggregate a = world.make(100, 1);
  const Aggregate b = world.make(200, 2);
  const Aggregate c = world.make(200, 3);
  Aggregate ab = a.clone();
  (void)ab.append(b);
  Aggregate ac = a.clone();
  (void)ac.append(c);
  Sha256 digest{};
  CHECK(!world.values->findSha256(ab, &digest));
  world.values->keepSha256(ab, Sha256{1});
  REQUIRE(world.values->findSha256(ab, &digest));
  CHECK(digest == Sha256{1});
  CHECK(!world.values->findSha256(ac, &digest));
  CHECK(!world.values->findSha256(a, &digest));
  world.values->keepSha256(a, Sha256{2});
  CHECK(world.values->findSha256(ab.slice(0, 100), &digest));
  CHECK(digest == Sha256{2});
  world.values->keepSha256(ac, Sha256{3});  // In the place of ab's: first slice, length are equal.
  CHECK(world.values->findSha256(ac, &digest));
  CHECK(!world.values->findSha256(ab, &digest));
  CHECK(!world.values->findSha256(Aggregate(*world.domain), &digest));
  CHECK_EQ(world.values->stats().entries, 2u);
}

TEST(aDigestOfRecycledSlicesIsNotFound) {
  World world;
  const Aggregate first = world.make(3000, 1);
  const auto joined = [&](const Aggregate& other) {
    Aggregate both = first.clone();
    (void)both.append(other);
    return both;
  };
  uint64_t address = 0;
  {
    const Aggregate second = world.make(100000, 2);
    address = second.sliceAt(0).address();
    world.values->keepSha256(joined(second), Sha256{1});
  }
  const Aggregate recycled = world.make(100000, 3);
  REQUIRE(recycled.sliceAt(0).address() == address);
  Sha256 digest;
  CHECK(!world.values->findSha256(joined(recycled), &digest));
}

TEST(randomArrangementsHaveTheValuesOfTheirBytes) {
  World world(40);  // Small: eviction takes part.
  std::mt19937 random(9);
  std::vector<Aggregate> pieces;
  for (int round = 0; round < 2000 && !test::hasFailed(); round++) {
    if (pieces.size() < 12) pieces.push_back(world.make(1 + random() % 20000, random()));
    if (random() % 6 == 0) pieces.erase(pieces.begin() + random() % pieces.size());
    Aggregate bytes(*world.domain);
    for (uint32_t parts = random() % 5; parts > 0 && !pieces.empty(); parts--) {
      const Aggregate& piece = pieces[random() % pieces.size()];
      const uint64_t from = random() % 3 == 0 ? random() % piece.byteLength() : 0;
      (void)bytes.append(piece.slice(from, piece.byteLength()));
    }
    CHECK_EQ(world.values->crc32c(bytes), plainCrc(bytes));
    CHECK_EQ(world.values->internetChecksum(bytes), plainChecksum(bytes));
    CHECK(world.values->stats().entries <= 40);
  }
  CHECK(world.values->stats().reused > 100);
  pieces.clear();
  CHECK_EQ(world.values->stats().entries, 0u);
  CHECK_EQ(world.values->stats().bytes, 0u);
}

}  // namespace
}  // namespace iol
