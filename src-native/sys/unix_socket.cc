#include "sys/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "sys/process.h"
#include "sys/uninterrupted.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif
#ifndef SO_PEERPIDFD  // Linux 6.5
#define SO_PEERPIDFD 77
#endif

namespace iol::sys {
namespace {

constexpr int kSocketType = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
constexpr int kBacklog = 256;

struct Address {
  sockaddr_un name{};
  socklen_t length = 0;
};

Result<Address> toAddress(const std::string& text) {
  if (text.size() < 2 || text.size() > kSocketAddressMax || (text[0] != '@' && text[0] != '/')) {
    return Status(Code::TooLarge, "socket address", text.size(), kSocketAddressMax);
  }
  Address address;
  address.name.sun_family = AF_UNIX;
  std::copy(text.begin(), text.end(), address.name.sun_path);
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size());
  if (text[0] == '@') {
    address.name.sun_path[0] = 0;
  } else {
    address.length++;  // A path ends with a zero.
  }
  return address;
}

int connectTo(const Fd& socket, const Address& address) {
  const auto* name = reinterpret_cast<const sockaddr*>(&address.name);
  const auto connect = [&] { return ::connect(socket.get(), name, address.length); };
  return uninterrupted(connect) != 0 ? errno : 0;
}

// The lock file beside a path: whoever has it locked may judge and replace what lies at the path.
Result<Fd> lockPath(const std::string& path) {
  const std::string name = path + ".lock";
  while (true) {
    Fd lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock.isOpen()) return Status::system("open(lock file)", errno);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return Status(Code::Busy, "socket path");
      return Status::system("flock", errno);
    }
    // Its last owner may have removed the file between our open and our lock.
    struct stat ours;
    struct stat there;
    if (::fstat(lock.get(), &ours) == 0 && ::stat(name.c_str(), &there) == 0 &&
        ours.st_ino == there.st_ino && ours.st_dev == there.st_dev) {
      return lock;
    }
  }
}

// Removes a socket at which nobody listens; anything else that lies there stays.
Status reclaimPath(const std::string& path, const Address& address) {
  struct stat facts;
  if (::lstat(path.c_str(), &facts) != 0) {
    return errno == ENOENT ? Status() : Status::system("lstat", errno);
  }
  if (!S_ISSOCK(facts.st_mode)) return Status(Code::Busy, "socket path (not a socket)");
  Fd probe(::socket(AF_UNIX, kSocketType, 0));
  if (!probe.isOpen()) return Status::system("socket", errno);
  const int error = connectTo(probe, address);
  if (error == ENOENT) return {};
  if (error != ECONNREFUSED) return Status(Code::Busy, "socket path");
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return Status::system("unlink", errno);
  return {};
}

}  // namespace

Result<UnixListener> UnixListener::open(const std::string& text, uint32_t pathMode) {
  Result<Address> address = toAddress(text);
  if (!address.isOk()) return address.status();
  UnixListener listener;
  const bool isPath = text[0] == '/';
  if (isPath) {
    Result<Fd> lock = lockPath(text);
    if (!lock.isOk()) return lock.status();
    listener.lock_ = lock.take();
    IOL_TRY(reclaimPath(text, address.value()));
  }
  listener.spare_ = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  listener.socket_ = Fd(::socket(AF_UNIX, kSocketType, 0));
  if (!listener.socket_.isOpen()) return Status::system("socket", errno);
  const auto* name = reinterpret_cast<const sockaddr*>(&address.value().name);
  if (::bind(listener.socket_.get(), name, address.value().length) != 0) {
    const int error = errno;
    return error == EADDRINUSE ? Status(Code::Busy, "socket address")
                               : Status::system("bind", error);
  }
  if (isPath) {
    listener.path_ = text;
    // Before listen: nobody gets in while the mode is still what the umask made of it.
    if (::chmod(text.c_str(), pathMode) != 0) return Status::system("chmod", errno);
  }
  if (::listen(listener.socket_.get(), kBacklog) != 0) return Status::system("listen", errno);
  return listener;
}

void UnixListener::close() {
  if (socket_.isOpen() && !path_.empty()) {
    ::unlink(path_.c_str());
    ::unlink((path_ + ".lock").c_str());
  }
  socket_.reset();
  lock_.reset();
  path_.clear();
}

Result<Fd> UnixListener::accept() {
  while (true) {
    Fd peer(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (peer.isOpen()) return peer;
    const int error = errno;
    if (error == EINTR || error == ECONNABORTED) continue;
    if (error == EAGAIN) return Status(Code::WouldBlock, "socket");
    if (error == EMFILE || error == ENFILE) {
      spare_.reset();
      Fd turnedAway(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      turnedAway.reset();
      spare_ = Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    }
    return Status::system("accept4", error);
  }
}

Result<Fd> connectUnix(const std::string& text) {
  Result<Address> address = toAddress(text);
  if (!address.isOk()) return address.status();
  Fd socket(::socket(AF_UNIX, kSocketType, 0));
  if (!socket.isOpen()) return Status::system("socket", errno);
  const int error = connectTo(socket, address.value());
  if (error == EAGAIN) return Status(Code::WouldBlock, "socket");
  if (error != 0) return Status::system("connect", error);
  return socket;
}

Result<PeerFacts> peerFacts(const Fd& socket) {
  ucred who{};
  socklen_t length = sizeof who;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &who, &length) != 0) {
    return Status::system("getsockopt(SO_PEERCRED)", errno);
  }
  PeerFacts facts;
  facts.pid = who.pid;
  facts.uid = who.uid;
  facts.gid = who.gid;
  facts.groups.resize(64);
  length = static_cast<socklen_t>(facts.groups.size() * sizeof(uint32_t));
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERGROUPS, facts.groups.data(), &length) != 0) {
    if (errno != ERANGE) length = 0;  // A namespace without them: the main group alone counts.
    facts.groups.resize(length / sizeof(uint32_t));
    if (length != 0 &&
        ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERGROUPS, facts.groups.data(), &length) != 0) {
      length = 0;
    }
  }
  facts.groups.resize(length / sizeof(uint32_t));
  return facts;
}

Result<Fd> peerPidfd(const Fd& socket, int32_t pid) {
  int number = -1;
  socklen_t length = sizeof number;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERPIDFD, &number, &length) == 0) {
    Fd pidfd(number);
    ::fcntl(pidfd.get(), F_SETFD, FD_CLOEXEC);
    return pidfd;
  }
  Result<Fd> pidfd = openPidfd(pid);
  if (!pidfd.isOk()) return pidfd;
  // A process closes its sockets before its number is free again: while this one is open at the
  // other end, the number is still its own.
  pollfd entry{socket.get(), POLLRDHUP, 0};
  if (uninterrupted([&] { return ::poll(&entry, 1, 0); }) != 0)
    return Status(Code::Closed, "socket");
  return pidfd;
}

}  // namespace iol::sys
