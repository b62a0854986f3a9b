// sys/unix_socket.h: Unix-domain sockets that keep messages apart (SOCK_SEQPACKET, unix(7)), and
// what the kernel says of who is at the other end.
//
// An address is "@name" (abstract: it goes with its last descriptor) or a path. A path that a
// killed process left behind is taken over under a lock, once nobody answers there any more.
//
// Ownership   descriptors are the caller's, close-on-exec and non-blocking.
// Threads     any.
// Failure     System; WouldBlock (nobody to accept, backlog full); Busy (somebody listens there).
// Cost        one to a dozen system calls.
// May include base/
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "sys/fd.h"

namespace iol::sys {

constexpr size_t kSocketAddressMax = 107;  // Characters, '@' included (sun_path less its end).

// A listening socket, and for a path the lock that says that it is ours.
class UnixListener {
 public:
  static Result<UnixListener> open(const std::string& address, uint32_t pathMode);
  UnixListener(UnixListener&&) = default;
  UnixListener& operator=(UnixListener&&) = default;
  // Removes path and lock file; after kill -9 the next open() does.
  ~UnixListener() { close(); }
  void close();

  const Fd& fd() const { return socket_; }
  // WouldBlock: nobody is waiting. At the descriptor limit the newcomer is turned away, so that
  // the set does not stay ready for ever: System with EMFILE.
  Result<Fd> accept();

 private:
  UnixListener() = default;
  Fd socket_;
  Fd lock_;
  Fd spare_;  // Given up for a moment to turn a newcomer away.
  std::string path_;
};

Result<Fd> connectUnix(const std::string& address);

struct PeerFacts {
  int32_t pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;
};
// Who connected (or listened), as of that moment.
Result<PeerFacts> peerFacts(const Fd& socket);
// A descriptor of that process, never of a later one with its number.
Result<Fd> peerPidfd(const Fd& socket, int32_t pid);

}  // namespace iol::sys
