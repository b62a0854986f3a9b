// Writes to files through the cache: by reference, in order, and when the disk fails.
#include "cache/file_write.h"

#include <cerrno>
#include <optional>
#include <thread>

#include <fcntl.h>

#include "cache/file_gate.h"
#include "cache_world.h"
#include "io/iol.h"
#include "test.h"

namespace iol::test {
namespace {

struct WriteWorld : CacheWorld {
  explicit WriteWorld(const std::string& text) {
    put("a", text);
    fd = sys::Fd(::open(folder.at("a").c_str(), O_RDWR | O_CLOEXEC));
  }
  ~WriteWorld() { sys::setWriteFault({}); }
  Endpoint endpoint() const { return inspect(fd.get()).take(); }
  Aggregate make(const std::string& text) {
    Aggregate bytes(*domain);
    auto draft = pool->allocate(text.size());
    std::memcpy(draft.value().bytes(), text.data(), text.size());
    CHECK(bytes.adopt(draft.value().seal()).isOk());
    return bytes;
  }
  Result<uint64_t> write(const Aggregate& bytes, std::optional<uint64_t> position,
                         sys::Sync sync = sys::Sync::None) {
    std::optional<Result<uint64_t>> answer;
    writeFile(queue, endpoint(), bytes, 0, {position, cache.get(), sync},
              [&](Result<uint64_t> written) { answer = std::move(written); });
    queue.drain();
    return answer ? *answer : Result<uint64_t>(Status(Code::Aborted, "never"));
  }
  Result<Aggregate> readNow(uint64_t size, uint64_t position) {
    std::optional<Result<Aggregate>> answer;
    readFile(*pool, queue, endpoint(), {size, position, cache.get(), {}},
             [&](Result<Aggregate> bytes) { answer = std::move(bytes); });
    queue.drain();
    return answer ? std::move(*answer) : Result<Aggregate>(Status(Code::Aborted, "never"));
  }
  // What the kernel has.
  std::string onDisk() const {
    std::string text(1 << 20, '\0');
    text.resize(static_cast<size_t>(::pread(fd.get(), text.data(), text.size(), 0)));
    return text;
  }
  std::string cached(uint64_t size, uint64_t position) {
    auto bytes = readCached(endpoint(), {size, position, cache.get(), {}});
    return bytes.isOk() ? textOf(bytes.value()) : codeName(bytes.status().code());
  }
  sys::Fd fd;
};

TEST(whatIsWrittenIsCachedByReference) {
  WriteWorld world(pattern(10'000, 1));
  const std::string before = textOf(world.readNow(10'000, 0).value());
  const Aggregate bytes = world.make(pattern(3000, 2));
  const auto misses = world.cache->stats().misses;
  CHECK_EQ(world.write(bytes, 2000).value(), 3000u);
  auto now = readCached(world.endpoint(), {3000, 2000, world.cache.get(), {}});
  REQUIRE(now.isOk());
  CHECK_EQ(now.value().sliceAt(0).address(), bytes.sliceAt(0).address());
  CHECK(world.cached(10'000, 0) == world.onDisk());
  CHECK(world.cached(2000, 0) == before.substr(0, 2000));
  CHECK_EQ(world.cache->stats().misses, misses);
  CHECK_EQ(world.cache->stats().invalidations, 0u);
}

TEST(whenTheDiskFailsTheWriterIsToldAndNothingStaysCached) {
  for (const int error : {EIO, ENOSPC, EDQUOT, EFBIG}) {
    for (const uint64_t before : {uint64_t{0}, uint64_t{1234}}) {
      WriteWorld world(pattern(10'000, 1));
      CHECK(world.readNow(10'000, 0).isOk());
      sys::setWriteFault({error, before, false});
      const Result<uint64_t> written = world.write(world.make(pattern(5000, 2)), 500);
      CHECK_EQ(written.status().code(), Code::System);
      CHECK_EQ(written.status().systemErrno(), error);
      CHECK_EQ(written.status().value(), before);
      sys::setWriteFault({});
      CHECK_EQ(world.cache->stats().entries, 0u);
      CHECK(textOf(world.readNow(20'000, 0).value()) == world.onDisk());
      CHECK(world.onDisk().substr(500, before) == pattern(5000, 2).substr(0, before));
    }
  }
}

TEST(aFailedSyncReachesTheWriterAndNothingStaysCached) {
  WriteWorld world(pattern(10'000, 1));
  for (const sys::Sync sync : {sys::Sync::Data, sys::Sync::All}) {
    CHECK_EQ(world.write(world.make("synced"), 0, sync).value(), 6u);
    CHECK(world.cache->stats().entries > 0);
    sys::setWriteFault({EIO, 0, true});
    CHECK_EQ(world.write(world.make("failed"), 0, sync).status().systemErrno(), EIO);
    sys::setWriteFault({});
    CHECK_EQ(world.cache->stats().entries, 0u);
  }
}

TEST(aForeignChangeBeforeTheWriteIsNoticed) {
  WriteWorld world(pattern(10'000, 1));
  CHECK(world.readNow(10'000, 0).isOk());
  const Aggregate bytes = world.make("ours");
  writeFile(world.queue, world.endpoint(), bytes, 0, {9000, world.cache.get(), {}},
            [](Result<uint64_t>) {});
  REQUIRE(::pwrite(world.fd.get(), "theirs", 6, 100) == 6);  // After the plan, before the run.
  world.queue.drain();
  CHECK_EQ(world.cached(4, 9000), "ours");
  CHECK_EQ(world.cached(6, 100), codeName(Code::WouldBlock));
  CHECK(textOf(world.readNow(10'000, 0).value()) == world.onDisk());
}

TEST(whatIsReadWhileAWriteIsOnItsWayIsNotCachedAndNoMixture) {
  WriteWorld world(pattern(10'000, 1));
  const Aggregate bytes = world.make(pattern(10'000, 2));
  writeFile(world.queue, world.endpoint(), bytes, 0, {0, world.cache.get(), {}},
            [](Result<uint64_t>) {});
  const std::unique_ptr<DiskJob> write = world.queue.take();
  // The read's fill runs before the write and ends after it began.
  std::optional<Result<Aggregate>> answer;
  readFile(*world.pool, world.queue, world.endpoint(), {10'000, 0, world.cache.get(), {}},
           [&](Result<Aggregate> read) { answer = std::move(read); });
  const std::unique_ptr<DiskJob> fill = world.queue.take();
  fill->run();
  write->run();
  fill->finish();
  CHECK(!answer);  // It is read again.
  write->finish();
  world.queue.drain();
  REQUIRE(answer && answer->isOk());
  CHECK(textOf(answer->value()) == pattern(10'000, 2));
  CHECK(world.cached(10'000, 0) == world.onDisk());
}

TEST(aWriteThatIsGivenUpLeavesNothingCachedAndNoHolds) {
  WriteWorld world(pattern(10'000, 1));
  {
    CHECK(world.readNow(10'000, 0).isOk());
    const Aggregate bytes = world.make("never");
    writeFile(world.queue, world.endpoint(), bytes, 0, {0, world.cache.get(), {}},
              [](Result<uint64_t>) {});
    world.queue.take().reset();
  }
  CHECK_EQ(world.cache->stats().entries, 0u);
  CHECK_EQ(world.domain->liveHolds(), 0u);
}

TEST(theGateLetsReadersTogetherAndWritersAlone) {
  sys::FileFacts file;
  file.ino = 4711;
  int value = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int round = 0; round < 2000; ++round) {
        const bool isWrite = (round + thread) % 3 == 0;
        const FileGate gate(file, isWrite ? FileGate::Pass::Write : FileGate::Pass::Read);
        if (isWrite) {
          value = 1;
          value = 0;
        } else {
          CHECK_EQ(value, 0);
        }
      }
    });
  }
  {
    const FileGate reader(file, FileGate::Pass::Read);
    sys::FileFacts other;
    other.ino = 4712;
    const FileGate writer(other, FileGate::Pass::Write);  // Of another file: nobody waits.
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace iol::test
