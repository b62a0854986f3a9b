// Connections at their limits: time, memory, descriptors, bodies, malformed input, closing.
#include "http/connections.h"
#include "http_world.h"

namespace iol::test {
namespace {

std::string statusLineOf(const std::string& answer) { return answer.substr(0, answer.find('\r')); }

TEST(aHeadThatDoesNotComeInTimeIsAnswered408) {
  HttpWorld world;
  Client client(world.port);
  client.send("GET / HT");
  REQUIRE(world.until([&] { return world.stats().receives == 1; }));
  world.pass(9'000);
  client.send("T");  // A trickle does not prolong the time.
  world.settle();
  client.read();
  CHECK_EQ(client.input, "");
  world.pass(1'100);
  CHECK(world.until([&] { return client.isEnded; }, {&client}));
  CHECK_EQ(statusLineOf(client.input), "HTTP/1.1 408 Request Timeout");
  CHECK_EQ(world.stats().headTimeouts, 1u);
  CHECK_EQ(world.stats().connectionsOpen, 1u);  // It lingers,
  world.pass(3'000);
  CHECK_EQ(world.stats().connectionsOpen, 0u);  // but not for ever.
}

TEST(eachHeadHasItsOwnTime) {
  HttpWorld world;
  world.answerEverything("");
  Client client(world.port);
  for (int i = 0; i < 5; ++i) {
    client.send(get("/") + "GET ");  // The next one is begun at once.
    world.settle();
    world.pass(6'000);
    client.send("/ HTTP/1.1\r\nHost: a\r\n\r\n");
    world.settle();
  }
  CHECK_EQ(world.stats().requests, 10u);
  CHECK_EQ(world.stats().headTimeouts, 0u);
}

TEST(anIdleConnectionEndsAfterItsTimeAndNotBefore) {
  HttpWorld world;
  world.answerEverything("");
  Client silent(world.port);
  Client client(world.port);
  client.send(get("/"));
  REQUIRE(world.until([&] { return world.stats().requests == 1; }));
  world.pass(50'000);
  client.send(get("/"));
  REQUIRE(world.until([&] { return world.stats().requests == 2; }));
  world.pass(15'000);
  CHECK(world.until([&] { return silent.isEnded; }, {&silent}));
  CHECK_EQ(silent.input, "");
  CHECK_EQ(world.stats().connectionsOpen, 1u);
  world.pass(50'000);
  CHECK_EQ(world.stats().connectionsOpen, 0u);
  CHECK_EQ(world.stats().idleTimeouts, 2u);
}

TEST(aClientThatDoesNotReadIsCutAndItsHoldsComeBack) {
  WorldOptions options;
  options.sendBufferBytes = 16 << 10;
  HttpWorld world(options);
  const uint64_t holds = world.domain().liveHolds();
  world.answerEverything(patternText(4 << 20));
  Client client(world.port, 4096);
  client.send(get("/"));
  REQUIRE(world.until([&] { return world.stats().partialSends > 0; }));
  world.settle();
  CHECK(world.domain().liveHolds() > holds);
  world.pass(59'000);
  client.read();
  world.settle();  // Some progress: the time begins anew.
  const auto before = world.stats();
  for (int i = 0; i < 50 && world.stats().bytesSent == before.bytesSent; ++i) {
    client.read();
    world.settle();
  }
  CHECK(world.stats().bytesSent > before.bytesSent);
  world.pass(59'000);
  CHECK_EQ(world.stats().connectionsOpen, 1u);
  world.pass(2'000);
  CHECK_EQ(world.stats().connectionsOpen, 0u);
  CHECK_EQ(world.stats().sendTimeouts, 1u);
  CHECK_EQ(world.domain().liveHolds(), holds);
}

TEST(theProgramHasAsMuchTimeAsItNeeds) {
  HttpWorld world;
  Client client(world.port);
  client.send(get("/"));
  REQUIRE(world.until([&] { return world.ids.size() == 1; }));
  world.pass(24 * 3600 * 1000);
  CHECK_EQ(world.stats().connectionsOpen, 1u);
  CHECK(world.respond(world.ids[0], "at last").isOk());
  CHECK(world.until([&] { return client.input.ends_with("at last"); }, {&client}));
}

TEST(nextTimeoutIsNeverLaterThanADeadline) {
  HttpWorld world;
  CHECK_EQ(world.connections->nextTimeoutMs(), -1);
  Client client(world.port);
  client.send("GET");
  REQUIRE(world.until([&] { return world.stats().receives == 1; }));
  int64_t passed = 0;
  while (world.stats().headTimeouts == 0) {
    const int64_t wait = world.connections->nextTimeoutMs();
    REQUIRE(wait > 0 && wait <= 10'100);
    passed += wait;
    world.pass(wait);
    REQUIRE(passed < 11'000);
  }
  CHECK(passed >= 10'000);
}

TEST(aFullPoolIsAnswered503AndLosesNothing) {
  WorldOptions options;
  options.poolBytes = 1 << 20;
  HttpWorld world(options);
  std::vector<std::unique_ptr<Client>> slow;
  // Half-read heads keep a buffer each, until there is no more.
  while (world.stats().refusedForMemory == 0) {
    slow.push_back(std::make_unique<Client>(world.port));
    slow.back()->send("GET /slow");
    const uint64_t receives = world.stats().receives;
    REQUIRE(world.until([&] { return world.stats().receives > receives; }));
    REQUIRE(slow.size() < 1000);
  }
  CHECK(world.until([&] { return slow.back()->isEnded; }, {slow.back().get()}));
  CHECK_EQ(statusLineOf(slow.back()->input), "HTTP/1.1 503 Service Unavailable");
  // The others were not harmed; when they are done there is room again.
  world.decide = [&](const http::RequestView& request) {
    CHECK(world.connections->refuse(request.id, 503, http::Persistence::KeepAlive).isOk());
  };
  slow.pop_back();
  std::vector<Client*> all;
  for (const auto& client : slow) {
    client->send(" HTTP/1.1\r\nHost: a\r\n\r\n");
    all.push_back(client.get());
  }
  CHECK(world.until([&] { return world.stats().requests == slow.size(); }, all));
  world.answerEverything("room");
  Client late(world.port);
  late.send(get("/"));
  CHECK(world.until([&] { return late.input.ends_with("room"); }, {&late}));
}

TEST(aServerWithoutDescriptorsSurvivesAndDoesNotSpin) {
  HttpWorld world;
  world.answerEverything("");
  Client first(world.port);
  Client second(world.port);
  rlimit old{};
  getrlimit(RLIMIT_NOFILE, &old);
  const int highest = dup(0);
  close(highest);
  const rlimit none{static_cast<rlim_t>(highest), old.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  world.connections->turn();
  const uint64_t pauses = world.stats().acceptPauses;
  CHECK(pauses >= 1);
  pollfd ready{world.connections->pollFd().get(), POLLIN, 0};
  CHECK_EQ(poll(&ready, 1, 0), 0);  // Not ready: a loop would sleep.
  CHECK(world.connections->nextTimeoutMs() > 0);
  world.pass(200);
  world.connections->turn();
  CHECK(world.stats().acceptPauses > pauses);  // Tried again.
  setrlimit(RLIMIT_NOFILE, &old);
  world.pass(200);
  REQUIRE(world.until([&] { return world.stats().connectionsOpen == 2; }));
  second.send(get("/"));
  CHECK(world.until([&] { return world.stats().requests == 1; }));
}

TEST(connectionsBeyondTheLimitWaitUntilOneEnds) {
  WorldOptions options;
  options.http.connectionsMax = 2;
  HttpWorld world(options);
  world.answerEverything("x");
  Client first(world.port);
  Client second(world.port);
  Client third(world.port);
  third.send(get("/"));
  world.settle();
  CHECK_EQ(world.stats().connectionsOpen, 2u);
  first.leave();
  CHECK(world.until([&] { return !third.input.empty(); }, {&third}));
  CHECK_EQ(world.stats().connectionsOpen, 2u);
}

TEST(malformedHeadsAreAnsweredAndEndTheConnection) {
  const struct {
    std::string bytes;
    const char* status;
  } cases[] = {
      {"GET / HTTP/1.1\nHost: a\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 Bad Request"},
      {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported"},
      {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n", "HTTP/1.1 414 URI Too Long"},
      {get("/", "A: " + std::string(20'000, 'b') + "\r\n"),
       "HTTP/1.1 431 Request Header Fields Too Large"},
      {get("/", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), "HTTP/1.1 400 Bad Request"},
      {get("/", "Transfer-Encoding: gzip, chunked\r\n"), "HTTP/1.1 501 Not Implemented"},
      {get("/", "Expect: 200-ok\r\n"), "HTTP/1.1 417 Expectation Failed"},
      {std::string("GET /\0 HTTP/1.1\r\n", 17), "HTTP/1.1 400 Bad Request"},
  };
  for (const auto& each : cases) {
    HttpWorld world;
    world.answerEverything("fine");
    Client client(world.port);
    // What was asked before is answered first, what comes after not at all.
    client.send(get("/before") + each.bytes + get("/after"));
    CHECK(world.until([&] { return client.isEnded; }, {&client}));
    const std::string first = HttpWorld::answerText("fine");
    CHECK(client.input.starts_with(first));
    CHECK_EQ(statusLineOf(client.input.substr(first.size())), each.status);
    CHECK(client.input.find("Connection: close\r\n") != std::string::npos);
    CHECK_EQ(world.targets.size(), 1u);
    client.leave();
    CHECK(world.until([&] { return world.stats().connectionsOpen == 0; }));
  }
}

TEST(theAnswerReachesAClientThatIsStillSending) {
  HttpWorld world;
  Client client(world.port);
  size_t sent = client.send("BAD\r\n\r\n");
  const std::string more(64 << 10, 'z');
  // The client goes on for a megabyte and reads only then: a reset would have cost it the answer.
  while (sent < 1 << 20) {
    sent += client.send(more);
    world.connections->turn();
    REQUIRE(client.isOpen());
  }
  CHECK(world.until([&] { return client.isOver(); }, {&client}));
  CHECK(client.isEnded);
  CHECK_EQ(statusLineOf(client.input), "HTTP/1.1 400 Bad Request");
}

TEST(requestBodiesAreDrainedAndTheNextRequestIsFound) {
  const std::string body = patternText(200'000);
  const std::string requests[] = {
      "POST /0 HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + body,
      "POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n" +
          body.substr(0, 0x10000) + "\r\n5;x=y\r\nabcde\r\n0\r\nTrailer: t\r\n\r\n",
      "GET /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
  };
  HttpWorld world;
  world.answerEverything("ok");
  Client client(world.port);
  std::string all;
  for (const std::string& request : requests) all += request;
  size_t at = 0;
  CHECK(world.until([&] {
    if (at < all.size()) at += client.send(all.substr(at, 50'000));
    return world.targets.size() == 3;
  }));
  CHECK_EQ(world.targets.at(2), "/2");
  const std::string wanted = HttpWorld::answerText("ok");
  CHECK(world.until([&] { return client.input.size() >= 3 * wanted.size(); }, {&client}));
  CHECK_EQ(client.input, wanted + wanted + wanted);
}

TEST(aBodyThatIsTooLongOrBrokenEndsTheConnectionAfterTheAnswer) {
  // What is wrong with a chunked body that nobody reads is seen when it is dropped, after the head.
  const std::pair<std::string, const char*> requests[] = {
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\nabc", "close"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n", "keep-alive"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffff1\r\n" +
           std::string(1'100'000, 'a'),
       "keep-alive"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", "close"},
  };
  for (const auto& [request, connection] : requests) {
    HttpWorld world;
    Client client(world.port);
    size_t at = 0;
    CHECK(world.until([&, &request = request] {
      if (at < request.size()) at += client.send(request.substr(at));
      return world.ids.size() == 1;
    }));
    world.settle();
    CHECK(world.respond(world.ids[0], "no").isOk());
    CHECK(world.until(
        [&, &request = request] {
          if (at < request.size()) at += client.send(request.substr(at));
          return client.isOver();
        },
        {&client}));
    CHECK(client.isEnded);
    CHECK_EQ(client.input, HttpWorld::answerText("no", connection));
  }
}

TEST(closingFinishesWhatWasAskedAndThenEnds) {
  WorldOptions options;
  options.sendBufferBytes = 16 << 10;
  HttpWorld world(options);
  const std::string body = patternText(1 << 20);
  Client idle(world.port);
  Client sending(world.port, 4096);
  Client deciding(world.port);
  Client arriving(world.port);
  Client slow(world.port);
  sending.send(get("/sending"));
  deciding.send(get("/deciding"));
  slow.send("GET /slow");
  world.decide = [&](const http::RequestView& request) {
    const std::string target = HttpWorld::textOf(request, request.head.target);
    if (target == "/sending") CHECK(world.respond(request.id, body).isOk());
    if (target == "/arriving") CHECK(world.respond(request.id, "in time").isOk());
  };
  REQUIRE(world.until([&] { return world.ids.size() == 2 && world.stats().connectionsOpen == 5; }));
  arriving.send(get("/arriving"));
  world.connections->close();
  CHECK_EQ(world.drained, 0u);
  CHECK(world.until([&] { return idle.isEnded && arriving.isEnded; }, {&idle, &arriving}));
  CHECK_EQ(idle.input, "");
  CHECK_EQ(arriving.input, HttpWorld::answerText("in time", "close"));
  CHECK(!Client(world.port).isOpen());
  CHECK(world.respond(world.ids[world.targets[0] == "/deciding" ? 0 : 1], "done").isOk());
  CHECK(world.until([&] { return deciding.isEnded && sending.isEnded; }, {&deciding, &sending}));
  CHECK_EQ(deciding.input, HttpWorld::answerText("done", "close"));
  CHECK(sending.input == HttpWorld::answerText(body));  // Its head had left before.
  for (Client* client : {&sending, &deciding, &idle, &arriving}) client->leave();
  world.settle();
  CHECK_EQ(world.drained, 0u);
  world.pass(1'100);  // Half a head gets a second.
  world.pass(2'100);
  CHECK(world.until([&] { return world.drained == 1; }));
  CHECK_EQ(world.connections->nextTimeoutMs(), -1);
}

TEST(destroyCutsEverythingAndTellsOnce) {
  HttpWorld world;
  Client client(world.port);
  client.send(get("/"));
  REQUIRE(world.until([&] { return world.ids.size() == 1; }));
  world.connections->destroy();
  CHECK_EQ(world.closed.size(), 1u);
  CHECK_EQ(world.drained, 1u);
  world.connections->destroy();
  world.connections->close();
  CHECK_EQ(world.drained, 1u);
  CHECK(world.until([&] { return client.isReset; }, {&client}));
  CHECK(world.respond(world.ids[0], "late").code() == Code::Closed);
}

}  // namespace
}  // namespace iol::test
