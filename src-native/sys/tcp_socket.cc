#include "sys/tcp_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <vector>

namespace iol::sys {
namespace {

Status setOption(const Fd& socket, int level, int name, int value) {
  if (setsockopt(socket.get(), level, name, &value, sizeof value) != 0) {
    return Status::system("setsockopt", errno);
  }
  return {};
}

// Fills `storage` from a numeric address; 0 when it is none.
socklen_t parseAddress(const char* host, uint16_t port, sockaddr_storage& storage) {
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    return sizeof(sockaddr_in);
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return sizeof(sockaddr_in6);
  }
  return 0;
}

// Why not the C library's functions: they are cancellation points, which costs a program with
// threads some 25 ns at each call, and nobody here cancels threads.
ssize_t receiveRaw(int socket, void* to, size_t bytes) {
  return syscall(SYS_recvfrom, socket, to, bytes, MSG_DONTWAIT, nullptr, nullptr);
}

ssize_t sendRaw(int socket, const msghdr& message, int flags) {
  return syscall(SYS_sendmsg, socket, &message, flags);
}

Result<uint32_t> received(ssize_t bytes) {
  if (bytes >= 0) return static_cast<uint32_t>(bytes);
  if (errno == EAGAIN || errno == EINTR) return Status(Code::WouldBlock, "socket");
  return Status::system("recv", errno);
}

}  // namespace

Result<Fd> listenTcp(const ListenOptions& options) {
  sockaddr_storage address{};
  const socklen_t addressBytes = parseAddress(options.host, options.port, address);
  if (addressBytes == 0) return Status::system("inet_pton", EINVAL);
  Fd listener(socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener.isOpen()) return Status::system("socket", errno);
  IOL_TRY(setOption(listener, SOL_SOCKET, SO_REUSEADDR, 1));
  IOL_TRY(setOption(listener, IPPROTO_TCP, TCP_NODELAY, 1));
  if (address.ss_family == AF_INET6) {
    IOL_TRY(setOption(listener, IPPROTO_IPV6, IPV6_V6ONLY, options.isV6Only ? 1 : 0));
  }
  if (options.sendBufferBytes != 0) {
    IOL_TRY(setOption(listener, SOL_SOCKET, SO_SNDBUF, static_cast<int>(options.sendBufferBytes)));
  }
  if (options.unsentBytesMax != 0) {
    IOL_TRY(setOption(listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT,
                      static_cast<int>(options.unsentBytesMax)));
  }
  if (bind(listener.get(), reinterpret_cast<sockaddr*>(&address), addressBytes) != 0) {
    return Status::system("bind", errno);
  }
  if (listen(listener.get(), options.backlog) != 0) return Status::system("listen", errno);
  return listener;
}

namespace {

Endpoint toEndpoint(const sockaddr_storage& address) {
  Endpoint endpoint;
  if (address.ss_family == AF_UNIX) {
    std::copy_n("unix:", sizeof "unix:", endpoint.host);
    return endpoint;
  }
  endpoint.isV6 = address.ss_family == AF_INET6;
  if (endpoint.isV6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
    inet_ntop(AF_INET6, &v6->sin6_addr, endpoint.host, sizeof endpoint.host);
    endpoint.port = ntohs(v6->sin6_port);
  } else {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
    inet_ntop(AF_INET, &v4->sin_addr, endpoint.host, sizeof endpoint.host);
    endpoint.port = ntohs(v4->sin_port);
  }
  return endpoint;
}

}  // namespace

Result<Endpoint> localEndpoint(const Fd& socket) {
  sockaddr_storage address{};
  socklen_t bytes = sizeof address;
  if (getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &bytes) != 0) {
    return Status::system("getsockname", errno);
  }
  return toEndpoint(address);
}

Result<Endpoint> remoteEndpoint(const Fd& socket) {
  sockaddr_storage address{};
  socklen_t bytes = sizeof address;
  if (getpeername(socket.get(), reinterpret_cast<sockaddr*>(&address), &bytes) != 0) {
    return Status::system("getpeername", errno);
  }
  return toEndpoint(address);
}

bool isOutOfDescriptors(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

bool isLostConnection(int error) {
  // accept(2): errors already pending on the new socket are reported as those of accept.
  switch (error) {
    case ECONNABORTED:
    case EPERM:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP: return true;
    default: return false;
  }
}

Result<Fd> acceptConnection(const Fd& listener) {
  Fd connection(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (connection.isOpen()) return connection;
  if (errno == EAGAIN || errno == EINTR) return Status(Code::WouldBlock, "listener");
  return Status::system("accept4", errno);
}

Result<uint32_t> receive(const Fd& socket, uint8_t* to, uint32_t maxBytes) {
  return received(receiveRaw(socket.get(), to, maxBytes));
}

uint32_t bytesToReceive(const Fd& socket) {
  int bytes = 0;
  return ioctl(socket.get(), FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<uint32_t>(bytes) : 0;
}

Result<uint32_t> receiveAndDrop(const Fd& socket, uint32_t maxBytes) {
  // Why MSG_TRUNC: on a TCP socket it drops instead of copying, and touches no buffer (tcp(7)).
  const ssize_t bytes = recv(socket.get(), nullptr, maxBytes, MSG_DONTWAIT | MSG_TRUNC);
  if (bytes >= 0 || errno != EFAULT) return received(bytes);
  // A Unix socket knows no MSG_TRUNC.
  thread_local std::vector<uint8_t> dropped(64 << 10);
  const size_t length = std::min<size_t>(maxBytes, dropped.size());
  return received(recv(socket.get(), dropped.data(), length, MSG_DONTWAIT));
}

Result<uint64_t> sendVectors(const Fd& socket, const iovec* vectors, uint32_t count, More more) {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(vectors);
  message.msg_iovlen = count;
  const int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (more == More::Follows ? MSG_MORE : 0);
  const ssize_t sent = sendRaw(socket.get(), message, flags);
  if (sent >= 0) return static_cast<uint64_t>(sent);
  if (errno == EAGAIN || errno == EINTR) return Status(Code::WouldBlock, "socket");
  return Status::system("sendmsg", errno);
}

Result<uint64_t> sendPages(const Fd& socket, const Fd& memory, uint64_t offset, uint64_t bytes) {
  auto at = static_cast<off_t>(offset);
  const ssize_t sent = sendfile(socket.get(), memory.get(), &at, bytes);
  if (sent >= 0) return static_cast<uint64_t>(sent);
  if (errno == EAGAIN || errno == EINTR) return Status(Code::WouldBlock, "socket");
  return Status::system("sendfile", errno);
}

bool isPipeSignalIgnored() {
  struct sigaction action {};
  return sigaction(SIGPIPE, nullptr, &action) == 0 && action.sa_handler != SIG_DFL;
}

Result<StreamPair> makeStreamPair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return Status::system("socketpair", errno);
  }
  return StreamPair{Fd(ends[0]), Fd(ends[1])};
}

void shutdownSending(const Fd& socket) { (void)shutdown(socket.get(), SHUT_WR); }

void closeAbortively(Fd socket) { resetAtClose(socket.get()); }

void resetAtClose(int socket) {
  const linger reset{.l_onoff = 1, .l_linger = 0};
  (void)setsockopt(socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

}  // namespace iol::sys
