#include "io/file_io_job.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "cache/file_gate.h"
#include "cache/index_layout.h"
#include "sys/disk.h"
#include "sys/iovec.h"

namespace iol {

// ---- Reading -----------------------------------------------------------------------------------

Result<std::unique_ptr<FileReadJob>> FileReadJob::plan(Pool& pool, const Endpoint& source,
                                                       uint64_t from, uint64_t size) {
  auto own = sys::duplicate(source.fd);
  if (!own.isOk()) return own.status();
  const sys::FileFacts& facts = source.modes.facts;
  std::unique_ptr<FileReadJob> job(new FileReadJob(pool.domain(), own.take(), facts, from));
  const uint64_t there = facts.size > from ? facts.size - from : 0;
  for (uint64_t left = std::min(size, there); left > 0;) {
    auto draft = pool.allocateUpTo(std::min(left, kExtentBytesMax));
    if (isShortage(draft.status()) && !job->drafts_.empty()) break;
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
  const FileGate gate(facts_, FileGate::Pass::Read);
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
  auto draft = pool.allocateUpTo(std::min<uint64_t>(options.size, kReadBytesMax));
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

Result<std::unique_ptr<FileWriteJob>> FileWriteJob::plan(const Endpoint& sink, Aggregate bytes,
                                                         const FileWriteOptions& options) {
  auto own = sys::duplicate(sink.fd);
  if (!own.isOk()) return own.status();
  const bool isCached = options.cache != nullptr && !options.cache->isClosed() &&
                        bytes.byteLength() > 0 && sink.isRegular() && !sys::isSynthetic(sink.fd);
  std::unique_ptr<FileWriteJob> job(new FileWriteJob(own.take(), sink, std::move(bytes), options));
  if (isCached) {
    job->cached_ = std::make_unique<FileWrite>(options.cache->shared_from_this(), sink.modes.facts);
    job->useOwnBytes(*options.cache);
  }
  return job;
}

// What the file and the cache get is one copy, so that they have the same bytes whatever a foreign
// owner does meanwhile. Without room for it nothing of them is cached.
void FileWriteJob::useOwnBytes(FileCache& cache) {
  if (!isForeign(bytes_)) return;
  Result<Aggregate> own = cache.planOwn(bytes_, copies_);
  if (own.isOk()) {
    source_ = std::exchange(bytes_, own.take());
  } else {
    copies_.clear();
  }
}

void FileWriteJob::run() {
  makeCopies(copies_);
  status_ = bytes_.byteLength() > 0 ? write() : Status();
  if (!status_.isOk()) return;
  status_ = sys::syncFile(fd_.get(), options_.sync);
  // Why: after an error here the kernel may forget what it could not write.
  if (!status_.isOk()) change_.isCertain = false;
}

Status FileWriteJob::write() {
  const FileGate gate(modes_.facts, FileGate::Pass::Write);
  auto before = sys::factsOf(fd_.get());
  if (!before.isOk()) return before.status();
  change_.before = before.value();
  change_.offset = options_.position.value_or(0);
  const bool isAtOwn = !options_.position && !modes_.isAppending;
  // Why also with a position: the kernel appends all the same (pwrite(2), BUGS).
  if (modes_.isAppending) change_.offset = before.value().size;
  if (isAtOwn) {
    auto own = sys::position(fd_.get());
    if (!own.isOk()) return own.status();
    change_.offset = own.value();
  }
  IOL_TRY(writeAll(change_.offset));
  auto after = sys::factsOf(fd_.get());
  if (!after.isOk()) return {};
  change_.after = after.value();
  const uint64_t end = change_.offset + written_;
  change_.isCertain = after.value().size == std::max(before.value().size, end);
  if (isAtOwn && change_.isCertain) {
    auto own = sys::position(fd_.get());
    change_.isCertain = own.isOk() && own.value() == end;
  }
  return {};
}

Status FileWriteJob::writeAll(uint64_t start) {
  iovec vectors[kGatherMax];
  while (written_ < bytes_.byteLength()) {
    const int count = static_cast<int>(bytes_.gather(written_, vectors, kGatherMax));
    auto now = options_.position ? sys::writeAt(fd_.get(), vectors, count, start + written_)
                                 : sys::writeNext(fd_.get(), vectors, count);
    if (!now.isOk()) {
      return Status::system(now.status().subject(), now.status().systemErrno(), written_);
    }
    if (now.value() == 0) return Status::system("write", EIO, written_);
    written_ += now.value();
  }
  return {};
}

Result<uint64_t> FileWriteJob::take() {
  source_.clear();
  if (cached_) cached_->finish(change_, bytes_);
  bytes_.clear();
  if (!status_.isOk()) return status_;
  return written_;
}

void FileWriteJob::finish() { std::exchange(done_, nullptr)(take()); }

}  // namespace iol
