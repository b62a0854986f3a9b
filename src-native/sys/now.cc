// sys/now.cc: reads and writes that never wait, whatever the descriptor's own flags are.

#include <cerrno>
#include <cstdio>
#include <optional>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
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

Result<NextMessage> peekMessage(int fd) {
  const ssize_t bytes =
      uninterrupted([&] { return ::recv(fd, nullptr, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT); });
  if (bytes < 0) return waitedFor("recv");
  return NextMessage{static_cast<uint64_t>(bytes), false};
}

// Nothing comes any more. A sequence ends with messages of no bytes without end; datagrams with
// none.
Result<NextMessage> lastMessage(int fd) {
  // Why again: the last message may have come just before the end.
  auto next = peekMessage(fd);
  if (next.status().code() == Code::WouldBlock) return NextMessage{0, true};
  if (!next.isOk() || next.value().bytes > 0) return next;
  int type = 0;
  socklen_t size = sizeof type;
  int queued = 0;
  const bool isSequence =
      ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
  const bool isEmpty = ::ioctl(fd, FIONREAD, &queued) == 0 && queued == 0;
  next.value().isEnd = isSequence && isEmpty;
  return next;
}

}  // namespace

Result<NextMessage> nextMessage(int fd) {
  auto next = peekMessage(fd);
  const bool isNothing = next.status().code() == Code::WouldBlock;
  const bool isMaybeEnd = isNothing || (next.isOk() && next.value().bytes == 0);
  return isMaybeEnd && isReady(fd, POLLRDHUP) ? lastMessage(fd) : next;
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
