#include "sys/handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "sys/uninterrupted.h"

namespace iol::sys {

Result<std::pair<Fd, Fd>> socketPair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return Status::system("socketpair", errno);
  }
  return std::pair<Fd, Fd>(Fd(ends[0]), Fd(ends[1]));
}

namespace {

Status sendOne(const Fd& socket, const void* bytes, size_t length,
               const std::vector<int>& descriptors, int flags) {
  if (descriptors.size() > kHandoverFdsMax) {
    return Status(Code::TooLarge, "descriptors of one message", descriptors.size(),
                  kHandoverFdsMax);
  }
  alignas(cmsghdr) char control[CMSG_SPACE(kHandoverFdsMax * sizeof(int))] = {};
  iovec vector{const_cast<void*>(bytes), length};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(descriptors.size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size() * sizeof(int));
    ::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size() * sizeof(int));
  }
  const auto send = [&] { return ::sendmsg(socket.get(), &message, MSG_NOSIGNAL | flags); };
  return uninterrupted(send) < 0 ? Status::system("sendmsg", errno) : Status();
}

Result<Message> receiveOne(const Fd& socket, void* bytes, size_t capacity, int flags) {
  alignas(cmsghdr) char control[CMSG_SPACE(kHandoverFdsMax * sizeof(int))] = {};
  iovec vector{bytes, capacity};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t length =
      uninterrupted([&] { return ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC | flags); });
  if (length < 0) return Status::system("recvmsg", errno);
  Message received{static_cast<size_t>(length), {}};
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t index = 0; index < count; index++) {
      int descriptor;
      ::memcpy(&descriptor, CMSG_DATA(header) + index * sizeof(int), sizeof descriptor);
      received.descriptors.emplace_back(descriptor);
    }
  }
  const bool isFull = received.descriptors.size() >= kHandoverFdsMax;
  const bool lacksSome = (message.msg_flags & MSG_CTRUNC) != 0;
  received.isCut = (message.msg_flags & MSG_TRUNC) != 0;
  received.hasTooMany = lacksSome && isFull;
  received.lacksSome = lacksSome && !isFull;
  if (length == 0 && received.descriptors.empty()) {
    return Status(Code::Closed, "socket");
  }
  return received;
}

}  // namespace

Status sendMessage(const Fd& socket, const void* bytes, size_t length,
                   const std::vector<int>& descriptors) {
  return sendOne(socket, bytes, length, descriptors, 0);
}

Result<Message> receiveMessage(const Fd& socket, void* bytes, size_t capacity) {
  Result<Message> received = receiveOne(socket, bytes, capacity, 0);
  // A message that is only too long is cut, as its caller was told.
  if (received.isOk() && (received.value().lacksSome || received.value().hasTooMany)) {
    return Status(Code::BadDescriptor, "descriptors of one message", kHandoverFdsMax + 1,
                  kHandoverFdsMax);
  }
  return received;
}

Status trySendMessage(const Fd& socket, const void* bytes, size_t length,
                      const std::vector<int>& descriptors) {
  const Status status = sendOne(socket, bytes, length, descriptors, MSG_DONTWAIT);
  switch (status.systemErrno()) {
    case EAGAIN:
    case ENOBUFS:
    case ETOOMANYREFS: return Status(Code::WouldBlock, "socket");
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN: return Status(Code::Closed, "socket");
    default: return status;
  }
}

Result<Message> tryReceiveMessage(const Fd& socket, void* bytes, size_t capacity) {
  Result<Message> received = receiveOne(socket, bytes, capacity, MSG_DONTWAIT);
  // The other end closed with our bytes unread: told once, before what it had sent.
  if (!received.isOk() && received.status().systemErrno() == ECONNRESET) {
    received = receiveOne(socket, bytes, capacity, MSG_DONTWAIT);
  }
  if (received.isOk() || received.status().code() != Code::System) return received;
  switch (received.status().systemErrno()) {
    case EAGAIN: return Status(Code::WouldBlock, "socket");
    case ECONNRESET:
    case ENOTCONN: return Status(Code::Closed, "socket");
    default: return received;
  }
}

}  // namespace iol::sys
