// sys/listener.h: listening sockets that come from elsewhere than an address of the network: a path
// of the file system, or whoever started us (systemd's socket activation, a supervisor).
//
// Ownership   the Fd is the caller's; adoptListener takes the descriptor over, also when it fails.
// Threads     any.
// Failure     System with the call's name and errno; EADDRINUSE: somebody listens at that path.
// Cost        a handful of system calls.
// May include base/
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "sys/fd.h"

namespace iol::sys {

constexpr int32_t kModeOfUmask = -1;

struct PathOptions {
  std::string path;
  int backlog = 511;
  uint32_t sendBufferBytes = 0;  // Of each connection; 0: the kernel decides.
  int32_t mode = kModeOfUmask;   // Who may connect needs the right to write.
};

// Non-blocking, close-on-exec. A path that a dead process has left is taken over; the file is the
// caller's to remove.
Result<Fd> listenPath(const PathOptions& options);

// A stream socket that listens already becomes ours, non-blocking and close-on-exec. EINVAL: it is
// none.
Result<Fd> adoptListener(int descriptor);

// The address of a listener on a path, for whoever shows it; empty for one of the network.
std::string pathOf(const Fd& listener);

}  // namespace iol::sys
