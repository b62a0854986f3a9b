// test/native/http_world.h — Connections on a real loopback socket, with a clock that tests move.
//
//   Client --TCP--> HttpWorld { Domain, Pool, Connections, handler = a function }
//
// Everything runs on one thread: until(condition) lets the engine and the clients take turns, and
// gives up (which fails the test) when nothing has happened for ten seconds of real time.
#pragma once

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "http/connections.h"
#include "test.h"

namespace iol::test {

class MovedClock final : public sys::Clock {
 public:
  int64_t monotonicMs() const override { return nowMs; }
  int64_t wallSeconds() const override { return seconds; }
  int64_t nowMs = 1'000'000;
  int64_t seconds = 784'111'777;  // Sun, 06 Nov 1994 08:49:37 GMT
};

inline const std::string kDate = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

// A non-blocking socket of a client; what it received is in `input`.
class Client {
 public:
  explicit Client(uint16_t port, int receiveBufferBytes = 0) {
    fd_ = sys::Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (receiveBufferBytes > 0) {
      setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receiveBufferBytes, sizeof receiveBufferBytes);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd_.reset();
  }

  bool isOpen() const { return fd_.isOpen(); }
  // Sends all that the kernel takes; returns how much.
  size_t send(const std::string& bytes) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent > 0 ? static_cast<size_t>(sent) : 0;
  }
  // Reads up to `most` bytes of what is there.
  void read(size_t most = SIZE_MAX) {
    static char bytes[256 << 10];
    const ssize_t got = recv(fd_.get(), bytes, std::min(most, sizeof bytes), MSG_DONTWAIT);
    if (got > 0) input.append(bytes, static_cast<size_t>(got));
    if (got == 0) isEnded = true;
    if (got < 0 && errno == ECONNRESET) isReset = true;
  }
  void endSending() { shutdown(fd_.get(), SHUT_WR); }
  void leave() { fd_.reset(); }
  void leaveWithReset() { sys::closeAbortively(std::move(fd_)); }
  bool isOver() const { return isEnded || isReset; }
  uint32_t packetsReceived() const {
    tcp_info info{};
    socklen_t size = sizeof info;
    getsockopt(fd_.get(), IPPROTO_TCP, TCP_INFO, &info, &size);
    return info.tcpi_segs_in;
  }

  std::string input;
  bool isEnded = false;
  bool isReset = false;

 private:
  sys::Fd fd_;
};

struct WorldOptions {
  http::Connections::Options http;
  uint64_t poolBytes = 0;
  uint32_t sendBufferBytes = 0;
  bool isUnsentUnlimited = false;
  bool isPoolSealed = false;
};

class HttpWorld final : public http::RequestHandler {
 public:
  explicit HttpWorld(WorldOptions options = {})
      : window_({1ull << 30}), domain_(Domain::create(window_).take()) {
    Pool::Options poolOptions;
    poolOptions.maxBytes = options.poolBytes;
    poolOptions.sealed = options.isPoolSealed;
    pool_ = Pool::create(*domain_, poolOptions).take();
    sys::ListenOptions listen;
    listen.sendBufferBytes = options.sendBufferBytes;
    if (options.isUnsentUnlimited) listen.unsentBytesMax = 0;
    sys::Fd listener = sys::listenTcp(listen).take();
    port = sys::localEndpoint(listener).value().port;
    options.http.clock = &clock;
    connections =
        http::Connections::create(*pool_, *this, std::move(listener), options.http).take();
  }
  ~HttpWorld() {
    connections.reset();
    kept.clear();
    // Every hold that the engine ever took has come back.
    CHECK_EQ(domain_->liveHolds(), 0u);
    CHECK_EQ(pool_->stats().buffers, 0u);
  }

  void onRequest(const http::RequestView& request) override {
    ids.push_back(request.id);
    targets.push_back(textOf(request, request.head.target));
    if (decide) decide(request);
  }
  void onWritable(http::RequestId id) override { writable.push_back(id); }
  void onBody(http::RequestId id) override {
    if (whenBody) whenBody(id);
  }
  void onClosed(http::RequestId id) override {
    closed.push_back(id);
    if (whenClosed) whenClosed(id);
  }
  void onDrained() override { ++drained; }
  void onSecure(http::ConnectionId id, sys::Fd network, sys::Fd plain) override {
    secure.push_back({id, std::move(network), std::move(plain)});
  }
  void onSecureEnd(http::ConnectionId id, bool isCut) override {
    secureEnds.push_back({id, isCut});
  }

  static std::string textOf(const http::RequestView& request, http::HeadRange range) {
    std::string text;
    http::ByteWalk bytes = request.text.walk(range);
    for (int byte = bytes.next(); byte >= 0; byte = bytes.next()) text += static_cast<char>(byte);
    return text;
  }

  Aggregate make(const std::string& text, size_t pieceBytes = 1 << 20) {
    Aggregate aggregate(*domain_);
    for (size_t at = 0; at < text.size(); at += pieceBytes) {
      const size_t bytes = std::min(pieceBytes, text.size() - at);
      Draft draft = pool_->allocate(bytes).take();
      std::memcpy(draft.bytes(), text.data() + at, bytes);
      (void)aggregate.adopt(draft.seal(static_cast<uint32_t>(bytes))).isOk();
    }
    return aggregate;
  }
  static std::string headText(size_t bodyBytes) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(bodyBytes) + "\r\n";
  }
  static std::string answerText(const std::string& body, const char* connection = "keep-alive") {
    return headText(body.size()) + kDate + "Connection: " + connection + "\r\n\r\n" + body;
  }
  // Answers with a body of the test's; the aggregates are gone when this returns.
  Status respond(http::RequestId id, const std::string& body,
                 http::Persistence persistence = http::Persistence::KeepAlive) {
    const Aggregate head = make(headText(body.size()));
    const Aggregate bytes = make(body);
    return connections->respond(id, head, &bytes, persistence);
  }
  void answerEverything(const std::string& body) {
    decide = [this, body](const http::RequestView& request) {
      (void)respond(request.id, body).isOk();
    };
  }

  // Lets the engine work, and `clients` read, until the condition holds.
  template <typename Condition>
  bool until(Condition condition, std::vector<Client*> clients = {}) {
    const auto giveUp = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > giveUp) return false;
      pollfd ready{connections->pollFd().get(), POLLIN, 0};
      (void)poll(&ready, 1, 1);
      connections->turn();
      for (Client* client : clients) client->read();
    }
    return true;
  }
  // Until everything that was sent has been handled: nothing is ready any more.
  void settle() {
    for (pollfd ready{connections->pollFd().get(), POLLIN, 0}; poll(&ready, 1, 20) > 0;) {
      connections->turn();
    }
    connections->turn();
  }
  void pass(int64_t ms) {
    clock.nowMs += ms;
    connections->turn();
  }

  Domain& domain() { return *domain_; }
  Pool& pool() { return *pool_; }
  const http::Connections::Stats& stats() const { return connections->stats(); }

  MovedClock clock;
  std::function<void(const http::RequestView&)> decide;
  std::function<void(http::RequestId)> whenBody;
  std::function<void(http::RequestId)> whenClosed;
  std::vector<http::RequestId> ids;
  std::vector<http::RequestId> writable;
  std::vector<http::RequestId> closed;
  std::vector<std::string> targets;
  std::vector<Aggregate> kept;
  struct Secure {
    http::ConnectionId id;
    sys::Fd network;
    sys::Fd plain;
  };
  std::vector<Secure> secure;
  std::vector<std::pair<http::ConnectionId, bool>> secureEnds;  // And whether it was cut.
  uint32_t drained = 0;
  uint16_t port = 0;

 private:
  Window window_;
  std::unique_ptr<Domain> domain_;
  std::unique_ptr<Pool> pool_;

 public:
  std::unique_ptr<http::Connections> connections;
};

// Bytes that tell where they are.
inline std::string patternText(size_t bytes, uint32_t seed = 1) {
  std::string text(bytes, '\0');
  uint32_t state = seed;
  for (char& byte : text) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  return text;
}

inline std::string get(const std::string& target, const std::string& more = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: a\r\n" + more + "\r\n";
}

}  // namespace iol::test
