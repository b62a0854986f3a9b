/* Whole answers, every byte of them compared. */
#include "load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

enum { kVerifyRequests = 3 }; /* on one connection, so keep-alive is tried too */

static int wrong(const char* format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "load: %s: ", opt.path);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  return 1;
}

/* The body that goes with the counter at its beginning, which must be greater than the last one. */
static bool makeWanted(char* want, size_t size, const char* digits, uint64_t* last) {
  char text[kCounterDigits + 1] = "";
  memcpy(text, digits, kCounterDigits);
  char* end = NULL;
  const uint64_t counter = strtoull(text, &end, 16);
  if (*end != 0 || counter <= *last) return false;
  *last = counter;
  memset(want, 'a' + (int)(counter % 26), size);
  memcpy(want, text, kCounterDigits);
  return true;
}

/* Reads one whole answer and compares it with want[0, size). */
static int verifyOnce(int fd, char* want, size_t size, uint64_t* lastCounter) {
  static char data[65536 + 1];
  size_t fill = 0, at = 0;
  Head head = {0};
  int parsed = 0;
  Request request;
  nextRequest(&request);
  if (!sendRequest(fd, &request)) return wrong("cannot send");
  while (parsed == 0) {
    ssize_t got = receive(fd, data + fill, kHeadMax - fill);
    if (got <= 0) return wrong("the connection ended within the head");
    fill += (size_t)got;
    data[fill] = 0;
    parsed = parseHead(data, fill, &head);
    if (parsed < 0 || (parsed == 0 && fill == kHeadMax)) return wrong("the head is not understood");
  }
  if (head.status != 200) return wrong("status %d, not 200", head.status);
  if (head.length != size)
    return wrong("Content-Length %llu, not %zu", (unsigned long long)head.length, size);
  while (opt.verifyCounter > 0 && fill - head.headSize < kCounterDigits) {
    ssize_t got = receive(fd, data + fill, kCounterDigits);
    if (got <= 0) return wrong("the connection ended within the counter");
    fill += (size_t)got;
  }
  if (opt.verifyCounter > 0 && !makeWanted(want, size, data + head.headSize, lastCounter)) {
    return wrong("the counter did not grow");
  }
  const char* piece = data + head.headSize;
  size_t pieceSize = fill - head.headSize;
  for (;;) {
    if (pieceSize > size - at) return wrong("more bytes than Content-Length says");
    for (size_t i = 0; i < pieceSize; i++)
      if (piece[i] != want[at + i]) return wrong("wrong byte at offset %zu", at + i);
    at += pieceSize;
    if (at == size) return 0;
    ssize_t got = receive(fd, data, 65536);
    if (got <= 0) return wrong("the connection ended at byte %zu of %zu", at, size);
    piece = data;
    pieceSize = (size_t)got;
  }
}

static char* readWanted(size_t* size) {
  struct stat st;
  FILE* file = fopen(opt.verify, "rb");
  if (!file || fstat(fileno(file), &st) != 0)
    fail("cannot read %s: %s", opt.verify, strerror(errno));
  *size = (size_t)st.st_size;
  char* want = malloc(*size + 1);
  if (!want || fread(want, 1, *size, file) != *size) fail("cannot read %s", opt.verify);
  fclose(file);
  return want;
}

int runVerify(void) {
  size_t size = opt.verifyCounter;
  uint64_t lastCounter = 0;
  char* want = opt.verify ? readWanted(&size) : malloc(size + 1);
  int fd = connectWith(0);
  struct timeval patience = {.tv_sec = kStallMs / 1000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  for (int i = 0; i < kVerifyRequests; i++)
    if (verifyOnce(fd, want, size, &lastCounter) != 0) return 1;
  printf("{\"verified\":%d,\"bytes\":%zu}\n", kVerifyRequests, size);
  return 0;
}
