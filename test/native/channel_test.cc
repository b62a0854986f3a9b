// Channels between domains of one process: order, back-pressure, holds in flight, ends.
#include "channel/receiver.h"
#include "channel/sender.h"

#include "channel_world.h"

namespace iol {
namespace {

using namespace test;

struct ChannelPair {
  Neighbours neighbours;
  Participant a{neighbours};
  Participant b{neighbours};
  void checkNothingIsHeld() {
    a.pool->collect();
    b.pool->collect();
    CHECK_EQ(a.domain->liveHolds(), 0u);
    CHECK_EQ(b.domain->liveHolds(), 0u);
    CHECK_EQ(a.pool->stats().buffers, 0u);
    CHECK_EQ(b.pool->stats().buffers, 0u);
  }
};

TEST(anAggregateArrivesByNameAndNoByteIsCopied) {
  ChannelPair world;
  Pipe pipe(world.a, world.b);
  const uint64_t copied = copyCount(CopyReason::Untrusted).times;
  Message message(*world.b.domain);
  {
    Aggregate sent = world.a.bytes(3000, 0x5a);
    const uint64_t address = sent.sliceAt(0).address();
    CHECK(pipe.send(sent, "a name") == SendOutcome::Sent);
    sent.clear();  // The hold in flight keeps it.
    CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
    CHECK_EQ(message.aggregate.sliceAt(0).address(), address);
  }
  CHECK_EQ(textOf(message.metadata), "a name");
  CHECK_EQ(message.aggregate.byteLength(), 3000u);
  CHECK(allAre(message.aggregate.sliceAt(0), 0x5a));
  CHECK_EQ(copyCount(CopyReason::Untrusted).times, copied);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Empty);
  CHECK_EQ(message.aggregate.byteLength(), 3000u);  // Left alone.
  pipe.sender->settle();
  CHECK_EQ(world.a.domain->liveHolds(), 0u);
  CHECK_EQ(world.a.pool->collect(), 0u);
  message.aggregate.clear();
  world.checkNothingIsHeld();
}

TEST(orderIsKeptAndAFullRingPushesBack) {
  ChannelPair world;
  Pipe pipe(world.a, world.b);
  const Aggregate body = world.a.bytes(100, 7);
  uint32_t sent = 0;
  uint32_t received = 0;
  for (int round = 0; round < 50; round++) {
    while (pipe.send(body, std::to_string(sent)) == SendOutcome::Sent) sent++;
    CHECK_EQ(pipe.send(body, std::to_string(sent)), SendOutcome::Full);
    Message message(*world.b.domain);
    for (int count = 0; count < 1 + round % 64; count++) {
      if (pipe.receiver->tryReceive(message) != ReceiveOutcome::Received) break;
      CHECK_EQ(textOf(message.metadata), std::to_string(received++));
    }
  }
  Message message(*world.b.domain);
  while (pipe.receiver->tryReceive(message) == ReceiveOutcome::Received) {
    CHECK_EQ(textOf(message.metadata), std::to_string(received++));
  }
  CHECK_EQ(received, sent);
  CHECK(sent > 800);
  pipe.sender->settle();
  CHECK(pipe.sender->isSettled());
  CHECK_EQ(world.a.domain->liveHolds(), 1u);
}

TEST(metadataAndEmptyMessagesOfEveryLength) {
  ChannelPair world;
  Pipe pipe(world.a, world.b);
  const Aggregate nothing(*world.a.domain);
  Message message(*world.b.domain);
  for (uint32_t length = 0; length <= kMetadataBytesMax; length += 1 + length / 7) {
    const std::string metadata(length, static_cast<char>('a' + length % 26));
    CHECK(pipe.send(nothing, metadata) == SendOutcome::Sent);
    CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
    CHECK_EQ(textOf(message.metadata), metadata);
    CHECK_EQ(message.aggregate.sliceCount(), 0u);
  }
  const std::vector<uint8_t> tooLong(kMetadataBytesMax + 1);
  CHECK(pipe.sender->trySend(nothing, tooLong).status().code() == Code::TooLarge);
}

TEST(aLongListGoesThroughAWindowBuffer) {
  ChannelPair world;
  Pipe pipe(world.a, world.b);
  Message message(*world.b.domain);
  for (const uint32_t slices : {1u, kDescriptorsInline, kDescriptorsInline + 1, 5000u}) {
    Aggregate list(*world.a.domain);
    // Long enough and in such an order that none are joined.
    const Slice whole = world.a.make(slices * 200, 0);
    for (uint32_t at = slices; at > 0; at--) {
      CHECK(list.append(whole.part((at - 1) * 200, 200)).isOk());
    }
    world.a.domain->release(whole);
    const uint64_t copied = copyCount(CopyReason::Untrusted).bytes;
    CHECK(pipe.send(list) == SendOutcome::Sent);
    list.clear();
    CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
    CHECK_EQ(message.aggregate.sliceCount(), slices);
    CHECK_EQ(message.aggregate.sliceAt(0).offset, (slices - 1) * 200);
    CHECK_EQ(message.aggregate.sliceAt(slices - 1).offset, 0u);
    const bool isLong = slices > kDescriptorsInline;
    CHECK_EQ(copyCount(CopyReason::Untrusted).bytes - copied,
             isLong ? uint64_t{slices} * kDescriptorBytes : 0u);
    message.aggregate.clear();
    pipe.sender->settle();
  }
  world.checkNothingIsHeld();
}

TEST(tooManySlicesAreRefusedAndNothingIsTaken) {
  ChannelPair world;
  Pipe pipe(world.a, world.b);
  Aggregate list(*world.a.domain);
  const Slice whole = world.a.make(400, 0);
  for (uint32_t at = 0; at <= kDescriptorsMax; at++) {
    CHECK(list.append(whole.part((at + 1) % 2 * 200, 200 - at % 2)).isOk());
  }
  world.a.domain->release(whole);
  CHECK(pipe.sender->trySend(list).status().code() == Code::TooManySlices);
  list.clear();
  world.checkNothingIsHeld();
}

TEST(aMessageIsForwardedToAThirdDomainAndComesHome) {
  ChannelPair world;
  Participant c(world.neighbours);
  Pipe ab(world.a, world.b);
  Pipe bc(world.b, c);
  Pipe ca(c, world.a);
  Message atB(*world.b.domain);
  Message atC(*c.domain);
  Message atA(*world.a.domain);
  CHECK(ab.send(world.a.bytes(200, 9)) == SendOutcome::Sent);
  CHECK(ab.receiver->tryReceive(atB) == ReceiveOutcome::Received);
  CHECK(bc.send(atB.aggregate) == SendOutcome::Sent);
  atB.aggregate.clear();
  ab.sender->settle();
  CHECK_EQ(world.a.pool->collect(), 0u);  // In flight from B to C.
  CHECK(bc.receiver->tryReceive(atC) == ReceiveOutcome::Received);
  bc.sender->settle();
  CHECK_EQ(world.b.domain->liveHolds(), 0u);
  CHECK(allAre(atC.aggregate.sliceAt(0), 9));
  CHECK(ca.send(atC.aggregate) == SendOutcome::Sent);
  atC.aggregate.clear();
  CHECK(ca.receiver->tryReceive(atA) == ReceiveOutcome::Received);
  CHECK(atA.aggregate.sliceAt(0).segment->isOwn());
  CHECK(allAre(atA.aggregate.sliceAt(0), 9));
  ca.sender->settle();
  CHECK_EQ(c.domain->liveHolds(), 0u);
  atA.aggregate.clear();
  world.checkNothingIsHeld();
}

TEST(aMessageWaitsForItsGrantWhileOtherChannelsGoOn) {
  ChannelPair world;
  Participant c(world.neighbours);
  Pipe slow(world.a, world.b);
  Pipe quick(c, world.b);
  Message message(*world.b.domain);
  world.b.isSlow = true;
  CHECK(slow.send(world.a.bytes(10, 1), "first") == SendOutcome::Sent);
  CHECK(slow.receiver->tryReceive(message) == ReceiveOutcome::AwaitingGrant);
  CHECK(slow.receiver->tryReceive(message) == ReceiveOutcome::AwaitingGrant);
  CHECK(quick.send(Aggregate(*c.domain), "second") == SendOutcome::Sent);
  CHECK(quick.receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK_EQ(textOf(message.metadata), "second");
  CHECK(world.b.doorbell->prepareToSleep());  // Nothing to do until the grant comes.
  world.b.doorbell->wake();
  world.b.domain->noteSegmentAnswer();
  CHECK(!world.b.doorbell->prepareToSleep());  // One that waits looks again.
  CHECK(slow.receiver->tryReceive(message) == ReceiveOutcome::AwaitingGrant);
  CHECK(world.b.doorbell->prepareToSleep());
  world.b.doorbell->wake();
  world.b.isSlow = false;
  CHECK(slow.receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK_EQ(textOf(message.metadata), "first");
}

TEST(aRefusedOrUnknownSegmentCostsThatMessageOnly) {
  ChannelPair world;
  Pipe pipe(world.a, world.b);
  Message message(*world.b.domain);
  world.b.isDenied = true;
  CHECK(pipe.send(world.a.bytes(10, 1)) == SendOutcome::Sent);
  CHECK(pipe.send(Aggregate(*world.a.domain), "next") == SendOutcome::Sent);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Denied);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK_EQ(textOf(message.metadata), "next");
  pipe.sender->settle();
  world.checkNothingIsHeld();
}

TEST(aRevokingOwnerMakesTheMessageWaitAndKeepsItsHold) {
  ChannelPair world;
  Pipe pipe(world.a, world.b);
  Message message(*world.b.domain);
  Aggregate sent = world.a.bytes(10, 1);
  CHECK(pipe.send(sent) == SendOutcome::Sent);
  const Slice slice = sent.sliceAt(0);
  slice.segment->generation(slice.slot).fetch_or(kGenerationRevoking);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Revoking);
  CHECK_EQ(world.b.domain->liveHolds(), 1u);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Revoking);
  CHECK_EQ(world.b.domain->liveHolds(), 1u);
  CHECK_EQ(world.b.doorbell->sleepMs(), 1);
  for (int turn = 0; turn < 20; turn++) (void)pipe.receiver->tryReceive(message);
  CHECK_EQ(world.b.doorbell->sleepMs(), 20);
  pipe.sender->settle();
  CHECK(!pipe.sender->isSettled());
  slice.segment->generation(slice.slot).fetch_and(~kGenerationRevoking);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  sent.clear();
  message.aggregate.clear();
  pipe.sender->settle();
  world.checkNothingIsHeld();
}

TEST(aNameThatWasRecycledIsStaleAndTheChannelGoesOn) {
  ChannelPair world;
  Pipe pipe(world.a, world.b);
  Message message(*world.b.domain);
  Aggregate sent = world.a.bytes(10, 1);
  const Slice slice = sent.sliceAt(0);
  CHECK(pipe.send(sent) == SendOutcome::Sent);
  CHECK(pipe.send(Aggregate(*world.a.domain), "next") == SendOutcome::Sent);
  slice.segment->generation(slice.slot).fetch_add(2);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Stale);
  CHECK_EQ(world.b.domain->liveHolds(), 0u);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
}

TEST(aClosedChannelIsDrainedFirst) {
  ChannelPair world;
  Pipe pipe(world.a, world.b);
  Message message(*world.b.domain);
  CHECK(pipe.send(world.a.bytes(10, 1), "last") == SendOutcome::Sent);
  Sender& sender = *pipe.sender;
  world.a.doorbell->linger(std::move(pipe.sender));
  CHECK_EQ(world.a.doorbell->lingering(), 1u);
  CHECK_EQ(sender.trySend(Aggregate(*world.a.domain)).value(), SendOutcome::Closed);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Closed);
  CHECK(world.a.doorbell->prepareToSleep());
  world.a.doorbell->wake();
  CHECK_EQ(world.a.doorbell->lingering(), 0u);
  message.aggregate.clear();
  world.checkNothingIsHeld();
}

TEST(aReceiverThatClosesReleasesWhatIsInFlight) {
  ChannelPair world;
  Pipe pipe(world.a, world.b);
  CHECK(pipe.send(world.a.bytes(10, 1)) == SendOutcome::Sent);
  pipe.receiver->close();
  CHECK(pipe.sender->hasWork());
  CHECK(pipe.send(world.a.bytes(10, 2)) == SendOutcome::Closed);
  CHECK(pipe.sender->isSettled());
  CHECK(!pipe.sender->hasWork());
  world.checkNothingIsHeld();
}

TEST(aDeadSenderIsDrainedOnceMore) {
  ChannelPair world;
  Pipe pipe(world.a, world.b);
  Message message(*world.b.domain);
  CHECK(pipe.send(Aggregate(*world.a.domain), "one") == SendOutcome::Sent);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Empty);
  CHECK(pipe.send(Aggregate(*world.a.domain), "two") == SendOutcome::Sent);
  pipe.toSender->markDead();
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK(pipe.receiver->hasWork());
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::PeerDead);
  CHECK(!pipe.receiver->hasWork());
}

TEST(aDeadReceiverReleasesWhatIsInFlight) {
  ChannelPair world;
  Pipe pipe(world.a, world.b);
  CHECK(pipe.send(world.a.bytes(10, 1)) == SendOutcome::Sent);
  pipe.toReceiver->markDead();
  CHECK(pipe.sender->hasWork());
  CHECK(pipe.send(world.a.bytes(10, 2)) == SendOutcome::PeerDead);
  CHECK(pipe.sender->isSettled());
}

TEST(aPoolShortOfMemoryTakesBackWhatWasConsumed) {
  ChannelPair world;
  Pool::Options options;
  options.maxBytes = 1 << 20;
  auto small = Pool::create(*world.a.domain, options).take();
  {
    Pipe pipe(world.a, world.b);
    Message message(*world.b.domain);
    for (int round = 0; round < 8; round++) {
      Result<Draft> draft = small->allocate(700'000);
      CHECK(draft.isOk());
      if (!draft.isOk()) break;
      Aggregate body(*world.a.domain);
      CHECK(body.adopt(draft.value().seal()).isOk());
      CHECK(pipe.send(body) == SendOutcome::Sent);
      CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
      message.aggregate.clear();
    }
  }
  small.reset();
}

}  // namespace
}  // namespace iol
