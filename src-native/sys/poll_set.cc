#include "sys/poll_set.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace iol::sys {
namespace {

constexpr size_t kBatchMax = 128;

Status control(int set, int operation, const Fd& fd, Interest interest, uint64_t tag) {
  epoll_event event{};
  const auto bits = static_cast<uint8_t>(interest);
  if ((bits & static_cast<uint8_t>(Interest::Read)) != 0) event.events |= EPOLLIN;
  if ((bits & static_cast<uint8_t>(Interest::Write)) != 0) event.events |= EPOLLOUT;
  event.data.u64 = tag;
  if (epoll_ctl(set, operation, fd.get(), &event) != 0) return Status::system("epoll_ctl", errno);
  return {};
}

}  // namespace

Result<PollSet> PollSet::create() {
  Fd fd(epoll_create1(EPOLL_CLOEXEC));
  if (!fd.isOpen()) return Status::system("epoll_create1", errno);
  return PollSet(std::move(fd));
}

Status PollSet::add(const Fd& fd, Interest interest, uint64_t tag) {
  return control(fd_.get(), EPOLL_CTL_ADD, fd, interest, tag);
}

Status PollSet::change(const Fd& fd, Interest interest, uint64_t tag) {
  return control(fd_.get(), EPOLL_CTL_MOD, fd, interest, tag);
}

void PollSet::remove(const Fd& fd) {
  epoll_event unused{};
  (void)epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd.get(), &unused);
}

uint32_t PollSet::wait(std::span<Readiness> ready) const {
  epoll_event events[kBatchMax];
  const int wanted = static_cast<int>(std::min(ready.size(), kBatchMax));
  const int count = epoll_wait(fd_.get(), events, wanted, 0);
  // Why no error: EINTR is the only one possible here, and the set stays ready.
  if (count <= 0) return 0;
  for (int i = 0; i < count; ++i) {
    ready[i].tag = events[i].data.u64;
    ready[i].isReadable = (events[i].events & EPOLLIN) != 0;
    ready[i].isWritable = (events[i].events & EPOLLOUT) != 0;
    ready[i].isBroken = (events[i].events & (EPOLLERR | EPOLLHUP)) != 0;
  }
  return static_cast<uint32_t>(count);
}

Result<Wakeup> Wakeup::create() {
  Fd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.isOpen()) return Status::system("eventfd", errno);
  return Wakeup(std::move(fd));
}

void Wakeup::signal() const {
  const uint64_t one = 1;
  // EAGAIN says that the counter is full: then it is readable, which is all we want.
  if (write(fd_.get(), &one, sizeof one) < 0) return;
}

void Wakeup::clear() const {
  uint64_t count = 0;
  if (read(fd_.get(), &count, sizeof count) < 0) return;
}

}  // namespace iol::sys
