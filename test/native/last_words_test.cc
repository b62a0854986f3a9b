// Openings, grants and deaths that cross each other on their way through the host. Each of these
// was first met by the torture (test/torture/native).
#include <sys/time.h>

#include "channels_world.h"
#include "sys/timer.h"

namespace iol {
namespace {

using namespace test;

size_t livingAndDead(const Host& host) { return host.domains().size(); }

// Tells a member something, and waits for its answer without a turn of the host.
void tellOnly(MemberProcess& member, Deed deed, const BufferName& name) {
  member.tell({deed, name, {}});
  Answer answer;
  CHECK(sys::receiveMessage(member.socket, &answer, sizeof answer).isOk());
}

Slice sliceOf(Member& member, const BufferName& name) {
  Slice slice;
  slice.segment = member.guest->domain().segment(name.number);
  slice.slot = name.slot;
  slice.length = name.length;
  slice.generation = name.generation;
  return slice;
}

struct PairWorld : HostWorld {
  PairWorld() : near(host->address(), "near"), far(host->address(), "far") {
    for (Correspondent* each : {&near, &far}) {
      CHECK(attach(*each));
      each->begin();
    }
  }
  DomainName find(const char* label) {
    near.found.clear();
    CHECK(near.guest->find(label).isOk());
    until({&near}, [&] { return !near.found.empty(); });
    return near.found[0];
  }
  Correspondent near;
  Correspondent far;
};

TEST(twoThatDieWantingOfEachOtherAreForgotten) {
  HostWorld world;
  Member reader(world.host->address());
  MemberProcess one(world.host->address());
  MemberProcess other(world.host->address());
  REQUIRE(world.attach(reader));
  const BufferName ofOne = one.make(world, 64, 1);
  const BufferName ofOther = other.make(world, 64, 2);
  REQUIRE(world.take(reader, {}, ofOne).isOk() && world.take(reader, {}, ofOther).isOk());
  tellOnly(one, Deed::Request, ofOther);
  tellOnly(other, Deed::Request, ofOne);
  one.kill();
  other.kill();
  world.until({&reader}, [&] { return reader.ended.size() == 2; });
  reader.drop(ofOne);
  reader.drop(ofOther);
  world.until({&reader}, [&] { return livingAndDead(*world.host) == 1; });
  CHECK_EQ(world.host->segmentCount(), 0u);
}

TEST(whatIsGrantedWhileTheRestIsLetGoStaysKnown) {
  HostWorld world;
  Member reader(world.host->address());
  Member friendly(world.host->address());
  MemberProcess owner(world.host->address());
  REQUIRE(world.attach(reader) && world.attach(friendly));
  const BufferName known = owner.make(world, 64, 1);
  const BufferName large = owner.make(world, 500'000, 2);
  REQUIRE(world.take(reader, {}, known).isOk());
  owner.kill();
  world.until({&reader}, [&] { return !reader.ended.empty(); });
  REQUIRE(reader.guest->request(large.number).isOk());
  reader.drop(known);
  world.host->onReady();    // The grant is on its way,
  reader.guest->onReady();  // while nothing of the owner's is held here.
  REQUIRE(reader.take(large).isOk());
  world.host->onReady();
  REQUIRE(world.take(friendly, {&reader}, large).isOk());  // As if the reader had forwarded it.
  CHECK(friendly.isRight(large));
  friendly.drop(large);
  reader.drop(large);
  world.until({&reader, &friendly}, [&] { return world.host->segmentCount() == 0; });
}

TEST(aMessageOfTwoDeadOwnersIsReceivedThoughItsGrantsComeOneByOne) {
  PairWorld world;
  MemberProcess one(world.host->address());
  MemberProcess other(world.host->address());
  const BufferName first = one.make(world, 64, 1);
  const BufferName second = other.make(world, 64, 2);
  REQUIRE(world.take(world.near, {}, first).isOk());
  REQUIRE(world.take(world.near, {}, second).isOk());
  one.kill();
  other.kill();
  CHECK(world.near.channels->open(world.far.guest->domain().name(), "to far").isOk());
  REQUIRE(world.until({&world.near, &world.far}, [&] {
    return world.near.ended.size() == 2 && world.far.opened.size() == 1;
  }));
  Aggregate both(world.near.guest->domain());
  CHECK(both.adopt(sliceOf(world.near, first)).isOk());
  CHECK(both.adopt(sliceOf(world.near, second)).isOk());
  CHECK(world.near.opened[0]->sender->trySend(both).value() == SendOutcome::Sent);

  Receiver& receiver = *world.far.opened[0]->receiver;
  Message message(world.far.guest->domain());
  REQUIRE(world.far.guest->request(first.number).isOk());
  world.host->onReady();
  world.far.guest->onReady();
  CHECK(receiver.tryReceive(message) == ReceiveOutcome::AwaitingGrant);
  world.far.guest->onReady();  // Hears that its owner is dead.
  world.host->onReady();
  world.far.guest->onReady();  // Forgets what nobody holds of the dead.
  CHECK(receiver.tryReceive(message) == ReceiveOutcome::Received);
  CHECK_EQ(message.aggregate.sliceCount(), 2u);
}

TEST(whoDiesBeforeItAnswersAnOpeningIsForgotten) {
  PairWorld world;
  MemberProcess silent(world.host->address(), "silent");
  silent.make(world, 64, 1);
  const DomainName name = world.find("silent");
  CHECK(world.near.channels->open(name, "in vain").isOk());
  world.host->onReady();
  silent.kill();
  world.until({&world.near, &world.far}, [&] { return !world.near.refused.empty(); });
  world.until({&world.near, &world.far}, [&] { return livingAndDead(*world.host) == 2; });
  CHECK_EQ(world.host->segmentCount(), 0u);
  CHECK(world.near.channels->all().empty());
}

TEST(aChannelThatIsNotYetConnectedKeepsNobodyAwake) {
  PairWorld world;
  CHECK(world.near.channels->open(world.far.guest->domain().name(), "soon").isOk());
  while (world.near.opened.empty()) {
    world.host->onReady();
    if (world.far.channels->all().empty()) world.far.guest->onReady();
    world.near.guest->onReady();
  }
  const Aggregate body = world.near.bytes(10, 1);
  CHECK(world.near.opened[0]->sender->trySend(body).value() == SendOutcome::Sent);
  CHECK(world.far.opened.empty());
  CHECK(world.far.doorbell->prepareToSleep());  // However long the host takes.
  world.far.doorbell->wake();
  world.until({&world.near, &world.far}, [&] { return !world.far.opened.empty(); });
  CHECK(!world.far.doorbell->prepareToSleep());
  Message message(world.far.guest->domain());
  CHECK(world.until({&world.near, &world.far}, [&] {
    return world.far.opened[0]->receiver->tryReceive(message) == ReceiveOutcome::Received;
  }));
}

TEST(whatADeadHostLeavesHalfOpenIsRefused) {
  HostProcess host;
  Correspondent near(host.address, "near");
  Correspondent far(host.address, "far");
  REQUIRE(host.attach(near) && host.attach(far));
  near.begin();
  far.begin();
  CHECK(near.channels->open(far.guest->domain().name(), "too late").isOk());
  host.kill();
  until(nullptr, {&near, &far}, [&] { return !near.hostGone.empty() && !far.hostGone.empty(); });
  CHECK_EQ(near.refused.size(), 1u);
  CHECK(near.channels->all().empty());
  CHECK(far.channels->all().empty());
}

// Passes over what is not about channels.
struct Tolerant : Correspondent {
  using Correspondent::Correspondent;
  void onRelay(DomainName from, const uint8_t* body, std::vector<sys::Fd> fds) override {
    (void)channels->onRelay(from, body, fds);
  }
};

TEST(anOpeningThatWasRefusedForAShortageMayBeTriedAgain) {
  HostWorld world;
  Correspondent near(world.host->address(), "near");
  Tolerant far(world.host->address(), "far");
  Member noise(world.host->address());
  REQUIRE(world.attach(near) && world.attach(far) && world.attach(noise));
  near.begin();
  far.begin();
  const DomainName to = far.guest->domain().name();
  for (int count = 0; count < 5000 && noise.relaysRefused.empty(); count++) {
    CHECK(noise.guest->relay(to, {}, {}).isOk());
    world.host->onReady();
    noise.guest->onReady();
  }
  REQUIRE(!noise.relaysRefused.empty());
  CHECK(near.channels->open(to, "now").isOk());
  REQUIRE(world.until({&near, &noise}, [&] { return near.refused.size() == 1; }));
  // Everything unread is read.
  const uint64_t before = near.relaysRefused.size();
  for (int turn = 0; turn < 100; turn++) {
    far.guest->onReady();
    world.host->onReady();
  }
  CHECK_EQ(near.relaysRefused.size(), before);
  CHECK(near.channels->open(to, "again").isOk());
  CHECK(world.until({&near, &far, &noise}, [&] { return far.opened.size() == 1; }));
}

TEST(aSignalDoesNotEndAWait) {
  struct sigaction nothing {};
  struct sigaction before {};
  nothing.sa_handler = [](int) {};
  ::sigaction(SIGALRM, &nothing, &before);
  itimerval often{{0, 5000}, {0, 5000}};
  ::setitimer(ITIMER_REAL, &often, nullptr);
  auto [one, other] = sys::socketPair().take();
  const int64_t began = sys::systemClock().monotonicMs();
  CHECK(!sys::awaitReadable(one, 100));
  CHECK(sys::systemClock().monotonicMs() - began >= 100);
  CHECK(sys::sendMessage(other, "x", 1).isOk());
  CHECK(sys::awaitReadable(one, 100));
  often = {};
  ::setitimer(ITIMER_REAL, &often, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
}

}  // namespace
}  // namespace iol
