/*
 * The yardstick of the HTTP bench: the least a server can do and still look at the request.
 *
 * Every file below one directory is read at the start and kept with its head before it as one block
 * (bare_answers.c). A request then costs one recv, one search for the blank line, one hash look-up
 * and one send of the prebuilt answer (more sends only when the socket's buffer is full). One
 * thread, one epoll. It is no web server: GET only, no ranges, no timeouts, no pipelining.
 *
 *   bare_server --root DIR [--port N]
 *
 * --tags 1 gives answers an entity tag and answers an If-None-Match that has it with a prebuilt 304:
 * one search more.
 *
 * What is tried beside that, for large answers (--send-paths of bench:http):
 *
 * --sndbuf BYTES caps SO_SNDBUF of each connection. A large answer then goes out in pieces that stay
 * in the processor's caches, which can be cheaper than giving the kernel 4 MB at once.
 * --lowat BYTES is TCP_NOTSENT_LOWAT: what the kernel takes beside what is under way.
 * --way and --memory: see the enums.
 *
 * Prints `ready PORT` once it accepts connections.
 */
#include "bare_answers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kRequestMax = 4096, kEvents = 64 };

/* How an answer leaves. */
typedef enum {
  kCopy,     /* one send() */
  kSendfile, /* the head by send(MSG_MORE), the body by sendfile from the memfd */
  kZeroCopy, /* one send(MSG_ZEROCOPY); completions are read */
} Way;

typedef struct {
  int fd;
  size_t fill;          /* bytes of an unfinished request in in[] */
  const Answer* answer; /* being sent, or NULL */
  const char* data;
  size_t size, sent;
  char in[kRequestMax];
} Connection;

static int epollFd;
static int sendBuffer, lowWater;
static Way way;
static bool hasTags;

static void drop(Connection* c) {
  close(c->fd);
  free(c);
}

static void watch(Connection* c, uint32_t events, int op) {
  struct epoll_event e = {.events = events, .data.ptr = c};
  if (epoll_ctl(epollFd, op, c->fd, &e) != 0) die("epoll_ctl");
}

static ssize_t sendOnce(Connection* c) {
  const Answer* a = c->answer;
  const bool isWhole = c->data == a->data;
  if (way == kSendfile && isWhole) {
    if (c->sent < a->headSize)
      return send(c->fd, c->data + c->sent, a->headSize - c->sent,
                  MSG_NOSIGNAL | (a->size > a->headSize ? MSG_MORE : 0));
    off_t at = a->at + (off_t)c->sent;
    return sendfile(c->fd, answerFd, &at, c->size - c->sent);
  }
  if (way == kZeroCopy && isWhole) {
    ssize_t n = send(c->fd, c->data + c->sent, c->size - c->sent, MSG_NOSIGNAL | MSG_ZEROCOPY);
    if (n >= 0 || errno != ENOBUFS) return n; /* else too many completions are unread: copy */
  }
  return send(c->fd, c->data + c->sent, c->size - c->sent, MSG_NOSIGNAL);
}

/* Sends what the socket takes; false: the connection is gone. */
static bool sendSome(Connection* c, bool wasWaiting) {
  ssize_t n = sendOnce(c);
  if (n < 0 && errno != EAGAIN) return false;
  if (n > 0) c->sent += (size_t)n;
  /* Only the way by sendfile takes two calls for what one could take. */
  if (n > 0 && way == kSendfile && c->sent == c->answer->headSize && c->sent < c->size)
    return sendSome(c, wasWaiting);
  bool done = c->sent == c->size;
  if (done) c->answer = NULL;
  if (done == wasWaiting) watch(c, done ? EPOLLIN : EPOLLOUT, EPOLL_CTL_MOD);
  return true;
}

/* What MSG_ZEROCOPY has done with its pages; answers never change, so nobody waits for it. */
static void readCompletions(Connection* c) {
  char control[128];
  struct msghdr message;
  do {
    message = (struct msghdr){.msg_control = control, .msg_controllen = sizeof control};
  } while (recvmsg(c->fd, &message, MSG_ERRQUEUE) >= 0);
}

/* Whether the client has the file as it is. */
static bool isNotModified(const Connection* c, const Answer* a) {
  static const char name[] = "\r\nIf-None-Match: ";
  const char* found = memmem(c->in, c->fill, name, sizeof name - 1);
  if (!found || !a->tag) return false;
  found += sizeof name - 1;
  return (size_t)(c->in + c->fill - found) > a->tagSize && memcmp(found, a->tag, a->tagSize) == 0;
}

static bool onReadable(Connection* c) {
  ssize_t n = recv(c->fd, c->in + c->fill, kRequestMax - c->fill, 0);
  if (n < 0 && errno == EAGAIN) return true;
  if (n <= 0) return false;
  c->fill += (size_t)n;
  if (!memmem(c->in, c->fill, "\r\n\r\n", 4)) return c->fill < kRequestMax;
  if (c->fill < 16 || memcmp(c->in, "GET ", 4) != 0) return false;
  const char* path = c->in + 4;
  const char* end = memchr(path, ' ', c->fill - 4);
  if (!end) return false;
  const Answer* a = answerOf(path, (size_t)(end - path));
  const bool isShort = hasTags && isNotModified(c, a);
  c->answer = a;
  c->data = isShort ? a->notModified : a->data;
  c->size = isShort ? a->notModifiedSize : a->size;
  c->sent = 0;
  c->fill = 0;
  return sendSome(c, false);
}

static void acceptOne(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (way == kZeroCopy && setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one) != 0)
    die("SO_ZEROCOPY");
  if (lowWater) setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowWater, sizeof lowWater);
  if (sendBuffer) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sendBuffer, sizeof sendBuffer);
  Connection* c = calloc(1, sizeof *c);
  if (!c) die("memory");
  c->fd = fd;
  watch(c, EPOLLIN, EPOLL_CTL_ADD);
}

static int listenOn(const char* host, int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  if (inet_pton(AF_INET, host, &at.sin_addr) != 1) die(host);
  socklen_t size = sizeof at;
  if (fd < 0 || bind(fd, (struct sockaddr*)&at, size) != 0 || listen(fd, 1024) != 0 ||
      getsockname(fd, (struct sockaddr*)&at, &size) != 0)
    die("listen");
  printf("ready %d\n", ntohs(at.sin_port));
  fflush(stdout);
  return fd;
}

static int indexOf(const char* word, const char* const* words) {
  for (int i = 0; words[i]; i++)
    if (!strcmp(word, words[i])) return i;
  errno = EINVAL;
  die(word);
}

int main(int argc, char** argv) {
  static const char* const ways[] = {"copy", "sendfile", "zerocopy", NULL};
  static const char* const memories[] = {"heap", "shared", "thp", "hugetlb", NULL};
  const char *root = NULL, *host = "127.0.0.1";
  int port = 0;
  Memory memory = kHeap;
  for (int i = 1; i + 1 < argc; i += 2) {
    const char* value = argv[i + 1];
    if (!strcmp(argv[i], "--root")) root = value;
    else if (!strcmp(argv[i], "--host")) host = value;
    else if (!strcmp(argv[i], "--port")) port = atoi(value);
    else if (!strcmp(argv[i], "--sndbuf")) sendBuffer = atoi(value);
    else if (!strcmp(argv[i], "--lowat")) lowWater = atoi(value);
    else if (!strcmp(argv[i], "--way")) way = (Way)indexOf(value, ways);
    else if (!strcmp(argv[i], "--memory")) memory = (Memory)indexOf(value, memories);
    else if (!strcmp(argv[i], "--tags")) hasTags = atoi(value) != 0;
  }
  if (!root || (way == kSendfile && memory == kHeap)) {
    fprintf(stderr,
            "usage: bare_server --root DIR [--host A] [--port N] [--sndbuf BYTES] [--lowat BYTES]\n"
            "  [--way copy|sendfile|zerocopy] [--memory heap|shared|thp|hugetlb] [--tags 1]\n");
    return 2;
  }
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  makeAnswers(root, memory, hasTags);
  epollFd = epoll_create1(EPOLL_CLOEXEC);
  int listener = listenOn(host, port);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epollFd, EPOLL_CTL_ADD, listener, &e);
  struct epoll_event events[kEvents];
  for (;;) {
    int n = epoll_wait(epollFd, events, kEvents, -1);
    for (int i = 0; i < n; i++) {
      Connection* c = events[i].data.ptr;
      if (!c) {
        acceptOne(listener);
        continue;
      }
      if (way == kZeroCopy && (events[i].events & EPOLLERR)) {
        readCompletions(c);
        if (!(events[i].events & ~(unsigned)EPOLLERR)) continue;
      }
      if (!(c->answer ? sendSome(c, true) : onReadable(c))) drop(c);
    }
  }
}
