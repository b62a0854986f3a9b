// Connections: requests in, answers out: order, persistence, framing, cost.
#include "http/connections.h"

#include "http_world.h"

namespace iol::test {
namespace {

TEST(anAnswerIsTheGivenHeadThenDateAndConnectionThenTheBody) {
  HttpWorld world;
  world.answerEverything("hello");
  Client client(world.port);
  client.send(get("/x?y=1"));
  const std::string wanted = HttpWorld::answerText("hello");
  CHECK(world.until([&] { return client.input.size() >= wanted.size(); }, {&client}));
  CHECK_EQ(client.input, wanted);
  CHECK_EQ(world.targets.at(0), "/x?y=1");
  CHECK_EQ(world.stats().responses[2], 1u);
  CHECK_EQ(world.stats().bytesSent, wanted.size());
}

TEST(aRequestOnAKeptConnectionCostsOneReceiveAndOneSendAndNoMemory) {
  HttpWorld world;
  const Aggregate head = world.make(HttpWorld::headText(1024));
  const Aggregate body = world.make(std::string(1024, 'x'), 300);
  world.decide = [&](const http::RequestView& request) {
    CHECK(world.connections->respond(request.id, head, &body, http::Persistence::KeepAlive).isOk());
  };
  Client client(world.port);
  const std::string wanted = HttpWorld::answerText(std::string(1024, 'x'));
  const auto ask = [&] {
    client.input.clear();
    client.send(get("/"));
    CHECK(world.until([&] { return client.input.size() >= wanted.size(); }, {&client}));
    CHECK_EQ(client.input, wanted);
  };
  ask();
  const auto before = world.stats();
  const uint64_t allocations = world.pool().stats().allocations;
  const uint64_t holds = world.domain().liveHolds();
  for (int i = 0; i < 50; ++i) ask();
  CHECK_EQ(world.stats().receives - before.receives, 50u);
  CHECK_EQ(world.stats().sends - before.sends, 50u);
  CHECK_EQ(world.stats().partialSends, 0u);
  CHECK_EQ(world.pool().stats().allocations, allocations);
  CHECK_EQ(world.domain().liveHolds(), holds);
}

TEST(theDateIsRenewedWhenASecondHasPassed) {
  HttpWorld world;
  world.answerEverything("");
  Client client(world.port);
  client.send(get("/"));
  CHECK(world.until([&] { return client.input.ends_with("\r\n\r\n"); }, {&client}));
  CHECK(client.input.find("08:49:37 GMT") != std::string::npos);
  client.input.clear();
  world.clock.seconds += 23;
  client.send(get("/"));
  CHECK(world.until([&] { return client.input.ends_with("\r\n\r\n"); }, {&client}));
  CHECK(client.input.find("08:50:00 GMT") != std::string::npos);
}

TEST(datesAreThoseOfRfc9110) {
  const struct {
    int64_t seconds;
    const char* text;
  } cases[] = {{0, "Thu, 01 Jan 1970 00:00:00 GMT"},
               {784'111'777, "Sun, 06 Nov 1994 08:49:37 GMT"},
               {951'782'400, "Tue, 29 Feb 2000 00:00:00 GMT"},
               {4'102'444'799, "Thu, 31 Dec 2099 23:59:59 GMT"}};
  for (const auto& each : cases) {
    char text[http::kHttpDateBytes + 1];
    http::formatHttpDate(each.seconds, text);
    CHECK_EQ(std::string(text), each.text);
  }
}

TEST(pipelinedAnswersLeaveInTheOrderOfTheRequests) {
  HttpWorld world;
  Client client(world.port);
  client.send(get("/0") + get("/1") + get("/2") + get("/3"));
  REQUIRE(world.until([&] { return world.ids.size() == 4; }));
  const std::string bodies[] = {"aaaa", "bb", "cccccc", ""};
  for (size_t i = 4; i-- > 0;) {
    CHECK(world.respond(world.ids[i], bodies[i]).isOk());
    if (i > 0) {
      world.settle();
      client.read();
      CHECK_EQ(client.input, "");
    }
  }
  std::string wanted;
  for (const std::string& body : bodies) wanted += HttpWorld::answerText(body);
  CHECK(world.until([&] { return client.input.size() >= wanted.size(); }, {&client}));
  CHECK_EQ(client.input, wanted);
}

TEST(aConnectionWithPipelineMaxUndecidedRequestsIsNotRead) {
  WorldOptions options;
  options.http.pipelineMax = 3;
  HttpWorld world(options);
  Client client(world.port);
  std::string asked;
  for (int i = 0; i < 10; ++i) asked += get("/" + std::to_string(i));
  client.send(asked);
  world.settle();
  CHECK_EQ(world.ids.size(), 3u);
  client.send(get("/10"));
  world.settle();
  const uint64_t receives = world.stats().receives;
  for (int i = 0; i < 5; ++i) world.connections->turn();
  CHECK_EQ(world.stats().receives, receives);  // And nothing spins.
  for (size_t i = 0; i < 11; ++i) {
    REQUIRE(world.until([&] { return world.ids.size() > i; }));
    CHECK(world.ids.size() <= i + 3);
    CHECK(world.respond(world.ids[i], world.targets[i]).isOk());
  }
  std::string wanted;
  for (int i = 0; i < 11; ++i) wanted += HttpWorld::answerText("/" + std::to_string(i));
  CHECK(world.until([&] { return client.input.size() >= wanted.size(); }, {&client}));
  CHECK_EQ(client.input, wanted);
}

TEST(anAnswerFromOutsideNeverEntersTheHandlerAgain) {
  WorldOptions options;
  options.http.pipelineMax = 1;
  HttpWorld world(options);
  Client client(world.port);
  client.send(get("/0") + get("/1"));
  REQUIRE(world.until([&] { return world.ids.size() == 1; }));
  CHECK(world.respond(world.ids[0], "").isOk());
  CHECK_EQ(world.ids.size(), 1u);
  CHECK_EQ(world.connections->nextTimeoutMs(), 0);
  pollfd ready{world.connections->pollFd().get(), POLLIN, 0};
  CHECK_EQ(poll(&ready, 1, 0), 1);
  world.connections->turn();
  CHECK_EQ(world.ids.size(), 2u);
}

TEST(aHeadMayArriveByteByByte) {
  HttpWorld world;
  world.answerEverything("ok");
  Client client(world.port);
  for (const char byte : get("/slowly", "Accept: */*\r\n")) {
    client.send(std::string(1, byte));
    world.settle();
  }
  const std::string wanted = HttpWorld::answerText("ok");
  CHECK(world.until([&] { return client.input.size() >= wanted.size(); }, {&client}));
  CHECK_EQ(world.targets.at(0), "/slowly");
}

TEST(aHeadMayCrossBuffersAndIsStillThereWhenDecidedLater) {
  HttpWorld world;
  Client client(world.port);
  const std::string target = "/" + std::string(6000, 'p') + "?" + std::string(2000, 'q');
  const std::string value = std::string(5000, 'v');
  const std::string request = get(target, "X-Long: " + value + "\r\n");
  client.send(get("/first") + request.substr(0, 5000));
  world.settle();
  client.send(request.substr(5000) + get("/last"));
  REQUIRE(world.until([&] { return world.ids.size() == 3; }));
  CHECK_EQ(world.targets[1], target);
  http::ByteSpan storage[http::kSpansMax];
  const auto view = world.connections->view(world.ids[1], storage);
  REQUIRE(view.has_value());
  CHECK_EQ(HttpWorld::textOf(*view, view->head.target), target);
  CHECK_EQ(HttpWorld::textOf(*view, view->head.fields[1].value), value);
  for (const http::RequestId id : world.ids) CHECK(world.respond(id, "").isOk());
  CHECK(!world.connections->view(world.ids[1], storage).has_value());
}

TEST(anIdleConnectionHoldsNoWindowMemory) {
  HttpWorld world;
  world.answerEverything("");
  const uint64_t drafts = world.pool().stats().drafts;
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<Client*> all;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(std::make_unique<Client>(world.port));
    all.push_back(clients.back().get());
    clients.back()->send(get("/").substr(0, 10));
  }
  REQUIRE(world.until([&] { return world.stats().receives == 50; }));
  CHECK_EQ(world.pool().stats().drafts, 50u);
  for (const auto& client : clients) client->send(get("/").substr(10));
  REQUIRE(world.until([&] { return world.stats().requests == 50; }, all));
  CHECK(world.pool().stats().drafts <= drafts + http::kWarmBuffersMax);
  CHECK_EQ(world.stats().connectionsOpen, 50u);
}

TEST(aSlowReaderGetsEveryByteAndHoldsComeBack) {
  WorldOptions options;
  options.sendBufferBytes = 16 << 10;
  HttpWorld world(options);
  const std::string body = patternText(1 << 20);
  {
    const Aggregate head = world.make(HttpWorld::headText(body.size()));
    const Aggregate bytes = world.make(body, 60'000);
    const uint64_t holds = world.domain().liveHolds();
    world.decide = [&](const http::RequestView& request) {
      CHECK(world.connections->respond(request.id, head, &bytes, http::Persistence::KeepAlive)
                .isOk());
    };
    Client client(world.port, 4096);
    client.send(get("/") + get("/again"));
    const size_t wanted = 2 * HttpWorld::answerText(body).size();
    CHECK(world.until([&] { return client.input.size() >= wanted; }, {&client}));
    CHECK(client.input == HttpWorld::answerText(body) + HttpWorld::answerText(body));
    CHECK(world.stats().partialSends > 0);
    CHECK_EQ(world.domain().liveHolds(), holds);
  }
}

TEST(theAnswerToHeadHasNoBody) {
  HttpWorld world;
  world.answerEverything("invisible");
  Client client(world.port);
  client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + get("/"));
  std::string wanted = HttpWorld::answerText("invisible");
  wanted = wanted.substr(0, wanted.size() - 9) + wanted;
  CHECK(world.until([&] { return client.input.size() >= wanted.size(); }, {&client}));
  CHECK_EQ(client.input, wanted);
}

TEST(persistenceIsWhatTheRequestSays) {
  const struct {
    const char* request;
    bool persists;
  } cases[] = {{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
               {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false},
               {"GET / HTTP/1.0\r\n\r\n", false},
               {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true}};
  for (const auto& each : cases) {
    HttpWorld world;
    world.answerEverything("x");
    Client client(world.port);
    client.send(each.request);
    const std::string wanted = HttpWorld::answerText("x", each.persists ? "keep-alive" : "close");
    CHECK(world.until([&] { return client.input.size() >= wanted.size(); }, {&client}));
    CHECK_EQ(client.input, wanted);
    if (each.persists) {
      client.send(each.request);
      CHECK(world.until([&] { return world.stats().requests == 2; }, {&client}));
    } else {
      CHECK(world.until([&] { return client.isEnded; }, {&client}));
      CHECK_EQ(world.stats().connectionsOpen, 0u);
    }
  }
}

TEST(whatFollowsAClosingAnswerIsNotAnswered) {
  HttpWorld world;
  world.decide = [&](const http::RequestView& request) {
    CHECK(world.respond(request.id, "bye", http::Persistence::Close).isOk());
  };
  Client client(world.port);
  client.send(get("/0") + get("/1") + get("/2"));
  CHECK(world.until([&] { return client.isEnded; }, {&client}));
  CHECK_EQ(client.input, HttpWorld::answerText("bye", "close"));
  CHECK_EQ(world.stats().requests, 1u);
  client.leave();
  CHECK(world.until([&] { return world.stats().connectionsOpen == 0; }));
}

TEST(aClosingAnswerEndsTheUndecidedRequestsBehindIt) {
  HttpWorld world;
  Client client(world.port);
  client.send(get("/0") + get("/1") + get("/2"));
  REQUIRE(world.until([&] { return world.ids.size() == 3; }));
  CHECK(world.respond(world.ids[1], "one").isOk());
  CHECK(world.respond(world.ids[0], "zero", http::Persistence::Close).isOk());
  REQUIRE(world.closed.size() == 1);  // The second was answered: nobody waits for it.
  CHECK_EQ(world.closed[0].slot, world.ids[2].slot);
  CHECK(world.respond(world.ids[2], "two").code() == Code::Closed);
  CHECK(world.until([&] { return client.isEnded; }, {&client}));
  CHECK_EQ(client.input, HttpWorld::answerText("zero", "close"));
}

TEST(aClientThatHasShutItsSideIsStillAnswered) {
  HttpWorld world;
  Client client(world.port);
  client.send(get("/"));
  client.endSending();
  REQUIRE(world.until([&] { return world.ids.size() == 1; }));
  world.settle();
  CHECK_EQ(world.stats().connectionsOpen, 1u);
  CHECK(world.respond(world.ids[0], "late").isOk());
  CHECK(world.until([&] { return client.isEnded; }, {&client}));
  CHECK_EQ(client.input, HttpWorld::answerText("late", "close"));
  CHECK_EQ(world.stats().connectionsOpen, 0u);
}

TEST(aRequestIsAnsweredOnce) {
  HttpWorld world;
  Client client(world.port);
  client.send(get("/"));
  REQUIRE(world.until([&] { return world.ids.size() == 1; }));
  CHECK(world.connections->isOpen(world.ids[0]));
  CHECK(world.respond(world.ids[0], "a").isOk());
  CHECK(!world.connections->isOpen(world.ids[0]));
  CHECK(world.respond(world.ids[0], "b").code() == Code::Closed);
  CHECK(world.connections->end(world.ids[0]).code() == Code::Closed);
  CHECK(world.respond({12345, 1}, "c").code() == Code::Closed);
  CHECK(world.respond({}, "d").code() == Code::Closed);
}

TEST(aClientThatVanishesReleasesEverythingAtOnce) {
  WorldOptions options;
  options.sendBufferBytes = 16 << 10;
  HttpWorld world(options);
  const uint64_t holds = world.domain().liveHolds();
  Client client(world.port, 4096);
  client.send(get("/0") + get("/1") + get("/2"));
  REQUIRE(world.until([&] { return world.ids.size() == 3; }));
  CHECK(world.respond(world.ids[0], patternText(1 << 20)).isOk());
  CHECK(world.respond(world.ids[1], patternText(1 << 20)).isOk());
  CHECK(world.domain().liveHolds() > holds);
  client.leaveWithReset();
  REQUIRE(world.until([&] { return world.stats().connectionsOpen == 0; }));
  REQUIRE(world.closed.size() == 1);
  CHECK_EQ(world.closed[0].epoch, world.ids[2].epoch);
  CHECK_EQ(world.stats().clientsLost, 1u);
  CHECK(world.respond(world.ids[2], "nobody").code() == Code::Closed);
  CHECK_EQ(world.domain().liveHolds(), holds);
}

TEST(manyConnectionsEachGetTheirOwnAnswer) {
  HttpWorld world;
  world.decide = [&](const http::RequestView& request) {
    (void)world.respond(request.id, HttpWorld::textOf(request, request.head.target)).isOk();
  };
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<Client*> all;
  for (int i = 0; i < 300; ++i) {
    clients.push_back(std::make_unique<Client>(world.port));
    all.push_back(clients.back().get());
    all.back()->send(get("/" + std::to_string(i)));
  }
  REQUIRE(world.until([&] { return world.stats().requests == 300; }, all));
  for (size_t i = 0; i < all.size(); ++i) {
    const std::string wanted = HttpWorld::answerText("/" + std::to_string(i));
    CHECK(world.until([&] { return all[i]->input.size() >= wanted.size(); }, {all[i]}));
    CHECK_EQ(all[i]->input, wanted);
  }
}

TEST(theEngineMayBeClosedOrTheConnectionCutFromInsideTheHandler) {
  for (int what = 0; what < 3; ++what) {
    HttpWorld world;
    world.decide = [&](const http::RequestView& request) {
      if (what == 0) world.connections->abort(request.id);
      if (what == 1) world.connections->destroy();
      if (what == 2) {
        world.connections->close();
        CHECK(world.respond(request.id, "last").isOk());
      }
    };
    Client client(world.port);
    Client other(world.port);
    client.send(get("/") + get("/next"));
    CHECK(world.until([&] { return client.isOver(); }, {&client, &other}));
    if (what == 2) CHECK_EQ(client.input, HttpWorld::answerText("last", "close"));
    if (what != 2) CHECK(client.isReset);
    if (what == 1) CHECK_EQ(world.drained, 1u);
  }
}

}  // namespace
}  // namespace iol::test
