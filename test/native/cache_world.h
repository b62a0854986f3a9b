// test/native/cache_world.h: a window, a pool, a file cache, a folder of files and a clock, for
// tests that need all of them.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cache/file_cache.h"
#include "pool/pool.h"
#include "sys/clock.h"
#include "window/window.h"

namespace iol::test {

// Runs jobs when told to, each on a thread of its own when `onThreads`.
class ManualQueue final : public DiskQueue {
 public:
  void start(std::unique_ptr<DiskJob> job) override { jobs_.push_back(std::move(job)); }
  size_t waiting() const { return jobs_.size(); }
  // Takes the oldest job out, so that a test runs and finishes it by itself.
  std::unique_ptr<DiskJob> take() {
    std::unique_ptr<DiskJob> job = std::move(jobs_.front());
    jobs_.pop_front();
    return job;
  }
  void runOne() {
    const std::unique_ptr<DiskJob> job = take();
    std::thread([&] { job->run(); }).join();
    job->finish();
  }
  // All at once on threads, then what they started, until nothing is left.
  void drain() {
    while (!jobs_.empty()) {
      std::deque<std::unique_ptr<DiskJob>> jobs = std::exchange(jobs_, {});
      std::vector<std::thread> threads;
      for (const auto& job : jobs) threads.emplace_back([&job] { job->run(); });
      for (std::thread& thread : threads) thread.join();
      for (auto& job : jobs) {
        job->finish();
        job.reset();
      }
    }
  }

 private:
  std::deque<std::unique_ptr<DiskJob>> jobs_;
};

class FakeClock final : public sys::Clock {
 public:
  int64_t monotonicMs() const override { return nowMs; }
  int64_t wallSeconds() const override { return 0; }
  int64_t nowMs = 1'000'000;
};

// A folder that is removed with all that is in it.
class Folder {
 public:
  explicit Folder(const std::string& under) {
    std::string pattern = under + "/iol-test-XXXXXX";
    if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~Folder() {
    if (!path_.empty()) std::system(("rm -rf '" + path_ + "'").c_str());
  }
  Folder(const Folder&) = delete;
  bool isOpen() const { return !path_.empty(); }
  std::string at(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline uint32_t filesystemType(const std::string& path) {
  struct statfs answer = {};
  return ::statfs(path.c_str(), &answer) == 0 ? static_cast<uint32_t>(answer.f_type) : 0;
}

// A writable folder on a disk; empty when all are in memory.
inline std::string diskFolder() {
  for (const char* path : {"/var/tmp", "/tmp", "."}) {
    const uint32_t type = filesystemType(path);
    if (type != TMPFS_MAGIC && type != OVERLAYFS_SUPER_MAGIC && type != 0 &&
        ::access(path, W_OK) == 0) {
      return path;
    }
  }
  return "";
}

inline std::string pattern(size_t length, uint32_t seed) {
  std::string text(length, '\0');
  for (size_t at = 0; at < length; ++at) {
    seed = seed * 1664525 + 1013904223;
    text[at] = static_cast<char>(seed >> 24);
  }
  return text;
}

inline void writeFile(const std::string& path, const std::string& text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t bytes = ::write(fd, text.data() + done, text.size() - done);
    if (bytes <= 0) break;
    done += static_cast<size_t>(bytes);
  }
  ::close(fd);
}

// Out of the page cache, on the disk.
inline void makeCold(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ::fsync(fd);
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  ::close(fd);
}

inline std::string textOf(const Aggregate& bytes) {
  std::string text(bytes.byteLength(), '\0');
  bytes.copyTo(reinterpret_cast<uint8_t*>(text.data()), 0, text.size(), CopyReason::CopyOut);
  return text;
}

struct CacheWorld {
  explicit CacheWorld(FileCache::Options options = {}, Pool::Options poolOptions = {},
                      uint64_t windowBytes = 1ull << 30, const std::string& under = "/tmp")
      : window({windowBytes}), domain(Domain::create(window).take()), folder(under) {
    pool = Pool::create(*domain, poolOptions).take();
    options.clock = &clock;
    cache = FileCache::create(*pool, queue, std::move(options)).take();
  }
  ~CacheWorld() {
    if (cache) cache->close();
    queue.drain();
  }

  Result<CachedFilePtr> open(const std::string& name) {
    std::optional<Result<CachedFilePtr>> answer;
    cache->open(folder.at(name), [&](Result<CachedFilePtr> file) { answer = std::move(file); });
    queue.drain();
    return answer ? std::move(*answer) : Result<CachedFilePtr>(Status(Code::Aborted, "never"));
  }
  Result<Aggregate> read(const CachedFilePtr& file, uint64_t from, uint64_t length) {
    std::optional<Result<Aggregate>> answer;
    cache->read(file, from, length, [&](Result<Aggregate> bytes) { answer = std::move(bytes); });
    queue.drain();
    return answer ? std::move(*answer) : Result<Aggregate>(Status(Code::Aborted, "never"));
  }
  // The whole file by its name; empty and a note of the error when it fails.
  std::string readAll(const std::string& name) {
    auto file = open(name);
    if (!file.isOk()) return std::string("open: ") + codeName(file.status().code());
    auto bytes = read(file.value(), 0, file.value()->byteLength());
    if (!bytes.isOk()) return std::string("read: ") + codeName(bytes.status().code());
    return textOf(bytes.value());
  }
  CachedFilePtr tryOpen(const std::string& name) { return cache->tryOpen(folder.at(name)); }
  void put(const std::string& name, const std::string& text) {
    test::writeFile(folder.at(name), text);
  }

  Window window;
  std::unique_ptr<Domain> domain;
  Folder folder;
  FakeClock clock;
  ManualQueue queue;
  std::unique_ptr<Pool> pool;
  std::shared_ptr<FileCache> cache;
};

}  // namespace iol::test
