// sys/watch.h: what the kernel says has happened to open files (inotify).
//
// A watch is on an inode, not on a path: give it the descriptor of the file that was opened.
// Numbers of watches are never reused, so a late event cannot be taken for another file's.
//
// Ownership   the Watcher owns the inotify descriptor and its watches.
// Threads     add() may be called by any thread; everything else by one at a time.
// Failure     System: EMFILE (too many inotify instances), ENOSPC (too many watches).
// Cost        one system call each.
// May include base/
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "base/status.h"
#include "sys/fd.h"

namespace iol::sys {

enum class Change : uint8_t {
  Bytes,       // Written or truncated.
  Facts,       // Attributes, links, name: look again.
  WatchEnded,  // The kernel dropped the watch: nothing more will come.
  Overflow,    // Events were lost: everything is suspect. No watch number.
};

struct WatchEvent {
  int watch = -1;
  Change change = Change::Overflow;
};

class Watcher {
 public:
  static Result<Watcher> create();
  int fd() const { return fd_.get(); }

  // Two descriptors of one inode get the same number.
  Result<int> add(int file) const;
  void remove(int watch);
  // Appends what has happened since; never waits.
  void drain(std::vector<WatchEvent>& events);

 private:
  explicit Watcher(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace iol::sys
