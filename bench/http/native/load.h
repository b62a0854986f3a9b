/* What the parts of the load client share. See load.c. */
#pragma once

#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
  kHeadMax = 8192,  /* a longer head is an error */
  kStallMs = 10000, /* no event for so long: the server hangs */
  kCounterDigits = 16,
  kParts = 6, /* of a request */
};

typedef struct {
  int status;
  uint64_t length; /* of the body */
  size_t headSize;
} Head;

/* A request in pieces, and the status that its answer must have. */
typedef struct {
  struct iovec parts[kParts];
  int count;
  int status;
} Request;

typedef struct {
  const char* host;
  int port;
  const char* path;
  const char* mix;
  const char* tags;
  const char* root;
  int connections;
  double seconds;
  uint64_t maxRequests;
  const char* verify;
  bool counter;
  size_t verifyCounter;
  bool closes;
  bool begins;
  double rate;
  int slow, idle, trickle;
} Options;

extern Options opt;

/* load_base.c */
_Noreturn void fail(const char* format, ...);
uint64_t nowNs(void);
/* Blocking; 0: the system's receive buffer. */
int connectWith(int receiveBuffer);
const char* headerValue(const char* head, size_t size, const char* name);
/* 1: parsed; 0: more bytes needed; -1: not an answer this client understands. data[size] is 0. */
int parseHead(const char* data, size_t size, Head* out);

/*
 * load_plain.c, or load_tls.c in its place: the bytes of a connection. Results and errno as of recv(2),
 * EAGAIN included. A TLS handshake is part of the first send.
 */
/* False: not all of it was sent, for the time being if isShakingHands(). */
bool sendRequest(int fd, const Request* request);
bool isShakingHands(int fd);
ssize_t receive(int fd, void* bytes, size_t size);
/* Of bytes that nobody looks at. */
ssize_t discard(int fd, uint64_t size);
/* Bytes are here that epoll knows nothing of. */
bool hasMore(int fd);
void disconnect(int fd);

/* load_mix.c: what is asked for, one request after the other. */
void openRequests(void);
void nextRequest(Request* out);
/* --learn: asks for every file, compares every byte, and writes the entity tags to opt.tags. */
int runLearn(void);

/* load_verify.c */
int runVerify(void);

/* load_hold.c: connections that are held, until the process is ended. */
_Noreturn void runHold(void);
