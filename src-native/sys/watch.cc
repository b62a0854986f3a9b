#include "sys/watch.h"

#include <cerrno>
#include <cstdio>

#include <sys/inotify.h>
#include <unistd.h>

#include "sys/uninterrupted.h"

namespace iol::sys {
namespace {

constexpr uint32_t kBytesChanged = IN_MODIFY;
constexpr uint32_t kFactsChanged =
    IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVE_SELF | IN_DELETE_SELF | IN_UNMOUNT;

void append(std::vector<WatchEvent>& events, const inotify_event& event) {
  if (event.mask & IN_Q_OVERFLOW) {
    events.push_back({-1, Change::Overflow});
    return;
  }
  if (event.mask & kBytesChanged) events.push_back({event.wd, Change::Bytes});
  if (event.mask & kFactsChanged) events.push_back({event.wd, Change::Facts});
  if (event.mask & IN_IGNORED) events.push_back({event.wd, Change::WatchEnded});
}

}  // namespace

Result<Watcher> Watcher::create() {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return Status::system("inotify_init1", errno);
  return Watcher(Fd(fd));
}

Result<int> Watcher::add(int file) const {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  const int watch = ::inotify_add_watch(
      fd_.get(), path, IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVE_SELF | IN_DELETE_SELF);
  if (watch < 0) return Status::system("inotify_add_watch", errno);
  return watch;
}

void Watcher::remove(int watch) {
  // An error means that the kernel dropped it already.
  (void)::inotify_rm_watch(fd_.get(), watch);
}

void Watcher::drain(std::vector<WatchEvent>& events) {
  alignas(inotify_event) char buffer[4096];
  for (;;) {
    const ssize_t bytes = uninterrupted([&] { return ::read(fd_.get(), buffer, sizeof buffer); });
    if (bytes <= 0) return;
    for (ssize_t at = 0; at < bytes;) {
      const auto& event = *reinterpret_cast<const inotify_event*>(buffer + at);
      append(events, event);
      at += static_cast<ssize_t>(sizeof(inotify_event)) + event.len;
    }
  }
}

}  // namespace iol::sys
