// sys/process.h: who is alive. Death is the kernel's word only: a pidfd that reports it.
//
// Threads     any.
// May include base/
#pragma once

#include <cstdint>

#include "base/status.h"
#include "sys/fd.h"

namespace iol::sys {

// A descriptor of the process, of which poll(2) says when it has ended; never of a later process
// with the same number.
Result<Fd> openPidfd(int32_t pid);
bool processHasEnded(const Fd& pidfd);
bool isThisProcess(int32_t pid);
int32_t processId();
int32_t threadId();
uint32_t userId();
// No ptrace, no /proc/PID/mem for others of this user, and no core file (prctl(2)). Until exec.
Status makeUndumpable();
// A second descriptor of the same open file, close-on-exec.
Result<Fd> duplicate(const Fd& fd);

}  // namespace iol::sys
