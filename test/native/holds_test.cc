// The hold protocol across processes: a hold taken in one keeps the owner of another from freeing,
// and no longer does after kill -9.
#include <unistd.h>

#include "holds_world.h"

namespace iol {
namespace {

using namespace test;

CHILD(holdsOnOrder) {
  sys::Fd socket(3);
  Result<Holder> joined = join(socket);
  if (!joined.isOk()) return 2;
  Holder& holder = joined.value();
  while (true) {
    Request request;
    if (!sys::receiveMessage(socket, &request, sizeof request).isOk()) return 0;
    uint8_t answer = 0;
    if (request.order == Order::Take) answer = static_cast<uint8_t>(holder.take(request.name));
    if (request.order == Order::Check) answer = holder.allAre(request.name, request.fill);
    if (request.order == Order::Drop) holder.drop(request.name);
    if (!sys::sendMessage(socket, &answer, 1).isOk() || request.order == Order::Leave) return 0;
  }
}

TEST(aHoldInAnotherProcessKeepsTheOwnerFromFreeing) {
  Owner owner;
  Process holder(owner, "holdsOnOrder");
  const Slice slice = owner.make(500, 0xa1);
  const Name name = nameOf(slice);
  CHECK(holder.take(name) == TakeOutcome::Taken);
  owner.domain->release(slice);
  CHECK_EQ(owner.pool->stats().pending, 1u);
  for (int step = 0; step < 100; step++) {
    const Slice other = owner.make(500, 0xff);
    CHECK(other.slot != name.slot);
    owner.domain->release(other);
  }
  CHECK_EQ(owner.pool->collect(), 0u);
  CHECK_EQ(holder.ask(Order::Check, name, 0xa1), 1);
  holder.ask(Order::Drop, name);
  CHECK_EQ(owner.pool->collect(), 1u);
  CHECK_EQ(owner.pool->stats().pending, 0u);
  CHECK(holder.take(name) == TakeOutcome::Stale);
  holder.ask(Order::Drop, name);
  holder.leave();
}

TEST(kill9OfTheHolderLetsTheOwnerFree) {
  Owner owner;
  Process holder(owner, "holdsOnOrder");
  const Slice slice = owner.make(500, 0xa2);
  CHECK(holder.take(nameOf(slice)) == TakeOutcome::Taken);
  owner.domain->release(slice);
  CHECK_EQ(owner.pool->collect(), 0u);
  Process witness(owner, "holdsOnOrder");
  holder.kill();
  CHECK_EQ(owner.pool->collect(), 1u);
  CHECK_EQ(owner.peers->size(), 1u);
  witness.leave();
}

TEST(aClosedSocketIsNotADeath) {
  Owner owner;
  Process holder(owner, "holdsOnOrder");
  Process silent(owner, "holdsUntilKilled");
  const Slice slice = owner.make(500, 0xa3);
  const Name name = nameOf(slice);
  CHECK(sys::sendMessage(silent.socket, &name, sizeof name).isOk());
  char byte;
  CHECK(sys::receiveMessage(silent.socket, &byte, 1).isOk());
  CHECK(!sys::receiveMessage(silent.socket, &byte, 1).isOk());  // It closed its end, and lives.
  owner.domain->release(slice);
  CHECK_EQ(owner.pool->collect(), 0u);
  silent.kill();
  CHECK_EQ(owner.pool->collect(), 1u);
  holder.leave();
}

CHILD(holdsUntilKilled) {
  Holder holder;
  {
    sys::Fd socket(3);
    Result<Holder> joined = join(socket);
    if (!joined.isOk()) return 2;
    holder = joined.take();
    Name name;
    if (!sys::receiveMessage(socket, &name, sizeof name).isOk()) return 3;
    if (holder.take(name) != TakeOutcome::Taken) return 4;
    if (!sys::sendMessage(socket, "h", 1).isOk()) return 5;
  }
  while (true) ::pause();
}

TEST(aForwardedHoldOutlivesItsForwarder) {
  Owner owner;
  Process first(owner, "holdsOnOrder");
  Process second(owner, "holdsOnOrder");
  const Slice slice = owner.make(900, 0xa4);
  const Name name = nameOf(slice);
  CHECK(first.take(name) == TakeOutcome::Taken);
  owner.domain->release(slice);
  CHECK(second.take(name) == TakeOutcome::Taken);  // `first` forwards it, holding meanwhile.
  first.kill();
  CHECK_EQ(owner.pool->collect(), 0u);
  CHECK_EQ(second.ask(Order::Check, name, 0xa4), 1);
  second.kill();
  CHECK_EQ(owner.pool->collect(), 1u);
}

TEST(aTakerWaitsWhileTheOwnerRevokes) {
  Owner owner;
  Process holder(owner, "holdsOnOrder");
  const Slice slice = owner.make(64, 1);
  GenerationWord& word = slice.segment->generation(slice.slot);
  word.fetch_or(kGenerationRevoking);
  CHECK(holder.take(nameOf(slice)) == TakeOutcome::Revoking);
  Name forged = nameOf(slice);
  forged.generation |= kGenerationRevoking;
  CHECK(holder.take(forged) == TakeOutcome::Stale);
  word.fetch_and(~kGenerationRevoking);
  CHECK(holder.take(nameOf(slice)) == TakeOutcome::Taken);
  CHECK(checkTaken(*slice.segment, slice.slot, slice.generation, true) == TakeOutcome::Taken);
  holder.kill();
  owner.domain->release(slice);
}

TEST(aDomainThatJoinsBetweenMarkAndScanIsNotOverlooked) {
  Owner owner;
  const Slice slice = owner.make(64, 1);
  const uint64_t granted = owner.grant();  // Its table has not reached the owner yet.
  owner.domain->release(slice);
  CHECK_EQ(owner.pool->stats().pending, 1u);
  CHECK(owner.peers->add({}, sys::Fd(), sys::Fd(), granted + 1).code() == Code::BadDescriptor);
  Process holder(owner, "holdsOnOrder", {}, {}, granted);
  CHECK_EQ(owner.pool->collect(), 1u);
  holder.leave();
}

TEST(aDeadHoldersKernelVisiblePagesAreNotReused) {
  Owner owner;
  Process holder(owner, "marksKernelVisible");
  const Slice slice = owner.make(64, 0x77);
  const Slice neighbour = owner.make(64, 1);  // Keeps the chunk from being punched at once.
  const Name name = nameOf(slice);
  CHECK(sys::sendMessage(holder.socket, &name, sizeof name).isOk());
  char byte;
  CHECK(sys::receiveMessage(holder.socket, &byte, 1).isOk());
  owner.domain->release(slice);
  holder.kill();
  CHECK_EQ(owner.pool->collect(), 1u);
  std::vector<Slice> others;
  for (int step = 0; step < 1500; step++) {
    others.push_back(owner.make(64, 0));
    CHECK(others.back().slot != name.slot);
  }
  CHECK_EQ(slice.data()[63], 0x77);
  for (const Slice& other : others) owner.domain->release(other);
  owner.domain->release(neighbour);
  CHECK_EQ(slice.data()[63], 0);  // Punched: the old page is the kernel's alone.
}

CHILD(marksKernelVisible) {
  sys::Fd socket(3);
  Result<Holder> joined = join(socket);
  if (!joined.isOk()) return 2;
  Name name;
  if (!sys::receiveMessage(socket, &name, sizeof name).isOk()) return 3;
  joined.value().take(name);
  joined.value().table->setKernelVisible(joined.value().segment->ordinal(), name.slot, true);
  if (!sys::sendMessage(socket, "h", 1).isOk()) return 5;
  while (true) ::pause();
}

}  // namespace
}  // namespace iol
