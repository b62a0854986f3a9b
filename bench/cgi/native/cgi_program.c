// A CGI program. Each request has a process of its own, so what counts up is the clock.
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "body.h"

int main(void) {
  int isFresh = 0;
  const size_t size = askedFor(getenv("PATH_INFO"), &isFresh);
  char* all = malloc(size + 256);
  struct timespec now;
  if (all == NULL || clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 2;
  const int head = sprintf(all, "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n", size);
  const uint64_t counter = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
  fillBody(all + head, size, isFresh ? counter : 0);
  const size_t total = (size_t)head + size;
  for (size_t at = 0; at < total;) {
    const ssize_t wrote = write(1, all + at, total - at);
    if (wrote <= 0) return 1;
    at += (size_t)wrote;
  }
  return 0;
}
