#include "sys/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

namespace iol::sys {

Result<Fd> openPidfd(int32_t pid) {
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.isOpen()) return Status::system("pidfd_open", errno);
  return pidfd;
}

bool processHasEnded(const Fd& pidfd) {
  pollfd entry{pidfd.get(), POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
}

bool isThisProcess(int32_t pid) { return pid == ::getpid(); }
int32_t processId() { return ::getpid(); }
int32_t threadId() { return static_cast<int32_t>(::syscall(SYS_gettid)); }
uint32_t userId() { return ::geteuid(); }

Status makeUndumpable() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return Status::system("prctl", errno);
  return {};
}

Result<Fd> duplicate(const Fd& fd) {
  Fd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.isOpen()) return Status::system("fcntl(F_DUPFD_CLOEXEC)", errno);
  return copy;
}

}  // namespace iol::sys
