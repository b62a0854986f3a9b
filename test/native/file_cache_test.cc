// The file cache: hits by address, coverage, limits, watches that fail.
#include "cache/file_cache.h"

#include <atomic>
#include <cerrno>
#include <thread>

#include <sched.h>
#include <sys/wait.h>

#include "cache_world.h"
#include "test.h"

namespace iol::test {
namespace {

constexpr uint64_t kMiB = 1 << 20;

TEST(aHitIsTheVerySameBuffer) {
  CacheWorld world;
  world.put("a", "hello, window");
  auto file = world.open("a");
  REQUIRE(file.isOk());
  auto first = world.read(file.value(), 0, 100);
  REQUIRE(first.isOk());
  CHECK_EQ(textOf(first.value()), "hello, window");
  const CopyCount before = copyCount(CopyReason::DirectTail);
  auto again = world.cache->tryRead(*file.value(), 7, 6);
  REQUIRE(again.isOk());
  CHECK_EQ(again.value().sliceCount(), 1u);
  CHECK_EQ(again.value().sliceAt(0).address(), first.value().sliceAt(0).address() + 7);
  CHECK_EQ(again.value().sliceAt(0).generation, first.value().sliceAt(0).generation);
  CHECK_EQ(textOf(again.value()), "window");
  CHECK_EQ(copyCount(CopyReason::DirectTail).times, before.times);
  CHECK_EQ(world.tryOpen("a").get(), file.value().get());
  CHECK_EQ(world.cache->stats().hits, 1u);
  CHECK_EQ(world.cache->stats().misses, 1u);
}

TEST(readsAreClampedToTheFile) {
  CacheWorld world;
  world.put("a", "0123456789");
  world.put("empty", "");
  const CachedFilePtr file = world.open("a").take();
  CHECK_EQ(textOf(world.read(file, 8, 100).value()), "89");
  CHECK_EQ(world.read(file, 10, 1).value().byteLength(), 0u);
  CHECK_EQ(world.read(file, ~0ull, ~0ull).value().byteLength(), 0u);
  CHECK_EQ(world.cache->tryRead(*file, 3, ~0ull).value().byteLength(), 7u);
  CHECK_EQ(world.readAll("empty"), "");
}

TEST(aLargeFileIsReadInExtentsAndServedAcrossThem) {
  CacheWorld world;
  const std::string text = pattern(3 * kMiB + 12345, 1);
  world.put("big", text);
  const CachedFilePtr file = world.open("big").take();
  // From the middle outwards: only the blocks that are touched are read.
  auto middle = world.read(file, kMiB + 5, 10);
  CHECK_EQ(textOf(middle.value()), text.substr(kMiB + 5, 10));
  CHECK_EQ(world.cache->stats().entries, 1u);
  CHECK_EQ(world.cache->stats().bytes, kMiB);
  CHECK_EQ(world.cache->tryRead(*file, kMiB - 1, 2).status().code(), Code::WouldBlock);
  auto all = world.read(file, 0, text.size());
  REQUIRE(all.isOk());
  CHECK(textOf(all.value()) == text);
  CHECK_EQ(all.value().sliceCount(), 4u);
  CHECK_EQ(world.cache->stats().entries, 4u);
  auto across = world.cache->tryRead(*file, kMiB - 3, kMiB + 6);
  REQUIRE(across.isOk());
  CHECK_EQ(across.value().sliceCount(), 3u);
  CHECK(textOf(across.value()) == text.substr(kMiB - 3, kMiB + 6));
}

TEST(requestsForOneExtentShareOneJob) {
  CacheWorld world;
  world.put("a", pattern(5000, 2));
  const CachedFilePtr file = world.open("a").take();
  std::vector<Aggregate> answers;
  const auto done = [&](Result<Aggregate> bytes) {
    REQUIRE(bytes.isOk());
    answers.push_back(bytes.take());
  };
  world.cache->read(file, 0, 5000, done);
  world.cache->read(file, 100, 50, done);
  world.cache->read(file, 0, 1, done);
  CHECK_EQ(world.queue.waiting(), 1u);
  world.queue.drain();
  REQUIRE(answers.size() == 3);
  CHECK_EQ(answers[1].sliceAt(0).address(), answers[0].sliceAt(0).address() + 100);
  CHECK_EQ(answers[2].sliceAt(0).address(), answers[0].sliceAt(0).address());
}

TEST(insertedExtentsOfAnySizeAreServedAndReplaceWhatTheyOverlap) {
  CacheWorld world;
  const std::string text = pattern(kMiB + 5000, 3);
  world.put("a", text);
  const CachedFilePtr file = world.open("a").take();
  const auto insert = [&](uint64_t from, const std::string& bytes) {
    auto draft = world.pool->allocate(bytes.size());
    REQUIRE(draft.isOk());
    std::memcpy(draft.value().bytes(), bytes.data(), bytes.size());
    Aggregate aggregate(*world.domain);
    CHECK(aggregate.adopt(draft.value().seal()).isOk());
    CHECK(world.cache->insert(*file, from, aggregate).isOk());
  };
  std::string expected = text;
  const auto put = [&](uint64_t from, const std::string& bytes) {
    insert(from, bytes);
    expected.replace(from, bytes.size(), bytes);
  };
  put(100, std::string(50, 'x'));
  put(150, std::string(50, 'y'));
  CHECK_EQ(textOf(world.cache->tryRead(*file, 120, 60).value()),
           std::string(30, 'x') + std::string(30, 'y'));
  // A read fills around them and leaves them in place.
  CHECK(textOf(world.read(file, 0, text.size()).value()) == expected);
  put(140, std::string(20, 'z'));  // Into the middle of two.
  put(110, std::string(5, 'w'));   // Into the middle of one, which is then in two.
  put(kMiB - 10, std::string(20, 'v'));
  CHECK(textOf(world.cache->tryRead(*file, 0, text.size()).value()) == expected);
  CHECK_EQ(world.cache->stats().bytes, text.size());
  Aggregate far(*world.domain);
  auto draft = world.pool->allocate(10);
  CHECK(far.adopt(draft.value().seal()).isOk());
  CHECK_EQ(world.cache->insert(*file, text.size() - 9, far).code(), Code::TooLarge);
  world.cache->evictTo(0);
  CHECK_EQ(world.cache->stats().entries, 0u);
}

TEST(twoPathsToOneFileShareItsExtents) {
  CacheWorld world;
  world.put("a", "shared");
  REQUIRE(::link(world.folder.at("a").c_str(), world.folder.at("b").c_str()) == 0);
  REQUIRE(::symlink("a", world.folder.at("c").c_str()) == 0);
  const CachedFilePtr a = world.open("a").take();
  const CachedFilePtr b = world.open("b").take();
  const CachedFilePtr c = world.open("c").take();
  CHECK(a != b);
  CHECK_EQ(a->etag(), b->etag());
  const uint64_t address = world.read(a, 0, 6).value().sliceAt(0).address();
  CHECK_EQ(world.cache->tryRead(*b, 0, 6).value().sliceAt(0).address(), address);
  CHECK_EQ(world.cache->tryRead(*c, 0, 6).value().sliceAt(0).address(), address);
}

TEST(aDescriptorFindsTheExtentsOfItsFile) {
  CacheWorld world;
  world.put("a", "by descriptor");
  const CachedFilePtr file = world.open("a").take();
  const uint64_t address = world.read(file, 0, 13).value().sliceAt(0).address();
  const int fd = ::open(world.folder.at("a").c_str(), O_RDONLY | O_CLOEXEC);
  auto same = world.cache->openDescriptor(fd);
  ::close(fd);
  REQUIRE(same.isOk());
  CHECK_EQ(world.cache->tryRead(*same.value(), 0, 13).value().sliceAt(0).address(), address);
  CHECK_EQ(world.cache->openDescriptor(-1).status().systemErrno(), EBADF);
}

TEST(onlyRegularFilesAreOpened) {
  CacheWorld world;
  REQUIRE(::mkfifo(world.folder.at("fifo").c_str(), 0600) == 0);
  REQUIRE(::mkdir(world.folder.at("dir").c_str(), 0700) == 0);
  CHECK_EQ(world.open("fifo").status().code(), Code::NotRegular);
  CHECK_EQ(world.open("dir").status().systemErrno(), EISDIR);
  CHECK_EQ(world.open("none").status().systemErrno(), ENOENT);
  CHECK_EQ(world.open(std::string("a\0b", 3)).status().systemErrno(), ENOENT);
  CHECK_EQ(world.open("none/x").status().systemErrno(), ENOENT);
  CHECK_EQ(world.cache->stats().openFiles, 0u);
}

TEST(theBudgetHolds) {
  FileCache::Options options;
  options.maxBytes = 10000;
  CacheWorld world(std::move(options));
  for (int index = 0; index < 30; ++index) {
    const std::string name = "f" + std::to_string(index);
    world.put(name, pattern(1000, static_cast<uint32_t>(index)));
    CHECK(world.readAll(name) == pattern(1000, static_cast<uint32_t>(index)));
    CHECK(world.cache->stats().bytes <= 10000);
  }
  CHECK_EQ(world.cache->stats().entries, 10u);
  CHECK_EQ(world.cache->stats().evictions, 20u);
  world.put("huge", pattern(20000, 9));
  CHECK(world.readAll("huge") == pattern(20000, 9));
  CHECK_EQ(world.cache->stats().entries, 10u);  // It would push everything out, so it stays out.
}

TEST(aFullPoolGivesUpUnusedEntriesAndThenFails) {
  Pool::Options poolOptions;
  poolOptions.maxBytes = 4 * kMiB;
  CacheWorld world({}, poolOptions);
  std::vector<std::string> texts;
  for (uint32_t index = 0; index < 8; ++index) {
    texts.push_back(pattern(900'000, index));
    world.put("f" + std::to_string(index), texts.back());
  }
  for (uint32_t index = 0; index < 8; ++index) {
    CHECK(world.readAll("f" + std::to_string(index)) == texts[index]);
  }
  CHECK(world.cache->stats().evictions >= 4u);
  // Now every buffer is in use: a typed error, nothing lost, and recovery.
  std::vector<Aggregate> held;
  Code code = Code::Ok;
  for (uint32_t index = 0; index < 8 && code == Code::Ok; ++index) {
    const CachedFilePtr file = world.open("f" + std::to_string(index)).take();
    auto bytes = world.read(file, 0, 900'000);
    code = bytes.status().code();
    if (bytes.isOk()) held.push_back(bytes.take());
  }
  CHECK_EQ(code, Code::PoolFull);
  for (size_t index = 0; index < held.size(); ++index) CHECK(textOf(held[index]) == texts[index]);
  held.clear();
  for (uint32_t index = 0; index < 8; ++index) {
    CHECK(world.readAll("f" + std::to_string(index)) == texts[index]);
  }
}

TEST(closingWithJobsInFlightLeaksNothing) {
  CacheWorld world;
  world.put("a", pattern(3 * kMiB, 6));
  const CachedFilePtr file = world.open("a").take();
  Code readCode = Code::Ok;
  Code openCode = Code::Ok;
  world.cache->read(file, 0, 3 * kMiB,
                    [&](Result<Aggregate> bytes) { readCode = bytes.status().code(); });
  world.cache->open(world.folder.at("b"),
                    [&](Result<CachedFilePtr> opened) { openCode = opened.status().code(); });
  CHECK_EQ(world.cache->stats().jobsInFlight, 4u);
  world.cache->close();
  CHECK_EQ(world.cache->tryRead(*file, 0, 1).status().code(), Code::Closed);
  CHECK(world.tryOpen("a") == nullptr);
  world.queue.drain();
  CHECK_EQ(readCode, Code::Closed);
  CHECK_EQ(openCode, Code::Closed);
  CHECK_EQ(world.pool->stats().buffers, 0u);
  CHECK_EQ(world.pool->stats().drafts, 0u);
  CHECK_EQ(world.domain->liveHolds(), 0u);
  world.cache.reset();
  CHECK(!file->isFresh());
}

TEST(jobsThatAQueueDropsUnfinishedLeakNothing) {
  CacheWorld world;
  world.put("a", pattern(3 * kMiB, 7));
  const CachedFilePtr file = world.open("a").take();
  bool wasCalled = false;
  world.cache->read(file, 0, 3 * kMiB, [&](Result<Aggregate>) { wasCalled = true; });
  world.cache->open(world.folder.at("b"), [&](Result<CachedFilePtr>) { wasCalled = true; });
  while (world.queue.waiting() > 0) world.queue.take().reset();
  CHECK(!wasCalled);
  CHECK_EQ(world.cache->stats().jobsInFlight, 0u);
  CHECK_EQ(world.pool->stats().drafts, 0u);
  CHECK_EQ(world.domain->liveHolds(), 0u);
  CHECK(world.read(file, 0, 10).isOk());  // Nothing waits for the dropped jobs.
}

TEST(callbacksMayCloseTheCache) {
  CacheWorld world;
  world.put("a", pattern(5000, 8));
  const CachedFilePtr file = world.open("a").take();
  int called = 0;
  for (int index = 0; index < 3; ++index) {
    world.cache->read(file, 0, 5000, [&](Result<Aggregate>) {
      ++called;
      world.cache->close();
    });
  }
  world.queue.drain();
  CHECK_EQ(called, 3);
  CHECK_EQ(world.domain->liveHolds(), 0u);
}

TEST(openFilesAreBounded) {
  FileCache::Options options;
  options.openFilesMax = 5;
  CacheWorld world(std::move(options));
  for (int index = 0; index < 12; ++index) {
    const std::string name = "f" + std::to_string(index);
    world.put(name, name);
    CHECK_EQ(world.readAll(name), name);
  }
  CHECK_EQ(world.cache->stats().openFiles, 5u);
  CHECK(world.cache->stats().watches <= 5u);
  CHECK(world.tryOpen("f0") == nullptr);
  CHECK_EQ(world.cache->stats().entries, 12u);
  // The descriptor went, the bytes stayed: they are found again by the file-id.
  const uint64_t misses = world.cache->stats().misses;
  CHECK_EQ(world.readAll("f0"), "f0");
  CHECK_EQ(world.cache->stats().misses, misses);
}

// In a process of its own, because the number of watches is the kernel's affair: a user namespace
// that grants none.
TEST(withoutWatchesTheIntervalDecides) {
  if (::getenv("IOL_TEST_NO_WATCHES") != nullptr) {
    CacheWorld world;
    world.put("a", "old");
    CHECK_EQ(world.readAll("a"), "old");
    CHECK_EQ(world.cache->stats().watches, 0u);
    world.put("a", "new!");
    CHECK(world.tryOpen("a") != nullptr);
    world.clock.nowMs += 1000;
    CHECK(world.tryOpen("a") == nullptr);
    CHECK_EQ(world.readAll("a"), "new!");
    return;
  }
  const pid_t child = ::fork();
  if (child == 0) {
    const int null = ::open("/dev/null", O_WRONLY);
    if (::unshare(CLONE_NEWUSER) != 0) ::_exit(77);
    const int limit = ::open("/proc/sys/user/max_inotify_watches", O_WRONLY);
    if (::write(limit, "0", 1) != 1) ::_exit(77);
    ::setenv("IOL_TEST_NO_WATCHES", "1", 1);
    ::dup2(null, 1);
    ::execl("/proc/self/exe", "native_tests", "withoutWatchesTheIntervalDecides", nullptr);
    ::_exit(78);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) SKIP("no user namespaces here");
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 0);
}

TEST(anOverflowOfEventsMakesEverythingSuspect) {
  CacheWorld world;
  world.put("a", "quiet");
  world.put("b", "loud");
  const CachedFilePtr a = world.open("a").take();
  const CachedFilePtr b = world.open("b").take();
  const uint64_t address = world.read(a, 0, 5).value().sliceAt(0).address();
  // Two kinds of event in turn, so that the kernel cannot join them: the queue overflows.
  const int fd = ::open(world.folder.at("b").c_str(), O_WRONLY | O_CLOEXEC);
  for (int round = 0; round < 20000; ++round) {
    [[maybe_unused]] const ssize_t bytes = ::pwrite(fd, "x", 1, 0);
    ::fchmod(fd, 0644);
  }
  ::close(fd);
  world.cache->drainWatches();
  if (world.tryOpen("a") != nullptr) SKIP("the kernel's queue of events is longer than 40000");
  // It was not changed, so it comes back as it was.
  CHECK_EQ(world.open("a").value().get(), a.get());
  CHECK_EQ(world.cache->tryRead(*a, 0, 5).value().sliceAt(0).address(), address);
  CHECK(world.open("b").value() != b);
}

}  // namespace
}  // namespace iol::test
