// What the kernel's OOM killer takes is a death like any other.
#include <signal.h>

#include <new>

#include "channels_world.h"
#include "sanitizer.h"
#include "small_group.h"

namespace iol {
namespace {

using namespace test;

constexpr uint32_t kMessages = 3;
constexpr int kNotKilled = 105;

// Sends what it owns, keeps what it was sent, then takes more memory than its group has.
CHILD(takesTooMuchMemory) {
  Correspondent self(HostAddress::parse(argv[0]).take());
  if (self.guest == nullptr || !self.guest->awaitAttached(10'000).isOk()) return 2;
  self.begin();
  (void)self.guest->find("near");
  while (self.found.empty()) self.turn();
  if (!self.channels->open(self.found[0], "a child").isOk()) return 3;
  while (self.opened.empty()) self.turn();
  Channel& channel = *self.opened[0];
  Message kept(self.guest->domain());
  while (channel.receiver->tryReceive(kept) != ReceiveOutcome::Received) self.turn();
  for (uint32_t number = 0; number < kMessages; number++) {
    const Aggregate bytes = self.bytes(5000, number);
    if (channel.sender->trySend(bytes).value() != SendOutcome::Sent) return 4;
  }
  if (!enterGroup(argv[1])) return 5;
  for (int step = 0; step < 1024; step++) {
    auto* const more = new (std::nothrow) uint8_t[1 << 20];
    if (more == nullptr) return kNotKilled;
    std::memset(more, step, 1 << 20);
    asm volatile("" ::"r"(more) : "memory");
  }
  return kNotKilled;
}

TEST(whatTheOomKillerTakesIsADeathLikeAnyOther) {
  if (kIsSanitized) SKIP("a sanitizer's own memory does not fit the group");
  const std::string group = makeSmallGroup();
  if (group.empty()) SKIP("no memory control group can be made here");
  HostWorld world;
  Correspondent near(world.host->address(), "near");
  CHECK(world.attach(near));
  near.begin();
  const int pid = startChild("takesTooMuchMemory", {world.host->address().format(), group}, -1);
  while (near.opened.empty() && near.ended.empty()) near.turn(world.host.get());
  REQUIRE(!near.opened.empty());
  Channel& channel = *near.opened[0];
  CHECK(channel.sender->trySend(near.bytes(300, 9)).value() == SendOutcome::Sent);
  uint32_t received = 0;
  Message message(near.guest->domain());
  while (true) {
    const ReceiveOutcome outcome = channel.receiver->tryReceive(message);
    if (outcome == ReceiveOutcome::PeerDead || outcome == ReceiveOutcome::Closed) break;
    if (outcome != ReceiveOutcome::Received) {
      near.turn(world.host.get());
      continue;
    }
    CHECK(allBytesAre(message.aggregate.sliceAt(0), received));
    received++;
  }
  message.aggregate.clear();
  const int code = awaitChild(pid);
  ::rmdir(group.c_str());
  if (code == kNotKilled) SKIP("memory is swapped out here instead");
  CHECK_EQ(code, 128 + SIGKILL);
  CHECK_EQ(received, kMessages);
  near.channels->close(channel);
  CHECK(world.until({&near}, [&] { return !world.gone.empty() && !near.ended.empty(); }));
  near.guest->domain().reapDeadPeers();
  near.pool->collect();
  CHECK_EQ(near.guest->domain().liveHolds(), 0u);
  CHECK_EQ(near.pool->stats().buffers, 0u);
}

}  // namespace
}  // namespace iol
