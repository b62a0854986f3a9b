// Holds on buffers of several owners, in one domain.
#include "pool/domain.h"

#include "channel_world.h"

namespace iol {
namespace {

using namespace test;

struct DomainPair {
  Neighbours neighbours;
  Participant owner{neighbours};
  Participant reader{neighbours};

  // What arrives in a message: the reader's view of the same buffer.
  Slice asReader(const Slice& slice) {
    Slice named = slice;
    if (reader.domain->segment(slice.segment->number()) == nullptr) {
      CHECK(reader.request(slice.segment->number()).isOk());
    }
    named.segment = reader.domain->segment(slice.segment->number());
    return named;
  }
  TakeOutcome take(Participant& taker, const Slice& slice) {
    CHECK(taker.domain->takeNamed(*slice.segment, slice.slot).isOk());
    fenceAfterTake();
    return taker.domain->checkNamed(*slice.segment, slice.slot, slice.generation);
  }
};

TEST(aForeignBufferIsHeldInItsOwnersTable) {
  DomainPair world;
  const Slice slice = world.owner.make(500, 0xa1);
  CHECK(world.owner.domain->exportSlice(slice).isOk());
  const Slice named = world.asReader(slice);
  CHECK(world.take(world.reader, named) == TakeOutcome::Taken);
  world.owner.domain->release(slice);
  CHECK_EQ(world.owner.pool->collect(), 0u);
  {
    Aggregate aggregate(*world.reader.domain);
    CHECK(aggregate.append(named).isOk());
    CHECK(aggregate.append(aggregate).isOk());
    CHECK_EQ(world.reader.domain->liveHolds(), 3u);
    world.reader.domain->release(named);
    CHECK_EQ(world.owner.pool->collect(), 0u);
    CHECK(!world.reader.domain->forgetSegment(named.segment->number()));
    CHECK(allAre(aggregate.sliceAt(0), 0xa1));
  }
  CHECK_EQ(world.reader.domain->liveHolds(), 0u);
  CHECK_EQ(world.owner.pool->collect(), 1u);
  CHECK_EQ(world.owner.pool->stats().buffers, 0u);
  const uint32_t number = named.segment->number();
  CHECK(world.reader.domain->forgetSegment(number));
  CHECK(world.reader.domain->segment(number) == nullptr);
}

TEST(aForeignBufferThatTheKernelHasSeenDoesNotKeepItsSegment) {
  DomainPair world;
  const Slice slice = world.owner.make(200 << 10, 1);
  CHECK(world.owner.domain->exportSlice(slice).isOk());
  const Slice named = world.asReader(slice);
  CHECK(world.take(world.reader, named) == TakeOutcome::Taken);
  world.reader.domain->markKernelVisible(named);
  world.owner.domain->release(slice);
  CHECK(!world.reader.domain->forgetSegment(named.segment->number()));
  world.reader.domain->release(named);
  CHECK_EQ(world.owner.pool->collect(), 1u);
  CHECK(world.reader.domain->forgetSegment(named.segment->number()));
}

// The same words of the hold table count for the next segment of an ordinal, which may have other
// slots in a chunk.
TEST(whatTheKernelHasSeenHidesNoHoldInALaterSegment) {
  DomainPair world;
  const Slice first = world.owner.make(200 << 10, 1);
  const Slice slice = world.owner.make(200 << 10, 1);  // Not in the first chunk.
  CHECK(world.owner.domain->exportSlice(slice).isOk());
  const Slice named = world.asReader(slice);
  CHECK(world.take(world.reader, named) == TakeOutcome::Taken);
  world.reader.domain->markKernelVisible(named);
  const uint32_t ordinal = slice.segment->ordinal();
  world.reader.domain->release(named);
  world.owner.domain->release(slice);
  world.owner.domain->release(first);
  CHECK_EQ(world.owner.pool->stats().buffers, 0u);
  world.owner.pool->trim(0);
  CHECK_EQ(world.owner.retired, 1);
  std::vector<Slice> small;
  do {
    small.push_back(world.owner.make(64, 2));
  } while (small.back().slot < slice.slot);
  const Slice again = small.back();
  REQUIRE(again.slot == slice.slot);
  REQUIRE(again.segment->ordinal() == ordinal);
  CHECK(world.owner.domain->exportSlice(again).isOk());
  const Slice held = world.asReader(again);
  CHECK(world.take(world.reader, held) == TakeOutcome::Taken);
  for (const Slice& each : small) world.owner.domain->release(each);
  CHECK_EQ(world.owner.pool->collect(), 0u);
  CHECK_EQ(world.owner.pool->stats().buffers, 1u);
  world.reader.domain->release(held);
  CHECK_EQ(world.owner.pool->collect(), 1u);
}

TEST(anOwnBufferThatComesBackIsFreedOnce) {
  DomainPair world;
  const Slice slice = world.owner.make(500, 1);
  CHECK(world.owner.domain->exportSlice(slice).isOk());
  const Slice named = world.asReader(slice);
  CHECK(world.take(world.reader, named) == TakeOutcome::Taken);
  world.owner.domain->release(slice);
  CHECK_EQ(world.owner.pool->stats().pending, 1u);
  for (int round = 0; round < 3; round++) {
    CHECK(world.take(world.owner, slice) == TakeOutcome::Taken);
    if (round == 1) CHECK_EQ(world.owner.pool->collect(), 0u);
    world.owner.domain->release(slice);
    CHECK_EQ(world.owner.pool->stats().pending, 1u);
  }
  CHECK(world.take(world.owner, slice) == TakeOutcome::Taken);
  world.reader.domain->release(named);
  CHECK_EQ(world.owner.pool->collect(), 0u);
  CHECK_EQ(world.owner.pool->stats().pending, 0u);
  CHECK_EQ(world.owner.pool->stats().buffers, 1u);
  world.owner.domain->release(slice);
  CHECK_EQ(world.owner.pool->stats().pending, 0u);
  CHECK_EQ(world.owner.pool->stats().buffers, 0u);
}

TEST(nobodyCanMakeUsHoldWhatWeNeverExported) {
  DomainPair world;
  Domain& domain = *world.owner.domain;
  const Slice slice = world.owner.make(500, 1);
  Segment& segment = *slice.segment;
  CHECK(domain.takeNamed(segment, slice.slot).code() == Code::Stale);      // Never exported.
  CHECK(domain.takeNamed(segment, slice.slot + 1).code() == Code::Stale);  // No buffer at all.
  CHECK(domain.takeNamed(segment, segment.slots()).code() == Code::BadDescriptor);
  CHECK(domain.exportSlice(slice).isOk());
  domain.release(slice);
  CHECK(domain.takeNamed(segment, slice.slot).code() == Code::Stale);  // Free again.
  CHECK_EQ(domain.liveHolds(), 0u);
  const Slice other = world.owner.make(500, 2);
  CHECK(world.owner.domain->exportSlice(other).isOk());
  const Slice named = world.asReader(other);
  CHECK(world.reader.domain->takeNamed(*named.segment, named.segment->slots()).code() ==
        Code::BadDescriptor);
  CHECK_EQ(world.reader.domain->liveHolds(), 0u);
  domain.release(other);
}

TEST(theRevokingGenerationOfADeadOwnerIsValid) {
  DomainPair world;
  const Slice slice = world.owner.make(64, 1);
  CHECK(world.owner.domain->exportSlice(slice).isOk());
  const Slice named = world.asReader(slice);
  GenerationWord& word = slice.segment->generation(slice.slot);
  word.fetch_or(kGenerationRevoking);
  CHECK(world.take(world.reader, named) == TakeOutcome::Revoking);
  world.reader.isOwnerDead = true;
  CHECK(world.reader.domain->checkNamed(*named.segment, named.slot, named.generation) ==
        TakeOutcome::Taken);
  word.fetch_and(~kGenerationRevoking);
  world.reader.domain->release(named);
  world.owner.domain->release(slice);
}

TEST(aSegmentIsPublishedBeforeItsFirstNameLeaves) {
  DomainPair world;
  const Slice slice = world.owner.make(64, 1);
  world.owner.publishing = Status(Code::WouldBlock, "control socket");
  CHECK(world.owner.domain->exportSlice(slice).code() == Code::WouldBlock);
  world.owner.publishing = {};
  CHECK(world.owner.domain->exportSlice(slice).isOk());
  CHECK(world.owner.domain->exportSlice(slice).isOk());
  CHECK_EQ(world.owner.published, 2);
  world.owner.domain->release(slice);
  world.owner.pool.reset();
  CHECK_EQ(world.owner.retired, 1);
}

struct Viewer final : ViewListener {
  explicit Viewer(Domain& domain) : domain(domain) { domain.setViewListener(this); }
  ~Viewer() { domain.setViewListener(nullptr); }
  void onViewIdle(Segment&, uint32_t firstChunk) override { idle.push_back(firstChunk); }
  void onSegmentRetired(Segment& segment) override { retired.push_back(segment.number()); }
  Domain& domain;
  std::vector<uint32_t> idle;
  std::vector<uint32_t> retired;
};

TEST(aViewOfForeignBytesIsToldWhenThisDomainsLastHoldGoes) {
  DomainPair world;
  Viewer viewer(*world.reader.domain);
  const Slice first = world.owner.make(500, 1);
  const Slice second = world.owner.make(500, 2);
  CHECK(world.owner.domain->exportSlice(first).isOk());
  CHECK(world.owner.domain->exportSlice(second).isOk());
  const Slice one = world.asReader(first);
  const Slice two = world.asReader(second);
  CHECK(world.take(world.reader, one) == TakeOutcome::Taken);
  world.reader.domain->release(one);
  CHECK_EQ(viewer.idle.size(), 0u);  // Nobody looked.
  CHECK(world.take(world.reader, one) == TakeOutcome::Taken);
  CHECK(world.take(world.reader, two) == TakeOutcome::Taken);
  world.reader.domain->markViewed(one);
  world.reader.domain->release(one);
  CHECK_EQ(viewer.idle.size(), 0u);  // Its neighbour in the chunk is held.
  world.reader.domain->retain(two);
  world.reader.domain->release(two);
  world.reader.domain->release(two);
  CHECK_EQ(viewer.idle.size(), 1u);
  CHECK_EQ(viewer.retired.size(), 0u);
  CHECK(world.reader.domain->forgetSegment(one.segment->number()));
  REQUIRE(viewer.retired.size() == 1);
  CHECK_EQ(viewer.retired[0], first.segment->number());
  world.owner.domain->release(first);
  world.owner.domain->release(second);
}

// The reader knows no runs: a view has to reach the end of any buffer that starts in its chunk,
// and not the end of the segment.
TEST(aViewOfForeignBytesCoversTheWholeBufferWhateverItsSize) {
  DomainPair world;
  for (uint32_t length : {1u, 64u, 4096u, 4097u, 5120u, 60'000u, 65'536u, 70'000u, 81'920u,
                          131'072u, 131'073u, 1u << 20, (1u << 20) + 1, 16u << 20, 17u << 20}) {
    for (int count = 0; count < 20; count++) {
      const Slice slice = world.owner.make(length, 3);
      CHECK(world.owner.domain->exportSlice(slice).isOk());
      const Slice named = world.asReader(slice);
      const ViewSpan span = world.reader.domain->viewSpan(named);
      const uint64_t from = named.segment->slotOffset(named.slot);
      CHECK(span.offset <= from);
      CHECK(from + length <= span.offset + span.bytes);
      CHECK(span.offset + span.bytes <= named.segment->totalBytes());
      CHECK(span.bytes <= length + 2 * kChunkBytes);
      CHECK(span.firstChunk < named.segment->chunks());
      world.owner.domain->release(slice);
      if (length > 1u << 20) break;
    }
  }
}

// Its tables are the owner's to write: whatever they say, a view stays inside the segment.
TEST(anOwnerThatLiesAboutABuffersSizeDoesNotMoveTheViewOutOfTheSegment) {
  DomainPair world;
  const Slice slice = world.owner.make(5000, 1);
  CHECK(world.owner.domain->exportSlice(slice).isOk());
  const Slice named = world.asReader(slice);
  ChunkEntry& entry = slice.segment->chunkEntry(slice.segment->chunkOf(slice.slot));
  const uint64_t honest = entry.load();
  for (const uint64_t lie : {uint64_t{0}, uint64_t{1}, uint64_t{kChunkBytes - 1}, uint64_t{1} << 40,
                             ~uint64_t{0}, ~uint64_t{0} - kChunkBytes + 1}) {
    entry.store(lie);
    const ViewSpan span = world.reader.domain->viewSpan(named);
    CHECK(span.bytes >= kChunkBytes);
    CHECK(span.offset + span.bytes <= named.segment->totalBytes());
    CHECK_EQ(span.firstChunk, named.segment->chunkOf(named.slot));
  }
  entry.store(honest);
  world.owner.domain->release(slice);
}

}  // namespace
}  // namespace iol
