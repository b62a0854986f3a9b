/* Time, sockets and heads of answers. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

void fail(const char* format, ...) {
  va_list args;
  va_start(args, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(2);
}

uint64_t nowNs(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int connectWith(int receiveBuffer) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receiveBuffer)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, sizeof receiveBuffer);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)opt.port)};
  if (inet_pton(AF_INET, opt.host, &to.sin_addr) != 1) fail("%s is no IPv4 address", opt.host);
  if (fd < 0 || connect(fd, (struct sockaddr*)&to, sizeof to) != 0)
    fail("cannot connect to %s:%d: %s", opt.host, opt.port, strerror(errno));
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

const char* headerValue(const char* head, size_t size, const char* name) {
  size_t nameSize = strlen(name);
  const char* end = head + size;
  for (const char* line = memchr(head, '\n', size); line && ++line < end;
       line = memchr(line, '\n', (size_t)(end - line))) {
    if ((size_t)(end - line) > nameSize && line[nameSize] == ':' &&
        strncasecmp(line, name, nameSize) == 0)
      return line + nameSize + 1 + strspn(line + nameSize + 1, " \t");
  }
  return NULL;
}

int parseHead(const char* data, size_t size, Head* out) {
  const char* blank = memmem(data, size, "\r\n\r\n", 4);
  if (!blank) return 0;
  out->headSize = (size_t)(blank - data) + 4;
  if (size < 12 || memcmp(data, "HTTP/1.1 ", 9) != 0) return -1;
  out->status = atoi(data + 9);
  out->length = 0;
  if (out->status == 304) return 1; /* no body, whatever Content-Length says */
  if (headerValue(data, out->headSize, "transfer-encoding")) return -1;
  const char* length = headerValue(data, out->headSize, "content-length");
  if (!length || *length < '0' || *length > '9') return -1;
  out->length = strtoull(length, NULL, 10);
  return 1;
}
