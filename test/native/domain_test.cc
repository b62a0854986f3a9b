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

}  // namespace
}  // namespace iol
