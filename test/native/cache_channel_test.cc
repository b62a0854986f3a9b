// Cached extents that other domains get, and reads into a pool of another access list.
#include <optional>

#include "cache_world.h"
#include "channel_world.h"
#include "io/iol.h"

namespace iol::test {
namespace {

struct SharedCacheWorld {
  explicit SharedCacheWorld(FileCache::Options options = {}) : folder("/tmp") {
    options.clock = &clock;
    cache = FileCache::create(*owner.pool, queue, std::move(options)).take();
    writeFile(folder.at("a"), pattern(100'000, 1));
    fd = sys::Fd(::open(folder.at("a").c_str(), O_RDWR | O_CLOEXEC));
  }
  ~SharedCacheWorld() {
    cache->close();
    queue.drain();
    pipe.sender->settle();
  }
  Endpoint endpoint() const { return inspect(fd.get()).take(); }
  Result<Aggregate> read(uint64_t size, uint64_t position, Pool* into = nullptr) {
    std::optional<Result<Aggregate>> answer;
    FileReadOptions options{size, position, cache.get(), {}, into};
    Pool& pool = into != nullptr ? *into : *owner.pool;
    readFile(pool, queue, endpoint(), options,
             [&](Result<Aggregate> bytes) { answer = std::move(bytes); });
    queue.drain();
    return answer ? std::move(*answer) : Result<Aggregate>(Status(Code::Aborted, "never"));
  }
  // What the reader gets of an aggregate of the owner's.
  Aggregate pass(const Aggregate& bytes) {
    CHECK(pipe.send(bytes) == SendOutcome::Sent);
    Message message(*reader.domain);
    CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
    pipe.sender->settle();
    return std::move(message.aggregate);
  }

  Neighbours neighbours;
  Participant owner{neighbours};
  Participant reader{neighbours};
  Pipe pipe{owner, reader};
  Folder folder;
  FakeClock clock;
  ManualQueue queue;
  std::shared_ptr<FileCache> cache;
  sys::Fd fd;
};

TEST(aCachedExtentThatWasSentStaysRightWhenItsFileChangesAndItIsEvicted) {
  SharedCacheWorld world;
  const std::string before = pattern(100'000, 1);
  {
    const Aggregate bytes = world.read(100'000, 0).take();
    const Aggregate sent = world.pass(bytes);
    CHECK_EQ(sent.sliceAt(0).address(), bytes.sliceAt(0).address());
    writeFile(world.folder.at("a"), pattern(100'000, 2));
    world.clock.nowMs += 10'000;
    CHECK(textOf(world.read(100'000, 0).value()) == pattern(100'000, 2));
    world.cache->evictTo(0);
    CHECK_EQ(world.cache->stats().entries, 0u);
    // Everything that the pool can recycle is recycled: what the reader has is not among it.
    for (int round = 0; round < 50; round++) {
      const Aggregate other = world.owner.bytes(100'000, 0xdd);
      CHECK(textOf(sent) == before);
    }
  }
  CHECK_EQ(world.reader.domain->liveHolds(), 0u);
  world.owner.pool->collect();
  CHECK_EQ(world.owner.pool->stats().buffers, 0u);
}

// Giving up what somebody else holds makes no room.
TEST(forRoomTheCacheGivesUpWhatNobodyHoldsHereOrElsewhere) {
  SharedCacheWorld world;
  Pool::Options options;
  options.maxBytes = 1 << 20;
  const std::unique_ptr<Pool> small = Pool::create(*world.owner.domain, options).take();
  const std::shared_ptr<FileCache> cache = FileCache::create(*small, world.queue, {}).take();
  writeFile(world.folder.at("b"), pattern(400'000, 7));
  writeFile(world.folder.at("c"), pattern(300'000, 8));
  writeFile(world.folder.at("d"), pattern(500'000, 9));
  const auto readAll = [&](const char* name) {
    const sys::Fd file(::open(world.folder.at(name).c_str(), O_RDONLY | O_CLOEXEC));
    std::optional<Result<Aggregate>> answer;
    readFile(*small, world.queue, inspect(file.get()).take(), {1 << 20, 0, cache.get(), {}},
             [&](Result<Aggregate> bytes) { answer = std::move(bytes); });
    world.queue.drain();
    return std::move(*answer);
  };
  {
    std::optional<Aggregate> held(world.pass(readAll("b").take()));
    CHECK(readAll("c").isOk());
    CHECK(readAll("d").isOk());  // In the place of c.
    CHECK_EQ(cache->stats().evictions, 1u);
    CHECK(textOf(*held) == pattern(400'000, 7));
    CHECK_EQ(cache->stats().entries, 2u);
  }
  cache->close();
  small->collect();
}

TEST(aNameInTheIndexIsOfASegmentThatTheHostKnows) {
  FileCache::Options options;
  options.exportsNames = true;
  SharedCacheWorld world(std::move(options));
  CHECK(world.read(1000, 0).isOk());
  CHECK_EQ(world.owner.published, 1);
  // While the host's socket is full nothing of a new segment gets into the index.
  world.owner.publishing = Status(Code::WouldBlock, "control socket");
  writeFile(world.folder.at("a"), pattern(20 << 20, 3));
  world.clock.nowMs += 10'000;
  CHECK(world.read(20 << 20, 0).isOk());
  world.owner.publishing = {};
}

TEST(aReadIntoAnotherPoolCopiesWhatIsCachedOnceAndCachesNothing) {
  SharedCacheWorld world;
  Pool::Options options;
  CHECK(options.access.add(AccessEntry::Kind::Uid, 0));
  const std::unique_ptr<Pool> narrow = Pool::create(*world.owner.domain, options).take();
  const auto copied = [] { return copyCount(CopyReason::Pool).bytes; };
  const uint64_t before = copied();
  {
    // A miss: straight into the pool.
    const Aggregate first = world.read(50'000, 0, narrow.get()).take();
    CHECK_EQ(copied(), before);
    CHECK_EQ(world.cache->stats().entries, 0u);
    CHECK(world.owner.domain->poolOf(first.sliceAt(0)) == narrow.get());
    // Cached under the cache's list: one copy, each time.
    const Aggregate cached = world.read(100'000, 0).take();
    for (int round = 1; round <= 2; round++) {
      const Aggregate copy = world.read(50'000, 0, narrow.get()).take();
      CHECK_EQ(copied() - before, 50'000u * round);
      CHECK(textOf(copy) == pattern(100'000, 1).substr(0, 50'000));
      CHECK(world.owner.domain->poolOf(copy.sliceAt(0)) == narrow.get());
    }
    FileReadOptions sync{50'000, 1000, world.cache.get(), {}, narrow.get()};
    const Aggregate third = readFileSync(*narrow, world.endpoint(), sync).take();
    CHECK_EQ(copied() - before, 150'000u);
    CHECK(textOf(third) == pattern(100'000, 1).substr(1000, 50'000));
    // Into the pool that has it already: by reference.
    const Aggregate same = world.read(50'000, 0, world.owner.pool.get()).take();
    CHECK_EQ(copied() - before, 150'000u);
    CHECK_EQ(same.sliceAt(0).address(), cached.sliceAt(0).address());
    CHECK_EQ(world.cache->stats().entries, 1u);
  }
  CHECK_EQ(narrow->stats().buffers, 0u);
}

TEST(aReadIntoAFullPoolFailsAndMovesNoPosition) {
  SharedCacheWorld world;
  Pool::Options options;
  options.maxBytes = 64 << 10;
  const std::unique_ptr<Pool> small = Pool::create(*world.owner.domain, options).take();
  std::vector<Draft> drafts;
  for (auto more = small->allocate(64); more.isOk(); more = small->allocate(64)) {
    drafts.push_back(more.take());
  }
  CHECK(world.read(100'000, 0).isOk());
  FileReadOptions at{100'000, {}, world.cache.get(), {}, small.get()};
  CHECK_EQ(readFileSync(*small, world.endpoint(), at).status().code(), Code::PoolFull);
  CHECK_EQ(::lseek(world.fd.get(), 0, SEEK_CUR), 0);
  CHECK_EQ(small->stats().buffers, drafts.size());
}

}  // namespace
}  // namespace iol::test
