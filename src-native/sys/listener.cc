#include "sys/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace iol::sys {
namespace {

int optionOf(int socket, int name) {
  int value = -1;
  socklen_t bytes = sizeof value;
  return getsockopt(socket, SOL_SOCKET, name, &value, &bytes) == 0 ? value : -1;
}

// Whether it is a socket at which nobody listens any more.
bool isAbandoned(const char* path, const sockaddr* address, socklen_t bytes) {
  struct stat facts {};
  if (lstat(path, &facts) != 0 || !S_ISSOCK(facts.st_mode)) return false;
  const Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  return probe.isOpen() && connect(probe.get(), address, bytes) != 0 && errno == ECONNREFUSED;
}

}  // namespace

Result<Fd> listenPath(const PathOptions& options) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (options.path.size() >= sizeof address.sun_path) return Status::system("bind", ENAMETOOLONG);
  std::copy(options.path.begin(), options.path.end(), address.sun_path);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!listener.isOpen()) return Status::system("socket", errno);
  const auto mode = static_cast<mode_t>(options.mode);
  // Why before bind, too: the file is made with no more than this, so nobody is early.
  if (options.mode != kModeOfUmask && fchmod(listener.get(), mode) != 0) {
    return Status::system("fchmod", errno);
  }
  if (options.sendBufferBytes != 0) {
    const int bytes = static_cast<int>(options.sendBufferBytes);
    if (setsockopt(listener.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) != 0) {
      return Status::system("setsockopt", errno);
    }
  }
  if (bind(listener.get(), generic, sizeof address) != 0) {
    const int error = errno;
    if (error != EADDRINUSE || !isAbandoned(address.sun_path, generic, sizeof address)) {
      return Status::system("bind", error);
    }
    (void)unlink(address.sun_path);
    if (bind(listener.get(), generic, sizeof address) != 0) return Status::system("bind", errno);
  }
  if (options.mode != kModeOfUmask && chmod(address.sun_path, mode) != 0) {
    return Status::system("chmod", errno);
  }
  if (listen(listener.get(), options.backlog) != 0) return Status::system("listen", errno);
  return listener;
}

Result<Fd> adoptListener(int descriptor) {
  if (fcntl(descriptor, F_GETFD) < 0) return Status::system("fcntl", errno);
  Fd listener(descriptor);
  if (optionOf(descriptor, SO_TYPE) != SOCK_STREAM || optionOf(descriptor, SO_ACCEPTCONN) != 1) {
    return Status::system("listen", EINVAL);
  }
  const int flags = fcntl(descriptor, F_GETFL);
  if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0 ||
      fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0) {
    return Status::system("fcntl", errno);
  }
  const int family = optionOf(descriptor, SO_DOMAIN);
  if (family == AF_INET || family == AF_INET6) {
    const int on = 1;  // Connections inherit it.
    (void)setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return listener;
}

std::string pathOf(const Fd& listener) {
  sockaddr_un address{};
  socklen_t bytes = sizeof address;
  if (getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &bytes) != 0) return {};
  const size_t before = offsetof(sockaddr_un, sun_path);
  if (address.sun_family != AF_UNIX || bytes <= before || address.sun_path[0] == '\0') return {};
  const char* end = std::find(address.sun_path, address.sun_path + (bytes - before), '\0');
  return {static_cast<const char*>(address.sun_path), end};
}

}  // namespace iol::sys
