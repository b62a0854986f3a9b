// The hold protocol across processes: a hold taken in one keeps the owner of another from freeing,
// and no longer does after kill -9. Then a torture: readers that look names up in an index while
// the owner recycles as fast as it can, as processes that are killed and as threads (for TSan).
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>

#include "base/fence.h"
#include "pool/pool.h"
#include "sys/handover.h"
#include "sys/memory.h"
#include "sys/process.h"
#include "test.h"

namespace iol {
namespace {

using test::awaitChild;
using test::startChild;

struct Name {
  uint32_t slot;
  uint32_t length;
  uint64_t generation;
};

// What the owner asks a holder to do, and the answer.
enum class Order : uint32_t { Take, Drop, Check, Leave };
struct Request {
  Order order;
  Name name;
  uint8_t fill;
};

// A reader's side: the owner's segment, mapped read-only, and this domain's counters for it.
struct Holder {
  std::unique_ptr<Segment> segment;
  std::unique_ptr<HoldTable> table;
  DomainName name;

  TakeOutcome take(const Name& wanted) {
    table->take(segment->ordinal(), segment->chunkOf(wanted.slot), wanted.slot);
    fenceAfterTake();
    return checkTaken(*segment, wanted.slot, wanted.generation, false);
  }
  void drop(const Name& held) {
    table->drop(segment->ordinal(), segment->chunkOf(held.slot), held.slot);
  }
  bool allAre(const Name& held, uint8_t fill) const {
    const uint8_t* bytes = segment->readOnly() + segment->slotOffset(held.slot);
    for (uint32_t at = 0; at < held.length; at++) {
      if (bytes[at] != fill) return false;
    }
    return true;
  }
};

struct Introduction {
  uint64_t windowId;
  uint64_t totalBytes;
  DomainName owner;
  DomainName holder;
};

// The holder's half of joining, over descriptor 3: gets the segment, hands out its table.
Result<Holder> join(const sys::Fd& socket, std::vector<sys::Fd>* more = nullptr) {
  Introduction intro;
  Result<sys::Message> message = sys::receiveMessage(socket, &intro, sizeof intro);
  if (!message.isOk()) return message.status();
  Holder holder;
  holder.name = intro.holder;
  Result<std::unique_ptr<Segment>> segment = Segment::open(
      intro.windowId, std::move(message.value().descriptors[0]), intro.totalBytes);
  if (!segment.isOk()) return segment.status();
  holder.segment = segment.take();
  Result<std::unique_ptr<HoldTable>> table =
      HoldTable::create(intro.windowId, intro.holder, intro.owner);
  if (!table.isOk()) return table.status();
  holder.table = table.take();
  IOL_TRY(sys::sendMessage(socket, "t", 1, {holder.table->readOnlyFd().get()}));
  if (more != nullptr) {
    message.value().descriptors.erase(message.value().descriptors.begin());
    *more = std::move(message.value().descriptors);
  }
  return holder;
}

CHILD(holdsOnOrder) {
  sys::Fd socket(3);
  Result<Holder> joined = join(socket);
  if (!joined.isOk()) return 2;
  Holder& holder = joined.value();
  while (true) {
    Request request;
    if (!sys::receiveMessage(socket, &request, sizeof request).isOk()) return 0;
    uint8_t answer = 0;
    if (request.order == Order::Take) answer = static_cast<uint8_t>(holder.take(request.name));
    if (request.order == Order::Check) answer = holder.allAre(request.name, request.fill);
    if (request.order == Order::Drop) holder.drop(request.name);
    if (!sys::sendMessage(socket, &answer, 1).isOk() || request.order == Order::Leave) return 0;
  }
}

// The owner's side: a pool of one segment whose names other domains get.
struct Owner {
  Owner() : window({1ull << 30}), domain(Domain::create(window).take()) {
    pool = Pool::create(*domain, {}).take();
    Result<sys::Fd> memory = sys::createMemory("io-lite-host", sizeof(HostBlock));
    host = reinterpret_cast<HostBlock*>(sys::mapWritable(memory.value(), sizeof(HostBlock)).take());
    hostMemory = memory.take();
    peers = std::make_unique<PeerHolds>(host);
    pool->setPeers(peers.get());
    Draft first = pool->allocate(1000).take();  // So that there is a segment to share.
  }
  ~Owner() {
    pool.reset();
    peers.reset();
    domain.reset();
    sys::unmap(reinterpret_cast<uint8_t*>(host), sizeof(HostBlock));
  }

  Slice make(uint32_t length, uint8_t fill) {
    Draft draft = pool->allocate(length).take();
    std::memset(draft.bytes(), fill, length);
    const Slice slice = draft.seal();
    pool->exportBuffer(slice);
    return slice;
  }
  // What the host does: raises the epoch, passes the segment, hands the owner the table.
  uint64_t grant() { return host->domainEpoch.fetch_add(1) + 1; }

  Window window;
  std::unique_ptr<Domain> domain;
  std::unique_ptr<Pool> pool;
  std::unique_ptr<PeerHolds> peers;
  sys::Fd hostMemory;
  HostBlock* host;
};

Name nameOf(const Slice& slice) { return {slice.slot, slice.length, slice.generation}; }

// A holder in a process of its own.
struct Process {
  Process(Owner& owner, const char* program, const std::vector<std::string>& arguments = {},
          const std::vector<int>& more = {}, uint64_t granted = 0) {
    auto [mine, theirs] = sys::socketPair().take();
    socket = std::move(mine);
    pid = startChild(program, arguments, theirs.get());
    theirs.reset();
    const Segment& segment = *owner.pool->segments()[0];
    const DomainName name = owner.window.takeDomain().take();
    const Introduction intro{owner.window.id(), segment.totalBytes(), owner.domain->name(), name};
    const uint64_t epoch = granted != 0 ? granted : owner.grant();
    std::vector<int> descriptors{segment.readOnlyFd().get()};
    descriptors.insert(descriptors.end(), more.begin(), more.end());
    CHECK(sys::sendMessage(socket, &intro, sizeof intro, descriptors).isOk());
    char byte;
    Result<sys::Message> answer = sys::receiveMessage(socket, &byte, 1);
    if (!answer.isOk()) {
      test::fail(__FILE__, __LINE__, "the holder did not join");
      return;
    }
    CHECK(owner.peers->add(name, std::move(answer.value().descriptors[0]),
                           sys::openPidfd(pid).take(), epoch).isOk());
  }
  uint8_t ask(Order order, const Name& name, uint8_t fill = 0) {
    const Request request{order, name, fill};
    uint8_t answer = 255;
    CHECK(sys::sendMessage(socket, &request, sizeof request).isOk());
    CHECK(sys::receiveMessage(socket, &answer, 1).isOk());
    return answer;
  }
  TakeOutcome take(const Name& name) { return static_cast<TakeOutcome>(ask(Order::Take, name)); }
  void kill() {
    ::kill(pid, SIGKILL);
    CHECK_EQ(awaitChild(pid), 128 + SIGKILL);
  }
  void leave() {
    ask(Order::Leave, {});
    CHECK_EQ(awaitChild(pid), 0);
  }
  sys::Fd socket;
  int pid = -1;
};

TEST(aHoldInAnotherProcessKeepsTheOwnerFromFreeing) {
  Owner owner;
  Process holder(owner, "holdsOnOrder");
  const Slice slice = owner.make(500, 0xa1);
  const Name name = nameOf(slice);
  CHECK(holder.take(name) == TakeOutcome::Taken);
  owner.domain->release(slice);
  CHECK_EQ(owner.pool->stats().pending, 1u);
  for (int step = 0; step < 100; step++) {
    const Slice other = owner.make(500, 0xff);
    CHECK(other.slot != name.slot);
    owner.domain->release(other);
  }
  CHECK_EQ(owner.pool->collect(), 0u);
  CHECK_EQ(holder.ask(Order::Check, name, 0xa1), 1);
  holder.ask(Order::Drop, name);
  CHECK_EQ(owner.pool->collect(), 1u);
  CHECK_EQ(owner.pool->stats().pending, 0u);
  CHECK(holder.take(name) == TakeOutcome::Stale);
  holder.ask(Order::Drop, name);
  holder.leave();
}

TEST(kill9OfTheHolderLetsTheOwnerFree) {
  Owner owner;
  Process holder(owner, "holdsOnOrder");
  const Slice slice = owner.make(500, 0xa2);
  CHECK(holder.take(nameOf(slice)) == TakeOutcome::Taken);
  owner.domain->release(slice);
  CHECK_EQ(owner.pool->collect(), 0u);
  Process witness(owner, "holdsOnOrder");
  holder.kill();
  CHECK_EQ(owner.pool->collect(), 1u);
  CHECK_EQ(owner.peers->size(), 1u);
  witness.leave();
}

TEST(aClosedSocketIsNotADeath) {
  Owner owner;
  Process holder(owner, "holdsOnOrder");
  Process silent(owner, "holdsUntilKilled");
  const Slice slice = owner.make(500, 0xa3);
  const Name name = nameOf(slice);
  CHECK(sys::sendMessage(silent.socket, &name, sizeof name).isOk());
  char byte;
  CHECK(sys::receiveMessage(silent.socket, &byte, 1).isOk());
  CHECK(!sys::receiveMessage(silent.socket, &byte, 1).isOk());  // It closed its end, and lives.
  owner.domain->release(slice);
  CHECK_EQ(owner.pool->collect(), 0u);
  silent.kill();
  CHECK_EQ(owner.pool->collect(), 1u);
  holder.leave();
}

CHILD(holdsUntilKilled) {
  Holder holder;
  {
    sys::Fd socket(3);
    Result<Holder> joined = join(socket);
    if (!joined.isOk()) return 2;
    holder = joined.take();
    Name name;
    if (!sys::receiveMessage(socket, &name, sizeof name).isOk()) return 3;
    if (holder.take(name) != TakeOutcome::Taken) return 4;
    if (!sys::sendMessage(socket, "h", 1).isOk()) return 5;
  }
  while (true) ::pause();
}

TEST(aForwardedHoldOutlivesItsForwarder) {
  Owner owner;
  Process first(owner, "holdsOnOrder");
  Process second(owner, "holdsOnOrder");
  const Slice slice = owner.make(900, 0xa4);
  const Name name = nameOf(slice);
  CHECK(first.take(name) == TakeOutcome::Taken);
  owner.domain->release(slice);
  CHECK(second.take(name) == TakeOutcome::Taken);  // `first` forwards it, holding meanwhile.
  first.kill();
  CHECK_EQ(owner.pool->collect(), 0u);
  CHECK_EQ(second.ask(Order::Check, name, 0xa4), 1);
  second.kill();
  CHECK_EQ(owner.pool->collect(), 1u);
}

TEST(aTakerWaitsWhileTheOwnerRevokes) {
  Owner owner;
  Process holder(owner, "holdsOnOrder");
  const Slice slice = owner.make(64, 1);
  GenerationWord& word = slice.segment->generation(slice.slot);
  word.fetch_or(kGenerationRevoking);
  CHECK(holder.take(nameOf(slice)) == TakeOutcome::Revoking);
  Name forged = nameOf(slice);
  forged.generation |= kGenerationRevoking;
  CHECK(holder.take(forged) == TakeOutcome::Stale);
  word.fetch_and(~kGenerationRevoking);
  CHECK(holder.take(nameOf(slice)) == TakeOutcome::Taken);
  CHECK(checkTaken(*slice.segment, slice.slot, slice.generation, true) == TakeOutcome::Taken);
  holder.kill();
  owner.domain->release(slice);
}

TEST(aDomainThatJoinsBetweenMarkAndScanIsNotOverlooked) {
  Owner owner;
  const Slice slice = owner.make(64, 1);
  const uint64_t granted = owner.grant();  // Its table has not reached the owner yet.
  owner.domain->release(slice);
  CHECK_EQ(owner.pool->stats().pending, 1u);
  CHECK(owner.peers->add({}, sys::Fd(), sys::Fd(), granted + 1).code() == Code::BadDescriptor);
  Process holder(owner, "holdsOnOrder", {}, {}, granted);
  CHECK_EQ(owner.pool->collect(), 1u);
  holder.leave();
}

TEST(aDeadHoldersKernelVisiblePagesAreNotReused) {
  Owner owner;
  Process holder(owner, "marksKernelVisible");
  const Slice slice = owner.make(64, 0x77);
  const Slice neighbour = owner.make(64, 1);  // Keeps the chunk from being punched at once.
  const Name name = nameOf(slice);
  CHECK(sys::sendMessage(holder.socket, &name, sizeof name).isOk());
  char byte;
  CHECK(sys::receiveMessage(holder.socket, &byte, 1).isOk());
  owner.domain->release(slice);
  holder.kill();
  CHECK_EQ(owner.pool->collect(), 1u);
  std::vector<Slice> others;
  for (int step = 0; step < 1500; step++) {
    others.push_back(owner.make(64, 0));
    CHECK(others.back().slot != name.slot);
  }
  CHECK_EQ(slice.data()[63], 0x77);
  for (const Slice& other : others) owner.domain->release(other);
  owner.domain->release(neighbour);
  CHECK_EQ(slice.data()[63], 0);  // Punched: the old page is the kernel's alone.
}

CHILD(marksKernelVisible) {
  sys::Fd socket(3);
  Result<Holder> joined = join(socket);
  if (!joined.isOk()) return 2;
  Name name;
  if (!sys::receiveMessage(socket, &name, sizeof name).isOk()) return 3;
  joined.value().take(name);
  joined.value().table->setKernelVisible(joined.value().segment->ordinal(), name.slot, true);
  if (!sys::sendMessage(socket, "h", 1).isOk()) return 5;
  while (true) ::pause();
}

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
  const auto* index = reinterpret_cast<const TortureIndex*>(
      sys::mapReadOnly(more[0], sizeof(TortureIndex)).take());
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
  auto* index = reinterpret_cast<TortureIndex*>(
      sys::mapWritable(memory, sizeof(TortureIndex)).take());
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
                                   shared.totalBytes()).take();
    holder.table =
        HoldTable::create(owner.window.id(), holder.name, owner.domain->name()).take();
    const uint64_t epoch = owner.grant();
    CHECK(owner.peers->add(holder.name, sys::duplicate(holder.table->readOnlyFd()).take(),
                           sys::openPidfd(::getpid()).take(), epoch).isOk());
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
