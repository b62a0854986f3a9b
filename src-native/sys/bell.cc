#include "sys/bell.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "sys/uninterrupted.h"

namespace iol::sys {
namespace {

Result<Fd> datagramSocket() {
  Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.isOpen()) return Status::system("socket", errno);
  return fd;
}

}  // namespace

Result<Bell> Bell::create() {
  Result<Fd> fd = datagramSocket();
  if (!fd.isOk()) return fd.status();
  // An address of the family's length only: the kernel chooses a free abstract name, unix(7).
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (::bind(fd.value().get(), reinterpret_cast<sockaddr*>(&address), sizeof(sa_family_t)) != 0) {
    return Status::system("bind", errno);
  }
  return Bell(fd.take());
}

Result<Fd> Bell::makeButton() const {
  sockaddr_un address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return Status::system("getsockname", errno);
  }
  Result<Fd> button = datagramSocket();
  if (!button.isOk()) return button.status();
  if (::connect(button.value().get(), reinterpret_cast<sockaddr*>(&address), length) != 0) {
    return Status::system("connect", errno);
  }
  return button;
}

// recv, not recvmsg: descriptors that a stranger attaches are closed by the kernel.
void Bell::clear(uint32_t presses) const {
  char bytes[8];
  for (uint32_t press = 0; press < presses; press++) {
    const auto drop = [&] { return ::recv(fd_.get(), bytes, sizeof bytes, MSG_DONTWAIT); };
    if (uninterrupted(drop) < 0) return;
  }
}

void pressButton(const Fd& button) {
  (void)uninterrupted([&] { return ::send(button.get(), "!", 1, MSG_DONTWAIT | MSG_NOSIGNAL); });
}

void sleepUntilReadable(const Fd& fd, int64_t timeoutNs) {
  pollfd entry{fd.get(), POLLIN, 0};
  const timespec timeout{timeoutNs / 1'000'000'000, timeoutNs % 1'000'000'000};
  (void)::ppoll(&entry, 1, timeoutNs < 0 ? nullptr : &timeout, nullptr);
}

}  // namespace iol::sys
