/*
 * The load client of the HTTP bench: N keep-alive connections on one thread, bodies dropped by the
 * kernel.
 *
 * A load generator that copies every byte out of the kernel becomes the limit from some 20 KB on.
 * This one copies only the first kHeadRead bytes of a response, to find Content-Length, and has the
 * kernel throw the rest away: recv(MSG_TRUNC) on a TCP socket returns the number of bytes it
 * dropped and touches no buffer. MSG_TRUNC is used for bodies only.
 *
 * Every request that is sent is also waited for: when the time is up nothing new is asked and the
 * answers under way are read to their end. So a server's processor time from before the start to
 * after the end belongs to exactly the responses counted here.
 *
 * --close 1       asks for Connection: close and opens a new connection for each request.
 * --rate N        open loop: N requests a second, whether answers come or not; a request that finds no
 *                 free connection waits, and its latency counts from when it was due.
 * --slow N        only N connections with receive buffers of 2 KiB that ask for the path and do not
 *                 read; prints `holding N` when all have asked, and waits to be ended.
 *
 * With --verify FILE it reads everything instead and compares every byte of the body with FILE.
 * With --counter 1 every body begins with a counter of 16 hexadecimal digits, which must grow on each
 * connection; --verify-counter SIZE also wants the rest to be the letter that goes with it.
 *
 * Prints one line of JSON. Exit status: 0 fine, 1 wrong answers, 2 could not run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
  kHeadRead = 2048,  /* a whole 1 KiB answer in one recv; of a larger body at most this is copied */
  kHeadMax = 8192,   /* a longer head is an error */
  kMaxErrors = 100,  /* then the run is pointless */
  kStallMs = 10000,  /* no event for so long: the server hangs */
  kSubBuckets = 64,  /* histogram steps per power of two: below 1.6 % error */
  kBuckets = 64 * kSubBuckets,
  kVerifyRequests = 3, /* on one connection, so keep-alive is tried too */
  kCounterDigits = 16,
};

typedef struct {
  int fd;
  size_t headFill;   /* bytes in head[] while the head is incomplete */
  uint64_t bodyLeft; /* bytes of the body still to drop */
  unsigned digits;   /* of the counter that were read */
  uint64_t counter, lastCounter;
  bool inBody;
  bool waiting; /* a request is out */
  uint64_t sentNs;
  char head[kHeadMax];
} Connection;

typedef struct {
  int status;
  uint64_t length;
  size_t headSize;
} Head;

static struct {
  int port;
  const char* path;
  int connections;
  double seconds;
  uint64_t maxRequests;
  const char* verify;
  bool counter;
  size_t verifyCounter;
  bool closes;
  double rate;
  int slow;
} opt = {.path = "/", .connections = 64, .seconds = 1.0};

static struct {
  uint64_t sent, responses, bytes, non200, errors;
  uint64_t histogram[kBuckets];
} count;

static char request[2048];
static size_t requestSize;
static uint64_t startNs, dueNs, intervalNs; /* open loop */
static uint64_t deadlineNs;

static void fail(const char* format, ...) {
  va_list args;
  va_start(args, format);
  fputs("load: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(2);
}

static uint64_t nowNs(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double ownCpuSeconds(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Log-linear: exact below kSubBuckets, then kSubBuckets steps for each power of two. */
static unsigned bucketOf(uint64_t v) {
  if (v < kSubBuckets) return (unsigned)v;
  unsigned shift = 63u - (unsigned)__builtin_clzll(v) - 6u;
  return (shift + 1) * kSubBuckets + (unsigned)((v >> shift) - kSubBuckets);
}

static double bucketMiddle(unsigned b) {
  if (b < kSubBuckets) return b;
  unsigned shift = b / kSubBuckets - 1;
  uint64_t low = ((uint64_t)(b % kSubBuckets) + kSubBuckets) << shift;
  return (double)low + (double)(1ull << shift) / 2;
}

static double percentileUs(double share) {
  uint64_t total = 0, seen = 0;
  for (unsigned b = 0; b < kBuckets; b++) total += count.histogram[b];
  if (total == 0) return 0;
  uint64_t want = (uint64_t)(share * (double)(total - 1)) + 1;
  for (unsigned b = 0; b < kBuckets; b++) {
    seen += count.histogram[b];
    if (seen >= want) return bucketMiddle(b) / 1000;
  }
  return 0;
}

static int connectWith(int port, int receiveBuffer) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receiveBuffer)
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, sizeof receiveBuffer);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, (struct sockaddr*)&to, sizeof to) != 0)
    fail("cannot connect to 127.0.0.1:%d: %s", port, strerror(errno));
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

static int connectTo(int port) { return connectWith(port, 0); }

static const char* headerValue(const char* head, size_t size, const char* name) {
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

/* 1: parsed; 0: more bytes needed; -1: not an answer this client understands. data[size] is 0. */
static int parseHead(const char* data, size_t size, Head* out) {
  const char* blank = memmem(data, size, "\r\n\r\n", 4);
  if (!blank) return 0;
  out->headSize = (size_t)(blank - data) + 4;
  if (size < 12 || memcmp(data, "HTTP/1.1 ", 9) != 0) return -1;
  out->status = atoi(data + 9);
  if (headerValue(data, out->headSize, "transfer-encoding")) return -1;
  const char* length = headerValue(data, out->headSize, "content-length");
  if (!length || *length < '0' || *length > '9') return -1;
  out->length = strtoull(length, NULL, 10);
  return 1;
}

static void ask(Connection* c, uint64_t now) {
  c->headFill = 0;
  c->inBody = false;
  c->waiting = false;
  if (now >= deadlineNs || (opt.maxRequests && count.sent >= opt.maxRequests)) return;
  if (intervalNs) {
    if (dueNs > now) return; /* askDue() will */
    c->sentNs = dueNs;
    dueNs += intervalNs;
  } else {
    c->sentNs = now;
  }
  if (send(c->fd, request, requestSize, MSG_NOSIGNAL) != (ssize_t)requestSize) {
    count.errors++;
    return;
  }
  c->waiting = true;
  count.sent++;
}

/* Takes what is there of the counter; false: no digit, or no greater number than before. */
static bool readCounter(Connection* c, const char* bytes, size_t size) {
  for (size_t i = 0; i < size && c->digits < kCounterDigits; i++, c->digits++) {
    const char* digits = "0123456789abcdef";
    const char* digit = bytes[i] == 0 ? NULL : strchr(digits, bytes[i]);
    if (!digit) return false;
    c->counter = c->counter << 4 | (uint64_t)(digit - digits);
  }
  if (c->digits < kCounterDigits) return true;
  const bool hasGrown = c->counter > c->lastCounter;
  c->lastCounter = c->counter;
  return hasGrown;
}

static void watchNew(Connection* c, int epoll) {
  c->fd = connectTo(opt.port);
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
}

static void answered(Connection* c, int epoll) {
  uint64_t now = nowNs();
  count.responses++;
  count.histogram[bucketOf(now - c->sentNs)]++;
  if (opt.closes) {
    close(c->fd);
    c->fd = -1;
    c->waiting = false;
    if (now >= deadlineNs || (opt.maxRequests && count.sent >= opt.maxRequests)) return;
    watchNew(c, epoll);
  }
  ask(c, now);
}

/* Open loop: what is due goes to connections that are free; what finds none stays due. */
static void askDue(Connection* all, uint64_t now) {
  for (int i = 0; dueNs <= now && i < opt.connections; i++)
    if (!all[i].waiting && all[i].fd >= 0) ask(&all[i], now);
}

/* The answer is lost: a new connection takes the old one's place. */
static void broken(Connection* c, int epoll) {
  if (++count.errors >= kMaxErrors)
    fail("%d errors: cut connections or answers not understood", kMaxErrors);
  close(c->fd);
  c->lastCounter = 0;
  watchNew(c, epoll);
  ask(c, nowNs());
}

/* Reads up to the end of the head, or further; false: the connection is of no more use. */
static bool readHead(Connection* c) {
  size_t room = c->headFill < kHeadRead ? kHeadRead - c->headFill : kHeadMax - 1 - c->headFill;
  ssize_t got = recv(c->fd, c->head + c->headFill, room, 0);
  if (got < 0 && errno == EAGAIN) return true;
  if (got <= 0 || !c->waiting) return false;
  c->headFill += (size_t)got;
  c->head[c->headFill] = 0;
  count.bytes += (uint64_t)got;
  Head head;
  int parsed = parseHead(c->head, c->headFill, &head);
  if (parsed < 0) return false;
  if (parsed == 0) return c->headFill < kHeadMax - 1;
  if (head.status != 200) count.non200++;
  size_t bodyHere = c->headFill - head.headSize;
  if (bodyHere > head.length) return false;
  c->bodyLeft = head.length - bodyHere;
  c->inBody = true;
  c->digits = opt.counter ? 0 : kCounterDigits;
  c->counter = 0;
  return !opt.counter || readCounter(c, c->head + head.headSize, bodyHere);
}

/* A counter that the first bytes did not have is read, not dropped; false as readHead(). */
static bool readRestOfCounter(Connection* c) {
  char bytes[kCounterDigits];
  ssize_t got = recv(c->fd, bytes, kCounterDigits - c->digits, 0);
  if (got < 0 && errno == EAGAIN) return true;
  if (got <= 0 || (uint64_t)got > c->bodyLeft) return false;
  count.bytes += (uint64_t)got;
  c->bodyLeft -= (uint64_t)got;
  return readCounter(c, bytes, (size_t)got);
}

static void onReadable(Connection* c, int epoll) {
  if (!c->inBody && !readHead(c)) return broken(c, epoll);
  if (!c->inBody) return;
  if (c->digits < kCounterDigits) {
    if (!readRestOfCounter(c)) return broken(c, epoll);
    if (c->digits < kCounterDigits) return;
  }
  if (c->bodyLeft > 0) {
    ssize_t dropped = recv(c->fd, NULL, c->bodyLeft, MSG_TRUNC);
    if (dropped < 0 && errno == EAGAIN) return;
    if (dropped <= 0) return broken(c, epoll);
    count.bytes += (uint64_t)dropped;
    c->bodyLeft -= (uint64_t)dropped;
  }
  if (c->bodyLeft == 0) answered(c, epoll);
}

/* Clients that have asked and do not read, until the process is ended. */
static void runSlow(void) {
  for (int i = 0; i < opt.slow; i++) {
    int fd = connectWith(opt.port, 2048);
    if (send(fd, request, requestSize, MSG_NOSIGNAL) != (ssize_t)requestSize)
      fail("a slow reader cannot ask");
  }
  printf("holding %d\n", opt.slow);
  fflush(stdout);
  for (;;) pause();
}

static int runLoad(void) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  Connection* all = calloc((size_t)opt.connections, sizeof *all);
  if (epoll < 0 || !all) fail("no memory for %d connections", opt.connections);
  for (int i = 0; i < opt.connections; i++) {
    watchNew(&all[i], epoll);
  }
  double cpuStart = ownCpuSeconds();
  uint64_t start = startNs = dueNs = nowNs();
  intervalNs = opt.rate > 0 ? (uint64_t)(1e9 / opt.rate) : 0;
  deadlineNs = opt.maxRequests ? UINT64_MAX : start + (uint64_t)(opt.seconds * 1e9);
  for (int i = 0; i < opt.connections; i++) ask(&all[i], start);
  struct epoll_event events[64];
  for (;;) {
    int waiting = 0;
    /* Only near the end can nobody be waiting; the scan is cheap beside one system call. */
    if (opt.maxRequests ? count.sent >= opt.maxRequests : nowNs() >= deadlineNs) {
      for (int i = 0; i < opt.connections; i++) waiting += all[i].waiting;
      if (waiting == 0) break;
    }
    /* Why not asleep in an open loop: a millisecond is longer than an answer takes. */
    int n = epoll_wait(epoll, events, 64, intervalNs ? 0 : kStallMs);
    if (n == 0 && !intervalNs) fail("no answer for %d ms", kStallMs);
    for (int i = 0; i < n; i++) onReadable(events[i].data.ptr, epoll);
    if (intervalNs) askDue(all, nowNs());
    if (intervalNs && nowNs() > deadlineNs + kStallMs * 1000000ull) fail("answers are missing");
  }
  double seconds = (double)(nowNs() - start) / 1e9;
  printf("{\"responses\":%llu,\"bytes\":%llu,\"errors\":%llu,\"non200\":%llu,\"seconds\":%.6f,"
         "\"loadCpuSeconds\":%.6f,\"p50Us\":%.2f,\"p99Us\":%.2f}\n",
         (unsigned long long)count.responses, (unsigned long long)count.bytes,
         (unsigned long long)count.errors, (unsigned long long)count.non200, seconds,
         ownCpuSeconds() - cpuStart, percentileUs(0.5), percentileUs(0.99));
  return count.errors || count.non200 ? 1 : 0;
}

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
  if (send(fd, request, requestSize, MSG_NOSIGNAL) != (ssize_t)requestSize)
    return wrong("cannot send");
  while (parsed == 0) {
    ssize_t got = recv(fd, data + fill, kHeadMax - fill, 0);
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
    ssize_t got = recv(fd, data + fill, kCounterDigits, 0);
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
    ssize_t got = recv(fd, data, 65536, 0);
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

static int runVerify(void) {
  size_t size = opt.verifyCounter;
  uint64_t lastCounter = 0;
  char* want = opt.verify ? readWanted(&size) : malloc(size + 1);
  int fd = connectTo(opt.port);
  struct timeval patience = {.tv_sec = kStallMs / 1000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  for (int i = 0; i < kVerifyRequests; i++)
    if (verifyOnce(fd, want, size, &lastCounter) != 0) return 1;
  printf("{\"verified\":%d,\"bytes\":%zu}\n", kVerifyRequests, size);
  return 0;
}

int main(int argc, char** argv) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const char* name = argv[i];
    const char* value = argv[i + 1];
    if (!strcmp(name, "--port")) opt.port = atoi(value);
    else if (!strcmp(name, "--path")) opt.path = value;
    else if (!strcmp(name, "--connections")) opt.connections = atoi(value);
    else if (!strcmp(name, "--seconds")) opt.seconds = atof(value);
    else if (!strcmp(name, "--requests")) opt.maxRequests = strtoull(value, NULL, 10);
    else if (!strcmp(name, "--verify")) opt.verify = value;
    else if (!strcmp(name, "--counter")) opt.counter = atoi(value) != 0;
    else if (!strcmp(name, "--verify-counter")) opt.verifyCounter = strtoull(value, NULL, 10);
    else if (!strcmp(name, "--close")) opt.closes = atoi(value) != 0;
    else if (!strcmp(name, "--rate")) opt.rate = atof(value);
    else if (!strcmp(name, "--slow")) opt.slow = atoi(value);
    else fail("unknown option %s", name);
  }
  if (argc % 2 == 0 || opt.port <= 0 || opt.port > 65535 || opt.connections < 1)
    fail("usage: load --port N --path /F [--connections N] [--seconds S | --requests N]"
         " [--verify FILE | --verify-counter SIZE] [--counter 1] [--close 1] [--rate N] [--slow N]");
  int n = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", opt.path,
                   opt.closes ? "Connection: close\r\n" : "");
  if (n < 0 || (size_t)n >= sizeof request) fail("--path is too long");
  requestSize = (size_t)n;
  if (opt.verifyCounter > 0 && opt.verifyCounter < kCounterDigits) fail("--verify-counter is too small");
  if (opt.slow > 0) runSlow(); /* never returns */
  return opt.verify || opt.verifyCounter > 0 ? runVerify() : runLoad();
}
