// Connections: answers in parts, a random schedule against what must come out, and the timer wheel.
#include <algorithm>
#include <map>
#include <random>

#include "http/connections.h"
#include "http/timer_wheel.h"
#include "http_world.h"

namespace iol::test {
namespace {

const std::string kStreamHead = "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n";

TEST(anAnswerInPartsWaitsForTheClientAndLosesNothing) {
  WorldOptions options;
  options.sendBufferBytes = 16 << 10;
  HttpWorld world(options);
  const std::string body = patternText(300'000);
  Client client(world.port, 4096);
  client.send(get("/") + get("/next"));
  REQUIRE(world.until([&] { return world.ids.size() == 2; }));
  const http::RequestId id = world.ids[0];
  CHECK(world.respond(world.ids[1], "next").isOk());
  CHECK(world.connections->start(id, world.make(kStreamHead), 300'000, http::Persistence::KeepAlive)
            .isOk());
  size_t waits = 0;
  for (size_t at = 0; at < body.size(); at += 30'000) {
    const Result<bool> goesOn = world.connections->write(id, world.make(body.substr(at, 30'000)));
    REQUIRE(goesOn.isOk());
    if (goesOn.value()) continue;
    ++waits;
    REQUIRE(world.until([&] { return world.writable.size() == waits; }, {&client}));
  }
  CHECK(waits > 0);
  CHECK(world.connections->end(id).isOk());
  const std::string wanted =
      kStreamHead + kDate + "Connection: keep-alive\r\n\r\n" + body + HttpWorld::answerText("next");
  CHECK(world.until([&] { return client.input.size() >= wanted.size(); }, {&client}));
  CHECK(client.input == wanted);
}

TEST(partsBehindAnotherAnswerWaitTheirTurn) {
  HttpWorld world;
  Client client(world.port);
  client.send(get("/0") + get("/1"));
  REQUIRE(world.until([&] { return world.ids.size() == 2; }));
  const Aggregate head = world.make("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n");
  CHECK(world.connections->start(world.ids[1], head, 6, http::Persistence::KeepAlive).isOk());
  CHECK_EQ(world.connections->write(world.ids[1], world.make("abc")).value(), false);
  CHECK(world.respond(world.ids[0], "first").isOk());
  CHECK_EQ(world.writable.size(), 1u);
  CHECK_EQ(world.connections->write(world.ids[1], world.make("def")).value(), true);
  CHECK(world.connections->end(world.ids[1]).isOk());
  CHECK(world.until([&] { return client.input.ends_with("abcdef"); }, {&client}));
}

TEST(aBodyIsNeverLongerOrShorterThanItsHeadSaid) {
  HttpWorld world;
  Client client(world.port);
  client.send(get("/"));
  REQUIRE(world.until([&] { return world.ids.size() == 1; }));
  const Aggregate head = world.make("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n");
  CHECK(world.connections->write(world.ids[0], head).status().code() == Code::Closed);
  CHECK(world.connections->start(world.ids[0], head, 4, http::Persistence::KeepAlive).isOk());
  CHECK(world.connections->start(world.ids[0], head, 4, http::Persistence::KeepAlive).code() ==
        Code::Closed);
  const Result<bool> tooLong = world.connections->write(world.ids[0], world.make("12345"));
  CHECK(tooLong.status().code() == Code::TooLarge);
  CHECK_EQ(tooLong.status().limit(), 4u);
  CHECK(world.connections->write(world.ids[0], world.make("123")).isOk());
  CHECK(world.connections->end(world.ids[0]).isOk());
  CHECK(world.until([&] { return client.isReset; }, {&client}));
  CHECK(world.connections->write(world.ids[0], head).status().code() == Code::Closed);
}

TEST(aBodyWithoutLengthEndsWithTheConnectionAndHeadGetsNone) {
  for (const bool isHead : {false, true}) {
    HttpWorld world;
    Client client(world.port);
    client.send(std::string(isHead ? "HEAD" : "GET") + " / HTTP/1.1\r\nHost: a\r\n\r\n");
    REQUIRE(world.until([&] { return world.ids.size() == 1; }));
    const Aggregate head = world.make("HTTP/1.1 200 OK\r\n");
    CHECK(world.connections->start(world.ids[0], head, std::nullopt, http::Persistence::KeepAlive)
              .isOk());
    CHECK(world.connections->write(world.ids[0], world.make("some")).value());
    CHECK(world.connections->write(world.ids[0], world.make("thing")).value());
    CHECK(world.connections->end(world.ids[0]).isOk());
    CHECK(world.until([&] { return client.isEnded; }, {&client}));
    const std::string wanted = "HTTP/1.1 200 OK\r\n" + kDate + "Connection: close\r\n\r\n";
    CHECK_EQ(client.input, wanted + (isHead ? "" : "something"));
  }
}

TEST(aClientThatLeavesEndsAnAnswerInParts) {
  HttpWorld world;
  Client client(world.port);
  client.send(get("/"));
  REQUIRE(world.until([&] { return world.ids.size() == 1; }));
  const uint64_t holds = world.domain().liveHolds();
  CHECK(world.connections
            ->start(world.ids[0], world.make(kStreamHead), 300'000, http::Persistence::KeepAlive)
            .isOk());
  client.leaveWithReset();
  CHECK(world.until([&] { return world.closed.size() == 1; }));
  CHECK(world.connections->write(world.ids[0], world.make("x")).status().code() == Code::Closed);
  CHECK(world.domain().liveHolds() <= holds);
}

// Requests cut anywhere, decided at any time and in any order, small and large answers, slow and
// fast readers: each client gets exactly the answers to its requests, in their order.
TEST(anyScheduleGivesEachClientItsAnswersInOrder) {
  std::mt19937 random(20240607);
  WorldOptions options;
  options.sendBufferBytes = 32 << 10;
  options.http.pipelineMax = 4;
  HttpWorld world(options);
  const std::string source = patternText(300'000);
  std::map<uint32_t, size_t> lengths;  // By number of the request.
  std::vector<http::RequestId> undecided;
  std::map<uint64_t, uint32_t> numberOf;
  const auto decideOne = [&](http::RequestId id) {
    const uint32_t number = numberOf[uint64_t{id.slot} << 32 | id.epoch];
    CHECK(world.respond(id, source.substr(number, lengths[number])).isOk());
  };
  world.decide = [&](const http::RequestView& request) {
    const std::string target = HttpWorld::textOf(request, request.head.target);
    const auto number = static_cast<uint32_t>(std::stoul(target.substr(1)));
    numberOf[uint64_t{request.id.slot} << 32 | request.id.epoch] = number;
    if (random() % 3 == 0) return decideOne(request.id);
    undecided.push_back(request.id);
  };
  struct Peer {
    std::unique_ptr<Client> client;
    std::string toSend;
    std::string wanted;
  };
  std::vector<Peer> peers(12);
  uint32_t number = 0;
  for (Peer& peer : peers) {
    peer.client = std::make_unique<Client>(world.port, random() % 2 == 0 ? 4096 : 0);
    for (uint32_t i = 0, count = 1 + random() % 20; i < count; ++i, ++number) {
      lengths[number] = random() % 4 == 0 ? random() % 200'000 : random() % 500;
      const std::string padding =
          random() % 8 == 0 ? "X: " + std::string(random() % 9000, 'p') + "\r\n" : "";
      peer.toSend += get("/" + std::to_string(number), padding);
      peer.wanted += HttpWorld::answerText(source.substr(number, lengths[number]));
    }
  }
  const auto isDone = [&] {
    return std::all_of(peers.begin(), peers.end(), [](const Peer& peer) {
      return peer.client->input.size() >= peer.wanted.size();
    });
  };
  CHECK(world.until([&] {
    Peer& peer = peers[random() % peers.size()];
    const size_t sent = peer.client->send(peer.toSend.substr(0, 1 + random() % 3000));
    peer.toSend.erase(0, sent);
    for (Peer& each : peers) {
      if (random() % 2 == 0) each.client->read(1 + random() % 60'000);
    }
    if (!undecided.empty() && random() % 2 == 0) {
      const size_t at = random() % undecided.size();
      const http::RequestId id = undecided[at];
      undecided.erase(undecided.begin() + static_cast<ptrdiff_t>(at));
      decideOne(id);
    }
    return isDone();
  }));
  for (const Peer& peer : peers) CHECK(peer.client->input == peer.wanted);
  CHECK_EQ(world.stats().requests, number);
  CHECK(world.stats().partialSends > 0);
}

TEST(timersExpireInTimeNeverEarlyHoweverTheyAreMoved) {
  std::mt19937 random(7);
  int64_t now = 5'000;
  http::TimerWheel wheel(now);
  std::vector<http::TimerNode> nodes(200);
  std::map<uint32_t, int64_t> deadlines;
  for (uint32_t i = 0; i < nodes.size(); ++i) nodes[i].owner = i;
  for (int step = 0; step < 20'000; ++step) {
    const uint32_t i = random() % nodes.size();
    switch (random() % 4) {
      case 0:
      case 1:
        deadlines[i] = now + static_cast<int64_t>(random() % (random() % 5 == 0 ? 200'000 : 3'000));
        wheel.set(nodes[i], deadlines[i]);
        break;
      case 2:
        deadlines.erase(i);
        if (random() % 2 == 0)
          wheel.remove(nodes[i]);
        else
          wheel.set(nodes[i], http::TimerNode::kNever);
        break;
      default: now += static_cast<int64_t>(random() % (random() % 50 == 0 ? 100'000 : 200)); break;
    }
    const int64_t look = wheel.nextLookMs();
    for (const auto& [owner, deadline] : deadlines) {
      if (look < 0 || look > std::max(deadline, now) + 2 * http::TimerWheel::kTickMs) {
        CHECK(false);
      }
    }
    while (http::TimerNode* node = wheel.takeExpired(now)) {
      CHECK(deadlines.count(node->owner) == 1 && deadlines[node->owner] <= now);
      deadlines.erase(node->owner);
    }
    for (const auto& [owner, deadline] : deadlines) {
      if (deadline <= now - http::TimerWheel::kTickMs) CHECK(false);
    }
    if (hasFailed()) return;
  }
}

}  // namespace
}  // namespace iol::test
