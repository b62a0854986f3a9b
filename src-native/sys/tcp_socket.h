// sys/tcp_socket.h: TCP sockets as the kernel gives them: listen, accept, receive, send, close.
//
// Every call is non-blocking by a flag of its own, so that nobody else's fcntl can make us wait.
//
// Ownership   returns Fds; borrows those it is given.
// Threads     any.
// Failure     WouldBlock for "not now", System with the call's name and errno for the rest.
// Cost        one system call each, listenTcp a handful.
// Why not socket.h: with src-native on the include path that would hide the system's own header.
// May include base/
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "sys/fd.h"
#include "sys/iovec.h"

namespace iol::sys {

constexpr size_t kHostTextMax = 46;  // INET6_ADDRSTRLEN.

// "unix:" and port 0 for a socket of the file system, whose clients have no address.
struct Endpoint {
  char host[kHostTextMax] = "";
  uint16_t port = 0;
  bool isV6 = false;
};

struct ListenOptions {
  const char* host = "127.0.0.1";  // A numeric address; names are resolved by the caller.
  uint16_t port = 0;               // 0: any free one.
  int backlog = 511;
  bool isV6Only = false;
  uint32_t sendBufferBytes = 0;  // Of each connection; 0: the kernel decides.
  // Of each connection: what the kernel keeps beside what is under way (TCP_NOTSENT_LOWAT), so that
  // a slow reader costs this much and a fast one over a long line loses nothing. 0: no bound.
  uint32_t unsentBytesMax = 128 << 10;
};

// Non-blocking, close-on-exec, SO_REUSEADDR. Why TCP_NODELAY here: connections inherit it, which
// saves a system call for each of them.
Result<Fd> listenTcp(const ListenOptions& options);
Result<Endpoint> localEndpoint(const Fd& socket);
Result<Endpoint> remoteEndpoint(const Fd& socket);

// Errnos that say the process or the system has no room for one more connection.
bool isOutOfDescriptors(int error);
// Errnos of accept that concern the one connection, which is gone; the next may be fine.
bool isLostConnection(int error);

Result<Fd> acceptConnection(const Fd& listener);

// Bytes that a receive would give now; 0 also when the kernel does not say.
uint32_t bytesToReceive(const Fd& socket);
// Bytes received; 0 is the end of input.
Result<uint32_t> receive(const Fd& socket, uint8_t* to, uint32_t maxBytes);
// The same, but the kernel drops the bytes instead of copying them.
Result<uint32_t> receiveAndDrop(const Fd& socket, uint32_t maxBytes);

enum class More : uint8_t { No, Follows };  // Follows: the kernel may wait for the next send.

// Bytes taken by the kernel, which has copied them: the memory is ours again.
Result<uint64_t> sendVectors(const Fd& socket, const iovec* vectors, uint32_t count, More more);

// Bytes [offset, offset + bytes) of `memory` by reference: the kernel reads the pages until the
// peer has acknowledged them, which nobody tells us. `socket` must be non-blocking.
// Why isPipeSignalIgnored: this call has no MSG_NOSIGNAL.
Result<uint64_t> sendPages(const Fd& socket, const Fd& memory, uint64_t offset, uint64_t bytes);
bool isPipeSignalIgnored();

// Two ends of one stream within the process (AF_UNIX), non-blocking and close-on-exec.
struct StreamPair {
  Fd near;
  Fd far;
};
Result<StreamPair> makeStreamPair();

// Tells the peer that nothing more comes; receiving goes on.
void shutdownSending(const Fd& socket);
// Closes with a reset: what the kernel still has to send is dropped at once.
void closeAbortively(Fd socket);
// The same for whoever closes it.
void resetAtClose(int socket);

}  // namespace iol::sys
