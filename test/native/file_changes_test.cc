// The file cache and outside changes: freshness, and files that change at every moment.
#include "cache/file_cache.h"

#include <atomic>
#include <cerrno>
#include <thread>

#include <sched.h>
#include <sys/inotify.h>
#include <sys/wait.h>

#include "cache_world.h"
#include "test.h"

namespace iol::test {
namespace {

constexpr uint64_t kMiB = 1 << 20;

TEST(tryOpenNeverAnswersLaterThanTheInterval) {
  FileCache::Options options;
  options.watches = false;
  CacheWorld world(std::move(options));
  world.put("a", "old");
  CHECK_EQ(world.readAll("a"), "old");
  world.put("a", "newer");
  CHECK(world.tryOpen("a") != nullptr);  // Within the bound nobody has looked.
  world.clock.nowMs += 999;
  CHECK(world.tryOpen("a") != nullptr);
  world.clock.nowMs += 1;
  CHECK(world.tryOpen("a") == nullptr);
  CHECK_EQ(world.readAll("a"), "newer");
  CHECK_EQ(world.cache->stats().invalidations, 1u);
  CHECK_EQ(world.cache->stats().entries, 1u);
}

TEST(aChangeAfterTheLookOfAnOpenOfAChangedFileIsNoticed) {
  CacheWorld world;
  world.put("a", "first");
  const CachedFilePtr first = world.open("a").take();
  if (world.cache->watchFd() < 0) SKIP("no inotify here");
  world.put("a", "second");
  CachedFilePtr second;
  world.cache->open(world.folder.at("a"),
                    [&](Result<CachedFilePtr> file) { second = file.take(); });
  const std::unique_ptr<DiskJob> job = world.queue.take();
  job->run();
  world.put("a", "third one");
  world.cache->drainWatches();  // The first version's watch hears it: it is of the same inode.
  job->finish();
  CHECK_EQ(second->byteLength(), 6u);
  CHECK(!second->isFresh());
  CHECK_EQ(world.readAll("a"), "third one");
}

TEST(withIntervalZeroEveryOpenAsks) {
  FileCache::Options options;
  options.watches = false;
  options.checkIntervalMs = 0;
  CacheWorld world(std::move(options));
  world.put("a", "old");
  CHECK_EQ(world.readAll("a"), "old");
  CHECK(world.tryOpen("a") == nullptr);
  world.put("a", "new!");
  CHECK_EQ(world.readAll("a"), "new!");
}

TEST(filesInUseAreLookedAtBeforeTheIntervalEnds) {
  FileCache::Options options;
  options.watches = false;
  CacheWorld world(std::move(options));
  world.put("a", "text");
  world.put("b", "text");
  const CachedFilePtr a = world.open("a").take();
  const CachedFilePtr b = world.open("b").take();
  CHECK(!world.cache->wantsRefresh());
  world.clock.nowMs += 600;
  CHECK(world.tryOpen("a") == a);
  CHECK(world.cache->wantsRefresh());
  world.put("b", "other text");
  world.cache->refresh();
  CHECK_EQ(world.queue.waiting(), 1u);
  world.queue.drain();
  CHECK(!world.cache->wantsRefresh());
  CHECK(world.tryOpen("b") == nullptr);  // Changed, and found so.
  CHECK(!b->isFresh());
  world.clock.nowMs += 900;
  CHECK(world.tryOpen("a") == a);  // Fresh from the second look.
}

TEST(filesThatWereUsedAWhileAgoAreStillLookedAt) {
  FileCache::Options options;
  options.watches = false;
  options.openFilesMax = 3;
  CacheWorld world(std::move(options));
  for (const char* name : {"a", "b", "c", "d"}) world.put(name, "text");
  const CachedFilePtr a = world.open("a").take();
  const CachedFilePtr b = world.open("b").take();
  const CachedFilePtr c = world.open("c").take();
  for (int turn = 0; turn < 20; ++turn) {
    world.clock.nowMs += 600;
    CHECK(a->isFresh());  // A use, which queues the look at all of them.
    CHECK_EQ(world.queue.waiting(), 1u);
    CHECK(a->isFresh());
    CHECK_EQ(world.queue.waiting(), 1u);
    world.queue.drain();
  }
  CHECK(b->isFresh());
  // The file that was used longest ago gives its place up, not the one that came first.
  CHECK(world.open("d").isOk());
  CHECK(!c->isFresh());
  CHECK(a->isFresh());
  CHECK(b->isFresh());
  for (int turn = 0; turn < 40; ++turn) {
    world.clock.nowMs += 600;
    CHECK(a->isFresh());
    world.queue.drain();
  }
  CHECK(!b->isFresh());  // Not for ever.
}

TEST(aFileThatIsStillTheSameIsNotOpenedAnew) {
  FileCache::Options options;
  options.watches = false;
  CacheWorld world(std::move(options));
  world.put("a", "text");
  const CachedFilePtr first = world.open("a").take();
  const sys::Fd events(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (inotify_add_watch(events.get(), world.folder.at("a").c_str(), IN_OPEN) < 0) {
    SKIP("no inotify here");
  }
  const auto wasOpened = [&] {
    char event[256];
    return ::read(events.get(), event, sizeof event) > 0;
  };
  world.clock.nowMs += 1000;
  CHECK(!first->isFresh());
  CHECK(world.open("a").take() == first);
  CHECK(first->isFresh());
  CHECK(!wasOpened());
  world.put("a", "other");
  (void)wasOpened();
  world.clock.nowMs += 1000;
  CHECK(world.open("a").take() != first);
  CHECK(wasOpened());
}

TEST(aFileThatIsForgottenWhileItsPathIsLookedAtIsOpened) {
  FileCache::Options options;
  options.watches = false;
  options.openFilesMax = 1;
  CacheWorld world(std::move(options));
  world.put("a", "text");
  world.put("b", "more");
  const CachedFilePtr first = world.open("a").take();
  world.clock.nowMs += 1000;
  Result<CachedFilePtr> again = Status(Code::Aborted, "test");
  world.cache->open(world.folder.at("a"),
                    [&](Result<CachedFilePtr> file) { again = std::move(file); });
  const std::unique_ptr<DiskJob> look = world.queue.take();
  look->run();
  CHECK(world.open("b").isOk());  // Takes the only place.
  look->finish();
  CHECK(!again.isOk());
  world.queue.drain();
  CHECK(again.isOk());
  CHECK(again.value() != first);
  CHECK(again.value()->isFresh());
  CHECK_EQ(textOf(world.read(again.value(), 0, 4).take()), "text");
}

// What happens to a file, and what the next open must see. With inotify at once, without it after
// the interval.
struct ChangeCase {
  const char* name;
  void (*change)(const std::string& path);
  const char* expected;
};
const ChangeCase changeCases[] = {
    {"modify in place, same size",
     [](const std::string& path) {
       const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
       [[maybe_unused]] const ssize_t bytes = ::pwrite(fd, "OLD", 3, 0);
       ::close(fd);
     },
     "OLD"},
    {"append",
     [](const std::string& path) {
       const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
       [[maybe_unused]] const ssize_t bytes = ::write(fd, "er", 2);
       ::close(fd);
     },
     "older"},
    {"truncate", [](const std::string& path) { (void)!::truncate(path.c_str(), 1); }, "o"},
    {"replace by rename",
     [](const std::string& path) {
       writeFile(path + "~", "renamed");
       ::rename((path + "~").c_str(), path.c_str());
     },
     "renamed"},
    {"unlink", [](const std::string& path) { ::unlink(path.c_str()); }, "open: ERR_IOL_SYSTEM"},
    {"touch", [](const std::string& path) { ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0); },
     "old"},
};

void checkChange(const ChangeCase& test, bool watches) {
  FileCache::Options options;
  options.watches = watches;
  CacheWorld world(std::move(options));
  world.put("a", "old");
  const CachedFilePtr before = world.open("a").take();
  const Aggregate held = world.read(before, 0, 3).take();
  test.change(world.folder.at("a"));
  if (!watches) world.clock.nowMs += 1000;
  world.cache->drainWatches();
  const std::string where = std::string(test.name) + (watches ? ", watched" : "");
  if (world.tryOpen("a") != nullptr) fail(__FILE__, __LINE__, where + ": tryOpen answers");
  const std::string after = world.readAll("a");
  if (after != test.expected) fail(__FILE__, __LINE__, where + ": got " + after);
  CHECK_EQ(textOf(held), "old");  // Holders keep theirs.
  CHECK(!before->isFresh());
  // Whoever still has the old version gets its bytes or an error, never others.
  auto late = world.read(before, 0, 3);
  if (late.isOk()) {
    CHECK_EQ(textOf(late.value()), "old");
  } else {
    CHECK_EQ(late.status().code(), Code::FileChanged);
  }
}

TEST(aChangeIsSeenAtTheNextOpenByInotify) {
  for (const ChangeCase& test : changeCases) checkChange(test, true);
}

TEST(aChangeIsSeenAfterTheIntervalWithoutInotify) {
  for (const ChangeCase& test : changeCases) checkChange(test, false);
}

TEST(aFileThatBecomesUnreadableIsRefused) {
  if (::geteuid() == 0 && ::seteuid(65534) != 0) SKIP("cannot leave the superuser");
  {
    CacheWorld world;
    world.put("a", "secret");
    CHECK_EQ(world.readAll("a"), "secret");
    REQUIRE(::chmod(world.folder.at("a").c_str(), 0) == 0);
    world.clock.nowMs += 1000;
    CHECK_EQ(world.open("a").status().systemErrno(), EACCES);
    CHECK_EQ(world.cache->stats().entries, 0u);
  }
  (void)!::seteuid(0);
}

TEST(aFileThatChangesBetweenReadAndCheckIsNeverServed) {
  static std::string path;
  FileCache::Options options;
  options.betweenReadAndCheck = [] { writeFile(path, "NEW text, longer"); };
  CacheWorld world(std::move(options));
  path = world.folder.at("a");
  world.put("a", "old text");
  const CachedFilePtr file = world.open("a").take();
  CHECK_EQ(world.read(file, 0, 8).status().code(), Code::FileChanged);
  CHECK_EQ(world.cache->stats().entries, 0u);
  CHECK_EQ(world.pool->stats().buffers, 0u);
}

TEST(aFileTruncatedBeforeItsReadIsNeverServed) {
  CacheWorld world;
  world.put("a", pattern(2 * kMiB, 5));
  const CachedFilePtr file = world.open("a").take();
  CHECK(world.read(file, 0, 10).isOk());
  REQUIRE(::truncate(world.folder.at("a").c_str(), 100) == 0);
  CHECK_EQ(world.read(file, kMiB, 10).status().code(), Code::FileChanged);
  CHECK_EQ(world.read(file, 0, 10).status().code(), Code::FileChanged);
}

TEST(aWriterThatNeverStopsCausesErrorsButNoMixture) {
  CacheWorld world;
  const size_t length = 300000;
  world.put("a", std::string(length, 'a'));
  const std::string path = world.folder.at("a");
  std::atomic<bool> isDone{false};
  std::thread writer([&] {
    // Whole versions by rename, so every version is of one letter.
    for (char letter = 'a'; !isDone; letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1)) {
      writeFile(path + "~", std::string(length, letter));
      ::rename((path + "~").c_str(), path.c_str());
    }
  });
  int whole = 0;
  for (int round = 0; round < 150; ++round) {
    world.clock.nowMs += 1000;
    const std::string text = world.readAll("a");
    if (text.compare(0, 6, "read: ") == 0 || text.compare(0, 6, "open: ") == 0) continue;
    ++whole;
    CHECK_EQ(text.size(), length);
    CHECK(text == std::string(length, text[0]));
    if (hasFailed()) break;
  }
  isDone = true;
  writer.join();
  CHECK(whole > 0);
}

}  // namespace
}  // namespace iol::test
