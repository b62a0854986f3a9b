// Cold reads: the right bytes by every way, nothing added to the page cache, nothing of others
// taken out of it.
#include "sys/disk.h"

#include <cerrno>
#include <random>
#include <thread>

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>

#include "base/copy.h"
#include "cache_world.h"
#include "test.h"

namespace iol::test {
namespace {

constexpr uint64_t kMiB = 1 << 20;

struct WayCase {
  const char* name;
  sys::ColdOptions options;
};
const WayCase ways[] = {
    {"best", {}}, {"no RWF_DONTCACHE", {true, false}}, {"buffered", {true, true}}};

struct ColdFile {
  ColdFile(const Folder& folder, size_t length)
      : path(folder.at("file")), text(pattern(length, 1)) {
    writeFile(path, text);
    makeCold(path);
    fd = sys::openForRead(path.c_str()).take();
    sys::disableReadAhead(fd.get());
    facts = sys::factsOf(fd.get()).take();
    memory.reset(static_cast<uint8_t*>(std::aligned_alloc(4096, (length + 8192) / 4096 * 4096)));
  }
  // Reads [from, from + length) to `shift` bytes behind a page border and compares.
  sys::ColdRead read(uint64_t from, uint64_t length, const sys::ColdOptions& options,
                     uint32_t shift = 0) {
    uint8_t* const to = memory.get() + shift;
    auto answer = sys::readCold(fd.get(), facts.dev, from, to, length, options);
    CHECK(answer.isOk());
    if (!answer.isOk()) return {};
    const std::string wanted = from < text.size() ? text.substr(from, length) : "";
    CHECK_EQ(answer.value().bytes, wanted.size());
    CHECK(std::memcmp(to, wanted.data(), wanted.size()) == 0);
    return answer.value();
  }
  uint64_t resident() const { return sys::residentBytes(fd.get(), 0, text.size()).take(); }

  std::string path;
  std::string text;
  sys::Fd fd;
  sys::FileFacts facts;
  struct Free {
    void operator()(uint8_t* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<uint8_t, Free> memory;
};

TEST(aColdFileLeavesNothingInThePageCache) {
  if (diskFolder().empty()) SKIP("no folder on a disk");
  const Folder folder(diskFolder());
  ColdFile file(folder, 8 * kMiB + 1234);
  if (file.resident() != 0) SKIP("the filesystem keeps pages that it was told to drop");
  for (const WayCase& way : ways) {
    for (uint64_t from = 0; from < file.text.size(); from += kMiB) {
      CHECK_EQ(file.read(from, kMiB, way.options).alsoInPageCacheBytes, 0u);
    }
    CHECK_EQ(file.resident(), 0u);
  }
}

TEST(pagesThatOthersKeepStayAndAreCounted) {
  if (diskFolder().empty()) SKIP("no folder on a disk");
  const Folder folder(diskFolder());
  for (const WayCase& way : ways) {
    ColdFile file(folder, 4 * kMiB);
    // Somebody reads the second half.
    const int other = ::open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
    ::posix_fadvise(other, 0, 0, POSIX_FADV_RANDOM);
    CHECK_EQ(::pread(other, file.memory.get(), 2 * kMiB, 2 * kMiB), static_cast<ssize_t>(2 * kMiB));
    const uint64_t before = file.resident();
    CHECK_EQ(before, 2 * kMiB);
    uint64_t counted = 0;
    for (uint64_t from = 0; from < 4 * kMiB; from += kMiB) {
      counted +=
          file.read(from + (from == kMiB ? kMiB / 2 : 0), kMiB, way.options).alsoInPageCacheBytes;
    }
    CHECK_EQ(counted, 2 * kMiB + kMiB / 2);
    CHECK_EQ(file.resident(), before);
    ::close(other);
  }
}

TEST(anyRangeToAnyAddressIsRight) {
  const std::string under = diskFolder().empty() ? "/tmp" : diskFolder();
  const Folder folder(under);
  ColdFile file(folder, 300'001);
  std::mt19937 random(4);
  for (const WayCase& way : ways) {
    for (int step = 0; step < 60; ++step) {
      const uint64_t from = random() % 300'100;
      const uint64_t length = 1 + random() % (step % 3 == 0 ? 100'000 : 5000);
      file.read(from, std::min(length, 300'500 - from), way.options, step % 2 == 0 ? 0 : 64);
      if (hasFailed()) return;
    }
  }
}

TEST(directReadsCopyOnlyTheEdges) {
  if (diskFolder().empty()) SKIP("no folder on a disk");
  const Folder folder(diskFolder());
  ColdFile file(folder, kMiB + 100);
  const CopyCount before = copyCount(CopyReason::DirectTail);
  const sys::ColdRead read = file.read(0, kMiB + 100, {true, false});
  if (read.way != sys::ColdWay::Direct) SKIP("the filesystem has no O_DIRECT");
  CHECK_EQ(copyCount(CopyReason::DirectTail).bytes - before.bytes, 100u);
}

TEST(filesInMemoryAreReadAsTheyAre) {
  if (filesystemType("/dev/shm") != TMPFS_MAGIC) SKIP("/dev/shm is no tmpfs");
  const Folder folder("/dev/shm");
  ColdFile file(folder, kMiB + 7);
  for (const WayCase& way : ways) {
    const sys::ColdRead read = file.read(0, kMiB + 7, way.options);
    CHECK(read.way == sys::ColdWay::Buffered);
    CHECK_EQ(file.resident(), kMiB + 7);
  }
}

TEST(anOverlayLeavesTheLowerFilesPagesAlone) {
  if (diskFolder().empty()) SKIP("no folder on a disk");
  const Folder folder(diskFolder());
  for (const char* name : {"lower", "upper", "work", "merged"}) {
    ::mkdir(folder.at(name).c_str(), 0755);
  }
  ColdFile lower(folder, 4 * kMiB);
  REQUIRE(::rename(lower.path.c_str(), folder.at("lower/file").c_str()) == 0);
  bool isMounted = false;
  // A thread may have mounts of its own; they end with it.
  std::thread([&] {
    if (::unshare(CLONE_NEWNS) != 0) return;
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    const std::string options = "lowerdir=" + folder.at("lower") +
                                ",upperdir=" + folder.at("upper") + ",workdir=" + folder.at("work");
    if (::mount("overlay", folder.at("merged").c_str(), "overlay", 0, options.c_str()) != 0) return;
    isMounted = true;
    sys::Fd fd = sys::openForRead(folder.at("merged/file").c_str()).take();
    sys::disableReadAhead(fd.get());
    const sys::FileFacts facts = sys::factsOf(fd.get()).take();
    for (const bool isWarm : {false, true}) {
      if (isWarm) {
        const ssize_t bytes = ::pread(lower.fd.get(), lower.memory.get(), kMiB, kMiB);
        CHECK_EQ(bytes, static_cast<ssize_t>(kMiB));
      }
      const uint64_t before = lower.resident();
      CHECK_EQ(before, isWarm ? kMiB : 0);
      for (const WayCase& way : ways) {
        auto read =
            sys::readCold(fd.get(), facts.dev, 0, lower.memory.get(), 4 * kMiB, way.options);
        CHECK(read.isOk());
        CHECK(std::memcmp(lower.memory.get(), lower.text.data(), 4 * kMiB) == 0);
        CHECK_EQ(lower.resident(), before);
      }
    }
    fd.reset();
    ::umount2(folder.at("merged").c_str(), MNT_DETACH);
  }).join();
  if (!isMounted) SKIP("overlayfs cannot be mounted here");
}

TEST(theCacheAddsNothingToThePageCache) {
  if (diskFolder().empty()) SKIP("no folder on a disk");
  CacheWorld world({}, {}, 1ull << 30, diskFolder());
  const std::string text = pattern(5 * kMiB + 99, 2);
  world.put("a", text);
  makeCold(world.folder.at("a"));
  CHECK(world.readAll("a") == text);
  const int fd = ::open(world.folder.at("a").c_str(), O_RDONLY | O_CLOEXEC);
  CHECK_EQ(sys::residentBytes(fd, 0, text.size()).take(), 0u);
  ::close(fd);
  const FileCache::Stats stats = world.cache->stats();
  CHECK_EQ(stats.readsDontCache + stats.readsDirect + stats.readsBuffered, 6u);
  CHECK_EQ(stats.alsoInPageCacheBytes, 0u);
}

TEST(errorsOfTheDiskAreTyped) {
  const Folder folder("/tmp");
  ColdFile file(folder, 5000);
  void* const page = ::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint8_t* const nowhere = static_cast<uint8_t*>(page);
  for (const WayCase& way : ways) {
    const Status status =
        sys::readCold(file.fd.get(), file.facts.dev, 0, nowhere, 4096, way.options).status();
    CHECK_EQ(status.code(), Code::System);
    CHECK_EQ(status.systemErrno(), EFAULT);
  }
  ::munmap(page, 4096);
  const auto closed = sys::readCold(-1, file.facts.dev, 0, file.memory.get(), 1);
  CHECK_EQ(closed.status().systemErrno(), EBADF);
}

}  // namespace
}  // namespace iol::test
