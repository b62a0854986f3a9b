// Several messages at once: the same messages in the same order, whatever is in the way.
#include <random>

#include "channel_world.h"

namespace iol {
namespace {

using namespace test;

struct BatchWorld {
  BatchWorld() {
    for (int count = 0; count < 16; count++) messages.emplace_back(*reader.domain);
  }
  // The fills of what came, as one text; then what tryReceive() says.
  ReceiveOutcome receive(std::string* fills) {
    size_t count = 0;
    const ReceiveOutcome outcome = pipe.receiver->receiveBatch(messages, count);
    CHECK_EQ(count > 0, outcome == ReceiveOutcome::Received);
    for (size_t index = 0; index < count; index++) {
      const Aggregate& bytes = messages[index].aggregate;
      CHECK_EQ(textOf(messages[index].metadata), std::to_string(bytes.byteLength()));
      if (bytes.sliceCount() == 0) continue;
      CHECK(allAre(bytes.sliceAt(0), bytes.sliceAt(0).data()[0]));
      fills->push_back(static_cast<char>(bytes.sliceAt(0).data()[0]));
    }
    return outcome;
  }
  void send(const Aggregate& bytes) {
    CHECK(pipe.send(bytes, std::to_string(bytes.byteLength())) == SendOutcome::Sent);
  }

  Neighbours neighbours;
  Participant owner{neighbours};
  Participant reader{neighbours};
  Pipe pipe{owner, reader, 64 << 10};
  std::vector<Message> messages;
};

TEST(aBatchIsTheMessagesInTheirOrder) {
  BatchWorld world;
  std::string sent;
  std::string got;
  std::mt19937 random(3);
  for (int round = 0; round < 300; round++) {
    const uint32_t burst = random() % 40;
    for (uint32_t count = 0; count < burst; count++) {
      sent.push_back(static_cast<char>('a' + sent.size() % 26));
      world.send(world.owner.bytes(1 + random() % 9000, static_cast<uint8_t>(sent.back())));
    }
    while (world.receive(&got) == ReceiveOutcome::Received) continue;
    CHECK(got == sent);
  }
  CHECK(sent.size() > 3000);
  for (Message& message : world.messages) message.aggregate.clear();
  world.pipe.sender->settle();
  world.owner.pool->collect();
  CHECK_EQ(world.reader.domain->liveHolds(), 0u);
  CHECK_EQ(world.owner.domain->liveHolds(), 0u);
}

TEST(aBatchEndsBeforeAMessageThatHasToWait) {
  BatchWorld world;
  Aggregate held = world.owner.bytes(100, 'c');
  const Slice waits = held.sliceAt(0);
  world.send(world.owner.bytes(100, 'a'));
  world.send(world.owner.bytes(100, 'b'));
  world.send(held);
  world.send(world.owner.bytes(100, 'd'));
  std::string got;
  CHECK(world.receive(&got) == ReceiveOutcome::Received);  // The first one brings the segment.
  GenerationWord& word = waits.segment->generation(waits.slot);
  word.fetch_or(kGenerationRevoking);
  while (world.receive(&got) == ReceiveOutcome::Received) continue;
  CHECK_EQ(got, "ab");
  CHECK(world.receive(&got) == ReceiveOutcome::Revoking);
  word.fetch_and(~kGenerationRevoking);
  while (world.receive(&got) == ReceiveOutcome::Received) continue;
  CHECK_EQ(got, "abcd");
}

TEST(rubbishInTheMiddleOfABatchClosesAfterWhatWasRight) {
  BatchWorld world;
  const Aggregate whole = world.owner.bytes(100, 'x');
  std::string got;
  world.send(whole);
  CHECK(world.receive(&got) == ReceiveOutcome::Received);
  world.send(world.owner.bytes(100, 'y'));
  Slice wrong = whole.sliceAt(0);
  wrong.length = 5000;  // Past its buffer's end.
  Aggregate rubbish(*world.owner.domain);
  CHECK(rubbish.append(wrong).isOk());
  world.send(rubbish);
  world.send(world.owner.bytes(100, 'z'));
  CHECK(world.receive(&got) == ReceiveOutcome::Received);
  CHECK_EQ(got, "xy");
  CHECK(world.receive(&got) == ReceiveOutcome::Corrupt);
  CHECK_EQ(world.pipe.receiver->failure().code(), Code::BadDescriptor);
  for (Message& message : world.messages) message.aggregate.clear();
  CHECK_EQ(world.reader.domain->liveHolds(), 0u);
}

TEST(longListsEmptyMessagesAndTheEndAreInTheirPlaces) {
  BatchWorld world;
  Aggregate list(*world.owner.domain);
  for (uint32_t count = 0; count < kDescriptorsInline + 5; count++) {
    CHECK(list.append(world.owner.bytes(2000, 'l')).isOk());
  }
  const Aggregate empty(*world.owner.domain);
  world.send(world.owner.bytes(10, '1'));
  world.send(empty);
  world.send(list);
  world.send(world.owner.bytes(10, '2'));
  world.pipe.sender->close();
  std::string got;
  while (world.receive(&got) == ReceiveOutcome::Received) continue;
  CHECK_EQ(got, "1l2");
  CHECK(world.receive(&got) == ReceiveOutcome::Closed);
}

// Large payloads are taken back before the ring has no room to name more of them.
TEST(aSenderOfLargeMessagesUsesTheSameMemoryAgain) {
  BatchWorld world;
  std::string got;
  for (int count = 0; count < 200; count++) {
    world.send(world.owner.bytes(1 << 20, 'm'));
    CHECK(world.receive(&got) == ReceiveOutcome::Received);
    world.messages[0].aggregate.clear();
  }
  CHECK(world.owner.pool->stats().bytesCommitted <= 12u << 20);
}

// What a reader keeps for a while comes back when the next large buffer is asked for, not when a
// limit is met.
TEST(whatASlowReaderLetsGoIsUsedAgain) {
  BatchWorld world;
  for (int count = 0; count < 200; count++) {
    world.send(world.owner.bytes(1 << 20, 'm'));
    size_t received = 0;
    Message& oldest = world.messages[count % 4];
    CHECK(world.pipe.receiver->receiveBatch({&oldest, 1}, received) == ReceiveOutcome::Received);
  }
  CHECK(world.owner.pool->stats().bytesCommitted <= 16u << 20);
  CHECK(world.owner.pool->stats().pending <= 8u);
}

}  // namespace
}  // namespace iol
