/*
 * Connections that are held while others are served. They end with the process, by a reset, so that
 * none of them is left in TIME_WAIT.
 *
 *   --slow N     readers with receive buffers of 2 KiB: they ask for the path and do not read
 *   --idle N     have asked for the path, read the whole answer, and keep the connection
 *   --trickle N  send the head of a request byte by byte, one a second; who is cut comes again
 *
 * Prints `holding N` when all are there.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kSlowBuffer = 2048, kTicksPerSecond = 20, kSpareFds = 64 };

static void endByReset(int fd) {
  struct linger now = {.l_onoff = 1};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static int ask(int receiveBuffer) {
  Request request;
  int fd = connectWith(receiveBuffer);
  endByReset(fd);
  nextRequest(&request);
  if (!sendRequest(fd, &request)) fail("a connection that is held cannot ask");
  return fd;
}

static void readWhole(int fd) {
  char data[kHeadMax];
  size_t fill = 0;
  Head head;
  int state = 0;
  while (state == 0) {
    ssize_t got = receive(fd, data + fill, sizeof data - 1 - fill);
    if (got <= 0) fail("an idle connection was cut before its answer");
    fill += (size_t)got;
    data[fill] = 0;
    state = parseHead(data, fill, &head);
  }
  if (state < 0 || head.status != 200) fail("an idle connection got another answer than 200");
  uint64_t left = head.length - (fill - head.headSize);
  while (left > 0) {
    ssize_t got = discard(fd, left);
    if (got <= 0) fail("an idle connection was cut within its answer");
    left -= (uint64_t)got;
  }
}

static int startTrickle(void) {
  int fd = connectWith(0);
  endByReset(fd);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

/* Every second one byte more from each of them, a part of them at each tick. */
static void trickle(int* fds, int count) {
  char* head = NULL;
  int size = asprintf(&head, "GET %s HTTP/1.1\r\nHost: %s\r\n", opt.path, opt.host);
  size_t* at = calloc((size_t)count, sizeof *at);
  if (size < 0 || !at) fail("no memory");
  for (int i = 0; i < count; i++) at[i] = 1; /* the G is there */
  for (unsigned tick = 0;; tick++) {
    for (int i = (int)(tick % kTicksPerSecond); i < count; i += kTicksPerSecond) {
      /* Header lines without end: X: X: X: ... */
      char byte = at[i] < (size_t)size ? head[at[i]] : "X: y\r\n"[(at[i] - (size_t)size) % 6];
      char answer;
      bool isCut = recv(fds[i], &answer, 1, 0) >= 0 || errno != EAGAIN;
      if (!isCut && send(fds[i], &byte, 1, MSG_NOSIGNAL) == 1) {
        at[i]++;
        continue;
      }
      close(fds[i]);
      fds[i] = startTrickle();
      at[i] = 0;
    }
    poll(NULL, 0, 1000 / kTicksPerSecond);
  }
}

void runHold(void) {
  int count = opt.slow + opt.idle + opt.trickle;
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < (rlim_t)count + kSpareFds)
    fail("%d connections are more than the limit of open files (ulimit -Hn)", count);
  int* fds = calloc((size_t)count, sizeof *fds);
  if (!fds) fail("no memory");
  for (int i = 0; i < count; i++) {
    if (opt.slow) fds[i] = ask(kSlowBuffer);
    else if (opt.idle) readWhole(fds[i] = ask(0));
    else if (send(fds[i] = startTrickle(), "G", 1, MSG_NOSIGNAL) != 1) fail("cannot ask");
  }
  printf("holding %d\n", count);
  fflush(stdout);
  if (opt.trickle) trickle(fds, count);
  for (;;) pause();
}
