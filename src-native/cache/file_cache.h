// cache/file_cache.h: extents of files, read once into the window and found again by name.
//
//   path ──> CachedFile (open descriptor, facts, when they were checked)
//                └──> file-id <dev, ino, mtime, ctime, size>
//                         └──> entries by offset: [0, 1 MiB) [1 MiB, 2 MiB) ...  one buffer each
//                                                  └─ the same entries in the shared index
//
// A hit hands out slices of the very buffers that the cache holds. A miss becomes disk jobs on a
// DiskQueue; requests for the same extent share one. Another version of a file is another
// file-id: whoever still has a CachedFile of the old version gets its bytes or FileChanged, never
// a mixture.
//
// Ownership   the cache holds one hold per entry; aggregates handed out have their own. Jobs keep
//             the cache alive; the pool, its domain and the queue must outlive them.
// Threads     the domain's; nothing here waits for the disk (jobs do).
// Failure     System, NotRegular, FileChanged, PoolFull, WindowFull, NoMemory, Closed, WouldBlock.
// Cost        tryOpen: one hash look-up. tryRead of one entry: a search and one retain; of several
//             O(log entries) when entries have not changed since the last one, else O(entries). No
//             system call on any.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "aggregate/aggregate.h"
#include "aggregate/trusted.h"
#include "base/status.h"
#include "cache/disk_job.h"
#include "cache/policy.h"
#include "pool/pool.h"
#include "sys/clock.h"
#include "sys/disk.h"
#include "sys/file.h"
#include "sys/watch.h"

namespace iol {

class FileCache;
struct CacheEntry;
struct FileVersion;

// One version of one file, open. Shared by all who asked for the path; keeps its descriptor until
// the last pointer goes.
class CachedFile {
 public:
  CachedFile() = default;
  ~CachedFile();
  CachedFile(const CachedFile&) = delete;
  CachedFile& operator=(const CachedFile&) = delete;

  const std::string& path() const { return path_; }  // Empty when opened by descriptor.
  const sys::FileFacts& facts() const { return facts_; }
  // Where the open file is now, however its path led there: sys::realPathOf.
  Result<std::string> realPath() const { return sys::realPathOf(fd_.get()); }
  uint64_t byteLength() const { return facts_.size; }
  uint64_t mtimeMs() const { return static_cast<uint64_t>(facts_.mtimeNs / 1'000'000); }
  // Strong and quoted; of dev, ino, size, mtime and ctime, none of which it shows.
  const std::string& etag() const { return etag_; }
  // False once a change is known or the last look at the file is older than the interval. True
  // counts as a use: the cache goes on looking at files that are used (it may queue that here).
  bool isFresh();
  // Its cache, while that is there: for who asks it more than one thing.
  std::shared_ptr<FileCache> cache() const { return cache_.lock(); }

  // For the binding alone: its handle of the JavaScript object, 0 while there is none.
  int32_t scriptHandle = 0;

 private:
  friend class FileCache;
  friend class OpenJob;
  friend class RefreshJob;
  friend class FillJob;
  friend class FileRead;
  std::string path_;
  std::string etag_;
  sys::FileFacts facts_;
  sys::Fd fd_;
  std::weak_ptr<FileCache> cache_;
  const FileCache* owner_ = nullptr;  // For comparing only.
  std::shared_ptr<FileVersion> version_;
  int64_t checkedAtMs_ = 0;
  int64_t usedAtMs_ = 0;
  uint32_t events_ = 0;     // What the kernel told of since it was opened.
  bool isSuspect_ = false;  // Something happened to it; ask the kernel before the next use.
  int watch_ = -1;
};
using CachedFilePtr = std::shared_ptr<CachedFile>;

class FileCache : public std::enable_shared_from_this<FileCache> {
 public:
  using OpenDone = std::function<void(Result<CachedFilePtr>)>;
  using ReadDone = std::function<void(Result<Aggregate>)>;

  struct Options {
    uint64_t maxBytes = 0;            // Of cached payload; 0: a quarter of the window.
    uint32_t checkIntervalMs = 1000;  // Longest unnoticed outside change; 0: ask at every open.
    uint32_t openFilesMax = 1024;     // Paths remembered, each with an open descriptor.
    bool watches = true;              // inotify: most changes are noticed at once.
    bool exportsNames = false;        // Others may attach to the index: buffers become exported.
    std::unique_ptr<ReplacementPolicy> policy;  // Null: the paper's rule.
    // Test hooks.
    const sys::Clock* clock = &sys::systemClock();
    std::function<void()> betweenReadAndCheck;  // In FillJob::run, before the second fstat.
    sys::ColdOptions cold;
  };
  struct Stats {
    uint64_t entries = 0;
    uint64_t bytes = 0;
    uint64_t maxBytes = 0;
    uint64_t openFiles = 0;
    uint64_t hits = 0;
    uint64_t misses = 0;
    uint64_t evictions = 0;
    uint64_t invalidations = 0;  // Entries dropped because their file changed.
    uint64_t alsoInPageCacheBytes = 0;
    uint64_t readsDontCache = 0;  // Disk reads by way taken.
    uint64_t readsDirect = 0;
    uint64_t readsBuffered = 0;
    uint64_t watches = 0;
    uint64_t jobsInFlight = 0;
  };

  static Result<std::shared_ptr<FileCache>> create(Pool& pool, DiskQueue& queue, Options options);
  ~FileCache();
  FileCache(const FileCache&) = delete;
  FileCache& operator=(const FileCache&) = delete;

  // The file, if it is known and still fresh by the bound; else null. After a non-null answer
  // look at wantsRefresh().
  CachedFilePtr tryOpen(std::string_view path);
  // `done` is called exactly once, from here when the answer is known, else from a job's finish()
  // (unless the queue destroys the job unfinished). A directory is System EISDIR, any other
  // non-file NotRegular.
  void open(std::string_view path, OpenDone done);
  // The regular file behind somebody's descriptor, through a duplicate of it. `fd` must be
  // readable. One fstat on this thread; the answer is never remembered by path.
  Result<CachedFilePtr> openDescriptor(int fd);

  // Bytes [offset, offset + length), clamped to the file, when all are cached; else WouldBlock.
  // As CachedFile::isFresh.
  bool isFresh(CachedFile& file);
  Result<Aggregate> tryRead(CachedFile& file, uint64_t offset, uint64_t length);
  // The same of whatever version has these facts; WouldBlock at the file's end too.
  Result<Aggregate> tryRead(const sys::FileFacts& facts, uint64_t offset, uint64_t length);
  // The same, reading what is missing. `done` as in open().
  void read(const CachedFilePtr& file, uint64_t offset, uint64_t length, ReadDone done) {
    read(file, offset, length, MayBe::Whole, std::move(done));
  }
  // Short: when there is no room for all, those before the first that there is none for.
  enum class MayBe : uint8_t { Whole, Short };
  void read(const CachedFilePtr& file, uint64_t offset, uint64_t length, MayBe mayBe,
            ReadDone done);

  // Puts bytes that the program already has into the cache as [offset, offset + its length) of
  // this version, replacing what overlaps. Takes its own holds. FileChanged also while a write
  // through the library is on its way.
  // What is in another domain's pool is copied (`untrusted`).
  Status insert(CachedFile& file, uint64_t offset, const Aggregate& bytes);
  // planTrusted() into the cache's pool, old entries giving way. More foreign bytes than the cache
  // may have are refused with TooLarge.
  Result<Aggregate> planOwn(const Aggregate& bytes, std::vector<PlannedCopy>& copies);

  // True when files in use come near the interval: call refresh() then (it queues one job that
  // looks at all of them), so that hot files never leave the synchronous path.
  bool wantsRefresh() const { return wantsRefresh_; }
  void refresh();

  // The inotify descriptor to poll for reading, or -1; then call drainWatches().
  int watchFd() const;
  void drainWatches();

  // Drops the least useful entries until at most `bytes` remain.
  void evictTo(uint64_t bytes);
  Stats stats() const;
  const sys::Fd* indexFd() const;  // Read-only, to be given to readers; null before first use.
  Pool& pool() { return pool_; }
  bool isClosed() const { return isClosed_; }
  // Drops all entries and paths. Jobs in flight end with Closed. Idempotent.
  void close();

 private:
  FileCache(Pool& pool, DiskQueue& queue, Options options);
  friend class CachedFile;
  friend class OpenJob;
  friend class RefreshJob;
  friend class FillJob;
  friend class FileRead;
  friend class FileWrite;
  struct State;  // cache_state.h

  int64_t nowMs() const { return options_.clock->monotonicMs(); }
  bool isFresh(const CachedFile& file, int64_t nowMs) const;
  bool isKnown(const CachedFile& file) const;  // As what its path leads to.
  void noteUseOf(CachedFile& file, int64_t nowMs);
  void start(std::unique_ptr<DiskJob> job);

  // Entries (file_cache.cc).
  Result<Draft> allocate(uint64_t bytes);
  void addEntry(FileVersion& version, uint64_t offset, const Slice& slice);
  void removeEntry(CacheEntry& entry);
  void makeRoom(FileVersion& version, uint64_t from, uint64_t to);
  void publish(CacheEntry& entry);
  void growIndex();
  void invalidate(FileVersion& version);
  const Slice* sliceAt(FileVersion& version, uint64_t offset, uint64_t& sliceFrom);

  Result<Aggregate> readCached(FileVersion& version, uint64_t offset, uint64_t length);
  // Hits on several entries (cached_runs.cc).
  Result<Aggregate> readRun(FileVersion& version, size_t index, uint64_t offset, uint64_t end);
  Status makeRun(FileVersion& version, size_t index, uint64_t end);
  void noteUse(FileVersion& version, uint64_t from, uint64_t to);
  void touchUsed(FileVersion& version);
  void settleRuns();

  // Versions, and what a write makes of them (file_write.cc).
  std::shared_ptr<FileVersion> findVersion(const sys::FileFacts& facts);
  std::shared_ptr<FileVersion> versionOf(const sys::FileFacts& facts);
  void retire(FileVersion& version);
  void moveEntries(FileVersion& from, FileVersion& to);
  void place(FileVersion& version, uint64_t offset, const Aggregate& bytes);

  // Paths and watches (cached_paths.cc).
  CachedFilePtr makeFile(std::string path, sys::Fd fd, const sys::FileFacts& facts);
  CachedFilePtr remember(CachedFilePtr file);
  void forgetPath(std::string_view path, bool hasChanged);
  void forgetOldPaths(uint32_t keep);
  void attachWatch(CachedFile& file, int watch);
  void detachWatch(CachedFile& file);
  void settleWatches();
  void onWatchEvent(const sys::WatchEvent& event);

  Pool& pool_;
  DiskQueue& queue_;
  Options options_;
  Stats stats_;
  bool isClosed_ = false;
  bool wantsRefresh_ = false;
  std::unique_ptr<State> state_;
};

}  // namespace iol
