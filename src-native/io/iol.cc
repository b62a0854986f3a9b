#include "io/iol.h"

#include <algorithm>
#include <cerrno>

#include "io/file_io_job.h"
#include "sys/iovec.h"

namespace iol {

Result<Endpoint> inspect(int fd) {
  auto modes = sys::modesOf(fd);
  if (!modes.isOk()) return modes.status();
  return Endpoint{fd, modes.value()};
}

Result<Aggregate> tryRead(Pool& pool, const Endpoint& source, uint64_t size, uint32_t bytesMax,
                          bool* isEmptyMessage) {
  if (isEmptyMessage != nullptr) *isEmptyMessage = false;
  if (!source.modes.canRead) return Status::system("read", EBADF);
  if (source.modes.kind == sys::FdKind::Directory) return Status::system("read", EISDIR);
  if (source.needsJob()) return Status(Code::WouldBlock, "file");
  Aggregate bytes(pool.domain());
  uint64_t wanted = std::min<uint64_t>(size, bytesMax);
  if (wanted == 0) return bytes;
  if (source.modes.kind == sys::FdKind::MessageSocket) {
    auto message = sys::nextMessage(source.fd);
    if (!message.isOk()) return message.status();
    if (message.value().bytes > size) {
      return Status(Code::TooLarge, "message", message.value().bytes, size);
    }
    if (message.value().isEnd) return bytes;
    wanted = std::max<uint64_t>(message.value().bytes, 1);
    if (isEmptyMessage != nullptr) *isEmptyMessage = message.value().bytes == 0;
  }
  const bool isMessage = source.modes.kind == sys::FdKind::MessageSocket;
  auto draft = isMessage ? pool.allocate(wanted) : pool.allocateUpTo(wanted);
  if (!draft.isOk()) return draft.status();
  wanted = draft.value().byteLength();
  auto count = sys::readNow(source.fd, source.modes, draft.value().bytes(), wanted);
  if (!count.isOk()) return count.status();
  if (count.value() > 0) {
    IOL_TRY(bytes.adopt(draft.value().seal(static_cast<uint32_t>(count.value()))));
  }
  return bytes;
}

Result<uint64_t> tryWrite(const Endpoint& sink, const Aggregate& bytes, uint64_t from) {
  if (!sink.modes.canWrite) return Status::system("write", EBADF);
  if (sink.needsJob()) return Status(Code::WouldBlock, "file");
  const bool isMessage = sink.modes.kind == sys::FdKind::MessageSocket;
  if (isMessage && bytes.sliceCount() > sys::kVectorsMax) {
    return Status(Code::TooManySlices, "message", bytes.sliceCount(), sys::kVectorsMax);
  }
  if (from >= bytes.byteLength() && !isMessage) return uint64_t{0};
  iovec vectors[sys::kVectorsMax];
  const uint32_t most = isMessage ? sys::kVectorsMax : kGatherMax;
  const uint32_t count = bytes.gather(from, vectors, most);
  auto written = sys::writeNow(sink.fd, sink.modes, vectors, static_cast<int>(count));
  if (!written.isOk()) return written.status();
  return uint64_t{written.value()};
}

Status waitUntilReady(const Endpoint& endpoint, Direction direction, int timeoutMs) {
  if (endpoint.needsJob()) return {};
  const auto wait = direction == Direction::Read ? sys::Wait::Readable : sys::Wait::Writable;
  auto ready = sys::waitFor(endpoint.fd, wait, timeoutMs);
  if (!ready.isOk()) return ready.status();
  if (!ready.value()) {
    return Status(Code::TimedOut, "descriptor", 0, static_cast<uint64_t>(timeoutMs));
  }
  return {};
}

}  // namespace iol
