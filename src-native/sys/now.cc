// sys/now.cc: reads and writes that never wait, whatever the descriptor's own flags are.

#include <cerrno>
#include <cstdio>
#include <optional>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/file.h"
#include "sys/uninterrupted.h"

namespace iol::sys {
namespace {

Status waitedFor(const char* syscall) {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return Status(Code::WouldBlock, "descriptor");
  return Status::system(syscall, errno);
}

Result<size_t> countOf(ssize_t bytes, const char* syscall) {
  if (bytes < 0) return waitedFor(syscall);
  return static_cast<size_t>(bytes);
}

// Is there something to do at once? For blocking descriptors that know no per-call flag.
bool isReady(int fd, short events) {
  pollfd entry = {fd, events, 0};
  return uninterrupted([&] { return ::poll(&entry, 1, 0); }) == 1;
}

// What a device takes without waiting once poll(2) says that it is writable. A terminal promises
// no more than one byte.
constexpr size_t kDeviceBytes = 4096;
constexpr size_t kTerminalBytes = 1;

// A non-blocking descriptor of our own of the same terminal. Closed where there can be none.
Fd reopenTerminal(int fd, const FdModes& modes, int access) {
  if (modes.kind != FdKind::Terminal || modes.isMaster) return Fd();
  char path[32];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return Fd(
      uninterrupted([&] { return ::open(path, access | O_NONBLOCK | O_CLOEXEC | O_NOCTTY); }));
}

Result<size_t> readDevice(int fd, const FdModes& modes, void* to, size_t length) {
  if (modes.isNonBlocking) {
    return countOf(uninterrupted([&] { return ::read(fd, to, length); }), "read");
  }
  const Fd own = reopenTerminal(fd, modes, O_RDONLY);
  if (!own.isOpen() && !isReady(fd, POLLIN)) return Status(Code::WouldBlock, "descriptor");
  const int from = own.isOpen() ? own.get() : fd;
  return countOf(uninterrupted([&] { return ::read(from, to, length); }), "read");
}

Result<size_t> writeDevice(int fd, const FdModes& modes, const iovec* vectors, int count) {
  const Fd own = modes.isNonBlocking ? Fd() : reopenTerminal(fd, modes, O_WRONLY);
  if (modes.isNonBlocking || own.isOpen()) {
    const int to = own.isOpen() ? own.get() : fd;
    return countOf(uninterrupted([&] { return ::writev(to, vectors, count); }), "writev");
  }
  if (!isReady(fd, POLLOUT)) return Status(Code::WouldBlock, "descriptor");
  const size_t most = modes.kind == FdKind::Terminal ? kTerminalBytes : kDeviceBytes;
  const size_t length = vectors->iov_len < most ? vectors->iov_len : most;
  return countOf(uninterrupted([&] { return ::write(fd, vectors->iov_base, length); }), "write");
}

}  // namespace

Result<NextMessage> nextMessage(int fd) {
  const ssize_t bytes =
      uninterrupted([&] { return ::recv(fd, nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT); });
  if (bytes < 0) return waitedFor("recv");
  NextMessage next{static_cast<uint64_t>(bytes), false};
  // Why: messages in sequence end as a stream does, and may have no bytes, as datagrams do.
  if (bytes == 0) next.isEnd = isReady(fd, POLLRDHUP);
  return next;
}

Result<size_t> readNow(int fd, const FdModes& modes, void* to, size_t length) {
  if (modes.kind == FdKind::Socket || modes.kind == FdKind::MessageSocket) {
    return countOf(uninterrupted([&] { return ::recv(fd, to, length, MSG_DONTWAIT); }), "recv");
  }
  const iovec vector = {to, length};
  const ssize_t bytes = uninterrupted([&] { return ::preadv2(fd, &vector, 1, -1, RWF_NOWAIT); });
  // Why: terminals, and pipes of kernels before 6.5, know no RWF_NOWAIT.
  if (bytes < 0 && errno == EOPNOTSUPP) return readDevice(fd, modes, to, length);
  return countOf(bytes, "preadv2");
}

Result<size_t> writeNow(int fd, const FdModes& modes, const iovec* vectors, int count) {
  if (modes.kind == FdKind::Socket || modes.kind == FdKind::MessageSocket) {
    msghdr message = {};
    message.msg_iov = const_cast<iovec*>(vectors);
    message.msg_iovlen = static_cast<size_t>(count);
    return countOf(
        uninterrupted([&] { return ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL); }),
        "sendmsg");
  }
  const ssize_t bytes =
      uninterrupted([&] { return ::pwritev2(fd, vectors, count, -1, RWF_NOWAIT); });
  if (bytes < 0 && errno == EOPNOTSUPP) return writeDevice(fd, modes, vectors, count);
  return countOf(bytes, "pwritev2");
}

Result<bool> waitFor(int fd, Wait wait, int timeoutMs) {
  pollfd entry = {fd, static_cast<short>(wait == Wait::Readable ? POLLIN : POLLOUT), 0};
  const int ready = uninterrupted([&] { return ::poll(&entry, 1, timeoutMs); });
  if (ready < 0) return Status::system("poll", errno);
  return ready > 0;
}

}  // namespace iol::sys
