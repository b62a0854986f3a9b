// sys/poll_set.h: one epoll set, and an eventfd that makes it ready from inside.
//
//   PollSet { fd -> tag }   wait() -> [ {tag, isReadable, isWritable, isBroken} ... ], never blocks
//
// Ownership   owns the epoll descriptor, not what is in the set. A closed descriptor leaves the
//             set by itself, unless a forked child still has it.
// Threads     one at a time.
// Failure     System.
// Cost        one system call each.
// May include base/
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"
#include "sys/fd.h"

namespace iol::sys {

enum class Interest : uint8_t { None = 0, Read = 1, Write = 2, Both = 3 };

struct Readiness {
  uint64_t tag = 0;
  bool isReadable = false;  // Bytes, an end of input, or a connection to accept.
  bool isWritable = false;
  bool isBroken = false;  // Reset, or shut in both directions; told whatever the interest is.
};

class PollSet {
 public:
  static Result<PollSet> create();

  Status add(const Fd& fd, Interest interest, uint64_t tag);
  Status change(const Fd& fd, Interest interest, uint64_t tag);
  void remove(const Fd& fd);

  // What is ready now, at most `ready.size()`; level-triggered. Returns how many.
  uint32_t wait(std::span<Readiness> ready) const;

  // Readable as soon as anything in the set is ready.
  const Fd& fd() const { return fd_; }

 private:
  explicit PollSet(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// An eventfd: signal() makes it readable until clear().
class Wakeup {
 public:
  static Result<Wakeup> create();
  void signal() const;
  void clear() const;
  const Fd& fd() const { return fd_; }

 private:
  explicit Wakeup(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace iol::sys
