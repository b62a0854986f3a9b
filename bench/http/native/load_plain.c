/* Connections without TLS. */
#include "load.h"

#include <sys/socket.h>
#include <unistd.h>

bool sendRequest(int fd, const Request* request) {
  struct msghdr message = {.msg_iov = (struct iovec*)request->parts,
                           .msg_iovlen = (size_t)request->count};
  size_t size = 0;
  for (int i = 0; i < request->count; i++) size += request->parts[i].iov_len;
  return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)size;
}

bool isShakingHands(int fd) {
  (void)fd;
  return false;
}

ssize_t receive(int fd, void* bytes, size_t size) { return recv(fd, bytes, size, 0); }

/* The kernel throws them away: no buffer is touched. */
ssize_t discard(int fd, uint64_t size) { return recv(fd, NULL, size, MSG_TRUNC); }

bool hasMore(int fd) {
  (void)fd;
  return false;
}

void disconnect(int fd) { close(fd); }
