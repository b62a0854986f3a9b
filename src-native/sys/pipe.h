// sys/pipe.h: what is in a pipe, who has its ends, and a mark that both ends can see.
//
// A mark is a record lock on one byte of the pipe's inode, far out: the reading end can take only a
// read lock and the writing end only a write lock, so whoever set it has that end. It goes with the
// open file that it was set through, however the process ended.
//
// Ownership   borrows descriptors; a mark is its open file's.
// Threads     any.
// Failure     System with the call's name and errno.
// Cost        look: three system calls; the others one.
// May include base/
#pragma once

#include <cstdint>
#include <optional>

#include "base/status.h"

namespace iol::sys {

struct PipeLook {
  bool isPipe = false;  // All else is meant for a pipe alone.
  uint64_t dev = 0;
  uint64_t ino = 0;
  uint32_t bytes = 0;     // Written and not yet read.
  bool hasData = false;   // Seen from the reading end.
  bool hasEnded = false;  // From the reading end: nobody has the writing end any more.
  bool isBroken = false;  // From the writing end: nobody has the reading end any more.
};
Result<PipeLook> lookAtPipe(int fd);

enum class PipeEnd : uint8_t { Reading, Writing };
// `value` is below 2^60. The end is that of `fd`. A second mark is set beside the first one.
Status markPipe(int fd, PipeEnd end, uint64_t value);
Status unmarkPipe(int fd, PipeEnd end, uint64_t value);
// The lowest mark of that end in [from, from + count) that was set through another open file.
Result<std::optional<uint64_t>> markOfPipe(int fd, PipeEnd end, uint64_t from, uint64_t count);

}  // namespace iol::sys
