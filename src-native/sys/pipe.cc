#include "sys/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "sys/uninterrupted.h"

namespace iol::sys {
namespace {

// Where the marks of an end begin. Nobody locks bytes out there for a reason of his own.
constexpr uint64_t baseOf(PipeEnd end) {
  return (uint64_t{1} << 62) + (end == PipeEnd::Writing ? uint64_t{1} << 60 : 0);
}

struct flock lockOf(short type, PipeEnd end, uint64_t from, uint64_t count) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(baseOf(end) + from);
  lock.l_len = static_cast<off_t>(count);
  return lock;
}

Status setLock(int fd, struct flock lock) {
  if (uninterrupted([&] { return ::fcntl(fd, F_OFD_SETLK, &lock); }) == 0) return {};
  return Status::system("fcntl", errno);
}

}  // namespace

Result<PipeLook> lookAtPipe(int fd) {
  PipeLook look;
  struct stat facts;
  if (::fstat(fd, &facts) != 0) return Status::system("fstat", errno);
  look.isPipe = S_ISFIFO(facts.st_mode);
  if (!look.isPipe) return look;
  look.dev = facts.st_dev;
  look.ino = facts.st_ino;
  pollfd waiting{fd, POLLIN, 0};
  if (uninterrupted([&] { return ::poll(&waiting, 1, 0); }) < 0) {
    return Status::system("poll", errno);
  }
  look.hasData = (waiting.revents & POLLIN) != 0;
  look.hasEnded = (waiting.revents & POLLHUP) != 0;
  look.isBroken = (waiting.revents & POLLERR) != 0;
  int bytes = 0;
  if (::ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0) look.bytes = static_cast<uint32_t>(bytes);
  return look;
}

Status markPipe(int fd, PipeEnd end, uint64_t value) {
  return setLock(fd, lockOf(end == PipeEnd::Reading ? F_RDLCK : F_WRLCK, end, value, 1));
}

Status unmarkPipe(int fd, PipeEnd end, uint64_t value) {
  return setLock(fd, lockOf(F_UNLCK, end, value, 1));
}

Result<std::optional<uint64_t>> markOfPipe(int fd, PipeEnd end, uint64_t from, uint64_t count) {
  struct flock lock = lockOf(F_WRLCK, end, from, count);
  if (uninterrupted([&] { return ::fcntl(fd, F_OFD_GETLK, &lock); }) != 0) {
    return Status::system("fcntl", errno);
  }
  const bool isMark = lock.l_type == (end == PipeEnd::Reading ? F_RDLCK : F_WRLCK);
  if (!isMark || lock.l_len != 1) return std::optional<uint64_t>();
  return std::optional<uint64_t>(static_cast<uint64_t>(lock.l_start) - baseOf(end));
}

}  // namespace iol::sys
