// cold_read: reads cold files by several ways in turn and prints one JSON line a measurement.
//
//   cold_read FOLDER ROUNDS FILE_BYTES FILES CASE
//
// Writes FILES files of FILE_BYTES to FOLDER (which must be on a disk). Before each measurement the
// files' own pages, and nobody else's, are dropped from the page cache. The order of the subjects
// rotates from round to round; round 0 is a warm-up and not printed.

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache/file_cache.h"
#include "pool/pool.h"
#include "sys/disk.h"
#include "sys/memory.h"

namespace {

using namespace iol;

constexpr size_t kPieceBytes = 1 << 20;
constexpr const char* kNoInotify = "cache, no inotify";
constexpr const char* kThreads = "cache, 4 threads";

double seconds(clockid_t clock) {
  timespec now;
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

using sys::kPageBytes;
size_t roundUp(size_t bytes) { return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes; }

[[noreturn]] void giveUp(const char* what) {
  std::perror(what);
  std::exit(2);
}

struct Files {
  std::vector<std::string> paths;
  uint64_t fileBytes;

  void create(const std::string& folder, uint32_t count) {
    std::vector<char> bytes(fileBytes);
    uint32_t state = 1;
    for (uint32_t index = 0; index < count; ++index) {
      for (char& byte : bytes) {
        state = state * 1664525 + 1013904223;
        byte = static_cast<char>(state >> 24);
      }
      paths.push_back(folder + "/f" + std::to_string(index));
      const int fd = ::open(paths.back().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
      if (fd < 0) giveUp("open");
      for (size_t done = 0; done < bytes.size();) {
        const ssize_t now = ::write(fd, bytes.data() + done, bytes.size() - done);
        if (now <= 0) giveUp("write");
        done += static_cast<size_t>(now);
      }
      if (::fsync(fd) != 0) giveUp("fsync");
      ::close(fd);
    }
  }

  uint64_t resident() const {
    uint64_t bytes = 0;
    for (const std::string& path : paths) {
      const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
      auto here = sys::residentBytes(fd, 0, fileBytes);
      if (here.isOk()) bytes += here.value();
      ::close(fd);
    }
    return bytes;
  }

  void drop() const {
    for (const std::string& path : paths) {
      const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
      ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
      ::close(fd);
    }
  }
};

// Runs jobs on the thread that asks for it: what is compared is the work, not the hand-over.
class InlineQueue final : public DiskQueue {
 public:
  void start(std::unique_ptr<DiskJob> job) override { jobs_.push_back(std::move(job)); }
  void drain() {
    while (!jobs_.empty()) {
      const std::unique_ptr<DiskJob> job = std::move(jobs_.front());
      jobs_.pop_front();
      job->run();
      job->finish();
    }
  }

 private:
  std::deque<std::unique_ptr<DiskJob>> jobs_;
};

// Four helper threads, as many as libuv has: what is compared is all of it.
class ThreadQueue final : public DiskQueue {
 public:
  ThreadQueue() {
    for (std::thread& thread : threads_) thread = std::thread([this] { work(); });
  }
  ~ThreadQueue() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      isEnding_ = true;
    }
    started_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  void start(std::unique_ptr<DiskJob> job) override {
    ++inFlight_;
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(job));
    started_.notify_one();
  }
  void drain() {
    while (inFlight_ > 0) {
      std::unique_lock<std::mutex> lock(mutex_);
      ran_.wait(lock, [this] { return !done_.empty(); });
      const std::unique_ptr<DiskJob> job = std::move(done_.front());
      done_.pop_front();
      lock.unlock();
      job->finish();
      --inFlight_;
    }
  }

 private:
  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      started_.wait(lock, [this] { return isEnding_ || !waiting_.empty(); });
      if (isEnding_) return;
      std::unique_ptr<DiskJob> job = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      job->run();
      lock.lock();
      done_.push_back(std::move(job));
      ran_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable started_;
  std::condition_variable ran_;
  std::deque<std::unique_ptr<DiskJob>> waiting_;
  std::deque<std::unique_ptr<DiskJob>> done_;
  uint32_t inFlight_ = 0;  // The domain's thread only.
  bool isEnding_ = false;
  std::thread threads_[4];
};

// Every byte that was read is looked at, as a checksum would.
uint64_t sumOf(const uint8_t* bytes, size_t length) {
  uint64_t sum = 0;
  for (size_t at = 0; at + 8 <= length; at += 512) {
    uint64_t word;
    std::memcpy(&word, bytes + at, 8);
    sum += word;
  }
  return sum;
}

// Of caches that have run for a while: few paths are remembered, so that each miss also lets go of
// an older file, as it does there.
std::shared_ptr<FileCache> makeCache(Pool& pool, DiskQueue& queue, bool watches) {
  FileCache::Options options;
  options.maxBytes = 1ull << 30;
  options.openFilesMax = 32;
  options.watches = watches;
  return FileCache::create(pool, queue, std::move(options)).take();
}

struct Bench {
  const Files& files;
  uint8_t* memory;  // As large as all files; touched once, used by all plain reads.
  Pool& pool;
  InlineQueue& queue;
  ThreadQueue& threads;
  std::shared_ptr<FileCache> cache;  // Made anew outside of the measurement.

  // What a program without this library does.
  uint64_t readBuffered() {
    uint64_t sum = 0;
    uint8_t* to = memory;
    for (const std::string& path : files.paths) {
      const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
      struct stat facts;
      if (fd < 0 || ::fstat(fd, &facts) != 0) giveUp("open");
      const auto size = static_cast<size_t>(facts.st_size);
      for (size_t done = 0; done < size;) {
        const ssize_t now = ::read(fd, to + done, std::min(size - done, kPieceBytes));
        if (now <= 0) giveUp("read");
        done += static_cast<size_t>(now);
      }
      ::close(fd);
      sum += sumOf(to, size);
      to += roundUp(size);
    }
    return sum;
  }

  // One of the ways of sys/disk.h, without a cache around it.
  uint64_t readCold(const sys::ColdOptions& options) {
    uint64_t sum = 0;
    uint8_t* to = memory;
    for (const std::string& path : files.paths) {
      auto fd = sys::openForRead(path.c_str());
      if (!fd.isOk()) giveUp("open");
      auto facts = sys::factsOf(fd.value().get());
      sys::disableReadAhead(fd.value().get());
      for (uint64_t done = 0; done < facts.value().size; done += kPieceBytes) {
        const uint64_t length = std::min(facts.value().size - done, uint64_t{kPieceBytes});
        auto read =
            sys::readCold(fd.value().get(), facts.value().dev, done, to + done, length, options);
        if (!read.isOk() || read.value().bytes != length) giveUp("readCold");
      }
      sum += sumOf(to, facts.value().size);
      to += roundUp(facts.value().size);
    }
    return sum;
  }

  // The whole way of a miss: open, watch, look, allocate, read, look again, seal, index. Up to 16
  // files are on their way at a time when the queue has threads.
  template <typename Queue>
  uint64_t readThroughCache(FileCache& cache, Queue& queue, size_t atOnce) {
    uint64_t sum = 0;
    for (size_t first = 0; first < files.paths.size(); first += atOnce) {
      const size_t end = std::min(first + atOnce, files.paths.size());
      for (size_t index = first; index < end; ++index) {
        cache.open(files.paths[index], [&](Result<CachedFilePtr> file) {
          if (!file.isOk()) giveUp("cache open");
          cache.read(file.value(), 0, file.value()->byteLength(), [&](Result<Aggregate> bytes) {
            if (!bytes.isOk()) giveUp("cache read");
            for (uint32_t at = 0; at < bytes.value().sliceCount(); ++at) {
              const Slice& slice = bytes.value().sliceAt(at);
              sum += sumOf(slice.data(), slice.length);
            }
          });
        });
      }
      queue.drain();
    }
    return sum;
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const int rounds = std::atoi(argv[2]);
  Files files{{}, std::strtoull(argv[3], nullptr, 10)};
  const auto count = static_cast<uint32_t>(std::atoi(argv[4]));
  files.create(argv[1], count);

  Window window({4ull << 30});
  auto domain = Domain::create(window).take();
  Pool::Options poolOptions;
  poolOptions.idleBytesMax = 1ull << 30;  // A server that has run for a while commits no more.
  auto pool = Pool::create(*domain, poolOptions).take();
  InlineQueue queue;
  ThreadQueue threads;
  // Each file to a page border, as the window has large extents.
  const size_t memoryBytes = roundUp(files.fileBytes) * count;
  auto* memory = static_cast<uint8_t*>(std::aligned_alloc(kPageBytes, memoryBytes));
  std::memset(memory, 1, memoryBytes);
  Bench bench{files, memory, *pool, queue, threads, nullptr};

  struct Subject {
    const char* name;
    uint64_t (*read)(Bench&);
  };
  const Subject subjects[] = {
      {"read", [](Bench& b) { return b.readBuffered(); }},
      {"cache", [](Bench& b) { return b.readThroughCache(*b.cache, b.queue, 1); }},
      {kNoInotify, [](Bench& b) { return b.readThroughCache(*b.cache, b.queue, 1); }},
      {kThreads, [](Bench& b) { return b.readThroughCache(*b.cache, b.threads, 16); }},
      {"best way", [](Bench& b) { return b.readCold({}); }},
      {"no RWF_DONTCACHE",
       [](Bench& b) {
         return b.readCold({true, false});
       }},
      {"no O_DIRECT",
       [](Bench& b) {
         return b.readCold({false, true});
       }},
      {"buffered and dropped",
       [](Bench& b) {
         return b.readCold({true, true});
       }},
  };
  const size_t subjectCount = std::size(subjects);
  uint64_t expected = 0;
  for (int round = 0; round <= rounds; ++round) {
    for (size_t turn = 0; turn < subjectCount; ++turn) {
      const Subject& subject = subjects[(turn + static_cast<size_t>(round)) % subjectCount];
      const bool isOnThreads = std::strcmp(subject.name, kThreads) == 0;
      bench.cache = makeCache(*pool, isOnThreads ? static_cast<DiskQueue&>(threads) : queue,
                              std::strcmp(subject.name, kNoInotify) != 0);
      files.drop();
      const uint64_t before = files.resident();
      const double wall = seconds(CLOCK_MONOTONIC);
      const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
      const uint64_t sum = subject.read(bench);
      const double cpuMs = (seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu) * 1e3;
      const double wallMs = (seconds(CLOCK_MONOTONIC) - wall) * 1e3;
      bench.cache->close();
      if (expected == 0) expected = sum;
      if (sum != expected) {
        std::fprintf(stderr, "%s read other bytes than the first subject\n", subject.name);
        return 1;
      }
      if (round == 0) continue;
      std::printf(
          "{\"case\":\"%s\",\"subject\":\"%s\",\"round\":%d,\"cpuMs\":%.4f,\"wallMs\":%.4f,"
          "\"residentBefore\":%llu,\"residentAfter\":%llu}\n",
          argv[5], subject.name, round, cpuMs, wallMs, static_cast<unsigned long long>(before),
          static_cast<unsigned long long>(files.resident()));
      std::fflush(stdout);
    }
  }
  return 0;
}
