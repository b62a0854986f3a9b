// Owners that are stopped, or die, between the mark and its taking back; holders and forwarders
// whose life goes on otherwise than one expects.
#include <sys/wait.h>

#include "channels_world.h"

namespace iol {
namespace {

using namespace test;

// A holds a buffer's name as from a message of somebody who has died; its owner, who thought nobody
// had it, is stopped with the mark set, and A forwards it to B at once.
struct RevokedWorld : HostWorld {
  RevokedWorld()
      : near(host->address(), "near"), far(host->address(), "far"), owner(host->address()) {
    for (Correspondent* each : {&near, &far}) {
      CHECK(attach(*each));
      each->begin();
    }
    known = owner.make(*this, 64, 1);
    name = owner.make(*this, 64, 2);
    CHECK(HostWorld::take(near, {}, known).isOk());
    CHECK(HostWorld::take(far, {&near}, known).isOk());
    for (const char* label : {"one", "other"}) {
      CHECK(near.channels->open(far.guest->domain().name(), label).isOk());
    }
    until({&near, &far}, [&] { return far.opened.size() == 2 && near.opened.size() == 2; });
    owner.ask(*this, Deed::Arm, {}, "GenerationMark:1:stop,GenerationRestore:1:stop");
    owner.tell({Deed::Release, name, {}});
    awaitStop();  // It has looked: nobody holds it.
    CHECK(near.take(name).isOk());
    ::kill(owner.pid, SIGCONT);
    awaitStop();  // It has marked, looked again, and found us.
    CHECK_EQ(generation(), name.generation | kGenerationRevoking);
    Aggregate forwarded(near.guest->domain());
    Slice slice;
    slice.segment = near.guest->domain().segment(name.number);
    slice.slot = name.slot;
    slice.length = name.length;
    slice.generation = name.generation;
    CHECK(forwarded.adopt(slice).isOk());
    CHECK(near.opened[0]->sender->trySend(forwarded).value() == SendOutcome::Sent);
  }
  void awaitStop() {
    int status = 0;
    CHECK_EQ(::waitpid(owner.pid, &status, WUNTRACED), owner.pid);
    CHECK(WIFSTOPPED(status));
  }
  uint64_t generation() {
    return near.guest->domain().segment(name.number)->generation(name.slot).load();
  }
  ReceiveOutcome receive(Message& message) { return far.opened[0]->receiver->tryReceive(message); }
  Correspondent near;
  Correspondent far;
  MemberProcess owner;
  BufferName known;
  BufferName name;
};

TEST(aStoppedOwnersMarkHoldsUpItsOwnMessageAndNoOther) {
  if (!kHasCrashPoints) SKIP("built without crash points");
  RevokedWorld world;
  Message message(world.far.guest->domain());
  CHECK(world.receive(message) == ReceiveOutcome::Revoking);
  CHECK(world.near.opened[1]->sender->trySend(world.near.bytes(5, 3)).value() == SendOutcome::Sent);
  CHECK(world.until({&world.near, &world.far}, [&] {
    return world.far.opened[1]->receiver->tryReceive(message) == ReceiveOutcome::Received;
  }));
  for (int turn = 0; turn < 50; turn++) {
    CHECK(world.receive(message) == ReceiveOutcome::Revoking);
    CHECK(world.far.doorbell->prepareToSleep());  // It looks again now and then, asleep between.
    CHECK(world.far.doorbell->sleepMs() >= 1 && world.far.doorbell->sleepMs() <= 20);
    world.far.doorbell->wake();
  }
  ::kill(world.owner.pid, SIGCONT);
  CHECK(world.until({&world.near, &world.far},
                    [&] { return world.receive(message) == ReceiveOutcome::Received; }));
  CHECK(allBytesAre(message.aggregate.sliceAt(0), 2));
  CHECK_EQ(world.generation(), world.name.generation);
}

TEST(aMarkThatItsOwnersDeathLeftDoesNotMakeALivingSendersMessageStale) {
  if (!kHasCrashPoints) SKIP("built without crash points");
  RevokedWorld world;
  Message message(world.far.guest->domain());
  CHECK(world.receive(message) == ReceiveOutcome::Revoking);
  world.owner.kill();
  CHECK(world.until({&world.near, &world.far},
                    [&] { return world.receive(message) == ReceiveOutcome::Received; }));
  CHECK(allBytesAre(message.aggregate.sliceAt(0), 2));
}

// Closes every descriptor that it has, as daemons do, and goes on: what it holds, and the channel,
// whose memory is mapped, are as before.
CHILD(closesAllAndAnswers) {
  Correspondent self(HostAddress::parse(argv[0]).take());
  if (self.guest == nullptr || !self.guest->awaitAttached(10'000).isOk()) return 2;
  self.begin();
  (void)self.guest->find("near");
  while (self.found.empty()) self.turn();
  if (!self.channels->open(self.found[0], "channel").isOk()) return 7;
  while (self.opened.empty()) self.turn();
  Receiver& receiver = *self.opened[0]->receiver;
  Message kept(self.guest->domain());
  Message message(self.guest->domain());
  while (receiver.tryReceive(kept) != ReceiveOutcome::Received) self.turn();
  for (int fd = 3; fd < 1024; fd++) ::close(fd);
  if (self.opened[0]->sender->trySend(kept.aggregate).value() != SendOutcome::Sent) return 3;
  while (receiver.tryReceive(message) != ReceiveOutcome::Received) ::usleep(1000);
  if (!allBytesAre(kept.aggregate.sliceAt(0), 7)) return 4;
  if (!allBytesAre(message.aggregate.sliceAt(0), 8)) return 5;
  if (self.opened[0]->sender->trySend(message.aggregate).value() != SendOutcome::Sent) return 6;
  while (true) ::pause();
}

TEST(whoClosedAllItsDescriptorsHoldsAndAnswersOn) {
  HostWorld world;
  Correspondent near(world.host->address(), "near");
  REQUIRE(world.attach(near));
  near.begin();
  const int pid = startChild("closesAllAndAnswers", {world.host->address().format()}, -1);
  REQUIRE(world.until({&near}, [&] { return !near.opened.empty(); }));
  Sender& sender = *near.opened[0]->sender;
  Receiver& receiver = *near.opened[0]->receiver;
  Message message(near.guest->domain());
  {
    const Aggregate first = near.bytes(3000, 7);
    CHECK(sender.trySend(first).value() == SendOutcome::Sent);
  }
  const auto received = [&] { return receiver.tryReceive(message) == ReceiveOutcome::Received; };
  REQUIRE(world.until({&near}, received));
  // Its socket's end is not its end: nobody may write over what it holds.
  message.aggregate.clear();
  world.until({&near}, [&] { return !world.gone.empty(); });
  near.guest->domain().reapDeadPeers();
  near.guest->domain().settleInFlight();
  near.pool->collect();
  CHECK_EQ(near.pool->stats().buffers, 1u);
  {
    const Aggregate second = near.bytes(3000, 8);  // Fills its memory, if that were free.
    CHECK(sender.trySend(second).value() == SendOutcome::Sent);
  }
  REQUIRE(world.until({&near}, received));
  CHECK(allBytesAre(message.aggregate.sliceAt(0), 8));
  message.aggregate.clear();
  ::kill(pid, SIGKILL);
  CHECK_EQ(awaitChild(pid), 128 + SIGKILL);
  world.until({&near}, [&] { return !near.ended.empty(); });
  near.channels->close(*near.opened[0]);
  near.guest->domain().reapDeadPeers();
  near.pool->collect();
  CHECK_EQ(near.pool->stats().buffers, 0u);
}

// fork() without exec: the child's exit handlers and destructors touch nothing of the parent's.
TEST(aForkedChildThatExitsLeavesTheParentsChannelsAlone) {
  HostWorld world;
  Correspondent near(world.host->address(), "near");
  Correspondent far(world.host->address(), "far");
  REQUIRE(world.attach(near) && world.attach(far));
  near.begin();
  far.begin();
  CHECK(near.channels->open(far.guest->domain().name(), "channel").isOk());
  world.until({&near, &far}, [&] { return !far.opened.empty(); });
  const Aggregate body = near.bytes(100, 9);
  Sender& sender = *near.opened[0]->sender;
  CHECK(sender.trySend(body).value() == SendOutcome::Sent);
  const int pid = ::fork();
  if (pid == 0) {
    near.guest->onReady();
    const bool isRefused = near.guest->find("far").code() == Code::Forked &&
                           near.channels->open({1, 1}, "no").status().code() == Code::Forked &&
                           near.pool->allocate(1).status().code() == Code::Forked;
    ::_exit(isRefused ? 0 : 1);
  }
  CHECK_EQ(awaitChild(pid), 0);
  Message message(far.guest->domain());
  CHECK(world.until({&near, &far}, [&] {
    return far.opened[0]->receiver->tryReceive(message) == ReceiveOutcome::Received;
  }));
  CHECK(allBytesAre(message.aggregate.sliceAt(0), 9));
  CHECK(sender.trySend(body).value() == SendOutcome::Sent);
  CHECK(far.opened[0]->receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK(world.gone.empty());
}

}  // namespace
}  // namespace iol
