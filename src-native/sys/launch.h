// sys/launch.h: starting programs, and hearing of their end: what the launcher needs of the system.
//
// A program gets a session and process group of its own, the three given descriptors and no
// others, default signals, and SIGKILL when the thread that started it ends (prctl(2)).
//
// Ownership   borrows strings and descriptors during the call.
// Threads     one, which must live as long as the programs.
// Failure     System, with execve's errno when the program could not be started.
// Cost        startProgram: vfork, so nothing of our memory is copied; returns after the exec.
// May include base/
#pragma once

#include <cstdint>
#include <optional>

#include "base/status.h"
#include "sys/fd.h"

namespace iol::sys {

struct Program {
  const char* path = nullptr;
  const char* folder = nullptr;        // Its working directory.
  char* const* arguments = nullptr;    // Null-terminated; the first is its name.
  char* const* environment = nullptr;  // Null-terminated.
  int descriptors[3] = {-1, -1, -1};   // Each above 2; -1: /dev/null.
};
// The process number.
Result<int32_t> startProgram(const Program& program);

enum class Ask : uint8_t { Terminate, Kill };
// Everybody in its process group. Nothing happens when nobody is left.
void signalGroup(int32_t pid, Ask ask);

struct EndedProgram {
  int32_t pid = 0;
  int32_t exitCode = 0;
  int32_t signal = 0;  // 0: it exited by itself.
};
// A child that has ended, which is gone from the process table then.
std::optional<EndedProgram> takeEndedProgram();

// Readable when a child may have ended. From now on orphans of the programs are our children.
Result<Fd> watchChildren();
void clearChildren(const Fd& children);

// Waits until one of them is readable or has ended; false: `timeoutMs` passed (-1: never).
bool waitForEither(const Fd& first, const Fd& second, int timeoutMs);

// Pipes, close-on-exec; the second end is written to.
struct PipeEnds {
  Fd read;
  Fd write;
};
Result<PipeEnds> makePipe();

// What this process was given beyond 0 to 2 is for none of its programs; 0 to 2 are made to exist.
void closeOthersOnExec();

}  // namespace iol::sys
