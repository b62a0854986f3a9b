#include "sys/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/uninterrupted.h"

namespace iol::sys {
namespace {

// Runs in the child, in the parent's memory: nothing but system calls. Returns only when one fails.
void becomeProgram(const Program& program, pid_t parent, const sigset_t& none) {
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);
  for (int target = 0; target < 3; ++target) {
    int source = program.descriptors[target];
    if (source < 0) source = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (source < 0 || ::dup2(source, target) < 0) return;
  }
  for (int number = 1; number < NSIG; ++number) {
    if (number != SIGKILL && number != SIGSTOP) ::signal(number, SIG_DFL);
  }
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (::chdir(program.folder) != 0) return;
  ::execve(program.path, program.arguments, program.environment);
}

}  // namespace

Result<int32_t> startProgram(const Program& program) {
  sigset_t all;
  sigset_t none;
  sigset_t before;
  sigfillset(&all);
  sigemptyset(&none);
  volatile int error = 0;
  const pid_t parent = ::getpid();
  // Why: a handler that ran in the child would run in our memory.
  ::sigprocmask(SIG_BLOCK, &all, &before);
  const pid_t pid = ::vfork();
  if (pid == 0) {
    becomeProgram(program, parent, none);
    error = errno;
    ::_exit(127);
  }
  const int forkError = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return Status::system("vfork", forkError);
  if (error == 0) return static_cast<int32_t>(pid);
  uninterrupted([&] { return ::waitpid(pid, nullptr, 0); });
  return Status::system("execve", error);
}

void signalGroup(int32_t pid, Ask ask) {
  if (pid > 1) ::kill(-pid, ask == Ask::Kill ? SIGKILL : SIGTERM);
}

std::optional<EndedProgram> takeEndedProgram() {
  int state = 0;
  const pid_t pid = uninterrupted([&] { return ::waitpid(-1, &state, WNOHANG); });
  if (pid <= 0) return std::nullopt;
  EndedProgram ended;
  ended.pid = pid;
  if (WIFEXITED(state)) ended.exitCode = WEXITSTATUS(state);
  if (WIFSIGNALED(state)) ended.signal = WTERMSIG(state);
  return ended;
}

Result<Fd> watchChildren() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child, nullptr);
  Fd fd(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.isOpen()) return Status::system("signalfd", errno);
  return fd;
}

void clearChildren(const Fd& children) {
  signalfd_siginfo facts;
  while (::read(children.get(), &facts, sizeof facts) > 0) {
  }
}

bool waitForEither(const Fd& first, const Fd& second, int timeoutMs) {
  pollfd entries[] = {{first.get(), POLLIN, 0}, {second.get(), POLLIN, 0}};
  return ::poll(entries, 2, timeoutMs) != 0;
}

Result<PipeEnds> makePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Status::system("pipe2", errno);
  return PipeEnds{Fd(ends[0]), Fd(ends[1])};
}

void closeOthersOnExec() {
  while (true) {
    const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || fd > 2) {
      if (fd > 2) ::close(fd);
      break;
    }
  }
  const long most = ::sysconf(_SC_OPEN_MAX);
  for (int fd = 3; fd < most && fd < 4096; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

}  // namespace iol::sys
