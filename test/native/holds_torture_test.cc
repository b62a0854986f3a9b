// Readers look names up in an index while the owner recycles as fast as it can: as processes that
// are killed, and as threads (for TSan). IOL_TORTURE_ROUNDS makes the first one longer.
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>

#include "holds_world.h"

namespace iol {
namespace {

using namespace test;

// The torture's index: one writer, entries of three words; the bytes of a buffer all are the
// low byte of its generation mixed with its slot.
constexpr uint32_t kEntries = 32;
struct TortureIndex {
  struct Entry {
    std::atomic<uint64_t> generationPlusOne;  // 0: empty.
    std::atomic<uint32_t> slot;
    std::atomic<uint32_t> length;
  } entries[kEntries];
  std::atomic<uint32_t> isOver;
};

uint8_t fillOf(uint32_t slot, uint64_t generation) {
  return static_cast<uint8_t>(generation / 2 * 31 + slot * 7);
}

struct TortureCounts {
  uint64_t reads = 0;
  uint64_t wrong = 0;
  uint64_t missed = 0;
};

// The taker's discipline from an index: hold, fence, entry again, generation; then the bytes.
void readOnce(Holder& holder, const TortureIndex& index, uint32_t at, TortureCounts& counts) {
  const TortureIndex::Entry& entry = index.entries[at];
  const uint64_t generation = entry.generationPlusOne.load(std::memory_order_acquire);
  if (generation == 0) return;
  const Name name{entry.slot.load(std::memory_order_relaxed),
                  entry.length.load(std::memory_order_relaxed), generation - 1};
  if (name.slot >= holder.segment->slots()) return;  // Torn: the entry is being rewritten.
  const TakeOutcome outcome = holder.take(name);
  const bool isSame = entry.generationPlusOne.load(std::memory_order_acquire) == generation &&
                      entry.slot.load(std::memory_order_relaxed) == name.slot;
  if (outcome == TakeOutcome::Taken && isSame) {
    counts.reads++;
    if (!holder.allAre(name, fillOf(name.slot, name.generation))) counts.wrong++;
  } else {
    counts.missed++;
  }
  holder.drop(name);
}

CHILD(torturesAnIndex) {
  sys::Fd socket(3);
  std::vector<sys::Fd> more;
  Result<Holder> joined = join(socket, &more);
  if (!joined.isOk()) return 2;
  const auto* index =
      reinterpret_cast<const TortureIndex*>(sys::mapReadOnly(more[0], sizeof(TortureIndex)).take());
  std::mt19937 random(static_cast<uint32_t>(::atoi(argv[0])));
  TortureCounts counts;
  while (index->isOver.load(std::memory_order_acquire) == 0) {
    readOnce(joined.value(), *index, random() % kEntries, counts);
    if (counts.wrong > 0) return 9;
  }
  return counts.reads > 0 ? 0 : 8;
}

// Replaces entries for `steps` steps; every buffer goes through the whole protocol.
void recycle(Owner& owner, TortureIndex& index, std::mt19937& random, int steps,
             std::vector<Slice>& published) {
  for (int step = 0; step < steps; step++) {
    const uint32_t at = random() % kEntries;
    TortureIndex::Entry& entry = index.entries[at];
    entry.generationPlusOne.store(0, std::memory_order_release);
    if (published[at].segment != nullptr) owner.domain->release(published[at]);
    if (step % 8 == 0) owner.pool->collect();
    Result<Draft> draft = owner.pool->allocate(64 + random() % 3 * 700);
    if (!draft.isOk()) {
      published[at] = {};
      continue;
    }
    const uint32_t length = draft.value().byteLength();
    uint8_t* const bytes = draft.value().bytes();
    const Slice slice = draft.value().seal();
    std::memset(bytes, fillOf(slice.slot, slice.generation), length);
    owner.pool->exportBuffer(slice);
    published[at] = slice;
    entry.slot.store(slice.slot, std::memory_order_relaxed);
    entry.length.store(length, std::memory_order_relaxed);
    entry.generationPlusOne.store(slice.generation + 1, std::memory_order_release);
  }
}

void finish(Owner& owner, std::vector<Slice>& published) {
  for (const Slice& slice : published) {
    if (slice.segment != nullptr) owner.domain->release(slice);
  }
  owner.pool->collect();
  CHECK_EQ(owner.pool->stats().pending, 0u);
  CHECK_EQ(owner.pool->stats().buffers, 0u);
  CHECK_EQ(owner.domain->liveHolds(), 0u);
}

TEST(noReaderSeesWrongBytesWhileReadersAreKilled) {
  Owner owner;
  sys::Fd memory = sys::createMemory("torture-index", sizeof(TortureIndex)).take();
  sys::Fd readOnly = sys::reopenReadOnly(memory).take();
  auto* index =
      reinterpret_cast<TortureIndex*>(sys::mapWritable(memory, sizeof(TortureIndex)).take());
  const char* rounds = ::getenv("IOL_TORTURE_ROUNDS");
  std::mt19937 random(42);
  std::vector<Slice> published(kEntries);
  std::vector<Process> readers;
  int started = 0;
  for (int round = 0; round < (rounds != nullptr ? ::atoi(rounds) : 40); round++) {
    while (readers.size() < 3) {
      readers.emplace_back(owner, "torturesAnIndex",
                           std::vector<std::string>{std::to_string(++started)},
                           std::vector<int>{readOnly.get()});
    }
    recycle(owner, *index, random, 3000, published);
    const size_t victim = random() % readers.size();
    readers[victim].kill();
    readers.erase(readers.begin() + static_cast<ptrdiff_t>(victim));
    if (test::hasFailed()) break;
  }
  index->isOver.store(1, std::memory_order_release);
  for (Process& reader : readers) {
    const int code = awaitChild(reader.pid);
    CHECK(code == 0 || code == 8);  // 8: started so late that it read nothing.
  }
  finish(owner, published);
  sys::unmap(reinterpret_cast<uint8_t*>(index), sizeof(TortureIndex));
}

TEST(noReaderThreadSeesWrongBytesWhileTheOwnerRecycles) {
  Owner owner;
  auto index = std::make_unique<TortureIndex>();
  std::vector<Slice> published(kEntries);
  const Segment& shared = *owner.pool->segments()[0];
  std::vector<Holder> holders(2);
  for (Holder& holder : holders) {
    holder.name = owner.window.takeDomain().take();
    holder.segment = Segment::open(owner.window.id(), sys::reopenReadOnly(shared.memory()).take(),
                                   shared.totalBytes())
                         .take();
    holder.table = HoldTable::create(owner.window.id(), holder.name, owner.domain->name()).take();
    const uint64_t epoch = owner.grant();
    CHECK(owner.peers
              ->add(holder.name, sys::duplicate(holder.table->readOnlyFd()).take(),
                    sys::openPidfd(::getpid()).take(), epoch)
              .isOk());
  }
  std::vector<TortureCounts> counts(holders.size());
  std::vector<std::thread> threads;
  for (size_t which = 0; which < holders.size(); which++) {
    threads.emplace_back([&, which] {
      std::mt19937 random(static_cast<uint32_t>(which) + 100);
      while (index->isOver.load(std::memory_order_acquire) == 0) {
        readOnce(holders[which], *index, random() % kEntries, counts[which]);
      }
    });
  }
  std::mt19937 random(43);
  uint64_t reads = 0;
  for (int round = 0; round < 20; round++) recycle(owner, *index, random, 2000, published);
  index->isOver.store(1, std::memory_order_release);
  for (std::thread& thread : threads) thread.join();
  for (const TortureCounts& count : counts) {
    CHECK_EQ(count.wrong, 0u);
    reads += count.reads;
  }
  CHECK(reads > 0);
  finish(owner, published);
}

}  // namespace
}  // namespace iol
