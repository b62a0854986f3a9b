#include "sys/file.h"

#include <cerrno>
#include <cstdio>
#include <string>

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace iol::sys {
namespace {

// Repeats a call that a signal interrupted.
template <typename Call>
auto uninterrupted(Call call) {
  decltype(call()) answer;
  do {
    answer = call();
  } while (answer < 0 && errno == EINTR);
  return answer;
}

FdKind kindOfMode(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return FdKind::Regular;
    case S_IFDIR: return FdKind::Directory;
    case S_IFIFO: return FdKind::Pipe;
    case S_IFSOCK: return FdKind::Socket;
    default: return FdKind::Other;
  }
}

int64_t nanoseconds(const struct statx_timestamp& time) {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

Result<FileFacts> factsFrom(int directory, const char* path, int flags) {
  struct statx answer;
  const unsigned wanted =
      STATX_TYPE | STATX_MODE | STATX_INO | STATX_SIZE | STATX_MTIME | STATX_CTIME;
  if (uninterrupted([&] { return ::statx(directory, path, flags, wanted, &answer); }) != 0) {
    return Status::system("statx", errno);
  }
  FileFacts facts;
  facts.dev = (uint64_t{answer.stx_dev_major} << 32) | answer.stx_dev_minor;
  facts.ino = answer.stx_ino;
  facts.size = answer.stx_size;
  facts.mtimeNs = nanoseconds(answer.stx_mtime);
  facts.ctimeNs = nanoseconds(answer.stx_ctime);
  facts.mode = answer.stx_mode;
  facts.kind = kindOfMode(answer.stx_mode);
  return facts;
}

Status waitedFor(const char* syscall) {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return Status(Code::WouldBlock, "descriptor");
  return Status::system(syscall, errno);
}

// Is there something to do at once? For blocking descriptors that know no per-call flag.
bool isReady(int fd, short events) {
  pollfd entry = {fd, events, 0};
  return uninterrupted([&] { return ::poll(&entry, 1, 0); }) == 1;
}

// What a blocking pipe or terminal takes without waiting once poll(2) says it is writable.
constexpr size_t kAtomicWriteBytes = 4096;

}  // namespace

Result<Fd> openForRead(const char* path) {
  const int fd =
      uninterrupted([&] { return ::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); });
  if (fd < 0) return Status::system("open", errno);
  return Fd(fd);
}

Result<Fd> reopenForRead(int fd, Reopen how) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | (how == Reopen::Direct ? O_DIRECT : 0);
  const int opened = uninterrupted([&] { return ::open(path, flags); });
  if (opened < 0) return Status::system("open", errno);
  return Fd(opened);
}

Result<Fd> duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return Status::system("fcntl", errno);
  return Fd(copy);
}

Result<FileFacts> factsOf(int fd) { return factsFrom(fd, "", AT_EMPTY_PATH); }
Result<std::string> realPathOf(int fd) {
  char link[32];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  std::string path(4096, '\0');  // PATH_MAX: the kernel tells no longer one.
  const ssize_t length = ::readlink(link, path.data(), path.size());
  if (length < 0) return Status::system("readlink", errno);
  path.resize(static_cast<size_t>(length));
  return path;
}

Result<FileFacts> factsOf(const char* path) { return factsFrom(AT_FDCWD, path, 0); }

Result<FdModes> modesOf(int fd) {
  struct stat answer;
  if (::fstat(fd, &answer) != 0) return Status::system("fstat", errno);
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return Status::system("fcntl", errno);
  FdModes modes;
  modes.kind = kindOfMode(answer.st_mode);
  if (modes.kind == FdKind::Other && S_ISCHR(answer.st_mode) && ::isatty(fd) == 1) {
    modes.kind = FdKind::Terminal;
  }
  const int access = flags & O_ACCMODE;
  modes.canRead = (flags & O_PATH) == 0 && (access == O_RDONLY || access == O_RDWR);
  modes.canWrite = (flags & O_PATH) == 0 && (access == O_WRONLY || access == O_RDWR);
  modes.isNonBlocking = (flags & O_NONBLOCK) != 0;
  return modes;
}

bool isSynthetic(int fd) {
  struct statfs answer;
  if (uninterrupted([&] { return ::fstatfs(fd, &answer); }) != 0) return false;
  switch (static_cast<uint32_t>(answer.f_type)) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case DEBUGFS_MAGIC:
    case TRACEFS_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
    case SECURITYFS_MAGIC: return true;
    default: return false;
  }
}

Result<size_t> readAt(int fd, void* to, size_t length, uint64_t offset) {
  const ssize_t bytes =
      uninterrupted([&] { return ::pread(fd, to, length, static_cast<off_t>(offset)); });
  if (bytes < 0) return Status::system("pread", errno);
  return static_cast<size_t>(bytes);
}

Result<size_t> readNext(int fd, void* to, size_t length) {
  const ssize_t bytes = uninterrupted([&] { return ::read(fd, to, length); });
  if (bytes < 0) return Status::system("read", errno);
  return static_cast<size_t>(bytes);
}

Result<size_t> writeAt(int fd, const iovec* vectors, int count, uint64_t offset) {
  const ssize_t bytes =
      uninterrupted([&] { return ::pwritev(fd, vectors, count, static_cast<off_t>(offset)); });
  if (bytes < 0) return Status::system("pwritev", errno);
  return static_cast<size_t>(bytes);
}

Result<size_t> writeNext(int fd, const iovec* vectors, int count) {
  const ssize_t bytes = uninterrupted([&] { return ::writev(fd, vectors, count); });
  if (bytes < 0) return Status::system("writev", errno);
  return static_cast<size_t>(bytes);
}

Result<uint64_t> position(int fd) {
  const off_t offset = ::lseek(fd, 0, SEEK_CUR);
  if (offset < 0) return Status::system("lseek", errno);
  return static_cast<uint64_t>(offset);
}

Status setPosition(int fd, uint64_t offset) {
  if (::lseek(fd, static_cast<off_t>(offset), SEEK_SET) < 0) return Status::system("lseek", errno);
  return {};
}

Result<size_t> readNow(int fd, const FdModes& modes, void* to, size_t length) {
  ssize_t bytes;
  const char* syscall = "recv";
  if (modes.kind == FdKind::Socket) {
    bytes = uninterrupted([&] { return ::recv(fd, to, length, MSG_DONTWAIT); });
  } else {
    syscall = "preadv2";
    const iovec vector = {to, length};
    bytes = uninterrupted([&] { return ::preadv2(fd, &vector, 1, -1, RWF_NOWAIT); });
    // Why: terminals, and pipes of kernels before 6.5, know no RWF_NOWAIT.
    if (bytes < 0 && errno == EOPNOTSUPP) {
      if (!modes.isNonBlocking && !isReady(fd, POLLIN)) {
        return Status(Code::WouldBlock, "descriptor");
      }
      syscall = "read";
      bytes = uninterrupted([&] { return ::read(fd, to, length); });
    }
  }
  if (bytes < 0) return waitedFor(syscall);
  return static_cast<size_t>(bytes);
}

Result<size_t> writeNow(int fd, const FdModes& modes, const iovec* vectors, int count) {
  ssize_t bytes;
  const char* syscall = "sendmsg";
  if (modes.kind == FdKind::Socket) {
    msghdr message = {};
    message.msg_iov = const_cast<iovec*>(vectors);
    message.msg_iovlen = static_cast<size_t>(count);
    bytes = uninterrupted([&] { return ::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL); });
  } else {
    syscall = "pwritev2";
    bytes = uninterrupted([&] { return ::pwritev2(fd, vectors, count, -1, RWF_NOWAIT); });
    if (bytes < 0 && errno == EOPNOTSUPP) {
      syscall = "writev";
      iovec first = vectors[0];
      if (!modes.isNonBlocking) {
        if (!isReady(fd, POLLOUT)) return Status(Code::WouldBlock, "descriptor");
        if (first.iov_len > kAtomicWriteBytes) first.iov_len = kAtomicWriteBytes;
        vectors = &first;
        count = 1;
      }
      bytes = uninterrupted([&] { return ::writev(fd, vectors, count); });
    }
  }
  if (bytes < 0) return waitedFor(syscall);
  return static_cast<size_t>(bytes);
}

Result<bool> waitFor(int fd, Wait wait, int timeoutMs) {
  pollfd entry = {fd, static_cast<short>(wait == Wait::Readable ? POLLIN : POLLOUT), 0};
  const int ready = uninterrupted([&] { return ::poll(&entry, 1, timeoutMs); });
  if (ready < 0) return Status::system("poll", errno);
  return ready > 0;
}

}  // namespace iol::sys
