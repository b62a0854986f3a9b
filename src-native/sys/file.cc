#include "sys/file.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <string>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sys/uninterrupted.h"

namespace iol::sys {
namespace {

FdKind kindOfMode(uint32_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return FdKind::Regular;
    case S_IFDIR: return FdKind::Directory;
    case S_IFIFO: return FdKind::Pipe;
    case S_IFSOCK: return FdKind::Socket;
    case S_IFBLK: return FdKind::BlockDevice;
    default: return FdKind::Other;
  }
}

int64_t nanoseconds(const struct timespec& time) {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

FileFacts factsFrom(const struct stat& answer) {
  FileFacts facts;
  facts.dev = (uint64_t{major(answer.st_dev)} << 32) | minor(answer.st_dev);
  facts.ino = answer.st_ino;
  facts.size = static_cast<uint64_t>(answer.st_size);
  facts.mtimeNs = nanoseconds(answer.st_mtim);
  facts.ctimeNs = nanoseconds(answer.st_ctim);
  facts.mode = answer.st_mode;
  facts.kind = kindOfMode(answer.st_mode);
  return facts;
}

// Why not libc's: that asks by an empty path, which takes the kernel longer.
Status statOf(int fd, struct stat* answer) {
  if (uninterrupted([&] { return ::syscall(SYS_fstat, fd, answer); }) == 0) return {};
  return Status::system("fstat", errno);
}

// setWriteFault
std::atomic<bool> faultIsSet{false};
std::mutex faultMutex;
WriteFault fault;

// Shortens the write to what may still go well.
Status meetFault(bool isSync, iovec* part) {
  const std::lock_guard<std::mutex> lock(faultMutex);
  if (fault.error == 0 || fault.onSync != isSync) return {};
  if (isSync || fault.bytes == 0) return Status::system(isSync ? "fsync" : "pwritev", fault.error);
  part->iov_len = std::min<uint64_t>(part->iov_len, fault.bytes);
  fault.bytes -= part->iov_len;
  return {};
}

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

Result<FileFacts> factsOf(int fd) {
  struct stat answer;
  IOL_TRY(statOf(fd, &answer));
  return factsFrom(answer);
}

Result<std::string> realPathOf(int fd) {
  char link[32];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  std::string path(4096, '\0');  // PATH_MAX: the kernel tells no longer one.
  const ssize_t length = ::readlink(link, path.data(), path.size());
  if (length < 0) return Status::system("readlink", errno);
  path.resize(static_cast<size_t>(length));
  return path;
}

Result<FileFacts> factsOf(const char* path) {
  struct stat answer;
  if (uninterrupted([&] { return ::stat(path, &answer); }) != 0) {
    return Status::system("stat", errno);
  }
  return factsFrom(answer);
}

Result<FdModes> modesOf(int fd) {
  FdModes modes;
  struct stat answer;
  IOL_TRY(statOf(fd, &answer));
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return Status::system("fcntl", errno);
  modes.facts = factsFrom(answer);
  // /dev/ptmx and whatever was opened through it.
  modes.isMaster = answer.st_rdev == makedev(5, 2);
  modes.kind = modes.facts.kind;
  if (modes.kind == FdKind::Other && S_ISCHR(modes.facts.mode) && ::isatty(fd) == 1) {
    modes.kind = FdKind::Terminal;
  }
  if (modes.kind == FdKind::Socket) {
    int type = SOCK_STREAM;
    socklen_t length = sizeof type;
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type != SOCK_STREAM) {
      modes.kind = FdKind::MessageSocket;
    }
  }
  const int access = flags & O_ACCMODE;
  modes.canRead = (flags & O_PATH) == 0 && (access == O_RDONLY || access == O_RDWR);
  modes.canWrite = (flags & O_PATH) == 0 && (access == O_WRONLY || access == O_RDWR);
  modes.isNonBlocking = (flags & O_NONBLOCK) != 0;
  modes.isAppending = (flags & O_APPEND) != 0;
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
  iovec part = vectors[0];
  if (faultIsSet.load(std::memory_order_relaxed)) {
    IOL_TRY(meetFault(false, &part));
    vectors = &part;
    count = 1;
  }
  const ssize_t bytes =
      uninterrupted([&] { return ::pwritev(fd, vectors, count, static_cast<off_t>(offset)); });
  if (bytes < 0) return Status::system("pwritev", errno);
  return static_cast<size_t>(bytes);
}

Result<size_t> writeNext(int fd, const iovec* vectors, int count) {
  iovec part = vectors[0];
  if (faultIsSet.load(std::memory_order_relaxed)) {
    IOL_TRY(meetFault(false, &part));
    vectors = &part;
    count = 1;
  }
  const ssize_t bytes = uninterrupted([&] { return ::writev(fd, vectors, count); });
  if (bytes < 0) return Status::system("writev", errno);
  return static_cast<size_t>(bytes);
}

Status syncFile(int fd, Sync what) {
  if (what == Sync::None) return {};
  if (faultIsSet.load(std::memory_order_relaxed)) IOL_TRY(meetFault(true, nullptr));
  const bool isData = what == Sync::Data;
  const int failed = uninterrupted([&] { return isData ? ::fdatasync(fd) : ::fsync(fd); });
  if (failed != 0) return Status::system(isData ? "fdatasync" : "fsync", errno);
  return {};
}

void setWriteFault(const WriteFault& wanted) {
  const std::lock_guard<std::mutex> lock(faultMutex);
  fault = wanted;
  faultIsSet.store(wanted.error != 0, std::memory_order_relaxed);
}

bool isSameFile(int fd, int other) {
  constexpr int kCompareFiles = 0;  // KCMP_FILE
  const long answer = ::syscall(SYS_kcmp, ::getpid(), ::getpid(), kCompareFiles, fd, other);
  if (answer >= 0) return answer == 0;
  const auto facts = factsOf(fd);
  const auto others = factsOf(other);
  return facts.isOk() && others.isOk() && facts.value().dev == others.value().dev &&
         facts.value().ino == others.value().ino;
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

}  // namespace iol::sys
