// sys/timer.h: a moment in the future as a descriptor for a poll set (timerfd).
//
// Ownership   owns the descriptor.
// Threads     one at a time.
// Failure     System.
// Cost        one system call each.
// May include base/
#pragma once

#include <cstdint>

#include "base/status.h"
#include "sys/fd.h"

namespace iol::sys {

class Timer {
 public:
  static Result<Timer> create();
  // Readable once, `ms` from now; 0: never. Replaces what was set before.
  void set(int64_t ms) const;
  void clear() const;
  const Fd& fd() const { return fd_; }

 private:
  explicit Timer(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// Blocks until `fd` is readable: for programs without a loop. False after `timeoutMs`.
bool awaitReadable(const Fd& fd, int64_t timeoutMs);

}  // namespace iol::sys
