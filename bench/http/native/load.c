/*
 * The load client of the HTTP bench: N keep-alive connections on one thread, bodies dropped by the
 * kernel. Linked with load_tls.c in the place of load_plain.c it speaks TLS, and decrypts them first.
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
 * --begin 1       first asks once on each connection, which is not counted, and says `begun`: handshakes
 *                 are over then.
 * --rate N        open loop: N requests a second, whether answers come or not; a request that finds no
 *                 free connection waits, and its latency counts from when it was due.
 * --mix FILE      asks for a sequence of files with the heads of browsers (load_mix.c) in the place of
 *                 --path; --tags FILE has the server's entity tags, which --learn ROOT writes there.
 * --slow N, --idle N, --trickle N  only hold connections (load_hold.c).
 *
 * With --verify FILE it reads everything instead and compares every byte of the body with FILE
 * (load_verify.c).
 * With --counter 1 every body begins with a counter of 16 hexadecimal digits, which must grow on each
 * connection; --verify-counter SIZE also wants the rest to be the letter that goes with it.
 *
 * Prints one line of JSON. Exit status: 0 fine, 1 wrong answers, 2 could not run.
 */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>

enum {
  kHeadRead = 2048,  /* a whole 1 KiB answer in one recv; of a larger body at most this is copied */
  kMaxErrors = 100,  /* then the run is pointless */
  kSubBuckets = 64,  /* histogram steps per power of two: below 1.6 % error */
  kBuckets = 64 * kSubBuckets,
};

typedef struct {
  int fd;
  size_t headFill;   /* bytes in head[] while the head is incomplete */
  uint64_t bodyLeft; /* bytes of the body still to drop */
  unsigned digits;   /* of the counter that were read */
  uint64_t counter, lastCounter;
  bool inBody;
  bool waiting; /* a request is out, or waits for its handshake */
  bool isUnsent;
  Request request; /* that one */
  uint64_t sentNs;
  char head[kHeadMax];
} Connection;

Options opt = {.host = "127.0.0.1", .path = "/", .connections = 64, .seconds = 1.0};

static struct {
  uint64_t sent, responses, bytes, notModified, wrongStatus, errors;
  uint64_t histogram[kBuckets];
} count;

static uint64_t startNs, dueNs, intervalNs; /* open loop */
static uint64_t deadlineNs;

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

static void ask(Connection* c, uint64_t now) {
  c->headFill = 0;
  c->inBody = false;
  c->waiting = c->isUnsent = false;
  if (now >= deadlineNs || (opt.maxRequests && count.sent >= opt.maxRequests)) return;
  if (intervalNs) {
    if (dueNs > now) return; /* askDue() will */
    c->sentNs = dueNs;
    dueNs += intervalNs;
  } else {
    c->sentNs = now;
  }
  nextRequest(&c->request);
  if (!sendRequest(c->fd, &c->request)) {
    c->isUnsent = isShakingHands(c->fd);
    if (!c->isUnsent) {
      count.errors++;
      return;
    }
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
  c->fd = connectWith(0);
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &e);
}

static void answered(Connection* c, int epoll) {
  uint64_t now = nowNs();
  count.responses++;
  count.histogram[bucketOf(now - c->sentNs)]++;
  if (opt.closes) {
    disconnect(c->fd);
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
  disconnect(c->fd);
  c->lastCounter = 0;
  watchNew(c, epoll);
  ask(c, nowNs());
}

/* Reads up to the end of the head, or further; false: the connection is of no more use. */
static bool readHead(Connection* c) {
  size_t room = c->headFill < kHeadRead ? kHeadRead - c->headFill : kHeadMax - 1 - c->headFill;
  ssize_t got = receive(c->fd, c->head + c->headFill, room);
  if (got < 0 && errno == EAGAIN) return true;
  if (got <= 0 || !c->waiting) return false;
  c->headFill += (size_t)got;
  c->head[c->headFill] = 0;
  count.bytes += (uint64_t)got;
  Head head;
  int parsed = parseHead(c->head, c->headFill, &head);
  if (parsed < 0) return false;
  if (parsed == 0) return c->headFill < kHeadMax - 1;
  if (head.status != c->request.status) count.wrongStatus++;
  if (head.status == 304) count.notModified++;
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
  ssize_t got = receive(c->fd, bytes, kCounterDigits - c->digits);
  if (got < 0 && errno == EAGAIN) return true;
  if (got <= 0 || (uint64_t)got > c->bodyLeft) return false;
  count.bytes += (uint64_t)got;
  c->bodyLeft -= (uint64_t)got;
  return readCounter(c, bytes, (size_t)got);
}

/* The handshake has gone on; false as readHead(). */
static bool sendLater(Connection* c) {
  c->isUnsent = !sendRequest(c->fd, &c->request);
  return !c->isUnsent || isShakingHands(c->fd);
}

static void readSome(Connection* c, int epoll) {
  if (c->isUnsent) {
    if (!sendLater(c)) return broken(c, epoll);
    if (c->isUnsent) return;
  }
  if (!c->inBody && !readHead(c)) return broken(c, epoll);
  if (!c->inBody) return;
  if (c->digits < kCounterDigits) {
    if (!readRestOfCounter(c)) return broken(c, epoll);
    if (c->digits < kCounterDigits) return;
  }
  if (c->bodyLeft > 0) {
    ssize_t dropped = discard(c->fd, c->bodyLeft);
    if (dropped < 0 && errno == EAGAIN) return;
    if (dropped <= 0) return broken(c, epoll);
    count.bytes += (uint64_t)dropped;
    c->bodyLeft -= (uint64_t)dropped;
  }
  if (c->bodyLeft == 0) answered(c, epoll);
}

static void onReadable(Connection* c, int epoll) {
  do readSome(c, epoll);
  while (hasMore(c->fd));
}

/* All ask, and ask again, until the time is up or all requests are answered. */
static void askAll(Connection* all, int epoll) {
  const uint64_t start = nowNs();
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
}

/* One request on each connection, which is not counted. */
static void begin(Connection* all, int epoll) {
  const uint64_t wanted = opt.maxRequests;
  opt.maxRequests = (uint64_t)opt.connections;
  deadlineNs = UINT64_MAX;
  askAll(all, epoll);
  if (count.errors || count.wrongStatus) fail("the first answers are wrong");
  opt.maxRequests = wanted;
  memset(&count, 0, sizeof count);
  puts("begun");
  fflush(stdout);
}

static int runLoad(void) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  Connection* all = calloc((size_t)opt.connections, sizeof *all);
  if (epoll < 0 || !all) fail("no memory for %d connections", opt.connections);
  for (int i = 0; i < opt.connections; i++) {
    watchNew(&all[i], epoll);
  }
  if (opt.begins) begin(all, epoll);
  double cpuStart = ownCpuSeconds();
  uint64_t start = startNs = dueNs = nowNs();
  intervalNs = opt.rate > 0 ? (uint64_t)(1e9 / opt.rate) : 0;
  deadlineNs = opt.maxRequests ? UINT64_MAX : start + (uint64_t)(opt.seconds * 1e9);
  askAll(all, epoll);
  double seconds = (double)(nowNs() - start) / 1e9;
  printf("{\"responses\":%llu,\"bytes\":%llu,\"errors\":%llu,\"wrongStatus\":%llu,"
         "\"notModified\":%llu,\"seconds\":%.6f,"
         "\"loadCpuSeconds\":%.6f,\"p50Us\":%.2f,\"p99Us\":%.2f}\n",
         (unsigned long long)count.responses, (unsigned long long)count.bytes,
         (unsigned long long)count.errors, (unsigned long long)count.wrongStatus,
         (unsigned long long)count.notModified, seconds,
         ownCpuSeconds() - cpuStart, percentileUs(0.5), percentileUs(0.99));
  return count.errors || count.wrongStatus ? 1 : 0;
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
    else if (!strcmp(name, "--begin")) opt.begins = atoi(value) != 0;
    else if (!strcmp(name, "--rate")) opt.rate = atof(value);
    else if (!strcmp(name, "--slow")) opt.slow = atoi(value);
    else if (!strcmp(name, "--idle")) opt.idle = atoi(value);
    else if (!strcmp(name, "--trickle")) opt.trickle = atoi(value);
    else if (!strcmp(name, "--host")) opt.host = value;
    else if (!strcmp(name, "--mix")) opt.mix = value;
    else if (!strcmp(name, "--tags")) opt.tags = value;
    else if (!strcmp(name, "--learn")) opt.root = value;
    else fail("unknown option %s", name);
  }
  if (argc % 2 == 0 || opt.port <= 0 || opt.port > 65535 || opt.connections < 1 ||
      (opt.mix && !opt.tags))
    fail("usage: load --port N [--host A] --path /F | --mix FILE --tags FILE [--learn ROOT]"
         " [--connections N] [--seconds S | --requests N] [--verify FILE | --verify-counter SIZE]"
         " [--counter 1] [--close 1] [--begin 1] [--rate N] [--slow N | --idle N | --trickle N]");
  if (opt.verifyCounter > 0 && opt.verifyCounter < kCounterDigits)
    fail("--verify-counter is too small");
  openRequests();
  if (opt.root) return runLearn();
  if (opt.slow + opt.idle + opt.trickle > 0) runHold();
  return opt.verify || opt.verifyCounter > 0 ? runVerify() : runLoad();
}
