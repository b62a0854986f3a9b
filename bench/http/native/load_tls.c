/*
 * Connections by TLS, as OpenSSL speaks it: version 1.3 with one cipher and one group, so that all
 * servers do the same work. Every handshake is a full one: no session is resumed. Who the server is
 * nobody asks.
 */
#include "load.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { kSessionsMax = 1 << 16, kRequestMax = 16384, kDiscard = 65536 };

/* By descriptor; made at the first use. */
static SSL* sessions[kSessionsMax];

static SSL_CTX* makeContext(void) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
      !SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") ||
      !SSL_CTX_set1_groups_list(context, "X25519"))
    fail("OpenSSL has not what is needed");
  signal(SIGPIPE, SIG_IGN);
  /* A request that waited for its handshake may lie elsewhere; idle connections keep no buffers. */
  SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  return context;
}

static SSL* sessionOf(int fd) {
  static SSL_CTX* context;
  if (!context) context = makeContext();
  if (fd >= kSessionsMax) fail("%d connections are too many", fd);
  if (sessions[fd]) return sessions[fd];
  SSL* session = SSL_new(context);
  if (!session || !SSL_set_fd(session, fd)) fail("no memory for a TLS session");
  SSL_set_connect_state(session);
  return sessions[fd] = session;
}

/* What recv() would have returned in the place of 0, and its errno. */
static ssize_t outcomeOf(SSL* session) {
  switch (SSL_get_error(session, 0)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: errno = EAGAIN; return -1;
    case SSL_ERROR_ZERO_RETURN: return 0;
    default: errno = EPROTO; return -1;
  }
}

bool sendRequest(int fd, const Request* request) {
  char bytes[kRequestMax];
  size_t size = 0, sent = 0;
  for (int i = 0; i < request->count; i++) {
    const struct iovec* part = &request->parts[i];
    if (part->iov_len > sizeof bytes - size) fail("a request is too long");
    memcpy(bytes + size, part->iov_base, part->iov_len);
    size += part->iov_len;
  }
  ERR_clear_error();
  return SSL_write_ex(sessionOf(fd), bytes, size, &sent) == 1 && sent == size;
}

bool isShakingHands(int fd) {
  SSL* session = sessionOf(fd);
  return !SSL_is_init_finished(session) && outcomeOf(session) < 0 && errno == EAGAIN;
}

ssize_t receive(int fd, void* bytes, size_t size) {
  size_t got = 0;
  ERR_clear_error();
  SSL* session = sessionOf(fd);
  return SSL_read_ex(session, bytes, size, &got) == 1 ? (ssize_t)got : outcomeOf(session);
}

ssize_t discard(int fd, uint64_t size) {
  static char bytes[kDiscard];
  return receive(fd, bytes, size < sizeof bytes ? (size_t)size : sizeof bytes);
}

bool hasMore(int fd) { return fd >= 0 && sessions[fd] && SSL_pending(sessions[fd]) > 0; }

void disconnect(int fd) {
  SSL_free(sessions[fd]);
  sessions[fd] = NULL;
  close(fd);
}
