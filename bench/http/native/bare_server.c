/*
 * The yardstick of the HTTP bench: the least a server can do and still look at the request.
 *
 * Every file of one directory is read at the start and kept with its head before it as one block.
 * A request then costs one recv, one search for the blank line, one hash look-up and one send of
 * the prebuilt answer (more sends only when the socket's buffer is full). One thread, one epoll. It
 * is no web server: GET only, no ranges, no conditions, no timeouts, no pipelining.
 *
 *   bare_server --root DIR [--port N] [--sndbuf BYTES]
 *
 * --sndbuf caps SO_SNDBUF of each connection. A large answer then goes out in pieces that stay in
 * the processor's caches, which can be cheaper than giving the kernel 4 MB at once.
 *
 * Prints `ready PORT` once it accepts connections.
 */
#define _GNU_SOURCE
#include <dirent.h>
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { kSlots = 1024, kRequestMax = 4096, kEvents = 64 };

typedef struct {
  char* path; /* with its leading slash; NULL: slot is free */
  size_t pathSize;
  char* data; /* head and body */
  size_t size;
} Answer;

typedef struct {
  int fd;
  size_t fill;          /* bytes of an unfinished request in in[] */
  const Answer* answer; /* being sent, or NULL */
  size_t sent;
  char in[kRequestMax];
} Connection;

static Answer table[kSlots];
static unsigned tableUsed;
static Answer notFound;
static int epollFd;
static int sendBuffer;

static void die(const char* what) {
  fprintf(stderr, "bare_server: %s: %s\n", what, strerror(errno));
  exit(2);
}

static Answer* slotOf(const char* path, size_t size) {
  uint32_t hash = 2166136261u; /* FNV-1a */
  for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)path[i]) * 16777619u;
  for (uint32_t i = hash % kSlots;; i = (i + 1) % kSlots) {
    Answer* a = &table[i];
    if (!a->path || (a->pathSize == size && memcmp(a->path, path, size) == 0)) return a;
  }
}

static void build(Answer* a, const char* status, const char* body, size_t bodySize) {
  char head[256];
  int headSize = snprintf(head, sizeof head,
                          "HTTP/1.1 %s\r\nContent-Type: application/octet-stream\r\n"
                          "Content-Length: %zu\r\n\r\n",
                          status, bodySize);
  a->size = (size_t)headSize + bodySize;
  a->data = malloc(a->size);
  if (!a->data) die("memory");
  memcpy(a->data, head, (size_t)headSize);
  if (bodySize) memcpy(a->data + headSize, body, bodySize);
}

static void loadFile(int dirFd, const char* name) {
  struct stat st;
  int fd = openat(dirFd, name, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &st) != 0) die(name);
  if (S_ISREG(st.st_mode)) {
    size_t size = (size_t)st.st_size, at = 0;
    char* body = malloc(size + 1);
    while (body && at < size) {
      ssize_t got = read(fd, body + at, size - at);
      if (got <= 0) die(name);
      at += (size_t)got;
    }
    char path[NAME_MAX + 2];
    int pathSize = snprintf(path, sizeof path, "/%s", name);
    if (!body || ++tableUsed > kSlots / 2) die("too many or too large files");
    Answer* a = slotOf(path, (size_t)pathSize);
    a->path = strdup(path);
    a->pathSize = (size_t)pathSize;
    build(a, "200 OK", body, size);
    free(body);
  }
  close(fd);
}

static void loadRoot(const char* root) {
  DIR* dir = opendir(root);
  if (!dir) die(root);
  for (struct dirent* e; (e = readdir(dir));)
    if (e->d_name[0] != '.') loadFile(dirfd(dir), e->d_name);
  closedir(dir);
}

static void drop(Connection* c) {
  close(c->fd);
  free(c);
}

static void watch(Connection* c, uint32_t events, int op) {
  struct epoll_event e = {.events = events, .data.ptr = c};
  if (epoll_ctl(epollFd, op, c->fd, &e) != 0) die("epoll_ctl");
}

/* Sends what the socket takes; false: the connection is gone. */
static bool sendSome(Connection* c, bool wasWaiting) {
  ssize_t n = send(c->fd, c->answer->data + c->sent, c->answer->size - c->sent, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN) return false;
  if (n > 0) c->sent += (size_t)n;
  bool done = c->sent == c->answer->size;
  if (done) c->answer = NULL;
  if (done == wasWaiting) watch(c, done ? EPOLLIN : EPOLLOUT, EPOLL_CTL_MOD);
  return true;
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
  const Answer* a = slotOf(path, (size_t)(end - path));
  c->answer = a->path ? a : &notFound;
  c->sent = 0;
  c->fill = 0;
  return sendSome(c, false);
}

static void acceptOne(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (sendBuffer) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sendBuffer, sizeof sendBuffer);
  Connection* c = calloc(1, sizeof *c);
  if (!c) die("memory");
  c->fd = fd;
  watch(c, EPOLLIN, EPOLL_CTL_ADD);
}

static int listenOn(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  if (fd < 0 || bind(fd, (struct sockaddr*)&at, size) != 0 || listen(fd, 1024) != 0 ||
      getsockname(fd, (struct sockaddr*)&at, &size) != 0)
    die("listen");
  printf("ready %d\n", ntohs(at.sin_port));
  fflush(stdout);
  return fd;
}

int main(int argc, char** argv) {
  const char* root = NULL;
  int port = 0;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!strcmp(argv[i], "--root")) root = argv[i + 1];
    else if (!strcmp(argv[i], "--port")) port = atoi(argv[i + 1]);
    else if (!strcmp(argv[i], "--sndbuf")) sendBuffer = atoi(argv[i + 1]);
  }
  if (!root) {
    fprintf(stderr, "usage: bare_server --root DIR [--port N] [--sndbuf BYTES]\n");
    return 2;
  }
  loadRoot(root);
  build(&notFound, "404 Not Found", "", 0);
  epollFd = epoll_create1(EPOLL_CLOEXEC);
  int listener = listenOn(port);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epollFd, EPOLL_CTL_ADD, listener, &e);
  struct epoll_event events[kEvents];
  for (;;) {
    int n = epoll_wait(epollFd, events, kEvents, -1);
    for (int i = 0; i < n; i++) {
      Connection* c = events[i].data.ptr;
      if (!c) acceptOne(listener);
      else if (!(c->answer ? sendSome(c, true) : onReadable(c))) drop(c);
    }
  }
}
