// cache/open_job.h: opening a path, and looking again at the paths in use, off the domain's thread.
//
// Ownership   a job keeps its cache alive. The descriptor it opens goes to the CachedFile.
// Threads     run(): any; everything else: the cache's.
// Failure     System, NotRegular, Closed: to everybody who waits.
// Cost        OpenJob: five system calls, one when the path still leads to the file that is open.
//             RefreshJob: one stat per path.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cache/disk_job.h"
#include "cache/file_cache.h"
#include "sys/watch.h"

namespace iol {

class OpenJob final : public DiskJob {
 public:
  OpenJob(std::shared_ptr<FileCache> cache, std::string path);
  ~OpenJob() override;
  void run() override;
  void finish() override;
  void wait(FileCache::OpenDone done) { waiters_.push_back(std::move(done)); }

 private:
  Status open();
  Result<CachedFilePtr> conclude();

  std::shared_ptr<FileCache> cache_;
  const std::string path_;
  const sys::Watcher* watcher_;
  const int64_t askedAtMs_;
  CachedFilePtr known_;  // What the path led to when the job was made.
  uint32_t knownEvents_ = 0;
  bool mayKeep_ = false;     // A look at the path is enough, if it finds that file.
  size_t eventsBefore_ = 0;  // Of the cache's recentEvents.
  std::vector<FileCache::OpenDone> waiters_;
  bool isLost_ = false;  // It was enough, but the file is known no more: to be opened after all.
  // Written by run().
  Status status_{Code::Aborted, "open"};
  sys::Fd fd_;
  sys::FileFacts facts_;
  int watch_ = -1;
};

class RefreshJob final : public DiskJob {
 public:
  explicit RefreshJob(std::shared_ptr<FileCache> cache);
  ~RefreshJob() override;
  void run() override;
  void finish() override;
  bool isEmpty() const { return looks_.empty(); }

 private:
  struct Look {
    CachedFilePtr file;
    uint32_t events;
    bool isSame;  // Written by run().
  };
  std::shared_ptr<FileCache> cache_;
  const int64_t askedAtMs_;
  std::vector<Look> looks_;
};

}  // namespace iol
