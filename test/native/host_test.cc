// Attaching, making known, granting, leaving: all in one process, each member a guest of its own.
#include "host_world.h"

namespace iol {
namespace {

using namespace test;

TEST(aGuestGetsANameAndNumbersOfTheHostsWindow) {
  HostWorld world;
  Member first(world.host->address(), "first");
  Member second(world.host->address(), "second");
  REQUIRE(world.attach(first));
  REQUIRE(world.attach(second));
  CHECK_EQ(first.guest->window().id(), world.window.id());
  CHECK(first.guest->domain().name() != second.guest->domain().name());
  REQUIRE(first.makePool().isOk());
  REQUIRE(second.makePool().isOk());
  BufferName one, other;
  CHECK(first.make(100, 1, &one).isOk());
  CHECK(second.make(100, 2, &other).isOk());
  CHECK(one.number != other.number);
}

TEST(aBufferIsReadByWhoWasGrantedItsSegment) {
  HostWorld world;
  Member owner(world.host->address());
  Member reader(world.host->address());
  REQUIRE(world.attach(owner) && world.attach(reader));
  REQUIRE(owner.makePool().isOk());
  BufferName name;
  REQUIRE(owner.make(5000, 0xa7, &name).isOk());
  CHECK(world.take(reader, {&owner}, name).isOk());
  CHECK(reader.isRight(name));
  CHECK_EQ(owner.guest->domain().peers().size(), 1u);
  owner.drop(name);
  CHECK_EQ(owner.pool->stats().pending, 1u);
  CHECK_EQ(owner.pool->collect(), 0u);
  reader.drop(name);
  CHECK_EQ(owner.pool->collect(), 1u);
  CHECK(world.take(reader, {&owner}, name).code() == Code::Stale);
  CHECK_EQ(reader.granted.size(), 1u);
  CHECK_EQ(reader.guest->domain().liveHolds(), 0u);
}

TEST(aSecondSegmentOfAKnownOwnerNeedsNoSecondTable) {
  HostWorld world;
  Member owner(world.host->address());
  Member reader(world.host->address());
  REQUIRE(world.attach(owner) && world.attach(reader));
  REQUIRE(owner.makePool().isOk());
  BufferName small, large;
  REQUIRE(owner.make(500, 1, &small).isOk());
  REQUIRE(owner.make(500'000, 2, &large).isOk());
  CHECK(small.number != large.number);
  CHECK(world.take(reader, {&owner}, small).isOk());
  CHECK(world.take(reader, {&owner}, large).isOk());
  CHECK(reader.isRight(large));
  CHECK_EQ(owner.guest->domain().peers().epochKnown(), 1u);
  reader.drop(small);
  reader.drop(large);
}

TEST(aDomainOfTheHostsProcessJoinsUnderItsOwnName) {
  HostWorld world;
  std::unique_ptr<Domain> domain = Domain::create(world.window).take();
  {
    Member local(world.host->address(), "local", domain.get());
    Member reader(world.host->address());
    REQUIRE(world.attach(local) && world.attach(reader));
    CHECK(local.guest->domain().name() == domain->name());
    REQUIRE(local.makePool().isOk());
    BufferName name;
    REQUIRE(local.make(300, 3, &name).isOk());
    CHECK(world.take(reader, {&local}, name).isOk());
    CHECK(reader.isRight(name));
    reader.drop(name);
    local.drop(name);
  }
}

TEST(aReaderMayForwardWhatItWasGranted) {
  HostWorld world;
  Member owner(world.host->address());
  Member first(world.host->address());
  Member second(world.host->address());
  REQUIRE(world.attach(owner) && world.attach(first) && world.attach(second));
  REQUIRE(owner.makePool().isOk());
  BufferName name;
  REQUIRE(owner.make(64, 9, &name).isOk());
  REQUIRE(world.take(first, {&owner, &second}, name).isOk());
  CHECK(world.take(second, {&owner, &first}, name).isOk());
  owner.drop(name);
  first.drop(name);
  CHECK_EQ(owner.pool->collect(), 0u);
  CHECK(second.isRight(name));
  second.drop(name);
  CHECK_EQ(owner.pool->collect(), 1u);
}

TEST(aTableThatTheOwnerHasNotReadKeepsItFromFreeing) {
  HostWorld world;
  Member owner(world.host->address());
  Member reader(world.host->address());
  REQUIRE(world.attach(owner) && world.attach(reader));
  REQUIRE(owner.makePool().isOk());
  BufferName name;
  REQUIRE(owner.make(64, 9, &name).isOk());
  // The owner has no turn: it sits in synchronous work. The grant does not wait for it.
  CHECK(world.take(reader, {}, name).isOk());
  CHECK_EQ(owner.guest->domain().peers().size(), 0u);
  owner.drop(name);
  CHECK_EQ(owner.pool->collect(), 0u);
  CHECK(reader.isRight(name));
  reader.drop(name);
  CHECK_EQ(owner.pool->collect(), 0u);  // Still not looked into its socket.
  owner.guest->onReady();
  CHECK_EQ(owner.pool->collect(), 1u);
}

TEST(theHostsEndLeavesWhatWasGranted) {
  HostWorld world;
  Member owner(world.host->address());
  Member reader(world.host->address());
  REQUIRE(world.attach(owner) && world.attach(reader));
  REQUIRE(owner.makePool().isOk());
  BufferName name, later;
  REQUIRE(owner.make(64, 9, &name).isOk());
  REQUIRE(world.take(reader, {}, name).isOk());  // The table is in the owner's socket.
  world.host.reset();
  world.until({&owner, &reader},
              [&] { return !owner.hostGone.empty() && !reader.hostGone.empty(); });
  CHECK(owner.guest->state() == Guest::State::Alone);
  CHECK_EQ(owner.guest->domain().peers().size(), 1u);
  CHECK(reader.isRight(name));
  owner.drop(name);
  CHECK_EQ(owner.pool->collect(), 0u);
  reader.drop(name);
  CHECK_EQ(owner.pool->collect(), 1u);
  CHECK(owner.make(64, 1, &later).isOk());                       // The segment is known already.
  CHECK(owner.make(500'000, 1, &later).code() == Code::Closed);  // This one cannot be.
  CHECK(reader.take(later).code() == Code::Closed);
  CHECK(reader.guest->find("x").code() == Code::Closed);
}

TEST(whoLeavesInOrderIsForgottenByTheOwners) {
  HostWorld world;
  Member owner(world.host->address());
  Member reader(world.host->address());
  REQUIRE(world.attach(owner) && world.attach(reader));
  REQUIRE(owner.makePool().isOk());
  BufferName name;
  REQUIRE(owner.make(64, 9, &name).isOk());
  REQUIRE(world.take(reader, {&owner}, name).isOk());
  CHECK(reader.guest->detach().code() == Code::Busy);
  reader.drop(name);
  CHECK(reader.guest->detach().isOk());
  CHECK(reader.guest->state() == Guest::State::Detached);
  world.until({&owner}, [&] { return !world.gone.empty() && !owner.ended.empty(); });
  CHECK(world.gone[0].second.isOk());
  CHECK_EQ(owner.guest->domain().peers().size(), 0u);
  owner.drop(name);
  CHECK_EQ(owner.pool->stats().pending, 0u);
}

TEST(aRetiredSegmentIsUnmappedByItsReaders) {
  HostWorld world;
  Member owner(world.host->address());
  Member reader(world.host->address());
  REQUIRE(world.attach(owner) && world.attach(reader));
  REQUIRE(owner.makePool().isOk());
  BufferName name;
  REQUIRE(owner.make(20u << 20, 9, &name).isOk());  // A segment of its own.
  REQUIRE(world.take(reader, {&owner}, name).isOk());
  CHECK_EQ(reader.guest->grantedSegments(), 1u);
  CHECK_EQ(world.host->segmentCount(), 1u);
  reader.drop(name);
  owner.drop(name);
  world.until({&owner, &reader}, [&] { return reader.guest->grantedSegments() == 0; });
  CHECK_EQ(world.host->segmentCount(), 0u);
  CHECK(reader.guest->domain().segment(name.number) == nullptr);
}

TEST(aRelayBringsItsSendersPidfd) {
  HostWorld world;
  Member one(world.host->address(), "one");
  Member two(world.host->address(), "two");
  REQUIRE(world.attach(one) && world.attach(two));
  CHECK(one.guest->find("two").isOk());
  CHECK(one.guest->find("nobody").isOk());
  world.until({&one, &two}, [&] { return one.found.size() == 2; });
  CHECK(one.found[0] == two.guest->domain().name());
  CHECK_EQ(one.found[1].epoch, 0u);
  uint8_t body[kRelayBodyBytes] = "hello";
  const int fds[] = {0};
  CHECK(one.guest->relay(one.found[0], body, fds).isOk());
  CHECK(one.guest->relay({7, 77}, body, {}).isOk());
  world.until({&one, &two}, [&] { return !two.relays.empty() && !one.relaysRefused.empty(); });
  CHECK(two.relays[0].from == one.guest->domain().name());
  CHECK_EQ(two.relays[0].body, std::string("hello"));
  REQUIRE(two.relays[0].fds.size() == 2);
  CHECK(!sys::processHasEnded(two.relays[0].fds[0]));
  CHECK(one.relaysRefused[0].code() == Code::Closed);
}

TEST(anAccessListDecidesWhoMayRead) {
  HostWorld world;
  Member owner(world.host->address(), "owner");
  Member friendly(world.host->address(), "friend");
  Member stranger(world.host->address(), "stranger");
  REQUIRE(world.attach(owner) && world.attach(friendly) && world.attach(stranger));
  AccessList list;
  REQUIRE(list.addLabel("friend"));
  REQUIRE(owner.makePool(list).isOk());
  BufferName name;
  REQUIRE(owner.make(64, 5, &name).isOk());
  CHECK(world.take(friendly, {&owner}, name).isOk());
  CHECK(world.take(stranger, {&owner}, name).code() == Code::AccessDenied);
  CHECK_EQ(stranger.guest->grantedSegments(), 0u);
  CHECK(stranger.guest->domain().segment(name.number) == nullptr);
  CHECK(stranger.guest->request(name.number).code() == Code::AccessDenied);  // Not asked again.
  friendly.drop(name);
}

TEST(numbersThatNobodyGaveAreRefusedNotWaitedFor) {
  HostWorld world;
  Member reader(world.host->address());
  REQUIRE(world.attach(reader));
  BufferName name;
  name.number = 12345;
  CHECK(world.take(reader, {}, name).code() == Code::BadDescriptor);
  name.number = 0;
  CHECK(reader.guest->request(0).code() == Code::BadDescriptor);
}

TEST(moreSegmentNumbersComeBeforeTheyRunOut) {
  HostWorld world;
  Member owner(world.host->address());
  REQUIRE(world.attach(owner));
  Window& window = owner.guest->window();
  const uint32_t given = window.segmentNumbersLeft();
  CHECK(window.takeSegmentNumbers(given - 100).isOk());
  REQUIRE(owner.makePool().isOk());
  Draft draft = owner.pool->allocate(10).take();
  world.until({&owner}, [&] { return window.segmentNumbersLeft() > given; });
}

}  // namespace
}  // namespace iol
