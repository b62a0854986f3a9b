#include "io/file_io_job.h"

#include <algorithm>
#include <utility>

#include "cache/index_layout.h"
#include "sys/disk.h"
#include "sys/iovec.h"

namespace iol {

// ---- Reading -----------------------------------------------------------------------------------

Result<std::unique_ptr<FileReadJob>> FileReadJob::plan(Pool& pool, int fd, uint64_t from,
                                                       uint64_t size) {
  auto facts = sys::factsOf(fd);
  if (!facts.isOk()) return facts.status();
  auto own = sys::duplicate(fd);
  if (!own.isOk()) return own.status();
  std::unique_ptr<FileReadJob> job(new FileReadJob(pool.domain(), own.take(), from));
  const uint64_t there = facts.value().size > from ? facts.value().size - from : 0;
  for (uint64_t left = std::min(size, there); left > 0;) {
    auto draft = pool.allocate(std::min(left, kExtentBytesMax));
    if (!draft.isOk()) return draft.status();
    left -= draft.value().byteLength();
    job->drafts_.push_back(draft.take());
  }
  return job;
}

void FileReadJob::run() {
  for (int tries = 0; tries < kReadTries; ++tries) {
    status_ = readOnce();
    if (status_.code() != Code::FileChanged) return;
  }
}

Status FileReadJob::readOnce() {
  auto before = sys::factsOf(fd_.get());
  if (!before.isOk()) return before.status();
  bytes_ = 0;
  for (Draft& draft : drafts_) {
    auto read = sys::readCold(fd_.get(), before.value().dev, from_ + bytes_, draft.bytes(),
                              draft.byteLength());
    if (!read.isOk()) return read.status();
    bytes_ += read.value().bytes;
    if (read.value().bytes < draft.byteLength()) break;  // The file became shorter.
  }
  auto after = sys::factsOf(fd_.get());
  if (!after.isOk()) return after.status();
  facts_ = after.value();
  if (!facts_.sameVersion(before.value())) return Status(Code::FileChanged, "file");
  return {};
}

Result<Aggregate> FileReadJob::take() {
  std::vector<Draft> drafts = std::exchange(drafts_, {});
  if (!status_.isOk()) return status_;
  Aggregate bytes(domain_);
  for (Draft& draft : drafts) {
    const uint64_t count = std::min<uint64_t>(draft.byteLength(), bytes_ - bytes.byteLength());
    if (count == 0) break;
    IOL_TRY(bytes.adopt(draft.seal(static_cast<uint32_t>(count))));
  }
  return bytes;
}

void FileReadJob::finish() { std::exchange(done_, nullptr)(take()); }

// ---- Reading what has no size ------------------------------------------------------------------

Result<std::unique_ptr<SyntheticReadJob>> SyntheticReadJob::plan(Pool& pool, const Endpoint& source,
                                                                 const FileReadOptions& options) {
  auto own = sys::duplicate(source.fd);
  if (!own.isOk()) return own.status();
  auto draft = pool.allocate(std::min<uint64_t>(options.size, kReadBytesMax));
  if (!draft.isOk()) return draft.status();
  return std::unique_ptr<SyntheticReadJob>(
      new SyntheticReadJob(pool.domain(), own.take(), draft.take(), options.position));
}

// Why one read: a second one may wait for ever (kmsg, trace_pipe), and may show another state.
// Why not pread at the own position: some such files cannot seek.
void SyntheticReadJob::run() {
  count_ = position_ ? sys::readAt(fd_.get(), draft_.bytes(), draft_.byteLength(), *position_)
                     : sys::readNext(fd_.get(), draft_.bytes(), draft_.byteLength());
}

Result<Aggregate> SyntheticReadJob::take() {
  Draft draft = std::move(draft_);
  if (!count_.isOk()) return count_.status();
  Aggregate bytes(domain_);
  if (count_.value() > 0) {
    IOL_TRY(bytes.adopt(draft.seal(static_cast<uint32_t>(count_.value()))));
  }
  return bytes;
}

void SyntheticReadJob::finish() { std::exchange(done_, nullptr)(take()); }

// ---- Writing -----------------------------------------------------------------------------------

Result<uint64_t> writeAll(int fd, const Aggregate& bytes, uint64_t from,
                          std::optional<uint64_t> position) {
  uint64_t written = 0;
  iovec vectors[kGatherMax];
  while (from + written < bytes.byteLength()) {
    const int count = static_cast<int>(bytes.gather(from + written, vectors, kGatherMax));
    auto now = position ? sys::writeAt(fd, vectors, count, *position + written)
                        : sys::writeNext(fd, vectors, count);
    if (!now.isOk()) {
      if (written > 0) return written;
      return now.status();
    }
    if (now.value() == 0) break;
    written += now.value();
  }
  return written;
}

FileWriteJob::FileWriteJob(sys::Fd fd, Aggregate bytes, std::optional<uint64_t> position,
                           WriteDone done)
    : fd_(std::move(fd)), bytes_(std::move(bytes)), position_(position), done_(std::move(done)) {}

void FileWriteJob::run() { written_ = writeAll(fd_.get(), bytes_, 0, position_); }

void FileWriteJob::finish() {
  bytes_.clear();
  std::exchange(done_, nullptr)(std::move(written_));
}

}  // namespace iol
