#include "sys/timer.h"

#include <errno.h>
#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>

#include "sys/clock.h"

namespace iol::sys {

Result<Timer> Timer::create() {
  Fd fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!fd.isOpen()) return Status::system("timerfd_create", errno);
  return Timer(std::move(fd));
}

void Timer::set(int64_t ms) const {
  itimerspec when{};
  when.it_value.tv_sec = ms / 1000;
  when.it_value.tv_nsec = ms % 1000 * 1'000'000;
  (void)::timerfd_settime(fd_.get(), 0, &when, nullptr);
}

void Timer::clear() const {
  uint64_t count = 0;
  if (::read(fd_.get(), &count, sizeof count) < 0) return;  // Had not run out: nothing to clear.
}

bool awaitReadable(const Fd& fd, int64_t timeoutMs) {
  const int64_t deadline = systemClock().monotonicMs() + timeoutMs;
  pollfd entry{fd.get(), POLLIN, 0};
  // A signal is no answer: what is left of the time is waited for.
  while (::poll(&entry, 1, static_cast<int>(std::clamp<int64_t>(timeoutMs, 0, INT32_MAX))) < 0) {
    if (errno != EINTR) return false;
    timeoutMs = deadline - systemClock().monotonicMs();
  }
  return entry.revents != 0;
}

}  // namespace iol::sys
