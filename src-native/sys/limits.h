// sys/limits.h: how much memory the machine and the control group still grant, and whether this
// process was forked since it was loaded.
//
// A commit beyond the cgroup's limit is not an error but the OOM killer, so it is asked before.
//
// Threads     any.
// Failure     System("open") when there is no descriptor left to look with.
// Cost        memoryRoom(): opens and reads up to a dozen small files, about 50 us.
// May include base/
#pragma once

#include <atomic>
#include <cstdint>

#include "base/status.h"

namespace iol::sys {

struct MemoryRoom {
  uint64_t totalBytes;      // The machine's, or the tightest cgroup limit above us.
  uint64_t availableBytes;  // What could be committed now, without head-room.
};
Result<MemoryRoom> memoryRoom();

// How many descriptors this process may have open (RLIMIT_NOFILE).
uint64_t descriptorsMax();

// True in a child of fork() that has not exec'd: it owns nothing (I1). One relaxed load.
extern std::atomic<bool> forkedChild;
inline bool isForkedChild() { return forkedChild.load(std::memory_order_relaxed); }
// Registers the fork handler; idempotent.
void watchForks();

uint64_t randomId();  // 64 random bits, never 0.

}  // namespace iol::sys
