// Searches across slice borders: against std::string, and with needles made to be hard.
#include "aggregate/search.h"

#include <algorithm>
#include <random>
#include <string>

#include "aggregate/slice_iterator.h"
#include "aggregate_world.h"
#include "sanitizer.h"
#include "test.h"

namespace iol {
namespace {

uint64_t find(const Aggregate& bytes, const std::string& needle, uint64_t from = 0) {
  return indexOf(bytes, reinterpret_cast<const uint8_t*>(needle.data()), needle.size(), from);
}
uint64_t findLast(const Aggregate& bytes, const std::string& needle, uint64_t from = ~0ull) {
  return lastIndexOf(bytes, reinterpret_cast<const uint8_t*>(needle.data()), needle.size(), from);
}

// Of few different bytes, so that much of a needle matches by chance.
std::string fewBytes(std::mt19937& random, size_t length, uint32_t kinds) {
  std::string text(length, 'a');
  for (char& byte : text) byte = static_cast<char>('a' + random() % kinds);
  return text;
}

Aggregate cutAnyhow(AggregateWorld& world, std::mt19937& random, const std::string& text,
                    uint32_t lengthMax) {
  Aggregate bytes(*world.domain);
  for (size_t at = 0; at < text.size();) {
    const std::string part = text.substr(at, 1 + random() % lengthMax);
    CHECK(bytes.adopt(world.make(part)).isOk());
    at += part.size();
  }
  return bytes;
}

TEST(searchesAreThoseOfAString) {
  AggregateWorld world;
  std::mt19937 random(3);
  for (int round = 0; round < 3000 && !test::hasFailed(); round++) {
    const uint32_t kinds = 1 + random() % 3;
    const std::string text = fewBytes(random, random() % 300, kinds);
    const Aggregate bytes = cutAnyhow(world, random, text, 1 + random() % 60);
    for (int search = 0; search < 8; search++) {
      std::string needle = fewBytes(random, random() % 40, kinds);
      if (random() % 2 == 0 && !text.empty()) {
        needle = text.substr(random() % text.size(), random() % 60);
      }
      const uint64_t from = random() % (text.size() + 3);
      const size_t wanted = from > text.size() ? std::string::npos : text.find(needle, from);
      const uint64_t place = needle.empty()                ? std::min<uint64_t>(from, text.size())
                             : wanted == std::string::npos ? kNotFound
                                                           : wanted;
      CHECK_EQ(find(bytes, needle, from), place);
      const size_t last = text.rfind(needle, from);
      CHECK_EQ(findLast(bytes, needle, from), last == std::string::npos ? kNotFound : last);
      const bool isThere = from <= text.size() && text.compare(from, needle.size(), needle) == 0 &&
                           needle.size() <= text.size() - from;
      CHECK_EQ(
          equalsAt(bytes, from, reinterpret_cast<const uint8_t*>(needle.data()), needle.size()),
          isThere);
    }
  }
}

TEST(comparesByBytesThenByLength) {
  AggregateWorld world;
  std::mt19937 random(4);
  for (int round = 0; round < 2000; round++) {
    const std::string one = fewBytes(random, random() % 50, 2);
    std::string other = random() % 3 == 0 ? one : fewBytes(random, random() % 50, 2);
    if (random() % 3 == 0) other = one + other;
    const Aggregate left = cutAnyhow(world, random, one, 9);
    const Aggregate right = cutAnyhow(world, random, other, 9);
    const int wanted = one.compare(other);
    const int order = compare(left, right);
    CHECK_EQ((order > 0) - (order < 0), (wanted > 0) - (wanted < 0));
  }
  const Aggregate whole = world.cut(std::string(5000, 'x'), 100);
  CHECK_EQ(compare(whole, whole.clone()), 0);
  CHECK(compare(whole, whole.slice(0, 4999)) > 0);
}

TEST(bytesAreComparedAsUnsigned) {
  AggregateWorld world;
  CHECK(compare(world.cut("\x80", 1), world.cut("\x7f", 1)) > 0);
  CHECK_EQ(find(world.cut("a\x80\xff", 1), "\xff"), 2u);
}

// Each of these takes a search that restarts at every byte, or at every border, some 10^10 steps.
TEST(hardNeedlesAreFoundInLinearTime) {
  AggregateWorld world;
  // One thread's arithmetic, of which a sanitizer makes minutes.
  constexpr size_t kTextBytes = test::kIsSanitized ? 1 << 17 : 1 << 20;
  constexpr size_t kNeedleBytes = test::kIsSanitized ? 3000 : 20'000;
  const std::string as(kTextBytes, 'a');
  const std::string run(kNeedleBytes, 'a');
  std::string abab = run;
  for (size_t at = 1; at < abab.size(); at += 2) abab[at] = 'b';
  for (const size_t sliceBytes : {37u, 5000u, 30'000u, 1u << 20}) {
    const Aggregate bytes = world.cut(as, sliceBytes);
    for (const std::string& needle : {run + "b", "b" + run, run + "b" + run}) {
      CHECK_EQ(find(bytes, needle), kNotFound);
      CHECK_EQ(findLast(bytes, needle), kNotFound);
    }
    Aggregate marked = bytes.slice(0, kTextBytes / 2);
    CHECK(marked.append(world.cut("b", 1)).isOk());
    CHECK(marked.append(bytes.slice(kTextBytes / 2, kTextBytes)).isOk());
    CHECK_EQ(find(marked, run + "b"), kTextBytes / 2 - kNeedleBytes);
    CHECK_EQ(findLast(marked, "b" + run), kTextBytes / 2);
    CHECK_EQ(find(marked, run + "b" + run + "b"), kNotFound);
    std::string alternating = as;
    for (size_t at = 1; at < alternating.size(); at += 2) alternating[at] = 'b';
    const Aggregate other = world.cut(alternating, sliceBytes);
    CHECK_EQ(find(other, abab + "a" + "a"), kNotFound);
    CHECK_EQ(findLast(other, "b" + ("b" + abab)), kNotFound);
    CHECK_EQ(findLast(other, abab), kTextBytes - kNeedleBytes);
  }
}

TEST(manyTinySlicesAreSearchedInLinearTime) {
  AggregateWorld world;
  auto otherPool = Pool::create(*world.domain, {}).take();
  {
    const Slice one = world.make("a");
    const Slice other = AggregateWorld::makeIn(*otherPool, "a");
    Aggregate bytes(*world.domain);
    // Neighbours of two pools are never joined, so each stays a slice.
    for (uint32_t at = 0; at < 200'000; at++) {
      CHECK(bytes.append(at % 2 == 0 ? one : other).isOk());
    }
    world.domain->release(one);
    world.domain->release(other);
    CHECK_EQ(bytes.sliceCount(), 200'000u);
    const std::string run(50'000, 'a');
    CHECK_EQ(find(bytes, run + "b"), kNotFound);
    CHECK_EQ(findLast(bytes, "b" + run), kNotFound);
    CHECK_EQ(find(bytes, run, 7), 7u);
    CHECK_EQ(findLast(bytes, run), 150'000u);
  }
}

}  // namespace
}  // namespace iol
