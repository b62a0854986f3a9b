// Connections: the bound on what waits, what an operator is told, the operator's answers for what
// the engine refuses, bodies in pools of the program's, errors of accept.
#include <sys/syscall.h>

#include <atomic>

#include "http/connections.h"
#include "http_world.h"
#include "sanitizer.h"

#ifndef IOL_TEST_IS_SANITIZED
namespace {
std::atomic<int> acceptErrno{0};
}  // namespace

// The kernel gives nobody ENFILE and ENOMEM on demand, so this takes the place of libc's.
extern "C" int accept4(int fd, sockaddr* address, socklen_t* addressBytes, int flags) {
  if (const int error = acceptErrno; error != 0) {
    errno = error;
    return -1;
  }
  return static_cast<int>(syscall(SYS_accept4, fd, address, addressBytes, flags));
}
#endif

namespace iol::test {
namespace {

using http::Incident;
using http::IncidentKind;

constexpr uint32_t kMiB = 1 << 20;

WorldOptions slowWorld(uint64_t queuedBytesMax) {
  WorldOptions options;
  options.sendBufferBytes = 16 << 10;
  options.http.queuedBytesMax = queuedBytesMax;
  return options;
}

TEST(whoTakesNothingForTheLongestIsCutWhenTooMuchWaits) {
  HttpWorld world(slowWorld(9 * kMiB));
  world.connections->incidents().setOn(true);
  const std::string body = patternText(4 * kMiB);
  world.answerEverything(body);
  std::vector<std::unique_ptr<Client>> clients;
  const auto ask = [&] {
    clients.push_back(std::make_unique<Client>(world.port, 4096));
    clients.back()->send(get("/"));
    const uint64_t wanted = world.stats().requests + 1;
    CHECK(world.until([&] { return world.stats().requests == wanted; }));
    world.pass(100);
  };
  ask();
  ask();
  CHECK(world.stats().bytesQueued > 7 * kMiB && world.stats().bytesQueued <= 8 * kMiB);
  // The first one reads, so that the second is the slowest.
  const uint64_t sent = world.stats().bytesSent;
  CHECK(world.until([&] { return world.stats().bytesSent > sent; }, {clients[0].get()}));
  ask();
  CHECK_EQ(world.stats().queueCuts, 1u);
  CHECK(world.stats().bytesQueued <= 9 * kMiB);
  CHECK(world.until([&] { return clients[1]->isReset; }, {clients[1].get()}));
  const std::vector<Incident> told = world.connections->incidents().take();
  REQUIRE(told.size() == 1);
  CHECK(told[0].kind == IncidentKind::QueueFull);
  CHECK_EQ(std::string(told[0].client.host), "127.0.0.1");
  // The others get all of theirs.
  const std::string wanted = HttpWorld::answerText(body);
  CHECK(world.until(
      [&] { return clients[0]->input.size() + clients[2]->input.size() == 2 * wanted.size(); },
      {clients[0].get(), clients[2].get()}));
  CHECK(clients[0]->input == wanted && clients[2]->input == wanted);
  CHECK_EQ(world.stats().bytesQueued, 0u);
}

void setQueuedBytesMax(HttpWorld& world, uint64_t bytes) {
  http::Connections::Options options = slowWorld(bytes).http;
  options.clock = &world.clock;
  world.connections->setOptions(options);
  world.connections->turn();
}

TEST(thoseThatTakeNothingAreCutInTheOrderInWhichTheyStopped) {
  HttpWorld world(slowWorld(64 * kMiB));
  world.answerEverything(patternText(4 * kMiB));
  std::vector<std::unique_ptr<Client>> clients;
  for (uint64_t i = 0; i < 7; ++i) {
    clients.push_back(std::make_unique<Client>(world.port, 4096));
    clients.back()->send(get("/"));
    REQUIRE(world.until([&] { return world.stats().requests == i + 1; }));
    world.settle();
  }
  // The first and the third take something, in this order; the second leaves.
  for (const size_t i : {size_t{0}, size_t{2}}) {
    const uint64_t sent = world.stats().bytesSent;
    REQUIRE(world.until([&] { return world.stats().bytesSent > sent; }, {clients[i].get()}));
    world.settle();
  }
  clients[1]->leaveWithReset();
  REQUIRE(world.until([&] { return world.stats().connectionsOpen == 6; }));
  const auto cut = [&] {
    std::string which;
    for (size_t i = 0; i < clients.size(); ++i) {
      for (int reads = 0; i != 1 && reads < 8 && !clients[i]->isReset; ++reads) clients[i]->read();
      if (clients[i]->isReset) which += std::to_string(i);
    }
    return which;
  };
  setQueuedBytesMax(world, 12 * kMiB);
  CHECK_EQ(world.stats().queueCuts, 3u);
  CHECK_EQ(cut(), "345");
}

TEST(whatTheHandlerEndsWhileOthersAreCutIsNotCutAgain) {
  HttpWorld world(slowWorld(64 * kMiB));
  const std::string body = patternText(4 * kMiB);
  world.decide = [&](const http::RequestView& request) {
    const Aggregate head = world.make(HttpWorld::headText(body.size()));
    const Aggregate part = world.make(body.substr(1));
    CHECK(world.connections->start(request.id, head, body.size(), http::Persistence::KeepAlive)
              .isOk());
    CHECK(world.connections->write(request.id, part).isOk());
  };
  std::vector<std::unique_ptr<Client>> clients;
  for (uint64_t i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<Client>(world.port, 4096));
    clients.back()->send(get("/"));
    REQUIRE(world.until([&] { return world.stats().requests == i + 1; }));
    world.settle();
  }
  // The next in line, and the one after it.
  world.whenClosed = [&](http::RequestId id) {
    if (id.slot != world.ids[0].slot) return;
    world.connections->abort(world.ids[1]);
    world.connections->abort(world.ids[2]);
  };
  setQueuedBytesMax(world, 6 * kMiB);
  CHECK_EQ(world.stats().queueCuts, 1u);
  CHECK_EQ(world.stats().connectionsOpen, 1u);
  CHECK(world.connections->isOpen(world.ids[3]));
}

TEST(aLimitThatIsLoweredLaterIsKeptAtTheNextTurn) {
  HttpWorld world(slowWorld(64 * kMiB));
  world.answerEverything(patternText(4 * kMiB));
  Client client(world.port, 4096);
  client.send(get("/"));
  REQUIRE(world.until([&] { return world.stats().bytesQueued > 3 * kMiB; }));
  setQueuedBytesMax(world, kMiB);
  CHECK_EQ(world.stats().queueCuts, 1u);
  CHECK_EQ(world.stats().bytesQueued, 0u);
}

TEST(whenTooMuchWaitsAConnectionHasOneRequestAtATime) {
  HttpWorld world(slowWorld(1000));
  Client early(world.port);
  early.send(get("/0") + get("/1"));
  REQUIRE(world.until([&] { return world.ids.size() == 2; }));
  // It waits for the program, so there is nobody to be cut.
  CHECK(world.respond(world.ids[1], patternText(5000)).isOk());
  world.settle();
  CHECK(world.stats().bytesQueued > 5000);
  CHECK_EQ(world.stats().queueCuts, 0u);
  Client late(world.port);
  late.send(get("/2") + get("/3"));
  REQUIRE(world.until([&] { return world.ids.size() == 3; }));
  world.settle();
  CHECK_EQ(world.ids.size(), 3u);
  CHECK(world.respond(world.ids[2], "two").isOk());
  REQUIRE(world.until([&] { return world.ids.size() == 4; }));
  CHECK(world.respond(world.ids[3], "three").isOk());
  CHECK(world.until([&] { return late.input.ends_with("three"); }, {&late}));
  CHECK(world.respond(world.ids[0], "zero").isOk());
  CHECK(world.until([&] { return world.stats().bytesQueued == 0; }, {&early}));
}

TEST(ofEachKindOfTroubleTenASecondAreToldAndTheOthersCounted) {
  HttpWorld world;
  world.connections->incidents().setOn(true);
  const auto bad = [&](const std::string& bytes) {
    Client client(world.port);
    client.send(bytes);
    const uint64_t before = world.stats().malformed;
    CHECK(world.until([&] { return world.stats().malformed > before; }));
  };
  for (int i = 0; i < 25; ++i) bad("GET /\n");
  std::vector<Incident> told = world.connections->incidents().take();
  REQUIRE(told.size() == 10);
  CHECK(told[0].kind == IncidentKind::Malformed);
  CHECK_EQ(told[0].httpStatus, 400);
  CHECK_EQ(std::string(told[0].why), "a line ends with LF alone");
  CHECK_EQ(std::string(told[0].client.host), "127.0.0.1");
  CHECK(told[0].client.port != 0);
  CHECK_EQ(told[9].missed, 0u);
  world.pass(1'100);
  bad("GET / HTTP/3.0\r\n");
  told = world.connections->incidents().take();
  REQUIRE(told.size() == 1);
  CHECK_EQ(told[0].httpStatus, 505);
  CHECK_EQ(told[0].missed, 15u);
  world.connections->incidents().setOn(false);
  bad("GET /\n");
  CHECK(world.connections->incidents().isEmpty());
}

TEST(whoeverIsCutByTimeIsTold) {
  WorldOptions options = slowWorld(64 * kMiB);
  options.http.answerTimeoutMs = 5'000;
  HttpWorld world(options);
  world.connections->incidents().setOn(true);
  Client head(world.port);
  head.send("GET / HT");
  Client body(world.port);
  body.send("POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
  Client dropped(world.port);
  dropped.send("POST /dropped HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
  Client reader(world.port, 4096);
  reader.send(get("/reader"));
  Client asker(world.port);
  asker.send(get("/asker"));
  Client idle(world.port);
  world.decide = [&](const http::RequestView& request) {
    const std::string target = HttpWorld::textOf(request, request.head.target);
    if (target == "/body") {
      CHECK(world.connections->readBody(request.id, 100).status().code() == Code::WouldBlock);
    }
    if (target == "/dropped") CHECK(world.respond(request.id, "no").isOk());
    if (target == "/reader") CHECK(world.respond(request.id, patternText(4 * kMiB)).isOk());
  };
  REQUIRE(world.until([&] { return world.ids.size() == 4 && world.stats().receives >= 5; }));
  std::vector<std::string> told;
  for (int i = 0; i < 40; ++i) {
    world.pass(2'000);
    for (const Incident& each : world.connections->incidents().take()) {
      told.push_back(std::to_string(static_cast<int>(each.kind)) + " " +
                     std::to_string(each.httpStatus));
      CHECK_EQ(std::string(each.client.host), "127.0.0.1");
    }
  }
  std::sort(told.begin(), told.end());
  // Two of heads, of which one has an answer; nobody has answered the one with the body either. The
  // silent one is not told of.
  CHECK((told == std::vector<std::string>{"0 0", "0 408", "1 0", "2 0", "3 504", "3 504"}));
  CHECK_EQ(world.stats().idleTimeouts, 1u);
}

TEST(aBodyThatTricklesIsCutOneThatComesSlowlyIsNot) {
  for (const bool isTooSlow : {true, false}) {
    HttpWorld world;
    Client client(world.port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    const auto read = [&](http::RequestId id) {
      while (world.connections->readBody(id, 10'000).isOk()) {
      }
    };
    world.decide = [&](const http::RequestView& request) { read(request.id); };
    world.whenBody = [&](http::RequestId id) { read(id); };
    REQUIRE(world.until([&] { return world.ids.size() == 1; }));
    int64_t passedMs = 0;
    for (; passedMs < 200'000 && world.stats().bodyTimeouts == 0; passedMs += 2'000) {
      client.send(std::string(isTooSlow ? 100 : 1200, 'x'));
      world.settle();
      world.pass(2'000);
    }
    // After the minute of its timeout, and what 50 bytes a second have earned of a tenth of that.
    CHECK_EQ(world.stats().bodyTimeouts, isTooSlow ? 1u : 0u);
    CHECK(isTooSlow ? passedMs >= 60'000 && passedMs <= 72'000 : passedMs >= 200'000);
  }
}

TEST(aProgramThatReadsABodySlowlyIsNotTheClientsFault) {
  HttpWorld world;
  Client client(world.port);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
  REQUIRE(world.until([&] { return world.ids.size() == 1; }));
  for (int i = 0; i < 100; ++i) {
    client.send("x");
    world.pass(10'000);
    CHECK(world.until([&] { return world.connections->readBody(world.ids[0], 10).isOk(); }));
  }
  CHECK_EQ(world.stats().bodyTimeouts, 0u);
  CHECK_EQ(world.stats().connectionsOpen, 1u);
}

TEST(aRefusedHeadRequestGetsNoBody) {
  const std::pair<std::string, const char*> cases[] = {
      {"HEAD /" + std::string(9000, 'a') + " HTTP/1.1\r\n", "HTTP/1.1 414 "},
      {"HEAD / HTTP/3.0\r\n", "HTTP/1.1 505 "},
      {"HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
      {"HEAD / HTTP/1.1\r\nHost: a\r\nA: " + std::string(20'000, 'b'), "HTTP/1.1 431 "},
      {"HEAD / HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", "HTTP/1.1 417 "},
      {"HEAD / HTTP/1.1\r\nHo", "HTTP/1.1 408 "},
  };
  for (const auto& [bytes, status] : cases) {
    HttpWorld world;
    Client client(world.port);
    client.send(bytes);
    REQUIRE(world.until([&] { return world.stats().receives > 0; }));
    world.settle();
    world.pass(11'000);  // For the half one.
    CHECK(world.until([&] { return client.isEnded; }, {&client}));
    CHECK(client.input.starts_with(status));
    CHECK(client.input.find("Content-Length: ") != std::string::npos);
    CHECK(client.input.ends_with("\r\n\r\n"));
  }
  HttpWorld world;
  Client client(world.port);
  client.send("HEADS / HTTP/3.0\r\n");
  CHECK(world.until([&] { return client.isEnded; }, {&client}));
  CHECK(client.input.ends_with("505 HTTP Version Not Supported\n"));
}

TEST(whatTheEngineAnswersByItselfCanBeTheOperators) {
  HttpWorld world;
  {
    const Aggregate head = world.make("HTTP/1.1 400 No\r\nContent-Length: 4\r\nX: y\r\n");
    const Aggregate body = world.make("page");
    CHECK(world.connections->setErrorAnswer(400, &head, &body).value());
    CHECK(!world.connections->setErrorAnswer(404, &head, &body).value());
  }
  const auto ask = [&](const std::string& bytes) {
    Client client(world.port);
    client.send(bytes);
    CHECK(world.until([&] { return client.isEnded; }, {&client}));
    return client.input;
  };
  const std::string wanted =
      "HTTP/1.1 400 No\r\nContent-Length: 4\r\nX: y\r\n" + kDate + "Connection: close\r\n\r\npage";
  CHECK_EQ(ask("GET /\n"), wanted);
  CHECK_EQ(ask("GET /\n"), wanted);
  CHECK(ask("GET / HTTP/3.0\r\n").ends_with("505 HTTP Version Not Supported\n"));
  CHECK(world.connections->setErrorAnswer(400, nullptr, nullptr).value());
  CHECK(ask("GET /\n").ends_with("400 Bad Request\n"));
}

TEST(bodiesAreReceivedInThePoolThatTheyAreReadInto) {
  HttpWorld world;
  std::unique_ptr<Pool> route = Pool::create(world.domain(), {}).take();
  Client client(world.port);
  client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
  REQUIRE(world.until([&] { return world.ids.size() == 1; }));
  const std::string body = patternText(200'000);
  const uint64_t buffers = world.pool().stats().buffers;
  const uint64_t copied = copyCount(CopyReason::Head).bytes;
  Aggregate all(world.domain());
  size_t sent = 0;
  CHECK(world.until([&] {
    if (sent < body.size()) sent += client.send(body.substr(sent));
    Result<Aggregate> part = world.connections->readBody(world.ids[0], 1 << 20, *route);
    if (part.isOk()) CHECK(all.append(part.value()).isOk());
    return all.byteLength() == body.size();
  }));
  std::string text;
  for (uint32_t i = 0; i < all.sliceCount(); ++i) {
    const Slice slice = all.sliceAt(i);
    text.append(reinterpret_cast<const char*>(slice.data()), slice.length);
  }
  CHECK(text == body);
  CHECK_EQ(world.pool().stats().buffers, buffers);
  CHECK(route->stats().buffers > 0);
  CHECK_EQ(copyCount(CopyReason::Head).bytes, copied);
  all.clear();
  CHECK_EQ(route->stats().buffers, 0u);
  CHECK(world.respond(world.ids[0], "done").isOk());
  CHECK(world.until([&] { return client.input.ends_with("done"); }, {&client}));
}

TEST(errorsOfAcceptPauseItAndItGoesOnByItself) {
#ifdef IOL_TEST_IS_SANITIZED
  SKIP("the sanitizer has an accept4 of its own");
#else
  for (const int error : {EMFILE, ENFILE, ENOMEM, ENOBUFS}) {
    HttpWorld world;
    world.connections->incidents().setOn(true);
    world.answerEverything("served");
    Client before(world.port);
    before.send(get("/"));
    REQUIRE(world.until([&] { return !before.input.empty(); }, {&before}));
    acceptErrno = error;
    Client late(world.port);
    late.send(get("/"));
    CHECK(world.until([&] { return world.stats().acceptFailures == 1; }));
    pollfd ready{world.connections->pollFd().get(), POLLIN, 0};
    CHECK_EQ(poll(&ready, 1, 0), 0);  // Not ready: a loop would sleep.
    const std::vector<Incident> told = world.connections->incidents().take();
    CHECK_EQ(told.size(), 1u);
    CHECK(told.size() == 1 && told[0].kind == IncidentKind::AcceptFailed);
    CHECK(told.size() == 1 && told[0].systemErrno == error);
    before.send(get("/"));  // Who is connected is served meanwhile.
    CHECK(world.until([&] { return world.stats().requests == 2; }));
    acceptErrno = 0;
    world.pass(200);
    CHECK(world.until([&] { return late.input.ends_with("served"); }, {&late}));
  }
  // What went wrong with one connection is no reason to pause.
  HttpWorld world;
  world.answerEverything("served");
  acceptErrno = ECONNABORTED;
  Client client(world.port);
  client.send(get("/"));
  world.connections->turn();
  acceptErrno = 0;
  CHECK_EQ(world.stats().acceptPauses, 0u);
  CHECK(world.until([&] { return client.input.ends_with("served"); }, {&client}));
#endif
}

}  // namespace
}  // namespace iol::test
