#include "sys/handover.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace iol::sys {

Result<std::pair<Fd, Fd>> socketPair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return Status::system("socketpair", errno);
  }
  return std::pair<Fd, Fd>(Fd(ends[0]), Fd(ends[1]));
}

Status sendMessage(const Fd& socket, const void* bytes, size_t length,
                   const std::vector<int>& descriptors) {
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
  while (::sendmsg(socket.get(), &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return Status::system("sendmsg", errno);
  }
  return {};
}

Result<Message> receiveMessage(const Fd& socket, void* bytes, size_t capacity) {
  alignas(cmsghdr) char control[CMSG_SPACE(kHandoverFdsMax * sizeof(int))] = {};
  iovec vector{bytes, capacity};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t length;
  while ((length = ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC)) < 0) {
    if (errno != EINTR) return Status::system("recvmsg", errno);
  }
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
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    return Status(Code::BadDescriptor, "descriptors of one message", kHandoverFdsMax + 1,
                  kHandoverFdsMax);
  }
  if (length == 0) return Status(Code::Closed, "socket");
  return received;
}

}  // namespace iol::sys
