// A peer that writes rubbish into its side: a typed error there, nothing anywhere else.
#include "channel_world.h"

#include <random>

namespace iol {
namespace {

using namespace test;

// A sender whose memory we write by hand, and a receiver that believes it is a peer.
struct HostileSender {
  HostileSender()
      : name{neighbours.window.id(), 7, kRingBytesMin, attacker.domain->name(),
             victim.domain->name()},
        link(Link::open(*victim.doorbell, attacker.handles()).take()),
        memory(RingMemory::create(name, RingMemory::Side::Sender).take()),
        receiver(Receiver::create(*victim.doorbell, *link, name,
                                  sys::duplicate(memory.readOnlyFd()).take())
                     .take()),
        message(*victim.domain) {}

  // The words of a message of one slice at the beginning of the ring.
  void write(const Descriptor& descriptor) {
    RingWriter ring{memory.words(), kRingBytesMin / 8 - 1, 0};
    writeFrame(ring, 1, false, {}, {&descriptor, 1});
    publish(ring.at);
  }
  void publish(uint64_t index) { memory.sender().published.store(index); }
  void word(uint64_t at, uint64_t value) { memory.words()[at].store(value); }
  void expectCorrupt(const char* subject) {
    CHECK(receiver->tryReceive(message) == ReceiveOutcome::Corrupt);
    CHECK_EQ(std::string(receiver->failure().subject()), subject);
    CHECK(receiver->tryReceive(message) == ReceiveOutcome::Closed);
    CHECK(!receiver->hasWork());
    CHECK_EQ(victim.domain->liveHolds(), 0u);
  }
  Descriptor good() {
    const Slice slice = attacker.make(1000, 0x11);
    CHECK(attacker.domain->exportSlice(slice).isOk());
    return describe(slice);
  }

  Neighbours neighbours;
  Participant attacker{neighbours};
  Participant victim{neighbours};
  ChannelName name;
  std::unique_ptr<Link> link;
  RingMemory memory;
  std::unique_ptr<Receiver> receiver;
  Message message;
};

TEST(aPublishedIndexThatJumpsClosesTheChannel) {
  for (const uint64_t index : {uint64_t{1}, uint64_t{7}, kRingBytesMin / 8 + 8, kIndexMax,
                               kIndexMax - 8, kIndexClosed - 8}) {
    HostileSender world;
    world.publish(index);
    world.expectCorrupt("published index");
  }
  HostileSender world;
  world.write(world.good());
  CHECK(world.receiver->tryReceive(world.message) == ReceiveOutcome::Received);
  world.message.aggregate.clear();
  world.publish(0);  // Back.
  world.expectCorrupt("published index");
}

TEST(aMessageThatIsRubbishClosesTheChannel) {
  struct Case {
    uint64_t first, second;
    const char* subject;
  };
  const Case cases[] = {
      {0, 0, "message length"},
      {8 | uint64_t{0x4} << 32, 0, "message flags"},
      {8, uint64_t{1} << 32, "message flags"},
      {16, 0, "message length"},  // Longer than it says.
      {8, 3, "message length"},   // Three slices need more.
      {8, 65, "message slices"},
      {8 | uint64_t{1} << 32, kDescriptorsMax + 1, "message slices"},
      {8 | uint64_t{kMetadataBytesMax + 1} << 48, 0, "message metadata"},
      {8 | uint64_t{500} << 48, 0, "message length"},
      {200, 64, "message length"},  // More than was published.
  };
  for (const Case& each : cases) {
    HostileSender world;
    world.word(0, each.first);
    world.word(1, each.second);
    world.publish(8);
    world.expectCorrupt(each.subject);
  }
}

TEST(aNameThatIsRubbishClosesTheChannel) {
  HostileSender plain;
  const Descriptor good = plain.good();
  plain.write(good);
  CHECK(plain.receiver->tryReceive(plain.message) == ReceiveOutcome::Received);
  plain.message.aggregate.clear();

  const auto corrupt = [](const char* subject, auto change) {
    HostileSender world;
    Descriptor bad = world.good();
    change(bad);
    world.write(bad);
    world.expectCorrupt(subject);
  };
  corrupt("segment number", [](Descriptor& bad) { bad.segment = 0; });
  corrupt("segment number", [](Descriptor& bad) { bad.segment = 1u << kSegmentNumberBits; });
  corrupt("generation", [](Descriptor& bad) { bad.generation |= 1; });
  corrupt("generation", [](Descriptor& bad) { bad.generation = kGenerationMax; });
  corrupt("slice length", [](Descriptor& bad) { bad.length = 0; });
  corrupt("slot", [](Descriptor& bad) { bad.slot = kSlotsMax; });
  corrupt("slice", [](Descriptor& bad) { bad.length = 1025; });  // Its class has 1,024 bytes.
  corrupt("slice", [](Descriptor& bad) { bad.offset = 1024; });
  corrupt("slice", [](Descriptor& bad) { bad.offset = bad.length = 0xffffffff; });
}

TEST(aNameOfAnotherTimeOrPlaceCostsThatMessageOnly) {
  const auto stale = [](auto change) {
    HostileSender world;
    Descriptor bad = world.good();
    change(bad, world);
    world.write(bad);
    CHECK(world.receiver->tryReceive(world.message) == ReceiveOutcome::Stale);
    CHECK(world.receiver->tryReceive(world.message) == ReceiveOutcome::Empty);
    CHECK_EQ(world.victim.domain->liveHolds(), 0u);
  };
  stale([](Descriptor& bad, HostileSender&) { bad.generation += 2; });
  stale([](Descriptor& bad, HostileSender&) { bad.segment = 4711; });
  // The victim's own storage: a draft, a free slot, a buffer that it never exported.
  stale([](Descriptor& bad, HostileSender& world) {
    const Slice slice = world.victim.make(100, 1);
    bad = describe(slice);
    world.victim.domain->release(slice);
  });
  stale([](Descriptor& bad, HostileSender& world) {
    const Slice slice = world.victim.make(100, 1);
    bad = describe(slice);
    bad.slot += 1;
    world.victim.domain->release(slice);
  });
}

TEST(aListBufferThatLiesIsCopiedOutOnceAndChecked) {
  HostileSender world;
  const Slice slice = world.attacker.make(kDescriptorBytes * 100, 0xff);
  CHECK(world.attacker.domain->exportSlice(slice).isOk());
  const Descriptor list = describe(slice);
  RingWriter ring{world.memory.words(), kRingBytesMin / 8 - 1, 0};
  writeFrame(ring, 99, true, {}, {&list, 1});
  world.publish(ring.at);
  world.expectCorrupt("list of slices");  // 99 are not 100.
  HostileSender other;
  const Slice rubbish = other.attacker.make(kDescriptorBytes * 100, 0xff);
  CHECK(other.attacker.domain->exportSlice(rubbish).isOk());
  const Descriptor lies = describe(rubbish);
  RingWriter second{other.memory.words(), kRingBytesMin / 8 - 1, 0};
  writeFrame(second, 100, true, {}, {&lies, 1});
  other.publish(second.at);
  other.expectCorrupt("segment number");
}

TEST(aRingThatIsRewrittenWhileItIsReadHarmsNobody) {
  HostileSender world;
  const Descriptor good = world.good();
  std::mt19937_64 random(1);
  uint64_t index = 0;
  for (int round = 0; round < 20000; round++) {
    index += kCellWords;
    RingWriter ring{world.memory.words(), kRingBytesMin / 8 - 1, index - kCellWords};
    writeFrame(ring, 1, false, {}, {&good, 1});
    const uint64_t at = (index - kCellWords + random() % 5) % (kRingBytesMin / 8);
    if (round % 3 == 0) world.word(at, world.memory.words()[at] ^ uint64_t{1} << random() % 64);
    world.publish(index);
    const ReceiveOutcome outcome = world.receiver->tryReceive(world.message);
    world.message.aggregate.clear();
    CHECK_EQ(world.victim.domain->liveHolds(), 0u);
    if (outcome != ReceiveOutcome::Corrupt) continue;
    world.receiver.reset();
    world.memory = RingMemory::create(world.name, RingMemory::Side::Sender).take();
    world.receiver = Receiver::create(*world.victim.doorbell, *world.link, world.name,
                                      sys::duplicate(world.memory.readOnlyFd()).take())
                         .take();
    index = 0;
  }
}

TEST(aConsumedIndexThatJumpsClosesTheSendersChannelOnly) {
  Neighbours neighbours;
  Participant victim(neighbours);
  Participant attacker(neighbours);
  Pipe healthy(victim, attacker);
  for (const uint64_t lie : {uint64_t{8}, kIndexMax, ~uint64_t{0}}) {
    const ChannelName name{neighbours.window.id(), 99, kRingBytesMin, victim.domain->name(),
                           attacker.domain->name()};
    auto link = Link::open(*victim.doorbell, attacker.handles()).take();
    auto sender = Sender::create(*victim.doorbell, *victim.pool, name).take();
    RingMemory memory = RingMemory::create(name, RingMemory::Side::Receiver).take();
    CHECK(sender->connect(*link, sys::duplicate(memory.readOnlyFd()).take()).isOk());
    memory.receiver().consumed.store(lie);
    sender->settle();
    CHECK(sender->failure().code() == Code::BadDescriptor);
    CHECK_EQ(sender->trySend(victim.bytes(10, 1)).value(), SendOutcome::Closed);
    CHECK(healthy.send(victim.bytes(10, 1)) == SendOutcome::Sent);
  }
  healthy.receiver->close();
  healthy.sender->settle();
  CHECK_EQ(victim.domain->liveHolds(), 0u);
}

TEST(foreignChannelMemoryIsCheckedBeforeItIsUsed) {
  HostileSender world;
  const auto open = [&](sys::Fd fd) {
    return RingMemory::open(world.name, RingMemory::Side::Sender, std::move(fd)).status().code();
  };
  ChannelName other = world.name;
  other.channelId++;
  RingMemory wrongId = RingMemory::create(other, RingMemory::Side::Sender).take();
  CHECK(open(sys::duplicate(wrongId.readOnlyFd()).take()) == Code::BadDescriptor);
  other = world.name;
  std::swap(other.sender, other.receiver);
  RingMemory wrongWriter = RingMemory::create(other, RingMemory::Side::Sender).take();
  CHECK(open(sys::duplicate(wrongWriter.readOnlyFd()).take()) == Code::BadDescriptor);
  RingMemory wrongSide = RingMemory::create(world.name, RingMemory::Side::Receiver).take();
  CHECK(open(sys::duplicate(wrongSide.readOnlyFd()).take()) == Code::BadDescriptor);
  sys::Fd hollow = sys::createMemory("hollow", kRingOffset + kRingBytesMin).take();
  CHECK(open(sys::reopenReadOnly(hollow).take()) == Code::BadDescriptor);
  CHECK(sys::commit(hollow, 0, kRingOffset + kRingBytesMin).isOk());
  CHECK(open(sys::reopenReadOnly(hollow).take()) == Code::Format);
  CHECK(open(sys::socketPair().take().first) == Code::BadDescriptor);
  CHECK(Link::open(
            *world.victim.doorbell,
            {world.attacker.domain->name(), sys::duplicate(world.victim.doorbell->blockFd()).take(),
             world.attacker.doorbell->makeButton().take(), sys::openPidfd(::getpid()).take()})
            .status()
            .code() == Code::BadDescriptor);
  world.name.ringBytes = 5000;
  CHECK(RingMemory::create(world.name, RingMemory::Side::Sender).status().code() ==
        Code::BadDescriptor);
}

}  // namespace
}  // namespace iol
