#include "sys/fd.h"

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace iol::sys {

int Fd::aboveStandard(int fd) {
  const bool isClosedOnExec = (::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
  const int command = isClosedOnExec ? F_DUPFD_CLOEXEC : F_DUPFD;
  const int moved = ::fcntl(fd, command, kStandardMax + 1);
  const int error = errno;
  ::close(fd);
  errno = error;
  return moved;
}

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace iol::sys
