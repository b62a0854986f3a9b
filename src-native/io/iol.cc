#include "io/iol.h"

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "io/file_io_job.h"
#include "sys/iovec.h"

namespace iol {

Result<Endpoint> inspect(int fd) {
  auto modes = sys::modesOf(fd);
  if (!modes.isOk()) return modes.status();
  return Endpoint{fd, modes.value()};
}

Result<Aggregate> tryRead(Pool& pool, const Endpoint& source, uint64_t size, uint32_t bytesMax) {
  if (!source.modes.canRead) return Status::system("read", EBADF);
  if (source.modes.kind == sys::FdKind::Directory) return Status::system("read", EISDIR);
  if (source.isRegular()) return Status(Code::WouldBlock, "regular file");
  Aggregate bytes(pool.domain());
  const uint64_t wanted = std::min<uint64_t>(size, bytesMax);
  if (wanted == 0) return bytes;
  auto draft = pool.allocate(wanted);
  if (!draft.isOk()) return draft.status();
  auto count = sys::readNow(source.fd, source.modes, draft.value().bytes(), wanted);
  if (!count.isOk()) return count.status();
  if (count.value() > 0) {
    IOL_TRY(bytes.adopt(draft.value().seal(static_cast<uint32_t>(count.value()))));
  }
  return bytes;
}

Result<uint64_t> tryWrite(const Endpoint& sink, const Aggregate& bytes, uint64_t from) {
  if (!sink.modes.canWrite) return Status::system("write", EBADF);
  if (sink.isRegular()) return Status(Code::WouldBlock, "regular file");
  if (from >= bytes.byteLength()) return uint64_t{0};
  iovec vectors[kGatherMax];
  const uint32_t count = bytes.gather(from, vectors, kGatherMax);
  auto written = sys::writeNow(sink.fd, sink.modes, vectors, static_cast<int>(count));
  if (!written.isOk()) return written.status();
  return uint64_t{written.value()};
}

Status waitUntilReady(const Endpoint& endpoint, Direction direction, int timeoutMs) {
  if (endpoint.isRegular()) return {};
  const auto wait = direction == Direction::Read ? sys::Wait::Readable : sys::Wait::Writable;
  auto ready = sys::waitFor(endpoint.fd, wait, timeoutMs);
  if (!ready.isOk()) return ready.status();
  if (!ready.value()) {
    return Status(Code::TimedOut, "descriptor", 0, static_cast<uint64_t>(timeoutMs));
  }
  return {};
}

// ---- Regular files -----------------------------------------------------------------------------

namespace {

Status checkRegular(const Endpoint& endpoint, bool isAllowed, const char* syscall) {
  if (!isAllowed) return Status::system(syscall, EBADF);
  if (!endpoint.isRegular()) return Status(Code::NotRegular, "descriptor");
  return {};
}

// After a read from the descriptor's own position: moves it behind what was read.
Result<Aggregate> advancePosition(int fd, uint64_t position, Result<Aggregate> bytes) {
  if (bytes.isOk()) IOL_TRY(sys::setPosition(fd, position + bytes.value().byteLength()));
  return bytes;
}

Result<uint64_t> startOf(const Endpoint& endpoint, std::optional<uint64_t> position) {
  if (position) return *position;
  return sys::position(endpoint.fd);
}

}  // namespace

void readFile(Pool& pool, DiskQueue& queue, const Endpoint& source, const FileReadOptions& options,
              ReadDone done) {
  const Status allowed = checkRegular(source, source.modes.canRead, "read");
  if (!allowed.isOk()) return done(allowed);
  if (sys::isSynthetic(source.fd)) {
    auto job = SyntheticReadJob::plan(pool, source, options);
    if (!job.isOk()) return done(job.status());
    job.value()->setDone(std::move(done));
    return queue.start(job.take());
  }
  auto start = startOf(source, options.position);
  if (!start.isOk()) return done(start.status());
  const uint64_t from = start.value();
  ReadDone then = std::move(done);
  if (!options.position) {
    // The duplicate shares the position and stays ours, whatever becomes of the caller's.
    auto shared = sys::duplicate(source.fd);
    if (!shared.isOk()) return then(shared.status());
    auto fd = std::make_shared<sys::Fd>(shared.take());
    then = [fd, from, inner = std::move(then)](Result<Aggregate> bytes) {
      inner(advancePosition(fd->get(), from, std::move(bytes)));
    };
  }
  if (options.cache != nullptr) {
    auto file = options.cache->openDescriptor(source.fd);
    if (!file.isOk()) return then(file.status());
    return options.cache->read(file.value(), from, options.size, std::move(then));
  }
  auto job = FileReadJob::plan(pool, source.fd, from, options.size);
  if (!job.isOk()) return then(job.status());
  job.value()->setDone(std::move(then));
  queue.start(job.take());
}

Result<Aggregate> readFileSync(Pool& pool, const Endpoint& source, const FileReadOptions& options) {
  IOL_TRY(checkRegular(source, source.modes.canRead, "read"));
  if (sys::isSynthetic(source.fd)) {
    auto job = SyntheticReadJob::plan(pool, source, options);
    if (!job.isOk()) return job.status();
    job.value()->run();
    return job.value()->take();
  }
  auto start = startOf(source, options.position);
  if (!start.isOk()) return start.status();
  const uint64_t from = start.value();
  const auto moved = [&](Result<Aggregate> bytes) -> Result<Aggregate> {
    if (options.position) return bytes;
    return advancePosition(source.fd, from, std::move(bytes));
  };
  CachedFilePtr file;
  if (options.cache != nullptr) {
    auto opened = options.cache->openDescriptor(source.fd);
    if (!opened.isOk()) return opened.status();
    file = opened.take();
    auto cached = options.cache->tryRead(*file, from, options.size);
    if (cached.isOk()) return moved(std::move(cached));
    if (cached.status().code() != Code::WouldBlock) return cached;
  }
  auto job = FileReadJob::plan(pool, source.fd, from, options.size);
  if (!job.isOk()) return job.status();
  job.value()->run();
  auto bytes = job.value()->take();
  // Only bytes of the very version that the cache knows the file by.
  if (bytes.isOk() && file && job.value()->facts().sameVersion(file->facts())) {
    (void)options.cache->insert(*file, from, bytes.value());
  }
  return moved(std::move(bytes));
}

void writeFile(DiskQueue& queue, const Endpoint& sink, const Aggregate& bytes, uint64_t from,
               std::optional<uint64_t> position, WriteDone done) {
  const Status allowed = checkRegular(sink, sink.modes.canWrite, "write");
  if (!allowed.isOk()) return done(allowed);
  auto own = sys::duplicate(sink.fd);
  if (!own.isOk()) return done(own.status());
  queue.start(std::make_unique<FileWriteJob>(own.take(), bytes.slice(from, bytes.byteLength()),
                                             position, std::move(done)));
}

Result<uint64_t> writeFileSync(const Endpoint& sink, const Aggregate& bytes, uint64_t from,
                               std::optional<uint64_t> position) {
  IOL_TRY(checkRegular(sink, sink.modes.canWrite, "write"));
  return writeAll(sink.fd, bytes, from, position);
}

}  // namespace iol
