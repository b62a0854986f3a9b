// Who is dead (host, owner, reader), by what is tried (grant, hit, miss, attach).
//
//   hit      a name in a segment that is granted already
//   miss     a name in another segment of an owner that is known
//   grant    the first name of an owner
#include "host_world.h"

namespace iol {
namespace {

using namespace test;

TEST(afterTheHostsDeathHitsGoOnAndNothingElse) {
  HostProcess host;
  Member owner(host.address);
  Member reader(host.address);
  Member stranger(host.address);
  REQUIRE(host.attach(owner) && host.attach(reader) && host.attach(stranger));
  REQUIRE(owner.makePool().isOk() && reader.makePool().isOk());
  BufferName known, other, large, ofReader;
  REQUIRE(owner.make(64, 1, &known).isOk());
  REQUIRE(owner.make(64, 2, &other).isOk());
  REQUIRE(owner.make(500'000, 3, &large).isOk());
  REQUIRE(reader.make(64, 4, &ofReader).isOk());
  REQUIRE(takeNow(nullptr, reader, {}, known).isOk());
  host.kill();
  until(nullptr, {&owner, &reader, &stranger}, [&] {
    return !owner.hostGone.empty() && !reader.hostGone.empty() && !stranger.hostGone.empty();
  });
  CHECK(takeNow(nullptr, reader, {&owner}, other).isOk());  // hit
  CHECK(reader.isRight(other) && reader.isRight(known));
  CHECK(takeNow(nullptr, reader, {&owner}, large).code() == Code::Closed);        // miss
  CHECK(takeNow(nullptr, stranger, {&reader}, ofReader).code() == Code::Closed);  // grant
  Member late(host.address);                                                      // attach
  CHECK(late.status.code() == Code::System && late.status.systemErrno() == ECONNREFUSED);
  // Recycling goes on: holds are nobody's business but the holders' and the owner's.
  owner.drop(known);
  CHECK_EQ(owner.pool->collect(), 0u);
  reader.drop(known);
  CHECK_EQ(owner.pool->collect(), 1u);
  reader.drop(other);
}

TEST(aNewHostIsANewWindow) {
  HostProcess first;
  Member owner(first.address);
  REQUIRE(first.attach(owner));
  const uint64_t old = owner.guest->window().id();
  first.kill();
  HostProcess second;
  Member again(second.address);
  REQUIRE(second.attach(again));
  CHECK(again.guest->window().id() != old);
  Guest::Options options;
  options.windowId = old;
  std::unique_ptr<Guest> wrong = Guest::connect(second.address, options).take();
  CHECK(wrong->awaitAttached(10'000).code() == Code::Closed);
  CHECK(wrong->state() == Guest::State::Refused);
}

// Table sent, word not raised; and word raised, nothing granted. Neither owner nor reader waits.
void dieInTheMiddleOfAGrant(const char* crashPoint) {
  HostProcess host(crashPoint);
  Member owner(host.address);
  Member reader(host.address);
  REQUIRE(host.attach(owner) && host.attach(reader));
  REQUIRE(owner.makePool().isOk());
  BufferName name;
  REQUIRE(owner.make(64, 1, &name).isOk());
  CHECK(takeNow(nullptr, reader, {}, name).code() == Code::Closed);
  CHECK_EQ(awaitChild(host.pid), 128 + SIGKILL);
  host.pid = -1;
  until(nullptr, {&owner}, [&] { return !owner.hostGone.empty(); });
  CHECK_EQ(owner.guest->domain().peers().size(), 1u);
  owner.drop(name);
  CHECK_EQ(owner.pool->stats().pending, 0u);
}

TEST(aHostThatDiesBetweenTableAndEpochLeavesNobodyWaiting) { dieInTheMiddleOfAGrant("EpochRaise"); }

TEST(aHostThatDiesBetweenEpochAndGrantLeavesNobodyWaiting) {
  dieInTheMiddleOfAGrant("EpochRaised");
}

TEST(aDeadOwnersBuffersAreGrantedToWhoMayHearOfThem) {
  HostWorld world;
  Member reader(world.host->address());
  Member friendly(world.host->address());
  MemberProcess owner(world.host->address(), "owner");
  REQUIRE(world.attach(reader) && world.attach(friendly));
  const BufferName known = owner.make(world, 64, 1);
  const BufferName other = owner.make(world, 64, 2);
  const BufferName large = owner.make(world, 500'000, 3);
  REQUIRE(reader.guest->find("owner").isOk());
  world.until({&reader}, [&] { return !reader.found.empty(); });
  const DomainName name = reader.found[0];
  // A channel: its last names may be read after the owner's death.
  REQUIRE(reader.guest->relay(name, {}, {}).isOk());
  world.until({&reader}, [&] { return world.host->segmentCount() == 2; });
  REQUIRE(world.take(reader, {}, known).isOk());
  owner.kill();
  world.until({&reader, &friendly}, [&] { return !reader.ended.empty(); });
  CHECK(reader.ended[0] == name);
  CHECK(reader.isRight(known));
  CHECK(world.take(reader, {}, other).isOk());    // hit
  CHECK(world.take(reader, {}, large).isOk());    // miss
  CHECK(world.take(friendly, {}, large).isOk());  // grant: forwarded by the reader
  CHECK(reader.isRight(large) && friendly.isRight(large));
  reader.drop(known);
  reader.drop(other);
  reader.drop(large);
  reader.guest->unlink(name);
  world.until({&reader}, [&] { return reader.guest->grantedSegments() == 0; });
  CHECK_EQ(world.host->segmentCount(), 2u);  // The friend still has one.
  CHECK(friendly.isRight(large));
  friendly.drop(large);
  world.until({&reader, &friendly}, [&] { return world.host->segmentCount() == 0; });
  MemberProcess late(world.host->address());  // attach
  CHECK_EQ(late.ask(world, Deed::Collect).code, 255u);
}

TEST(whatNobodyCanReachGoesWithItsOwner) {
  HostWorld world;
  Member reader(world.host->address());
  MemberProcess owner(world.host->address());
  REQUIRE(world.attach(reader));
  const BufferName name = owner.make(world, 64, 1);
  world.until({&reader}, [&] { return world.host->segmentCount() == 1; });
  owner.kill();
  world.until({&reader}, [&] { return world.host->segmentCount() == 0; });
  CHECK(world.take(reader, {}, name).code() == Code::BadDescriptor);
}

TEST(whatWasMadeKnownJustBeforeDeathIsKnown) {
  HostWorld world;
  Member reader(world.host->address());
  MemberProcess owner(world.host->address(), "owner");
  REQUIRE(world.attach(reader));
  owner.ask(world, Deed::Collect);
  REQUIRE(reader.guest->find("owner").isOk());
  world.until({&reader}, [&] { return !reader.found.empty(); });
  REQUIRE(reader.guest->relay(reader.found[0], {}, {}).isOk());
  reader.guest->onReady();
  world.host->onReady();
  // The host has no turn between the making and the death.
  Instruction make{Deed::Make, {}, {}};
  make.name.length = 100;
  make.name.fill = 7;
  owner.tell(make);
  Answer answer;
  REQUIRE(sys::receiveMessage(owner.socket, &answer, sizeof answer).isOk());
  owner.kill();
  CHECK(world.take(reader, {}, answer.name).isOk());
  CHECK(reader.isRight(answer.name));
  reader.drop(answer.name);
}

TEST(aNameOfAnOwnerThatDiedWhileRevokingIsValid) {
  HostWorld world;
  Member reader(world.host->address());
  MemberProcess owner(world.host->address());
  REQUIRE(world.attach(reader));
  const BufferName known = owner.make(world, 64, 1);
  const BufferName name = owner.make(world, 64, 2);
  REQUIRE(world.take(reader, {}, known).isOk());
  CHECK_EQ(owner.ask(world, Deed::Arm, {}, "GenerationNext", {&reader}).value, 1u);
  owner.tell({Deed::Release, name, {}});
  CHECK_EQ(awaitChild(owner.pid), 128 + SIGKILL);
  owner.pid = -1;
  const Segment& segment = *reader.guest->domain().segment(name.number);
  CHECK_EQ(segment.generation(name.slot).load(), name.generation | kGenerationRevoking);
  CHECK(world.take(reader, {}, name).isOk());
  CHECK(reader.isRight(name));
  reader.drop(name);
  reader.drop(known);
}

TEST(whereverAnOwnerDiesItsReadersKeepTheBytes) {
  for (const char* point : {"ChunkCarve", "GenerationMark", "GenerationNext", "HoldRaise",
                            "HoldLower", "HoldChunkRaise", "HoldChunkLower"}) {
    HostWorld world;
    Member reader(world.host->address());
    MemberProcess owner(world.host->address());
    REQUIRE(world.attach(reader));
    const BufferName held = owner.make(world, 64, 1);
    const BufferName other = owner.make(world, 2000, 2);
    REQUIRE(world.take(reader, {}, held).isOk());
    CHECK_EQ(owner.ask(world, Deed::Arm, {}, point, {&reader}).value, 1u);
    // One of the two passes the point: freeing what nobody holds, carving for a new size.
    Instruction make{Deed::Make, {}, {}};
    make.name.length = 700;
    owner.tell({Deed::Release, other, {}});
    (void)sys::sendMessage(owner.socket, &make, sizeof make);
    CHECK_EQ(awaitChild(owner.pid), 128 + SIGKILL);
    owner.pid = -1;
    CHECK(reader.isRight(held));
    CHECK(world.take(reader, {}, held).isOk());
    reader.drop(held);
    reader.drop(held);
    world.until({&reader}, [&] { return world.host->segmentCount() == 0; });
  }
}

TEST(whereverAReaderDiesItsOwnerGetsTheBufferBack) {
  for (const char* point : {"HoldChunkRaise", "HoldRaise", "HoldLower", "HoldChunkLower"}) {
    HostWorld world;
    Member owner(world.host->address());
    Member other(world.host->address());
    MemberProcess reader(world.host->address());
    REQUIRE(world.attach(owner) && world.attach(other));
    REQUIRE(owner.makePool().isOk());
    BufferName name;
    REQUIRE(owner.make(64, 1, &name).isOk());
    CHECK_EQ(reader.ask(world, Deed::Arm, {}, point, {&owner}).value, 1u);
    reader.tell({Deed::Take, name, {}});
    reader.tell({Deed::Drop, name, {}});
    world.until({&owner, &other}, [&] { return !world.gone.empty(); });
    CHECK_EQ(awaitChild(reader.pid), 128 + SIGKILL);
    reader.pid = -1;
    CHECK(world.gone.back().second.isOk());
    CHECK(world.take(other, {&owner}, name).isOk());  // grant, hit and miss of others
    owner.drop(name);
    CHECK_EQ(owner.pool->collect(), 0u);
    CHECK(other.isRight(name));
    other.drop(name);
    CHECK_EQ(owner.pool->collect(), 1u);
    CHECK_EQ(owner.guest->domain().peers().size(), 1u);
    MemberProcess late(world.host->address());  // attach
    CHECK_EQ(late.ask(world, Deed::Collect, {}, "", {&owner}).code, 255u);
  }
}

TEST(aStoppedOwnerKeepsNobodyFromAGrant) {
  HostWorld world;
  Member reader(world.host->address());
  MemberProcess owner(world.host->address());
  REQUIRE(world.attach(reader));
  const BufferName name = owner.make(world, 64, 1);
  ::kill(owner.pid, SIGSTOP);
  CHECK(world.take(reader, {}, name).isOk());
  CHECK(reader.isRight(name));
  ::kill(owner.pid, SIGCONT);
  owner.ask(world, Deed::Release, name, "", {&reader});
  CHECK_EQ(owner.ask(world, Deed::Collect, {}, "", {&reader}).value, 1u);
  reader.drop(name);
  CHECK_EQ(owner.ask(world, Deed::Collect, {}, "", {&reader}).value, 0u);
}

TEST(closedDescriptorsAreNotADeath) {
  HostWorld world;
  Member owner(world.host->address());
  MemberProcess reader(world.host->address());
  REQUIRE(world.attach(owner));
  REQUIRE(owner.makePool().isOk());
  BufferName name;
  REQUIRE(owner.make(64, 1, &name).isOk());
  CHECK_EQ(reader.ask(world, Deed::Take, name, "", {&owner}).code, 0u);
  reader.ask(world, Deed::CloseAll, {}, "", {&owner});
  world.until({&owner}, [&] { return !world.gone.empty(); });
  CHECK(world.gone[0].second.code() == Code::Closed);
  owner.drop(name);
  CHECK_EQ(owner.pool->collect(), 0u);
  CHECK_EQ(reader.ask(world, Deed::Check, name, "", {&owner}).value, 1u);
  reader.kill();
  CHECK_EQ(owner.pool->collect(), 1u);
}

TEST(anotherUserIsKeptOutByTheAccessList) {
  if (::getuid() != 0) SKIP("needs root to become others");
  HostWorld world;
  Member owner(world.host->address());
  REQUIRE(world.attach(owner));
  AccessList list;
  REQUIRE(list.add(AccessEntry::Kind::Uid, 12345));
  REQUIRE(list.add(AccessEntry::Kind::Gid, 12346));
  REQUIRE(owner.makePool(list).isOk());
  BufferName name;
  REQUIRE(owner.make(64, 1, &name).isOk());
  MemberProcess byUid(world.host->address(), "", "", 12345);
  MemberProcess byGid(world.host->address(), "", "", 12346);
  MemberProcess stranger(world.host->address(), "", "", 12347);
  CHECK_EQ(byUid.ask(world, Deed::Take, name, "", {&owner}).code, 0u);
  CHECK_EQ(byUid.ask(world, Deed::Check, name, "", {&owner}).value, 1u);
  CHECK_EQ(byGid.ask(world, Deed::Take, name, "", {&owner}).code, 0u);
  const Answer denied = stranger.ask(world, Deed::Take, name, "", {&owner});
  CHECK_EQ(denied.code, static_cast<uint32_t>(Code::AccessDenied));
  CHECK_EQ(stranger.ask(world, Deed::Mapped, {}, "", {&owner}).value, 0u);
}

}  // namespace
}  // namespace iol
