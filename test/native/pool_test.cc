// Pools alone in their domain: classes, waste, recycling, generations, limits, giving back.
#include "pool/pool.h"

#include <cstring>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "aggregate/aggregate.h"
#include "sys/iovec.h"
#include "sys/memory.h"
#include "sys/process.h"
#include "test.h"

namespace iol {
namespace {

struct World {
  explicit World(uint64_t maxBytes = 4ull << 30, Pool::Options options = {})
      : window({maxBytes}), domain(Domain::create(window).take()) {
    pool = Pool::create(*domain, options).take();
  }
  Slice make(uint32_t length, uint8_t fill) {
    Result<Draft> draft = pool->allocate(length);
    if (!draft.isOk()) return {};
    std::memset(draft.value().bytes(), fill, length);
    return draft.value().seal();
  }
  Window window;
  std::unique_ptr<Domain> domain;
  std::unique_ptr<Pool> pool;
};

bool allAre(const Slice& slice, uint8_t fill) {
  for (uint32_t at = 0; at < slice.length; at++) {
    if (slice.data()[at] != fill) return false;
  }
  return true;
}

TEST(everySizeClassHoldsItsSizes) {
  for (uint32_t units = 1; units <= 128; units++) {
    const uint32_t given = unitsOfClass(classOfUnits(units));
    CHECK(given >= units);
    CHECK(classOfUnits(given) == classOfUnits(units));
    if (units > 4) CHECK(given * 4 <= units * 5);  // Never more than a quarter too large.
  }
  CHECK(classOfUnits(128) < kClassesPerUnit);
}

TEST(theClassesWasteEightPercentOnAverageFrom256Bytes) {
  // The mean over all sizes of each doubling, carving loss included: what the docs state.
  for (uint64_t low = 256; low < kMediumBytesMax; low *= 2) {
    double waste = 0;
    uint32_t sizes = 0;
    for (uint64_t size = low + 1; size <= low * 2; size += 1 + low / 512, sizes++) {
      const bool isSmall = size <= kSmallBytesMax;
      const uint64_t unit = isSmall ? kSmallUnitBytes : kMediumUnitBytes;
      const uint64_t span = isSmall ? kChunkBytes : kRunChunks * kChunkBytes;
      const uint64_t given =
          unit * unitsOfClass(classOfUnits(static_cast<uint32_t>((size + unit - 1) / unit)));
      waste += 1 - static_cast<double>(span / given * size) / static_cast<double>(span);
    }
    // 4 to 8 KiB has its units of 1 KiB at 4 to the doubling, the worst case.
    CHECK(waste / sizes < 0.135);
  }
}

TEST(aSealedBufferKeepsItsBytesWhileHeld) {
  World world;
  std::mt19937 random(7);
  std::map<uint64_t, std::pair<Slice, uint8_t>> live;
  for (int step = 0; step < 20000; step++) {
    if (live.size() < 400 && random() % 5 != 0) {
      const uint32_t length = 1 + random() % (random() % 50 == 0 ? 400000 : 6000);
      const uint8_t fill = static_cast<uint8_t>(random());
      const Slice slice = world.make(length, fill);
      REQUIRE(slice.segment != nullptr);
      CHECK(live.emplace(slice.address(), std::pair(slice, fill)).second);
    } else if (!live.empty()) {
      auto victim = std::next(live.begin(), static_cast<long>(random() % live.size()));
      CHECK(allAre(victim->second.first, victim->second.second));
      world.domain->release(victim->second.first);
      live.erase(victim);
    }
  }
  for (auto& [address, held] : live) {
    CHECK(allAre(held.first, held.second));
    world.domain->release(held.first);
  }
  CHECK_EQ(world.domain->liveHolds(), 0u);
  CHECK_EQ(world.pool->stats().buffers, 0u);
  CHECK_EQ(world.pool->stats().bytesInUse, 0u);
}

TEST(anAddressAndGenerationNameOneContentForEver) {
  World world;
  std::set<std::pair<uint64_t, uint64_t>> names;
  std::mt19937 random(11);
  for (int step = 0; step < 30000; step++) {
    const Slice slice = world.make(1 + random() % 5000, 1);
    REQUIRE(slice.segment != nullptr);
    CHECK_EQ(slice.generation % 2, 0u);
    CHECK(names.emplace(slice.address(), slice.generation).second);
    world.domain->release(slice);
    if (step % 1000 == 0) world.pool->trim(0);  // Re-carves and re-commits what follows.
  }
}

TEST(reCarvingAChunkMakesAHoardedNameStale) {
  World world;
  const Slice old = world.make(64, 1);
  const Slice keeper = world.make(3500, 1);  // Another chunk: the segment stays.
  world.domain->release(old);
  world.pool->trim(0);
  // The same chunk, carved into another class: the slot number still means the same address.
  const Slice other = world.make(4000, 2);
  CHECK_EQ(other.address(), old.address());
  CHECK_EQ(other.slot, old.slot);
  world.domain->ownHolds().take(0, 0, old.slot);
  fenceAfterTake();
  CHECK(checkTaken(*old.segment, old.slot, old.generation, false) == TakeOutcome::Stale);
  CHECK(checkTaken(*old.segment, old.slot, other.generation, false) == TakeOutcome::Taken);
  world.domain->ownHolds().drop(0, 0, old.slot);
  world.domain->release(other);
  world.domain->release(keeper);
}

TEST(aRetiredSegmentsNumberIsNeverUsedAgain) {
  World world;
  const Slice first = world.make(32 << 20, 1);  // Has a segment of its own.
  const uint64_t address = first.address();
  world.domain->release(first);
  CHECK_EQ(world.pool->stats().segments, 0u);
  const Slice second = world.make(32 << 20, 2);
  CHECK(second.address() > address);
  CHECK(allAre(second, 2));
  world.domain->release(second);
  CHECK_EQ(world.window.committedBytes(), 0u);
}

TEST(largeObjectsOfEverySizeAreContiguous) {
  World world;
  for (uint32_t length : {131073u, 200000u, 1u << 20, (1u << 20) + 1, 16u << 20, (16u << 20) + 1}) {
    const Slice slice = world.make(length, 9);
    REQUIRE(slice.segment != nullptr);
    CHECK(allAre(slice, 9));
    const ViewSpan extent = world.domain->viewSpan(slice);
    CHECK(extent.bytes >= length);
    world.domain->release(slice);
  }
}

TEST(aLargeObjectCommitsOnlyThePagesItNeeds) {
  World world;
  const Slice slice = world.make(131073, 1);
  CHECK_EQ(world.pool->stats().bytesCommitted, 131072u + 4096u);
  world.domain->release(slice);
  const Slice again = world.make(3 * 65536, 2);  // The same chunks, now to the last page.
  CHECK_EQ(again.address(), slice.address());
  CHECK_EQ(world.pool->stats().bytesCommitted, 3 * 65536u);
  world.domain->release(again);
}

TEST(aFullPoolIsATypedErrorAndTakesNothing) {
  Pool::Options options;
  options.name = "small";
  options.maxBytes = 3 << 20;
  World world(1 << 30, options);
  std::vector<Slice> held;
  while (true) {
    Result<Draft> draft = world.pool->allocate(100000);
    if (!draft.isOk()) {
      CHECK(draft.status().code() == Code::PoolFull);
      CHECK_EQ(std::string(draft.status().subject()), "small");
      CHECK_EQ(draft.status().limit(), 3u << 20);
      break;
    }
    held.push_back(draft.value().seal());
  }
  CHECK(held.size() >= 18 && held.size() <= 30);
  const uint64_t committed = world.pool->stats().bytesCommitted;
  CHECK(!world.pool->allocate(100000).isOk());
  CHECK_EQ(world.pool->stats().bytesCommitted, committed);
  // Another class finds room once something is released, although every chunk was carved.
  for (const Slice& slice : held) world.domain->release(slice);
  Result<Draft> large = world.pool->allocate(2 << 20);
  CHECK(large.isOk());
}

TEST(aFullWindowIsATypedErrorAndRecovers) {
  World world(8 << 20);
  std::vector<Slice> held;
  Code code = Code::Ok;
  for (int step = 0; step < 100 && code == Code::Ok; step++) {
    Result<Draft> draft = world.pool->allocate(1 << 20);
    code = draft.status().code();
    if (draft.isOk()) held.push_back(draft.value().seal());
  }
  CHECK(code == Code::WindowFull || code == Code::PoolFull);
  CHECK_EQ(held.size(), 8u);
  world.domain->release(held.back());
  CHECK(world.pool->allocate(1 << 20).isOk());
  for (size_t index = 0; index + 1 < held.size(); index++) world.domain->release(held[index]);
}

TEST(tooLargeIsRefusedBeforeTheKernelIsAsked) {
  World world;
  const Result<Draft> draft = world.pool->allocate(kBufferBytesMax + 1);
  CHECK(draft.status().code() == Code::TooLarge);
  CHECK_EQ(world.pool->stats().segments, 0u);
}

TEST(freeMemoryGoesBackToTheSystem) {
  Pool::Options options;
  options.idleBytesMax = 2 << 20;
  World world(1ull << 30, options);
  std::vector<Slice> held;
  for (int count = 0; count < 40; count++) held.push_back(world.make(1 << 20, 1));
  const uint64_t allocated = sys::allocatedBytes(held[0].segment->memory()).take();
  CHECK(allocated >= 40u << 20);
  sys::Fd watched = sys::reopenReadOnly(held[0].segment->memory()).take();
  for (const Slice& slice : held) world.domain->release(slice);
  world.pool->trim(options.idleBytesMax);
  CHECK(world.pool->stats().bytesCommitted <= 3u << 20);
  CHECK(sys::allocatedBytes(watched).take() <= 4u << 20);
  CHECK(world.pool->stats().bytesReturned >= 37u << 20);
}

TEST(aSealedPoolGivesBackWholeSegments) {
  Pool::Options options;
  options.sealed = true;
  World world(1ull << 30, options);
  std::vector<Slice> held;
  for (int count = 0; count < 80; count++) held.push_back(world.make(1 << 20, 3));
  CHECK(world.pool->stats().segments >= 2);
#ifndef IOL_ONE_MAPPING  // There a mapping is looked up, not made.
  // Not even we can map it writable again.
  sys::Fd again = sys::duplicate(held[0].segment->memory()).take();
  CHECK(!sys::mapWritable(again, kSegmentBytes).isOk());
#endif
  for (const Slice& slice : held) world.domain->release(slice);
  world.pool->trim(0);
  CHECK_EQ(world.pool->stats().segments, 0u);
  CHECK_EQ(world.window.committedBytes(), 0u);
}

TEST(trimmingLeavesALargeBufferThatIsHeldAlone) {
  Pool::Options options;
  options.maxBytes = 48ull << 20;
  World world(4ull << 30, options);
  const Slice medium = world.make(200000, 1);  // In use by the chunk, committed by the page.
  const Slice large = world.make(20 << 20, 2);
  world.domain->release(world.make(1 << 20, 3));
  world.pool->trim(0);
  CHECK(allAre(large, 2));
  CHECK(!world.pool->allocate(40 << 20).isOk());  // At the limit the pool trims by itself.
  CHECK(!world.pool->allocate(15 << 20).isOk() || allAre(large, 2));
  CHECK_EQ(world.pool->stats().buffers, 2u);
  CHECK(allAre(large, 2));
  world.domain->release(large);
  world.domain->release(medium);
}

TEST(freeMemoryMakesRoomForALargeBuffer) {
  Pool::Options options;
  options.maxBytes = 64ull << 20;
  World world(4ull << 30, options);
  std::vector<Slice> slices;
  for (int count = 0; count < 40; count++) slices.push_back(world.make(1 << 20, 1));
  for (const Slice& slice : slices) world.domain->release(slice);
  CHECK(world.pool->allocate(40 << 20).isOk());
}

TEST(freeMemoryOfOnePoolMakesRoomForAnother) {
  World world(16ull << 20);
  auto other = Pool::create(*world.domain, {}).take();
  { const auto all = world.pool->allocate(10u << 20).take(); }
  CHECK(world.pool->stats().bytesFree > 8u << 20);
  auto bytes = other->allocate(10u << 20);
  CHECK(bytes.isOk());
  CHECK(world.pool->stats().bytesFree < 8u << 20);
  CHECK_EQ(world.pool->allocate(10u << 20).status().code(), Code::WindowFull);
}

TEST(asMuchAsThereIsRoomFor) {
  Pool::Options options;
  options.maxBytes = 1u << 20;
  World world(4ull << 30, options);
  CHECK_EQ(world.pool->allocateUpTo(100).value().byteLength(), 100u);
  const auto most = world.pool->allocateUpTo(64u << 20).take();
  CHECK_EQ(most.byteLength(), 1u << 20);
  const Status full = world.pool->allocateUpTo(1000).status();
  CHECK_EQ(full.code(), Code::PoolFull);
  CHECK_EQ(full.value(), 1000u);
  CHECK_EQ(world.pool->stats().drafts, 1u);
}

TEST(anAbandonedDraftGivesItsMemoryBack) {
  World world;
  { Draft draft = world.pool->allocate(1000).take(); }
  CHECK_EQ(world.pool->stats().drafts, 0u);
  CHECK_EQ(world.pool->stats().buffers, 0u);
  CHECK_EQ(world.domain->liveHolds(), 0u);
}

TEST(theKernelsPagesAreNeverReusedInPlace) {
  World world;
  const Slice sent = world.make(1000, 5);
  const Slice neighbour = world.make(1000, 6);
  world.domain->ownHolds().setKernelVisible(0, sent.slot, true);
  world.domain->release(sent);
  std::vector<Slice> others;
  for (int count = 0; count < 200; count++) {
    others.push_back(world.make(1000, 7));
    CHECK(others.back().address() != sent.address());
  }
  CHECK(allAre(sent, 5));  // What the kernel would still send.
  for (const Slice& slice : others) world.domain->release(slice);
  world.domain->release(neighbour);
  // The chunk's last buffer went: punched, so the old page is the kernel's alone.
  const Slice reused = world.make(1000, 8);
  CHECK_EQ(world.domain->ownHolds().count(0, sent.slot), reused.slot == sent.slot ? 1u : 0u);
  world.domain->release(reused);
}

class Listener : public ViewListener {
 public:
  void onViewIdle(Segment&, uint32_t firstChunk) override { idle.push_back(firstChunk); }
  void onSegmentRetired(Segment&) override { retired++; }
  std::vector<uint32_t> idle;
  int retired = 0;
};

TEST(aViewedSpanIsReportedWhenItsLastHoldGoes) {
  World world;
  Listener listener;
  world.domain->setViewListener(&listener);
  const Slice first = world.make(100, 1);
  const Slice second = world.make(100, 2);
  const Slice medium = world.make(60000, 3);
  world.domain->markViewed(first);
  world.domain->markViewed(medium);
  world.domain->release(first);
  CHECK(listener.idle.empty());
  world.domain->release(second);
  CHECK_EQ(listener.idle.size(), 1u);
  world.domain->release(medium);
  CHECK_EQ(listener.idle.size(), 2u);
  world.domain->setViewListener(nullptr);
}

TEST(aggregatesAreBytesUnderEdits) {
  World world;
  std::mt19937 random(5);
  std::vector<uint8_t> model;
  Aggregate aggregate(*world.domain);
  for (int step = 0; step < 3000; step++) {
    switch (random() % 5) {
      case 0:
      case 1: {
        const uint32_t length = random() % 3000;
        const uint8_t fill = static_cast<uint8_t>(random());
        if (length == 0) break;
        const Slice slice = world.make(length, fill);
        CHECK(aggregate.adopt(slice).isOk());
        model.insert(model.end(), length, fill);
        break;
      }
      case 2: {
        const uint64_t from = model.empty() ? 0 : random() % model.size();
        const uint64_t to = from + random() % 5000;
        Aggregate part = aggregate.slice(from, to);
        std::vector<uint8_t> bytes(part.byteLength());
        CHECK_EQ(part.copyTo(bytes.data(), 0, bytes.size(), CopyReason::CopyOut), bytes.size());
        CHECK(std::equal(bytes.begin(), bytes.end(), model.begin() + static_cast<long>(from)));
        if (model.size() < 100000) {
          CHECK(aggregate.append(part).isOk());
          model.insert(model.end(), bytes.begin(), bytes.end());
        }
        break;
      }
      case 3: {
        const uint64_t drop = random() % 4000;
        aggregate.truncateFront(drop);
        const size_t gone = std::min<size_t>(drop, model.size());
        model.erase(model.begin(), model.begin() + static_cast<long>(gone));
        break;
      }
      default: {
        const uint64_t keep = model.empty() ? 0 : random() % (model.size() + 10);
        aggregate.truncateBack(keep);
        if (keep < model.size()) model.resize(keep);
      }
    }
    CHECK_EQ(aggregate.byteLength(), model.size());
  }
  std::vector<uint8_t> gathered;
  std::vector<iovec> vectors(aggregate.sliceCount());
  const uint32_t count = aggregate.gather(0, vectors.data(), aggregate.sliceCount());
  for (uint32_t index = 0; index < count; index++) {
    const uint8_t* base = static_cast<const uint8_t*>(vectors[index].iov_base);
    gathered.insert(gathered.end(), base, base + vectors[index].iov_len);
  }
  CHECK(gathered == model);
  aggregate.append(aggregate).isOk();
  CHECK_EQ(aggregate.byteLength(), model.size() * 2);
  aggregate.clear();
  CHECK_EQ(world.domain->liveHolds(), 0u);
}

}  // namespace
}  // namespace iol
