// Channels between processes, opened over the control plane, and a peer that dies at every named
// crash point: no wrong byte, nothing twice, nothing lost that was published, nothing held on.
#include "channels_world.h"

namespace iol {
namespace {

using namespace test;

constexpr uint32_t kMessages = 60;

// Answers each message with the same bytes and a buffer of its own, until the channel closes. With
// a second argument it passes on what it gets to the domain of that name instead.
CHILD(answersMessages) {
  Correspondent self(HostAddress::parse(argv[0]).take());
  if (self.guest == nullptr || !self.guest->awaitAttached(10'000).isOk()) return 2;
  self.begin();
  for (const char* label : {"near", argc > 2 ? argv[2] : ""}) {
    if (*label == 0) continue;
    const size_t before = self.opened.size();
    self.found.clear();
    (void)self.guest->find(label);
    while (self.found.empty()) self.turn();
    if (!self.channels->open(self.found[0], "a child", kRingBytesMin).isOk()) return 3;
    while (self.opened.size() == before) self.turn();
  }
  Receiver& receiver = *self.opened.front()->receiver;
  Channel* const to = self.opened.back();
  if (argv[1][0] != '-' && !armCrashPoint(argv[1])) return 4;
  Message message(self.guest->domain());
  while (true) {
    const ReceiveOutcome outcome = receiver.tryReceive(message);
    if (outcome == ReceiveOutcome::Closed || outcome == ReceiveOutcome::PeerDead) break;
    if (outcome != ReceiveOutcome::Received) {
      self.turn();
      continue;
    }
    const std::string number(message.metadata.begin(), message.metadata.end());
    const Aggregate own = self.bytes(300, static_cast<uint32_t>(std::stoul(number)) + 1);
    if (!message.aggregate.append(own).isOk()) return 5;
    while (to->sender->trySend(message.aggregate, message.metadata).value() == SendOutcome::Full) {
      self.turn();
    }
  }
  message.aggregate.clear();
  while (!self.channels->all().empty()) self.channels->close(*self.channels->all()[0]);
  while (self.doorbell->lingering() > 0) self.turn();
  return 0;
}

struct ChannelsWorld : HostWorld {
  ChannelsWorld() : near(host->address(), "near"), far(host->address(), "far") {
    for (Correspondent* each : {&near, &far}) {
      CHECK(attach(*each));
      each->begin();
    }
  }
  void turn() {
    near.turn(host.get());
    far.guest->onReady();
    if (far.doorbell->prepareToSleep()) far.doorbell->wake();
  }
  // The child's channel, as we see it.
  Channel* start(const std::string& crashPoint, const std::string& forwardTo = "") {
    std::vector<std::string> arguments{host->address().format(), crashPoint};
    if (!forwardTo.empty()) arguments.push_back(forwardTo);
    pid = startChild("answersMessages", arguments, -1);
    while (near.opened.empty() && near.ended.empty()) turn();
    return near.opened.empty() ? nullptr : near.opened[0];
  }
  void checkNothingIsHeld() {
    for (Correspondent* each : {&near, &far}) {
      each->guest->domain().reapDeadPeers();
      each->pool->collect();
      CHECK_EQ(each->guest->domain().liveHolds(), 0u);
      CHECK_EQ(each->pool->stats().buffers, 0u);
      CHECK_EQ(each->pool->stats().pending, 0u);
    }
  }
  Correspondent near;
  Correspondent far;
  int pid = -1;
};

struct Tally {
  uint32_t sent = 0;
  uint32_t received = 0;
  uint32_t stale = 0;
};

// Sends numbered messages and receives the answers (at `from`) until all are there or the peer is
// dead: in order, each once, with the right bytes.
Tally converse(ChannelsWorld& world, Channel& to, Correspondent& reader, Channel** from) {
  Tally tally;
  Message message(reader.guest->domain());
  for (bool isOver = false; !isOver && !hasFailed();) {
    while (tally.sent < kMessages) {
      const Aggregate body = world.near.bytes(500, tally.sent);
      const Result<SendOutcome> sent =
          to.sender->trySend(body, asBytes(std::to_string(tally.sent)));
      if (!sent.isOk() || sent.value() != SendOutcome::Sent) break;
      tally.sent++;
    }
    ReceiveOutcome outcome = ReceiveOutcome::Empty;
    while (*from != nullptr && !isOver) {
      outcome = (*from)->receiver->tryReceive(message);
      if (outcome == ReceiveOutcome::Stale) tally.stale++;
      if (outcome != ReceiveOutcome::Received && outcome != ReceiveOutcome::Stale) break;
      const uint32_t number = tally.received + tally.stale - (outcome == ReceiveOutcome::Stale);
      if (outcome == ReceiveOutcome::Received) {
        CHECK_EQ(std::string(message.metadata.begin(), message.metadata.end()),
                 std::to_string(number));
        CHECK_EQ(message.aggregate.sliceCount(), 2u);
        CHECK(allBytesAre(message.aggregate.sliceAt(0), number));
        CHECK(allBytesAre(message.aggregate.sliceAt(1), number + 1));
        tally.received++;
      }
      message.aggregate.clear();
      isOver = tally.received + tally.stale == kMessages;
    }
    if (outcome == ReceiveOutcome::PeerDead || outcome == ReceiveOutcome::Closed) break;
    CHECK(outcome != ReceiveOutcome::Corrupt);
    if (!isOver) world.turn();
  }
  return tally;
}

TEST(aChannelBetweenTwoProcessesGoesBothWays) {
  ChannelsWorld world;
  Channel* channel = world.start("-");
  REQUIRE(channel != nullptr);
  const Tally tally = converse(world, *channel, world.near, &channel);
  CHECK_EQ(tally.received, kMessages);
  CHECK_EQ(tally.stale, 0u);
  world.near.channels->close(*channel);
  world.until({&world.near}, [&] { return !world.gone.empty(); });
  CHECK_EQ(awaitChild(world.pid), 0);
  world.checkNothingIsHeld();
}

TEST(aChannelThatIsNotWantedOrHasNoOtherEndIsRefused) {
  ChannelsWorld world;
  Correspondent& near = world.near;
  CHECK(near.channels->open(world.far.guest->domain().name(), "unwanted").isOk());
  CHECK(world.until({&near, &world.far}, [&] { return near.refused.size() == 1; }));
  // Whatever kept the other side from it: no access list has a say in channels.
  CHECK(near.refused[0].code() == Code::Refused);
  CHECK(near.channels->open({77, 1}, "nobody").isOk());
  CHECK(world.until({&near, &world.far}, [&] { return near.refused.size() == 2; }));
  CHECK(near.channels->open({77, 1}, "a name that is far too long").status().code() ==
        Code::TooLarge);
  CHECK(near.channels->open(world.far.guest->domain().name(), "much", 1 << 20).isOk());
  CHECK(world.until({&near, &world.far}, [&] { return near.refused.size() == 3; }));
  CHECK(near.channels->all().empty());
  CHECK(world.far.channels->all().empty());
  CHECK(near.channels->open(world.far.guest->domain().name(), "wanted").isOk());
  CHECK(world.until({&near, &world.far}, [&] { return world.far.opened.size() == 1; }));
  CHECK_EQ(near.opened.size(), 1u);
}

// Whose control socket is full at that moment answers as soon as it is not.
TEST(aRefusalWaitsForRoomInTheControlSocket) {
  ChannelsWorld world;
  Correspondent& near = world.near;
  Correspondent& far = world.far;
  CHECK(near.channels->open(far.guest->domain().name(), "unwanted").isOk());
  world.host->onReady();  // It is in far's socket now, unread.
  const uint8_t body[kRelayBodyBytes] = {};
  int relays = 0;
  while (far.guest->relay({77, 1}, body, {}).isOk()) relays++;
  CHECK(relays > static_cast<int>(ControlSocket::kUnsentMax));
  far.guest->onReady();
  CHECK(near.refused.empty());
  CHECK(world.until({&near, &far}, [&] { return near.refused.size() == 1; }));
  CHECK(near.refused[0].code() == Code::Refused);
  CHECK(near.channels->all().empty());
}

TEST(aPeerThatDiesAtAnyStoreLosesNothingOfOurs) {
  if (!kHasCrashPoints) SKIP("built without crash points");
  uint32_t deaths = 0;
  for (const char* point : kCrashPointNames) {
    for (const char* passage : {":1", ":2", ":40"}) {
      ChannelsWorld world;
      Channel* channel = world.start(std::string(point) + passage);
      REQUIRE(channel != nullptr);
      const DomainName peer = channel->peer;
      const Tally tally = converse(world, *channel, world.near, &channel);
      world.near.channels->close(*channel);
      const bool hasFinished = tally.received + tally.stale == kMessages;
      world.until({&world.near, &world.far}, [&] { return !world.gone.empty(); });
      const int code = awaitChild(world.pid);
      CHECK(code == 0 || code == 128 + SIGKILL);
      CHECK(code != 0 || hasFinished);
      if (code != 0) deaths++;
      world.until({&world.near}, [&] {
        return std::find(world.near.ended.begin(), world.near.ended.end(), peer) !=
               world.near.ended.end();
      });
      world.checkNothingIsHeld();
      if (hasFailed()) test::fail(__FILE__, __LINE__, std::string(point) + passage);
    }
  }
  CHECK(deaths > 30);
}

// B gets our buffer, passes it on to C at once and dies: C has the right bytes, or is told Stale.
TEST(aForwarderThatDiesAtAnyStorePassesRightBytesOrNone) {
  if (!kHasCrashPoints) SKIP("built without crash points");
  for (const char* point :
       {"RingMessage", "RingPublish", "RingConsume", "RingConsumed", "HoldRaise", "HoldLower",
        "HoldChunkLower", "DoorbellRing", "SleepAnnounce"}) {
    for (const char* passage : {":3", ":20"}) {
      ChannelsWorld world;
      Channel* channel = world.start(std::string(point) + passage, "far");
      REQUIRE(channel != nullptr);
      Channel* forwarded = nullptr;
      while (forwarded == nullptr && world.gone.empty()) {
        world.turn();
        if (!world.far.opened.empty()) forwarded = world.far.opened[0];
      }
      if (forwarded != nullptr) converse(world, *channel, world.far, &forwarded);
      world.near.channels->close(*channel);
      world.until({&world.near, &world.far}, [&] { return !world.gone.empty(); });
      awaitChild(world.pid);
      world.until({&world.near, &world.far},
                  [&] { return !world.near.ended.empty() && !world.far.ended.empty(); });
      if (forwarded != nullptr) world.far.channels->close(*forwarded);
      world.checkNothingIsHeld();
      if (hasFailed()) test::fail(__FILE__, __LINE__, std::string(point) + passage);
    }
  }
}

}  // namespace
}  // namespace iol
