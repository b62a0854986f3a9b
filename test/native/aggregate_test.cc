// What aggregates promise beside their bytes: sharing, merging, limits, holds, other threads.
#include "aggregate/aggregate.h"

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "aggregate/coalesce.h"
#include "aggregate/slice_iterator.h"
#include "aggregate_world.h"
#include "sys/iovec.h"
#include "test.h"

namespace iol {
namespace {

uint64_t coalescedBytes() { return copyCount(CopyReason::Coalesce).bytes; }

TEST(aCloneSharesItsSlicesAndTheirHolds) {
  AggregateWorld world;
  Aggregate bytes = world.cut(AggregateWorld::text(64'000, 1), 640);
  CHECK_EQ(world.domain->liveHolds(), 100u);
  const uint64_t nodesBefore = Aggregate::steps().nodes;
  const Aggregate copy = bytes.clone();
  CHECK_EQ(Aggregate::steps().nodes, nodesBefore);
  CHECK_EQ(world.domain->liveHolds(), 100u);
  CHECK_EQ(copy.sliceAt(50).address(), bytes.sliceAt(50).address());
  bytes.truncateFront(32'000);
  CHECK_EQ(copy.byteLength(), 64'000u);
  CHECK(contentOf(copy) == AggregateWorld::text(64'000, 1));
  bytes.clear();
  CHECK_EQ(world.domain->liveHolds(), 100u);
}

// A part: the tree of the whole, and where in it.
TEST(aSliceOfAQuarterOfAnAggregateTakesNoHoldAndNoNode) {
  AggregateWorld world;
  const std::string text = AggregateWorld::text(200'000, 2);
  Aggregate whole = world.cut(text, 200);
  for (const auto& [from, to] : {std::pair<uint64_t, uint64_t>{0, 50'002},
                                 {75'010, 125'030},
                                 {1, 199'999},
                                 {149'998, 200'000},
                                 {99'950, 200'000}}) {
    const uint64_t nodes = Aggregate::steps().nodes;
    Aggregate part = whole.slice(from, to);
    CHECK(Aggregate::steps().nodes - nodes < 20);  // Looked at.
    CHECK_EQ(world.domain->liveHolds(), 1000u);
    CHECK(contentOf(part) == text.substr(from, to - from));
    CHECK_EQ(part.sliceCount(), (to + 199) / 200 - from / 200);
    const Aggregate copy = part.clone();
    const Aggregate inner = part.slice(1, to - from - 1);
    CHECK_EQ(world.domain->liveHolds(), 1000u);
    CHECK(contentOf(inner) == text.substr(from + 1, to - from - 2));
    CHECK(part.append(world.cut("x", 1)).isOk());
    CHECK(contentOf(part) == text.substr(from, to - from) + "x");
    CHECK(contentOf(copy) == text.substr(from, to - from));
  }
  CHECK_EQ(world.domain->liveHolds(), 1000u);
}

TEST(aSliceKeepsNoMoreThanFourTimesItsBytesAfterItsWholeIsGone) {
  AggregateWorld world;
  const std::string text = AggregateWorld::text(256'000, 2);
  for (const uint64_t bytes : {400u, 3'000u, 20'000u, 63'000u, 65'000u, 129'000u, 255'000u}) {
    Aggregate whole = world.cut(text, 1000);
    for (uint64_t from = 0; from + bytes < text.size(); from += 31'313) {
      Aggregate part = whole.slice(from, from + bytes);
      whole.clear();
      // The slices at its ends may stick out, by all but one byte each.
      CHECK(world.domain->liveHolds() * 1000 <= kPartOf * bytes + 2 * 1000);
      Aggregate rest = std::move(part);
      rest.truncateFront(bytes / 3);
      CHECK(contentOf(rest) == text.substr(from + bytes / 3, bytes - bytes / 3));
      rest.truncateBack(rest.byteLength() / 4);
      CHECK(world.domain->liveHolds() * 1000 <= kPartOf * rest.byteLength() + 2 * 1000);
      rest.clear();
      CHECK_EQ(world.domain->liveHolds(), 0u);
      whole = world.cut(text, 1000);
    }
    whole.clear();
    CHECK_EQ(world.pool->stats().buffers, 0u);
  }
}

TEST(whatIsSplitOffAnAggregateOfNobodyElseKeepsOnlyItsOwn) {
  AggregateWorld world;
  const std::string text = AggregateWorld::text(256'000, 2);
  for (const uint64_t bytes : {3'000u, 100'500u, 200'000u}) {
    Aggregate rest = world.cut(text, 1000);
    Aggregate front = rest.split(bytes);
    CHECK(contentOf(front) == text.substr(0, bytes));
    rest.clear();
    CHECK(world.domain->liveHolds() <= (bytes + 999) / 1000);
    rest = world.cut(text, 1000);
    front = rest.split(bytes);
    front.clear();
    CHECK(contentOf(rest) == text.substr(bytes));
    CHECK(world.domain->liveHolds() <= (256'000 - bytes + 999) / 1000);
  }
}

TEST(aSliceOfALongAggregateTakesFewHolds) {
  AggregateWorld world;
  const Aggregate bytes = world.cut(AggregateWorld::text(200'000, 2), 200);
  const Aggregate part = bytes.slice(10'100, 190'100);
  CHECK(contentOf(part) == AggregateWorld::text(200'000, 2).substr(10'100, 180'000));
  CHECK_EQ(part.sliceCount(), 901u);
  CHECK(world.domain->liveHolds() <= 1000u + 2 * 32);
}

TEST(neighboursThatTouchAreOneSlice) {
  AggregateWorld world;
  for (const size_t sliceBytes : {3000u, 300u}) {
    const Aggregate bytes = world.cut(AggregateWorld::text(3000, 3), sliceBytes);
    const uint32_t slices = bytes.sliceCount();
    for (uint64_t at = 1; at < 3000; at += 61) {
      Aggregate front = bytes.slice(0, at);
      const Aggregate back = bytes.slice(at, 3000);
      Aggregate other = back.clone();
      CHECK(other.prepend(front).isOk());
      CHECK(front.append(back).isOk());
      CHECK_EQ(front.sliceCount(), slices);
      CHECK_EQ(other.sliceCount(), slices);
      CHECK(contentOf(front) == contentOf(bytes) && contentOf(other) == contentOf(bytes));
    }
  }
  Aggregate hole = world.cut("0123456789", 10);
  CHECK(hole.insert(5, world.cut("-", 1)).isOk());
  CHECK_EQ(hole.sliceCount(), 3u);
  hole.remove(5, 6);
  CHECK_EQ(hole.sliceCount(), 1u);
  CHECK_EQ(world.domain->liveHolds(), 1u);
}

TEST(sameBufferApartOrInAnotherOrderIsNotMerged) {
  AggregateWorld world;
  const Aggregate whole = world.cut("0123456789", 10);
  Aggregate bytes = whole.slice(5, 10);
  CHECK(bytes.append(whole.slice(0, 5)).isOk());
  CHECK_EQ(bytes.sliceCount(), 2u);
  CHECK(contentOf(bytes) == "5678901234");
  CHECK(bytes.append(whole.slice(6, 8)).isOk());
  CHECK_EQ(bytes.sliceCount(), 3u);
}

TEST(manyBytesAppendedOneByOneEndInFewSlices) {
  AggregateWorld world;
  const std::string text = AggregateWorld::text(100'000, 4);
  for (const bool isFront : {false, true}) {
    const uint64_t before = coalescedBytes();
    Aggregate bytes(*world.domain);
    for (size_t at = 0; at < text.size(); at++) {
      if (isFront) {
        CHECK(bytes.prepend(world.cut(text.substr(text.size() - 1 - at, 1), 1)).isOk());
      } else {
        CHECK(bytes.adopt(world.make(text.substr(at, 1))).isOk());
      }
    }
    CHECK(contentOf(bytes) == text);
    CHECK(bytes.sliceCount() < 1000);
    CHECK_EQ(world.domain->liveHolds(), bytes.sliceCount());
    CHECK(coalescedBytes() - before <= 10 * text.size());
  }
}

TEST(manyBytesInsertedAnywhereEndInFewSlices) {
  AggregateWorld world;
  Aggregate bytes = world.cut(std::string(1000, '-'), 1000);
  std::string wanted = contentOf(bytes);
  uint32_t random = 1;
  for (uint32_t step = 0; step < 20'000; step++) {
    random = random * 1664525 + 1013904223;
    const size_t at = (random >> 8) % wanted.size();
    CHECK(bytes.insert(at, world.cut("x", 1)).isOk());
    wanted.insert(at, "x");
  }
  CHECK(contentOf(bytes) == wanted);
  CHECK(bytes.sliceCount() < 5000);
}

TEST(slicesOfMoreThan128BytesAreNeverCopied) {
  AggregateWorld world;
  const uint64_t before = coalescedBytes();
  const Aggregate bytes = world.cut(AggregateWorld::text(1 << 20, 5), 129);
  CHECK_EQ(bytes.sliceCount(), (1u << 20) / 129 + 1);
  CHECK_EQ(coalescedBytes(), before);
}

TEST(onlySlicesOfOnePoolAreJoined) {
  AggregateWorld world;
  auto otherPool = Pool::create(*world.domain, {}).take();
  const uint64_t before = coalescedBytes();
  {
    Aggregate bytes(*world.domain);
    for (int at = 0; at < 1000; at++) {
      CHECK(bytes.adopt(world.make("a")).isOk());
      CHECK(bytes.adopt(AggregateWorld::makeIn(*otherPool, "b")).isOk());
    }
    CHECK_EQ(bytes.sliceCount(), 2000u);
    CHECK_EQ(coalescedBytes(), before);
    Aggregate grouped(*world.domain);
    for (int at = 0; at < 8000; at++) {
      Pool& pool = at / 100 % 2 == 0 ? *world.pool : *otherPool;
      CHECK(grouped.adopt(AggregateWorld::makeIn(pool, at / 100 % 2 == 0 ? "a" : "b")).isOk());
    }
    CHECK(grouped.sliceCount() < 1600);
    uint64_t inOwn = 0;
    for (SliceIterator it(grouped); !it.isAtEnd(); it.next()) {
      const uint8_t byte = it.slice().data()[0];
      CHECK(world.domain->poolOf(it.slice()) == (byte == 'a' ? world.pool.get() : otherPool.get()));
      for (uint32_t at = 0; at < it.slice().length; at++) CHECK_EQ(it.slice().data()[at], byte);
      if (byte == 'a') inOwn += it.slice().length;
    }
    CHECK_EQ(inOwn, 4000u);
  }
}

TEST(aFullPoolOnlyMeansThatNothingIsJoined) {
  Pool::Options options;
  options.maxBytes = 64 << 10;  // One chunk: of the class that one byte takes.
  AggregateWorld world(options);
  auto spare = Pool::create(*world.domain, {}).take();
  const uint64_t before = coalescedBytes();
  {
    Aggregate bytes(*world.domain);
    std::vector<Draft> taken;
    const Slice first = world.make("x");
    for (;;) {
      Result<Draft> draft = world.pool->allocate(1);
      if (!draft.isOk()) {
        CHECK_EQ(draft.status().code(), Code::PoolFull);
        break;
      }
      taken.push_back(draft.take());
    }
    for (int at = 0; at < 100; at++) CHECK(bytes.append(first).isOk());
    world.domain->release(first);
    CHECK_EQ(bytes.sliceCount(), 100u);
    CHECK(contentOf(bytes) == std::string(100, 'x'));
  }
  CHECK_EQ(coalescedBytes(), before);
  CHECK_EQ(world.domain->liveHolds(), 0u);
}

TEST(tooManySlicesAreRefusedAndNothingIsDone) {
  AggregateWorld world;
  Aggregate bytes = world.cut(AggregateWorld::text(32 * 200, 6), 200);
  while (bytes.sliceCount() < kSlicesMax) CHECK(bytes.append(bytes).isOk());
  CHECK_EQ(bytes.sliceCount(), kSlicesMax);
  CHECK(world.domain->liveHolds() < 2000);
  const Aggregate one = world.cut("x", 1);
  const uint64_t length = bytes.byteLength();
  const uint64_t holds = world.domain->liveHolds();
  const Slice slice = world.make("y");
  CHECK_EQ(bytes.append(slice).code(), Code::TooManySlices);
  CHECK_EQ(bytes.adopt(slice).code(), Code::TooManySlices);
  world.domain->release(slice);
  CHECK_EQ(bytes.append(one).code(), Code::TooManySlices);
  CHECK_EQ(bytes.prepend(one).code(), Code::TooManySlices);
  CHECK_EQ(bytes.insert(7, one).code(), Code::TooManySlices);
  CHECK_EQ(bytes.replace(7, 9, bytes).code(), Code::TooManySlices);
  CHECK_EQ(bytes.sliceCount(), kSlicesMax);
  CHECK_EQ(bytes.byteLength(), length);
  CHECK_EQ(world.domain->liveHolds(), holds);
  bytes.remove(7, 9);  // Cannot fail.
  CHECK_EQ(bytes.byteLength(), length - 2);
  bytes.truncateBack(0);
  CHECK_EQ(world.domain->liveHolds(), 1u);
}

TEST(gatherFillsNoMoreThanAsked) {
  AggregateWorld world;
  const std::string text = AggregateWorld::text(60'000, 7);
  const Aggregate bytes = world.cut(text, 600);
  iovec vectors[64];
  for (const uint64_t from : {0u, 1u, 599u, 600u, 33'333u, 59'999u, 60'000u, 99'999u}) {
    for (const uint32_t count : {0u, 1u, 7u, 64u}) {
      const uint32_t filled = bytes.gather(from, vectors, count);
      CHECK(filled <= count);
      std::string got;
      for (uint32_t index = 0; index < filled; index++) {
        got.append(static_cast<const char*>(vectors[index].iov_base), vectors[index].iov_len);
      }
      if (count > 0 && from < text.size()) CHECK(!got.empty());
      CHECK(from >= text.size() ? got.empty() : text.compare(from, got.size(), got) == 0);
    }
  }
}

// What disk jobs do: a clone is read elsewhere while its domain edits the original.
TEST(anotherThreadMayReadACloneMeanwhile) {
  AggregateWorld world;
  const std::string text = AggregateWorld::text(100'000, 8);
  Aggregate bytes = world.cut(text, 150);
  for (int round = 0; round < 20; round++) {
    const Aggregate clone = bytes.clone();
    const std::string wanted = contentOf(clone);
    bool isSame = false;
    std::thread reader([&] {
      std::string read;
      iovec vectors[50];
      while (read.size() < clone.byteLength()) {
        const uint32_t filled = clone.gather(read.size(), vectors, 50);
        for (uint32_t index = 0; index < filled; index++) {
          read.append(static_cast<const char*>(vectors[index].iov_base), vectors[index].iov_len);
        }
      }
      isSame = read == wanted;
    });
    for (uint32_t edit = 0; edit < 200; edit++) {
      const uint64_t at = edit * 7919 % bytes.byteLength();
      Aggregate part = bytes.slice(at, at + 1000);
      bytes.remove(at, at + 500);
      CHECK(bytes.append(world.cut("z", 1)).isOk());
      CHECK(bytes.insert(at / 2, part).isOk());
      bytes.truncateFront(3);
    }
    reader.join();
    CHECK(isSame);
  }
  bytes.clear();
  CHECK_EQ(world.domain->liveHolds(), 0u);
}

}  // namespace
}  // namespace iol
