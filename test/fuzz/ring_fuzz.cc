// test/fuzz/ring_fuzz.cc: whatever a peer writes into its ring, we read only what we may.
//
// A few good messages are written, then changed word by word as the input says, then published up
// to an index of the input's choice. Whatever comes out:
//   - every byte of what was Received can be read, in a segment that was granted;
//   - after each message nothing is held;
//   - after Corrupt the channel is closed, and stays so.

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "channel/receiver.h"
#include "pool/pool.h"
#include "sys/process.h"

namespace {

using namespace iol;  // NOLINT: a test of this folder.

void require(bool condition) {
  if (!condition) std::abort();
}

struct Party {
  explicit Party(Window& window) : domain(Domain::create(window).take()) {
    pool = Pool::create(*domain, {}).take();
    doorbell = Doorbell::create(*domain).take();
  }
  std::unique_ptr<Domain> domain;
  std::unique_ptr<Pool> pool;
  std::unique_ptr<Doorbell> doorbell;
};

struct World {
  World() : window({256ull << 20}), peer(window), self(window) {
    Draft draft = peer.pool->allocate(5000).take();
    std::memset(draft.bytes(), 7, draft.byteLength());
    slice = draft.seal();
    (void)peer.domain->exportSlice(slice);
    PeerHandles handles{peer.domain->name(), sys::duplicate(peer.doorbell->blockFd()).take(),
                        peer.doorbell->makeButton().take(), sys::openPidfd(::getpid()).take()};
    link = Link::open(*self.doorbell, std::move(handles)).take();
    (void)self.domain->holdsFor(peer.domain->name()).take();
    (void)self.domain->adoptSegment(
        Segment::open(window.id(), sys::duplicate(slice.segment->readOnlyFd()).take(),
                      slice.segment->totalBytes())
            .take());
    name = {window.id(), 1, kRingBytesMin, peer.domain->name(), self.domain->name()};
  }
  Window window;
  Party peer;
  Party self;
  Slice slice;
  std::unique_ptr<Link> link;
  ChannelName name;
};

// Good messages; returns where they end.
uint64_t writeGood(const World& world, RingMemory& ring, uint32_t messages) {
  RingWriter writer{ring.words(), kRingBytesMin / 8 - 1, 0};
  const Descriptor one = describe(world.slice);
  const Descriptor many[3] = {one, one, one};
  const uint8_t metadata[11] = {};
  for (uint32_t count = 0; count < messages; count++) {
    writeFrame(writer, 1 + count % 3, false, {metadata, count % 12}, {many, 1 + count % 3});
  }
  return writer.at;
}

void receiveAll(World& world, Receiver& receiver) {
  Message message(*world.self.domain);
  uint64_t sum = 0;
  for (int turn = 0; turn < 600; turn++) {
    const ReceiveOutcome outcome = receiver.tryReceive(message);
    if (outcome == ReceiveOutcome::Received) {
      for (uint32_t index = 0; index < message.aggregate.sliceCount(); index++) {
        const Slice& slice = message.aggregate.sliceAt(index);
        require(slice.length > 0);
        sum += slice.data()[0] + slice.data()[slice.length - 1];
      }
    }
    message.aggregate.clear();
    require(world.self.domain->liveHolds() == 0);
    if (outcome == ReceiveOutcome::Corrupt) {
      require(receiver.tryReceive(message) == ReceiveOutcome::Closed);
      require(receiver.failure().code() == Code::BadDescriptor);
    }
    if (outcome != ReceiveOutcome::Received && outcome != ReceiveOutcome::Stale) return;
  }
  require(sum > 0);
}

uint64_t wordAt(const uint8_t* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World& world = *new World();
  if (size < 10) return 0;
  RingMemory ring = RingMemory::create(world.name, RingMemory::Side::Sender).take();
  const uint64_t end = writeGood(world, ring, data[0] % 16);
  for (size_t at = 10; at + 10 <= size; at += 10) {
    const uint16_t place = static_cast<uint16_t>(data[at] | data[at + 1] << 8);
    RingWord& word = ring.words()[place % (kRingBytesMin / 8)];
    word.store(word.load() ^ wordAt(data + at + 2));
  }
  auto receiver = Receiver::create(*world.self.doorbell, *world.link, world.name,
                                   sys::duplicate(ring.readOnlyFd()).take())
                      .take();
  ring.sender().published.store(data[1] % 2 == 0 ? end : wordAt(data + 2));
  receiveAll(world, *receiver);
  return 0;
}
