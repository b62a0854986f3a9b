// cache/fill_job.h: reading one missing extent, and the reads that wait for it.
//
//   FileRead   one call of FileCache::read: [from, end) as pieces in order; a piece is there at
//              once (cached) or comes with a FillJob, its own or somebody else's
//   FillJob    one extent, at most 1 MiB, on its way from the disk into a draft
//
// Ownership   a FillJob owns its draft and keeps the cache and the file alive; a FileRead owns
//             holds on the pieces it has, and lives while a job or its caller points to it.
// Threads     FillJob::run: any; it touches the draft's memory and the descriptor alone.
// Failure     FileChanged when the file is not the version that was asked for, before or after.
// Cost        one allocation in the pool; two fstat and the read.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <memory>
#include <vector>

#include "cache/disk_job.h"
#include "cache/file_cache.h"

namespace iol {

class FillJob;

class FileRead : public std::enable_shared_from_this<FileRead> {
 public:
  FileRead(std::shared_ptr<FileCache> cache, CachedFilePtr file, uint64_t from, uint64_t end,
           FileCache::MayBe mayBe, FileCache::ReadDone done);
  ~FileRead();

  // Takes what is cached and starts what is missing, a few extents at a time. Calls back when
  // nothing is missing any more, or at the first failure.
  void advance();
  void onPiece(size_t piece, const Slice& slice);
  void onFailure(const Status& status);
  bool wasHit() const { return !hasWaited_; }

 private:
  Status addPieces();
  Result<FillJob*> startFill(uint64_t from);

  std::shared_ptr<FileCache> cache_;
  const CachedFilePtr file_;
  uint64_t next_;
  uint64_t end_;
  const FileCache::MayBe mayBe_;
  FileCache::ReadDone done_;   // Empty once called.
  std::vector<Slice> pieces_;  // Segment null while on its way.
  uint32_t waitingFor_ = 0;
  bool hasWaited_ = false;
};

class FillJob final : public DiskJob {
 public:
  FillJob(std::shared_ptr<FileCache> cache, CachedFilePtr file, uint64_t offset, Draft draft);
  ~FillJob() override;
  void run() override;
  void finish() override;

  uint64_t offset() const { return offset_; }
  uint64_t end() const { return offset_ + length_; }
  // [from, from + length) of the file, inside this extent, becomes the read's piece.
  void wait(std::shared_ptr<FileRead> read, size_t piece, uint64_t from, uint32_t length);

 private:
  Status fill();
  Status conclude();

  struct Waiter {
    std::shared_ptr<FileRead> read;
    size_t piece;
    uint64_t from;
    uint32_t length;
  };
  std::shared_ptr<FileCache> cache_;
  const CachedFilePtr file_;
  const uint64_t offset_;
  const uint32_t length_;
  Draft draft_;
  uint8_t* const to_;
  std::vector<Waiter> waiters_;
  // Written by run().
  Status status_{Code::Aborted, "read"};
  sys::ColdRead read_;
};

}  // namespace iol
