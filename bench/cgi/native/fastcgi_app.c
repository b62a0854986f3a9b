// A FastCGI program that makes bodies: one thread, epoll, connections that nginx keeps, one writev
// for an answer. Cheaper than libfcgi, which wants a thread for each kept connection and writes 8 KiB
// at a time: what is measured beside it should be the least that FastCGI costs.
//
//   fastcgi_app SOCKET      prints "ready" when it listens
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "body.h"

enum {
  kBeginRequest = 1,
  kEndRequest = 3,
  kParams = 4,
  kStdin = 5,
  kStdout = 6,
  kHeaderBytes = 8,
  kContentMax = 65528,  // Of one record; a multiple of 8, so that none is padded.
  kInputMax = 128 << 10,
  kPiecesMax = 2 * (kBodyMax / kContentMax) + 8,
};

typedef struct {
  int fd;
  uint16_t id;
  size_t fill;
  char path[256];
  uint8_t input[kInputMax];
} Connection;

static char* fresh;
static char* same;
static size_t sameSize;
static uint64_t counter;

static void putHeader(uint8_t* to, int type, uint16_t id, size_t length) {
  const uint8_t header[kHeaderBytes] = {1, (uint8_t)type, (uint8_t)(id >> 8), (uint8_t)id,
                                        (uint8_t)(length >> 8), (uint8_t)length, 0, 0};
  memcpy(to, header, sizeof header);
}

static bool writeAll(int fd, struct iovec* pieces, size_t count) {
  while (count > 0) {
    ssize_t wrote = writev(fd, pieces, count > 1024 ? 1024 : (int)count);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    while (count > 0 && (size_t)wrote >= pieces->iov_len) {
      wrote -= (ssize_t)pieces->iov_len;
      pieces++;
      count--;
    }
    if (count == 0) break;
    pieces->iov_base = (char*)pieces->iov_base + wrote;
    pieces->iov_len -= (size_t)wrote;
  }
  return true;
}

static const char* makeBody(const char* path, size_t* size) {
  int isFresh = 0;
  *size = askedFor(path, &isFresh);
  if (isFresh) {
    fillBody(fresh, *size, ++counter);
    return fresh;
  }
  if (sameSize != *size) {
    fillBody(same, *size, 0);
    sameSize = *size;
  }
  return same;
}

// Answers the request whose last record has come.
static bool answer(Connection* c) {
  static struct iovec pieces[kPiecesMax];
  static uint8_t headers[kPiecesMax][kHeaderBytes];
  static const uint8_t zeroes[kHeaderBytes];
  char head[128];
  size_t size, count = 0, at = 0;
  const char* body = makeBody(c->path, &size);
  const int headBytes = snprintf(
      head, sizeof head, "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n", size);
  size_t fromHead = (size_t)headBytes;  // The first record has head and body.
  do {
    const size_t room = kContentMax - fromHead;
    const size_t taken = size - at < room ? size - at : room;
    putHeader(headers[count], kStdout, c->id, fromHead + taken);
    pieces[count] = (struct iovec){headers[count], kHeaderBytes};
    count++;
    if (fromHead > 0) pieces[count++] = (struct iovec){head, fromHead};
    pieces[count++] = (struct iovec){(char*)body + at, taken};
    at += taken;
    fromHead = 0;
  } while (at < size);
  putHeader(headers[count], kEndRequest, c->id, kHeaderBytes);
  pieces[count] = (struct iovec){headers[count], kHeaderBytes};
  count++;
  pieces[count++] = (struct iovec){(void*)zeroes, kHeaderBytes};
  return writeAll(c->fd, pieces, count);
}

static size_t lengthAt(const uint8_t** at, const uint8_t* end) {
  if (*at < end && (**at & 0x80) == 0) return *(*at)++;
  if (end - *at < 4) return 0;
  const uint8_t* bytes = *at;
  *at += 4;
  return (size_t)(bytes[0] & 0x7f) << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
}

static void readParams(Connection* c, const uint8_t* at, const uint8_t* end) {
  while (at < end) {
    const size_t name = lengthAt(&at, end);
    const size_t value = lengthAt(&at, end);
    if (name + value > (size_t)(end - at)) return;
    if (name == 11 && memcmp(at, "REQUEST_URI", 11) == 0 && value < sizeof c->path) {
      memcpy(c->path, at + name, value);
      c->path[value] = 0;
    }
    at += name + value;
  }
}

// False: the connection is of no more use.
static bool onReadable(Connection* c) {
  const ssize_t got = read(c->fd, c->input + c->fill, kInputMax - c->fill);
  if (got <= 0) return false;
  c->fill += (size_t)got;
  size_t at = 0;
  while (c->fill - at >= kHeaderBytes) {
    const uint8_t* record = c->input + at;
    const size_t content = (size_t)record[4] << 8 | record[5];
    const size_t whole = kHeaderBytes + content + record[6];
    if (c->fill - at < whole) break;
    if (record[1] == kBeginRequest) c->id = (uint16_t)(record[2] << 8 | record[3]);
    if (record[1] == kParams) {
      readParams(c, record + kHeaderBytes, record + kHeaderBytes + content);
    }
    if (record[1] == kStdin && content == 0 && !answer(c)) return false;
    at += whole;
  }
  memmove(c->input, c->input + at, c->fill - at);
  c->fill -= at;
  return true;
}

int main(int argc, char** argv) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  fresh = malloc(kBodyMax);
  same = malloc(kBodyMax);
  if (argc != 2 || fresh == NULL || same == NULL || strlen(argv[1]) >= sizeof address.sun_path) return 2;
  strcpy(address.sun_path, argv[1]);
  const int listening = socket(AF_UNIX, SOCK_STREAM, 0);
  const int epoll = epoll_create1(0);
  if (bind(listening, (struct sockaddr*)&address, sizeof address) != 0 || listen(listening, 511) != 0) {
    return 2;
  }
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listening, &event);
  if (write(1, "ready\n", 6) != 6) return 2;
  struct epoll_event events[64];
  for (;;) {
    const int count = epoll_wait(epoll, events, 64, -1);
    for (int i = 0; i < count; i++) {
      Connection* c = events[i].data.ptr;
      if (c == NULL) {
        c = calloc(1, sizeof *c);
        if (c == NULL || (c->fd = accept(listening, NULL, NULL)) < 0) return 2;
        event.data.ptr = c;
        epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event);
      } else if (!onReadable(c)) {
        close(c->fd);
        free(c);
      }
    }
  }
}
