// io/file_verbs.cc: the two verbs on what waits for the disk (io/iol.h).

#include <algorithm>
#include <cerrno>
#include <utility>

#include "aggregate/slice_iterator.h"
#include "cache/index_layout.h"
#include "io/file_io_job.h"
#include "io/iol.h"

namespace iol {
namespace {

// Attempts through the cache before one that keeps other writes of the library out.
constexpr int kCachedTries = 2;

Status checkFile(const Endpoint& endpoint, bool isAllowed, const char* syscall) {
  if (!isAllowed) return Status::system(syscall, EBADF);
  if (!endpoint.needsJob()) return Status(Code::NotRegular, "descriptor");
  return {};
}

// Of one read that does not go through the cache. Why: its memory is committed on this thread, at
// 0.4 ms a MiB; a longer read is short.
constexpr uint64_t kPlannedBytesMax = 16 << 20;

// Neither size nor version say anything about its bytes.
bool isPlain(const Endpoint& source) { return !source.isRegular() || sys::isSynthetic(source.fd); }

Result<uint64_t> startOf(const Endpoint& endpoint, std::optional<uint64_t> position) {
  if (position) return *position;
  return sys::position(endpoint.fd);
}

bool isAllIn(const Pool& pool, const Aggregate& bytes) {
  for (SliceIterator it(bytes); !it.isAtEnd(); it.next()) {
    if (bytes.domain().poolOf(it.slice()) != &pool) return false;
  }
  return true;
}

// What is cached is in buffers that others may read; the reader asked for a pool of its own list.
Result<Aggregate> asAsked(const FileReadOptions& options, Result<Aggregate> cached) {
  Pool* const pool = options.into;
  if (pool == nullptr || !cached.isOk() || isAllIn(*pool, cached.value())) return cached;
  const Aggregate& bytes = cached.value();
  Aggregate copy(pool->domain());
  for (uint64_t at = 0; at < bytes.byteLength(); at = copy.byteLength()) {
    auto draft = pool->allocate(std::min(bytes.byteLength() - at, kExtentBytesMax));
    if (!draft.isOk()) return draft.status();
    bytes.copyTo(draft.value().bytes(), at, draft.value().byteLength(), CopyReason::Pool);
    IOL_TRY(copy.adopt(draft.value().seal()));
  }
  return copy;
}

// One readFile of a regular file, from its first attempt to its answer.
class RegularRead : public std::enable_shared_from_this<RegularRead> {
 public:
  RegularRead(Pool& pool, DiskQueue& queue, sys::Fd fd, uint64_t from,
              const FileReadOptions& options, ReadDone done)
      : pool_(pool),
        queue_(queue),
        fd_(std::move(fd)),
        from_(from),
        options_(options),
        done_(std::move(done)) {
    if (options.cache != nullptr) cache_ = options.cache->shared_from_this();
  }

  void attempt() {
    if (options_.into != nullptr) return readInto();
    const bool isCached = cache_ != nullptr && !cache_->isClosed() && tries_++ < kCachedTries;
    if (!isCached) return readAtOnce();
    auto file = cache_->openDescriptor(fd_.get());
    if (!file.isOk()) return answer(file.status());
    cache_->read(file.value(), from_, options_.size, FileCache::MayBe::Short,
                 [self = shared_from_this()](Result<Aggregate> bytes) {
                   const Code code = bytes.status().code();
                   if (code == Code::FileChanged || self->cache_->isClosed()) {
                     return self->attempt();
                   }
                   // Not even one extent; but there may be for less.
                   if (isShortage(bytes.status())) return self->readAtOnce();
                   self->answer(std::move(bytes));
                 });
  }

 private:
  void readInto() {
    auto facts = sys::factsOf(fd_.get());
    if (!facts.isOk()) return answer(facts.status());
    if (cache_ == nullptr || cache_->isClosed()) return readAtOnce();
    auto cached = asAsked(options_, cache_->tryRead(facts.value(), from_, options_.size));
    if (cached.status().code() == Code::WouldBlock) return readAtOnce();
    answer(std::move(cached));
  }

  void readAtOnce() {
    auto source = inspect(fd_.get());
    if (!source.isOk()) return answer(source.status());
    const uint64_t size = std::min(options_.size, kPlannedBytesMax);
    auto job = FileReadJob::plan(pool_, source.value(), from_, size);
    if (!job.isOk()) return answer(job.status());
    job.value()->setDone(
        [self = shared_from_this()](Result<Aggregate> bytes) { self->answer(std::move(bytes)); });
    queue_.start(job.take());
  }

  void answer(Result<Aggregate> bytes) {
    if (bytes.isOk() && !options_.position && (!options_.isWanted || options_.isWanted())) {
      const Status moved = sys::setPosition(fd_.get(), from_ + bytes.value().byteLength());
      if (!moved.isOk()) bytes = moved;
    }
    std::exchange(done_, nullptr)(std::move(bytes));
  }

  Pool& pool_;
  DiskQueue& queue_;
  std::shared_ptr<FileCache> cache_;
  const sys::Fd fd_;  // A duplicate: shares the position, and stays ours.
  const uint64_t from_;
  const FileReadOptions options_;
  ReadDone done_;
  int tries_ = 0;
};

}  // namespace

void readFile(Pool& pool, DiskQueue& queue, const Endpoint& source, const FileReadOptions& options,
              ReadDone done) {
  const Status allowed = checkFile(source, source.modes.canRead, "read");
  if (!allowed.isOk()) return done(allowed);
  if (isPlain(source)) {
    auto job = SyntheticReadJob::plan(pool, source, options);
    if (!job.isOk()) return done(job.status());
    job.value()->setDone(std::move(done));
    return queue.start(job.take());
  }
  auto start = startOf(source, options.position);
  if (!start.isOk()) return done(start.status());
  auto own = sys::duplicate(source.fd);
  if (!own.isOk()) return done(own.status());
  std::make_shared<RegularRead>(pool, queue, own.take(), start.value(), options, std::move(done))
      ->attempt();
}

Result<Aggregate> readCached(const Endpoint& source, const FileReadOptions& options) {
  if (options.cache == nullptr || !source.isRegular() || !source.modes.canRead) {
    return Status(Code::WouldBlock, "extent");
  }
  auto start = startOf(source, options.position);
  if (!start.isOk()) return start.status();
  auto cached = options.cache->tryRead(source.modes.facts, start.value(), options.size);
  if (options.into != nullptr) cached = asAsked(options, std::move(cached));
  if (cached.isOk() && !options.position) {
    IOL_TRY(sys::setPosition(source.fd, start.value() + cached.value().byteLength()));
  }
  return cached;
}

Result<Aggregate> readFileSync(Pool& pool, const Endpoint& source, const FileReadOptions& options) {
  IOL_TRY(checkFile(source, source.modes.canRead, "read"));
  auto cached = readCached(source, options);
  if (cached.isOk()) return cached;
  if (isPlain(source)) {
    auto job = SyntheticReadJob::plan(pool, source, options);
    if (!job.isOk()) return job.status();
    job.value()->run();
    return job.value()->take();
  }
  auto start = startOf(source, options.position);
  if (!start.isOk()) return start.status();
  const uint64_t from = start.value();
  CachedFilePtr file;
  if (options.cache != nullptr && options.into == nullptr) {
    auto opened = options.cache->openDescriptor(source.fd);
    if (!opened.isOk()) return opened.status();
    file = opened.take();
  }
  auto job = FileReadJob::plan(pool, source, from, options.size);
  if (!job.isOk()) return job.status();
  job.value()->run();
  auto bytes = job.value()->take();
  // Only bytes of the very version that the cache knows the file by.
  if (bytes.isOk() && file && job.value()->facts().sameVersion(file->facts())) {
    (void)options.cache->insert(*file, from, bytes.value());
  }
  if (bytes.isOk() && !options.position) {
    IOL_TRY(sys::setPosition(source.fd, from + bytes.value().byteLength()));
  }
  return bytes;
}

void writeFile(DiskQueue& queue, const Endpoint& sink, const Aggregate& bytes, uint64_t from,
               const FileWriteOptions& options, WriteDone done) {
  const Status allowed = checkFile(sink, sink.modes.canWrite, "write");
  if (!allowed.isOk()) return done(allowed);
  auto job = FileWriteJob::plan(sink, bytes.slice(from, bytes.byteLength()), options);
  if (!job.isOk()) return done(job.status());
  job.value()->setDone(std::move(done));
  queue.start(job.take());
}

Result<uint64_t> writeFileSync(const Endpoint& sink, const Aggregate& bytes, uint64_t from,
                               const FileWriteOptions& options) {
  IOL_TRY(checkFile(sink, sink.modes.canWrite, "write"));
  auto job = FileWriteJob::plan(sink, bytes.slice(from, bytes.byteLength()), options);
  if (!job.isOk()) return job.status();
  job.value()->run();
  return job.value()->take();
}

}  // namespace iol
