#include "cache/fill_job.h"

#include <algorithm>
#include <utility>

#include "cache/cache_state.h"
#include "cache/file_gate.h"

namespace iol {
namespace {

// Extents that one read has on their way at a time: enough to keep a disk busy, not so many that
// one long read takes all helper threads.
constexpr uint32_t kFillsPerRead = 3;

}  // namespace

void FileCache::read(const CachedFilePtr& file, uint64_t offset, uint64_t length, MayBe mayBe,
                     ReadDone done) {
  if (isClosed_ || file->owner_ != this) return done(Status(Code::Closed, "file cache"));
  const uint64_t size = file->byteLength();
  const uint64_t from = std::min(offset, size);
  const uint64_t end = from + std::min(length, size - from);
  auto read =
      std::make_shared<FileRead>(shared_from_this(), file, from, end, mayBe, std::move(done));
  read->advance();
}

// ---- FileRead ----------------------------------------------------------------------------------

FileRead::FileRead(std::shared_ptr<FileCache> cache, CachedFilePtr file, uint64_t from,
                   uint64_t end, FileCache::MayBe mayBe, FileCache::ReadDone done)
    : cache_(std::move(cache)),
      file_(std::move(file)),
      next_(from),
      end_(end),
      mayBe_(mayBe),
      done_(std::move(done)) {}

FileRead::~FileRead() {
  Domain& domain = cache_->pool_.domain();
  for (const Slice& piece : pieces_) {
    if (piece.segment != nullptr) domain.release(piece);
  }
}

void FileRead::advance() {
  if (!done_) return;
  const Status status = addPieces();
  if (!status.isOk()) return onFailure(status);
  if (next_ < end_ || waitingFor_ > 0) return;
  ++(hasWaited_ ? cache_->stats_.misses : cache_->stats_.hits);
  Aggregate bytes(cache_->pool_.domain());
  Status joined;
  for (const Slice& piece : std::exchange(pieces_, {})) {
    // The aggregate takes the hold over; one that it refuses is dropped here.
    if (joined.isOk()) joined = bytes.adopt(piece);
    if (!joined.isOk()) cache_->pool_.domain().release(piece);
  }
  const FileCache::ReadDone done = std::exchange(done_, nullptr);
  if (joined.isOk()) {
    done(std::move(bytes));
  } else {
    done(joined);
  }
}

Status FileRead::addPieces() {
  FileVersion& version = *file_->version_;
  Domain& domain = cache_->pool_.domain();
  while (next_ < end_) {
    if (cache_->isClosed_) return Status(Code::Closed, "file cache");
    if (version.isStale) return Status(Code::FileChanged, "file");
    uint64_t sliceFrom = 0;
    if (const Slice* slice = cache_->sliceAt(version, next_, sliceFrom)) {
      const uint64_t count = std::min<uint64_t>(slice->length - sliceFrom, end_ - next_);
      pieces_.push_back(
          slice->part(static_cast<uint32_t>(sliceFrom), static_cast<uint32_t>(count)));
      domain.retain(pieces_.back());
      next_ += count;
      continue;
    }
    if (waitingFor_ >= kFillsPerRead) return {};
    const auto pending = std::find_if(
        version.fills.begin(), version.fills.end(),
        [&](const FillJob* job) { return job->offset() <= next_ && next_ < job->end(); });
    FillJob* fill = pending != version.fills.end() ? *pending : nullptr;
    if (fill == nullptr) {
      auto started = startFill(next_);
      if (!started.isOk()) {
        const bool isShort = mayBe_ == FileCache::MayBe::Short && !pieces_.empty();
        if (!isShort || !isShortage(started.status())) return started.status();
        end_ = next_;
        return {};
      }
      fill = started.value();
    }
    const uint64_t count = std::min(fill->end(), end_) - next_;
    fill->wait(shared_from_this(), pieces_.size(), next_, static_cast<uint32_t>(count));
    pieces_.push_back(Slice{});
    ++waitingFor_;
    hasWaited_ = true;
    next_ += count;
  }
  return {};
}

// The largest extent around `from` that is neither cached nor on its way: up to a block of 1 MiB.
Result<FillJob*> FileRead::startFill(uint64_t from) {
  FileVersion& version = *file_->version_;
  uint64_t start = from / kExtentBytesMax * kExtentBytesMax;
  uint64_t end = std::min(start + kExtentBytesMax, version.facts.size);
  const size_t after = entryAfter(version, from);
  if (after < version.entries.size()) end = std::min(end, version.entries[after]->offset);
  if (after > 0) start = std::max(start, version.entries[after - 1]->end());
  for (const FillJob* other : version.fills) {
    if (other->end() <= from) start = std::max(start, other->end());
    if (other->offset() > from) end = std::min(end, other->offset());
  }
  auto draft = cache_->allocate(end - start);
  if (!draft.isOk()) return draft.status();
  auto job = std::make_unique<FillJob>(cache_, file_, start, draft.take());
  FillJob* const fill = job.get();
  cache_->start(std::move(job));
  return fill;
}

void FileRead::onPiece(size_t piece, const Slice& slice) {
  if (!done_) return;
  cache_->pool_.domain().retain(slice);
  pieces_[piece] = slice;
  --waitingFor_;
}

void FileRead::onFailure(const Status& status) {
  if (!done_) return;
  ++cache_->stats_.misses;
  std::exchange(done_, nullptr)(status);
}

// ---- FillJob -----------------------------------------------------------------------------------

FillJob::FillJob(std::shared_ptr<FileCache> cache, CachedFilePtr file, uint64_t offset, Draft draft)
    : cache_(std::move(cache)),
      file_(std::move(file)),
      offset_(offset),
      length_(draft.byteLength()),
      draft_(std::move(draft)),
      to_(draft_.bytes()) {
  file_->version_->fills.push_back(this);
}

FillJob::~FillJob() {
  std::erase(file_->version_->fills, this);
  --cache_->stats_.jobsInFlight;
}

void FillJob::wait(std::shared_ptr<FileRead> read, size_t piece, uint64_t from, uint32_t length) {
  waiters_.push_back({std::move(read), piece, from, length});
}

void FillJob::run() { status_ = fill(); }

Status FillJob::fill() {
  const int fd = file_->fd_.get();
  const FileGate gate(file_->facts_, FileGate::Pass::Read);
  auto before = sys::factsOf(fd);
  if (!before.isOk()) return before.status();
  // Why no second try: another version is another file-id, which the caller did not ask for.
  if (!before.value().sameVersion(file_->facts_)) return Status(Code::FileChanged, "file");
  auto bytes = sys::readCold(fd, file_->facts_.dev, offset_, to_, length_, cache_->options_.cold);
  if (!bytes.isOk()) return bytes.status();
  read_ = bytes.value();
  if (cache_->options_.betweenReadAndCheck) cache_->options_.betweenReadAndCheck();
  auto after = sys::factsOf(fd);
  if (!after.isOk()) return after.status();
  if (!after.value().sameVersion(file_->facts_) || read_.bytes < length_) {
    return Status(Code::FileChanged, "file");
  }
  return {};
}

void FillJob::finish() {
  // Why so early: who waits may start the same extent anew.
  std::erase(file_->version_->fills, this);
  const Status status = conclude();
  const std::vector<Waiter> waiters = std::exchange(waiters_, {});
  if (!status.isOk()) {
    for (const Waiter& waiter : waiters) waiter.read->onFailure(status);
    return;
  }
  const Slice slice = draft_.seal();
  FileVersion& version = *file_->version_;
  const size_t after = entryAfter(version, offset_);
  const bool isFree = after == version.entries.size() || version.entries[after]->offset >= end();
  if (isFree && length_ <= cache_->options_.maxBytes) cache_->addEntry(version, offset_, slice);
  for (const Waiter& waiter : waiters) {
    waiter.read->onPiece(waiter.piece,
                         slice.part(static_cast<uint32_t>(waiter.from - offset_), waiter.length));
  }
  cache_->pool_.domain().release(slice);
  cache_->evictTo(cache_->options_.maxBytes);
  for (const Waiter& waiter : waiters) waiter.read->advance();
}

// Counts, and decides whether what was read is the version that was asked for.
Status FillJob::conclude() {
  FileCache& cache = *cache_;
  if (cache.isClosed_) return Status(Code::Closed, "file cache");
  cache.drainWatches();
  if (read_.bytes > 0) {
    switch (read_.way) {
      case sys::ColdWay::DontCache: ++cache.stats_.readsDontCache; break;
      case sys::ColdWay::Direct: ++cache.stats_.readsDirect; break;
      case sys::ColdWay::Buffered: ++cache.stats_.readsBuffered; break;
    }
    cache.stats_.alsoInPageCacheBytes += read_.alsoInPageCacheBytes;
  }
  FileVersion& version = *file_->version_;
  // Of before the write or of after it: a read that joins pieces of both would be a mixture.
  if (version.writes > 0) return Status(Code::FileChanged, "file");
  if (status_.code() == Code::FileChanged && !version.isStale) cache.invalidate(version);
  if (status_.isOk() && version.isStale) return Status(Code::FileChanged, "file");
  return status_;
}

}  // namespace iol
