// io/file_io_job.h: the two verbs on regular files, as disk jobs.
//
// Ownership   a job owns a duplicate of the descriptor and its drafts or holds.
// Threads     plan, finish, take: the domain's; run: any.
// Failure     pool errors from plan; System; FileChanged after kReadTries versions.
// May include base/ sys/ window/ pool/ aggregate/ cache/
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "cache/disk_job.h"
#include "cache/file_write.h"
#include "io/iol.h"

namespace iol {

constexpr int kReadTries = 3;
// Slices that one gathering system call takes from the stack: 4 KiB of iovecs.
constexpr uint32_t kGatherMax = 256;

class FileReadJob final : public DiskJob {
 public:
  // Allocates for what the file has now of [from, from + size).
  static Result<std::unique_ptr<FileReadJob>> plan(Pool& pool, const Endpoint& source,
                                                   uint64_t from, uint64_t size);
  void setDone(ReadDone done) { done_ = std::move(done); }
  void run() override;
  void finish() override;
  Result<Aggregate> take();  // After run().
  const sys::FileFacts& facts() const { return facts_; }

 private:
  FileReadJob(Domain& domain, sys::Fd fd, const sys::FileFacts& facts, uint64_t from)
      : domain_(domain), fd_(std::move(fd)), from_(from), facts_(facts) {}
  Status readOnce();

  Domain& domain_;
  const sys::Fd fd_;
  const uint64_t from_;
  std::vector<Draft> drafts_;
  ReadDone done_;
  // Written by run().
  sys::FileFacts facts_;
  Status status_{Code::Aborted, "read"};
  uint64_t bytes_ = 0;
};

// One read of a synthetic file (sys::isSynthetic). What it gives may be short of the end.
class SyntheticReadJob final : public DiskJob {
 public:
  static Result<std::unique_ptr<SyntheticReadJob>> plan(Pool& pool, const Endpoint& source,
                                                        const FileReadOptions& options);
  void setDone(ReadDone done) { done_ = std::move(done); }
  void run() override;
  void finish() override;
  Result<Aggregate> take();  // After run().

 private:
  SyntheticReadJob(Domain& domain, sys::Fd fd, Draft draft, std::optional<uint64_t> position)
      : domain_(domain), fd_(std::move(fd)), draft_(std::move(draft)), position_(position) {}

  Domain& domain_;
  const sys::Fd fd_;
  Draft draft_;
  const std::optional<uint64_t> position_;
  ReadDone done_;
  Result<size_t> count_{Status(Code::Aborted, "read")};  // Written by run().
};

class FileWriteJob final : public DiskJob {
 public:
  static Result<std::unique_ptr<FileWriteJob>> plan(const Endpoint& sink, Aggregate bytes,
                                                    const FileWriteOptions& options);
  void setDone(WriteDone done) { done_ = std::move(done); }
  void run() override;
  void finish() override;
  Result<uint64_t> take();  // After run().

 private:
  FileWriteJob(sys::Fd fd, const Endpoint& sink, Aggregate bytes, const FileWriteOptions& options)
      : fd_(std::move(fd)),
        modes_(sink.modes),
        bytes_(std::move(bytes)),
        source_(bytes_.domain()),
        options_(options) {}
  void useOwnBytes(FileCache& cache);
  Status write();
  Status writeAll(uint64_t start);

  const sys::Fd fd_;
  const sys::FdModes modes_;
  Aggregate bytes_;
  Aggregate source_;                 // Where the copies come from.
  std::vector<PlannedCopy> copies_;  // Of foreign bytes that are to be cached, into bytes_.
  const FileWriteOptions options_;
  std::unique_ptr<FileWrite> cached_;  // Null without a cache.
  WriteDone done_;
  // Written by run().
  Status status_{Code::Aborted, "write"};
  FileWrite::Change change_;
  uint64_t written_ = 0;
};

}  // namespace iol
