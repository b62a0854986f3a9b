// Connections, what they send and how: by copy or by reference, in shares, and what waits where.
#include <csignal>

#include "cache_world.h"
#include "http/connections.h"
#include "http_world.h"
#include "huge_pages.h"

namespace iol::test {
namespace {

constexpr uint32_t kLarge = 1 << 20;

WorldOptions referencingAfter(uint32_t copies) {
  ::signal(SIGPIPE, SIG_IGN);  // As Node does; without it nothing is sent by reference.
  WorldOptions options;
  options.http.copiesBeforeReference = copies;
  return options;
}

TEST(aLargeBufferIsSentByReferenceOnceItWasCopiedOften) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  HttpWorld world(referencingAfter(2));
  const std::string body = patternText(kLarge);
  {
    const Aggregate head = world.make(HttpWorld::headText(kLarge));
    const Aggregate bytes = world.make(body);
    world.decide = [&](const http::RequestView& request) {
      CHECK(world.connections->respond(request.id, head, &bytes, http::Persistence::KeepAlive)
                .isOk());
    };
    Client client(world.port);
    uint64_t byReference = 0;
    for (int i = 1; i <= 5; ++i) {
      client.input.clear();
      client.send(get("/"));
      const std::string expected = HttpWorld::answerText(body);
      REQUIRE(world.until([&] { return client.input.size() >= expected.size(); }, {&client}));
      CHECK(client.input == expected);
      const uint64_t now = world.stats().bytesByReference;
      CHECK_EQ(now > byReference, i > 2);
      byReference = now;
    }
    CHECK(byReference > kLarge);  // Of three answers; the last part of each may be a copy.
  }
}

TEST(copiesBeforeReferenceZeroCopiesForEver) {
  HttpWorld world(referencingAfter(0));
  const std::string body = patternText(kLarge);
  const Aggregate head = world.make(HttpWorld::headText(kLarge));
  const Aggregate bytes = world.make(body);
  world.decide = [&](const http::RequestView& request) {
    (void)world.connections->respond(request.id, head, &bytes, http::Persistence::KeepAlive).isOk();
  };
  Client client(world.port);
  for (int i = 1; i <= 40; ++i) {
    client.input.clear();
    client.send(get("/"));
    REQUIRE(world.until([&] { return client.input.size() > kLarge; }, {&client}));
  }
  CHECK_EQ(world.stats().bytesByReference, 0u);
}

// I4: the kernel reads the pages after everybody has let go of them, and after the connection.
TEST(whatWasSentByReferenceIsNotFilledAgain) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  HttpWorld world(referencingAfter(1));
  const std::string body = patternText(kLarge);
  Client warm(world.port);
  Client slow(world.port, 4096);
  {
    const Aggregate head = world.make(HttpWorld::headText(kLarge));
    const Aggregate bytes = world.make(body);
    world.decide = [&](const http::RequestView& request) {
      (void)world.connections->respond(request.id, head, &bytes, http::Persistence::Close).isOk();
    };
    for (int i = 0; i < 2; ++i) {
      Client client(world.port);
      client.send(get("/"));
      REQUIRE(world.until([&] { return client.isEnded; }, {&client}));
    }
    slow.send(get("/"));
    const uint64_t before = world.stats().bytesByReference;
    REQUIRE(world.until([&] { return world.stats().requests == 3; }));
    world.settle();
    CHECK(world.stats().bytesByReference > before);
  }
  const uint64_t queued = world.stats().bytesSent;
  world.connections->destroy();  // The reset drops what is unsent; what is under way stays.
  CHECK(queued > 0);
  CHECK_EQ(world.domain().liveHolds() > 0, true);  // The engine's own prebuilt answers.
  std::vector<Aggregate> others;
  for (int i = 0; i < 40; ++i) others.push_back(world.make(std::string(kLarge, '\xee')));
  for (int i = 0; i < 200 && !slow.isOver(); ++i) slow.read();
  const std::string head = HttpWorld::answerText("", "close");
  const size_t at = slow.input.find("\r\n\r\n");
  REQUIRE(at != std::string::npos);
  const std::string received = slow.input.substr(at + 4);
  CHECK(received == body.substr(0, received.size()));
}

// An answer that is with the kernel as a whole, its client yet to read it, and everybody else has
// let go of it: `changed` is called then, and what the client reads must be `body`.
void expectUnchanged(
    HttpWorld& world, const Aggregate& bytes, const std::string& body,
    const std::function<void()>& changed, const std::function<void()>& beforeSent = [] {}) {
  std::unique_ptr<Aggregate> head =
      std::make_unique<Aggregate>(world.make(HttpWorld::headText(body.size())));
  world.decide = [&](const http::RequestView& request) {
    CHECK(
        world.connections->respond(request.id, *head, &bytes, http::Persistence::KeepAlive).isOk());
  };
  const std::string expected = HttpWorld::answerText(body);
  Client warm(world.port);
  for (int i = 0; i < 2; ++i) {
    warm.input.clear();
    warm.send(get("/"));
    REQUIRE(world.until([&] { return warm.input.size() >= expected.size(); }, {&warm}));
  }
  beforeSent();
  const uint64_t before = world.stats().bytesSent;
  const uint64_t byReference = world.stats().bytesByReference;
  Client slow(world.port, 4096);
  slow.send(get("/"));
  REQUIRE(world.until([&] { return world.stats().bytesSent == before + expected.size(); }));
  CHECK_EQ(world.stats().bytesByReference, byReference + body.size());
  head.reset();
  changed();
  std::vector<Aggregate> others;
  for (int i = 0; i < 100; ++i) others.push_back(world.make(std::string(body.size(), '\xee')));
  REQUIRE(world.until([&] { return slow.input.size() >= expected.size(); }, {&slow}));
  CHECK(slow.input == expected);
}

constexpr uint32_t kQueued = 160 << 10;

// The kernel takes that as a whole.
WorldOptions queueing() {
  WorldOptions options = referencingAfter(1);
  options.sendBufferBytes = 1 << 20;
  options.isUnsentUnlimited = true;
  return options;
}

TEST(whatALivingConnectionSentByReferenceIsNotFilledAgain) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  HttpWorld world(queueing());
  const std::string body = patternText(kQueued);
  Aggregate bytes = world.make(body);
  expectUnchanged(world, bytes, body, [&] { bytes.clear(); });
}

// As any process may that can read them. Of those that are huge nothing could be given up.
void mergeAllPages(const Segment& segment) {
  for (uint64_t at = 0; at < segment.totalBytes() / sys::kHugePageBytes; ++at) {
    (void)mergePages(segment.readOnlyFd(), at);
  }
}

TEST(whatWasSentByReferenceIsNotFilledAgainWhenAReaderMergesItsPages) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  HttpWorld world(queueing());
  const std::string body = patternText(kQueued);
  Aggregate bytes = world.make(body);
  const Segment& segment = *bytes.sliceAt(0).segment;
  expectUnchanged(
      world, bytes, body,
      [&] {
        mergeAllPages(segment);
        bytes.clear();
      },
      [&] { mergeAllPages(segment); });
}

TEST(aBufferOfHugePagesIsCopied) {
  HttpWorld world(referencingAfter(1));
  const std::string body = patternText(kQueued);
  const Aggregate head = world.make(HttpWorld::headText(body.size()));
  const Aggregate bytes = world.make(body);
  const Segment& segment = *bytes.sliceAt(0).segment;
  const uint64_t offset = bytes.sliceAt(0).address() - segment.address();
  if (mergePages(segment.readOnlyFd(), offset / sys::kHugePageBytes) != 0) {
    SKIP("nobody's pages are merged here");
  }
  world.decide = [&](const http::RequestView& request) {
    (void)world.connections->respond(request.id, head, &bytes, http::Persistence::KeepAlive).isOk();
  };
  Client client(world.port);
  const std::string expected = HttpWorld::answerText(body);
  for (int i = 1; i <= 4; ++i) {
    client.input.clear();
    client.send(get("/"));
    REQUIRE(world.until([&] { return client.input.size() >= expected.size(); }, {&client}));
    CHECK(client.input == expected);
  }
  CHECK_EQ(world.stats().bytesByReference, 0u);
}

TEST(aFileThatChangesAndLeavesTheCacheIsSentAsItWas) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  HttpWorld world(queueing());
  ManualQueue queue;
  Folder folder("/tmp");
  FakeClock clock;
  FileCache::Options cacheOptions;
  cacheOptions.clock = &clock;
  const std::shared_ptr<FileCache> cache =
      FileCache::create(world.pool(), queue, std::move(cacheOptions)).take();
  const auto read = [&] {
    Aggregate bytes(world.domain());
    cache->open(folder.at("file"), [&](Result<CachedFilePtr> file) {
      REQUIRE(file.isOk());
      cache->read(file.value(), 0, kQueued, [&](Result<Aggregate> answer) {
        REQUIRE(answer.isOk());
        bytes = answer.take();
      });
    });
    queue.drain();
    return bytes;
  };
  const std::string body = patternText(kQueued);
  test::writeFile(folder.at("file"), body);
  Aggregate bytes = read();
  expectUnchanged(world, bytes, body, [&] {
    bytes.clear();
    test::writeFile(folder.at("file"), std::string(kQueued, '\xdd'));
    clock.nowMs += 60'000;
    CHECK_EQ(textOf(read()), std::string(kQueued, '\xdd'));
    cache->close();
    queue.drain();
  });
}

TEST(whatIsInASealedPoolIsCopied) {
  WorldOptions options = referencingAfter(1);
  options.isPoolSealed = true;
  HttpWorld world(options);
  const std::string body = patternText(kQueued);
  const Aggregate head = world.make(HttpWorld::headText(body.size()));
  const Aggregate bytes = world.make(body);
  world.decide = [&](const http::RequestView& request) {
    (void)world.connections->respond(request.id, head, &bytes, http::Persistence::KeepAlive).isOk();
  };
  Client client(world.port);
  for (int i = 1; i <= 4; ++i) {
    client.input.clear();
    client.send(get("/"));
    REQUIRE(world.until([&] { return client.input.size() > kQueued; }, {&client}));
  }
  CHECK_EQ(world.stats().bytesByReference, 0u);
}

TEST(aConnectionSendsItsShareAndThenOthersHaveTheirTurn) {
  HttpWorld world(referencingAfter(0));
  const std::string body = patternText(8 << 20);
  const Aggregate head = world.make(HttpWorld::headText(body.size()));
  const Aggregate bytes = world.make(body);
  const Aggregate smallHead = world.make(HttpWorld::headText(0));
  world.decide = [&](const http::RequestView& request) {
    const bool isLarge = world.targets.back() == "/large";
    (void)world.connections
        ->respond(request.id, isLarge ? head : smallHead, isLarge ? &bytes : nullptr,
                  http::Persistence::KeepAlive)
        .isOk();
  };
  Client large(world.port, 4 << 20);
  Client small(world.port);
  large.send(get("/large"));
  const std::string expected = HttpWorld::answerText(body);
  REQUIRE(world.until([&] { return world.stats().bytesSent > 0; }));
  small.send(get("/small"));
  REQUIRE(world.until([&] { return !small.input.empty(); }, {&large, &small}));
  CHECK(world.stats().bytesSent < expected.size());
  REQUIRE(world.until([&] { return large.input.size() >= expected.size(); }, {&large}));
  CHECK(large.input == expected);
  // With 256 KiB at most for each, whatever the receive buffer is.
  CHECK(world.stats().partialSends >= 31);
}

TEST(whatEndsWithItsAnswerIsLeftToTheKernelAtOnce) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  HttpWorld world(referencingAfter(1));
  const std::string body = patternText(kLarge);
  const Aggregate head = world.make(HttpWorld::headText(kLarge));
  const Aggregate bytes = world.make(body);
  world.decide = [&](const http::RequestView& request) {
    (void)world.connections->respond(request.id, head, &bytes, http::Persistence::Close).isOk();
  };
  const auto ask = [&] {
    Client client(world.port);
    client.send(get("/", "Connection: close\r\n"));
    REQUIRE(world.until([&] { return client.isEnded; }, {&client}));
    CHECK(client.input == HttpWorld::answerText(body, "close"));
  };
  ask();
  ask();  // Copied once, so that it is hot now.
  const uint64_t sendsBefore = world.stats().sends;
  ask();
  CHECK_EQ(world.stats().sends - sendsBefore, 2u);  // The head, and the body by reference.
  CHECK_EQ(world.stats().bytesByReference >= kLarge, true);
}

TEST(theEndOfAConnectionTravelsWithTheLastBytes) {
  HttpWorld world;
  world.answerEverything("x");
  Client kept(world.port);
  kept.send(get("/"));
  REQUIRE(world.until([&] { return !kept.input.empty(); }, {&kept}));
  Client client(world.port);
  client.send(get("/", "Connection: close\r\n"));
  REQUIRE(world.until([&] { return client.isEnded; }, {&client}));
  CHECK(client.input == HttpWorld::answerText("x", "close"));
  CHECK_EQ(client.packetsReceived(), kept.packetsReceived());
}

TEST(whoHasConnectedAndAskedIsAnsweredInTheSameTurn) {
  HttpWorld world;
  world.answerEverything("x");
  Client client(world.port);
  client.send(get("/"));
  Client silent(world.port);
  world.connections->turn();
  CHECK_EQ(world.stats().connectionsOpen, 2u);
  CHECK_EQ(world.stats().responses[2], 1u);
  silent.send(get("/"));
  CHECK(world.until([&] { return !silent.input.empty(); }, {&silent}));
}

TEST(theKernelKeepsLittleForAClientThatDoesNotRead) {
  HttpWorld world(referencingAfter(0));
  world.answerEverything(patternText(4 << 20));
  Client client(world.port, 4096);
  client.send(get("/"));
  REQUIRE(world.until([&] { return world.stats().requests == 1; }));
  world.settle();
  CHECK(world.stats().bytesSent < 512 << 10);
  client.leave();
  CHECK(world.until([&] { return world.stats().connectionsOpen == 0; }));
}

// What the kernel has taken beyond what the client has read, once it takes no more.
uint64_t keptFor(HttpWorld& world, const Client& client) {
  world.settle();
  return world.stats().bytesSent - client.input.size();
}

// Beside the socket's own 128 KiB there may be a receive buffer of some 64 KiB.
constexpr int kReceiveBuffer = 64 << 10;
constexpr uint64_t kKeptForMost = 512 << 10;

TEST(theKernelKeepsMoreForWhoEmptiesTheSocketQuickly) {
  HttpWorld world(referencingAfter(0));
  world.answerEverything(patternText(8 << 20));
  Client client(world.port, kReceiveBuffer);
  client.send(get("/"));
  REQUIRE(world.until([&] { return world.stats().requests == 1; }));
  CHECK(keptFor(world, client) < kKeptForMost);
  const auto readOn = [&](uint64_t bytes) {
    const uint64_t wanted = client.input.size() + bytes;
    return world.until([&] { return client.input.size() >= wanted; }, {&client});
  };
  // Nothing was taken for a while: no more is kept.
  world.clock.nowMs += 101;
  client.read();
  CHECK(keptFor(world, client) < kKeptForMost);
  REQUIRE(readOn(1 << 20));
  CHECK(keptFor(world, client) > kKeptForMost);
  // Until it once takes too long.
  const uint64_t sent = world.stats().bytesSent;
  world.clock.nowMs += 1'001;
  while (world.stats().bytesSent == sent) {
    client.read();
    world.settle();
  }
  while (client.input.size() < sent) {
    world.clock.nowMs += 101;
    client.read();
    world.settle();
  }
  CHECK(keptFor(world, client) < kKeptForMost);
}

TEST(theKernelKeepsMoreAtOnceOfWhatIsSentByReferenceUnlessTheClientsWindowIsSmall) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  HttpWorld world(referencingAfter(1));
  const Aggregate head = world.make(HttpWorld::headText(kLarge));
  const Aggregate bytes = world.make(patternText(kLarge));
  world.decide = [&](const http::RequestView& request) {
    (void)world.connections->respond(request.id, head, &bytes, http::Persistence::KeepAlive).isOk();
  };
  Client warm(world.port);
  for (uint64_t i = 1; i <= 2; ++i) {
    warm.send(get("/"));
    REQUIRE(world.until([&] { return warm.input.size() > i * kLarge; }, {&warm}));
  }
  const auto keptOfAnswer = [&](int receiveBuffer) -> uint64_t {
    Client client(world.port, receiveBuffer);
    const uint64_t before = world.stats().bytesSent;
    const uint64_t requests = world.stats().requests;
    client.send(get("/"));
    CHECK(world.until([&] { return world.stats().requests > requests; }));
    world.settle();
    return world.stats().bytesSent - before;
  };
  CHECK(keptOfAnswer(2 << 10) < kKeptForMost);
  CHECK(keptOfAnswer(kReceiveBuffer) > kKeptForMost);
}

TEST(aRequestThatTheProgramDoesNotAnswerInTimeIsAnswered504) {
  WorldOptions options;
  options.http.answerTimeoutMs = 5'000;
  HttpWorld world(options);
  world.decide = [](const http::RequestView&) {};
  Client client(world.port);
  client.send(get("/1") + get("/2"));
  REQUIRE(world.until([&] { return world.ids.size() == 2; }));
  world.pass(4'000);
  CHECK(world.respond(world.ids[0], "in time").isOk());
  world.pass(4'000);  // The second one's time began when its turn came.
  client.read();
  CHECK_EQ(client.input, HttpWorld::answerText("in time"));
  client.input.clear();
  world.pass(1'500);
  CHECK(world.until([&] { return client.isEnded; }, {&client}));
  CHECK_EQ(client.input.substr(0, client.input.find('\r')), "HTTP/1.1 504 Gateway Timeout");
  CHECK_EQ(world.stats().answerTimeouts, 1u);
  REQUIRE(world.closed.size() == 1);
  CHECK_EQ(world.closed[0].slot, world.ids[1].slot);
  CHECK(world.respond(world.ids[1], "too late").code() == Code::Closed);
}

TEST(anAnswerThatTheProgramDoesNotGoOnWithIsCut) {
  WorldOptions options;
  options.http.answerTimeoutMs = 5'000;
  HttpWorld world(options);
  world.decide = [&](const http::RequestView& request) {
    const Aggregate head = world.make(HttpWorld::headText(10));
    CHECK(world.connections->start(request.id, head, 10, http::Persistence::KeepAlive).isOk());
  };
  Client client(world.port);
  client.send(get("/"));
  REQUIRE(world.until([&] { return world.ids.size() == 1; }));
  world.pass(4'000);
  CHECK(world.connections->write(world.ids[0], world.make("12345")).isOk());
  world.pass(4'000);
  CHECK_EQ(world.stats().answerTimeouts, 0u);
  world.pass(1'500);
  CHECK(world.until([&] { return client.isOver(); }, {&client}));
  CHECK_EQ(world.stats().answerTimeouts, 1u);
  CHECK_EQ(world.closed.size(), 1u);
}

}  // namespace
}  // namespace iol::test
