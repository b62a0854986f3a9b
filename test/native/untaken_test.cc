// Channels of which nothing is lost: what was sent and not taken comes back to whoever sent it.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "aggregate/slice_iterator.h"
#include "channel/receiver.h"
#include "channel/sender.h"
#include "channel_world.h"
#include "sys/file.h"
#include "sys/pipe.h"

namespace iol {
namespace {

using namespace test;

struct World {
  Neighbours neighbours;
  Participant a{neighbours};
  Participant b{neighbours};
  Pipe pipe{a, b};
  void checkNothingIsHeld() {
    a.pool->collect();
    CHECK_EQ(a.domain->liveHolds(), 0u);
    CHECK_EQ(b.domain->liveHolds(), 0u);
    CHECK_EQ(a.pool->stats().buffers, 0u);
  }
};

constexpr uint64_t kNoBound = ~0ull;

TEST(whatTheReceiverHasNotTakenComesBackInItsOrder) {
  World world;
  world.pipe.sender->keepUntaken(kNoBound);
  {
    Message message(*world.b.domain);
    CHECK(world.pipe.send(world.a.bytes(10, 1)) == SendOutcome::Sent);
    CHECK(world.pipe.send(world.a.bytes(20, 2)) == SendOutcome::Sent);
    CHECK(world.pipe.send(world.a.bytes(5, 9), "not of the stream") == SendOutcome::Sent);
    Aggregate many(*world.a.domain);  // So many that their list has a buffer of its own.
    for (int i = 0; i < 100; i++) CHECK(many.adopt(world.a.make(3, 3)).isOk());
    CHECK(world.pipe.send(many) == SendOutcome::Sent);
    CHECK(world.pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  }
  world.pipe.receiver->close();
  {
    const Aggregate untaken = world.pipe.sender->takeBack();
    CHECK_EQ(untaken.byteLength(), 320u);
    CHECK(allAre(untaken.sliceAt(0), 2));
    for (SliceIterator each(untaken); !each.isAtEnd(); each.next()) {
      CHECK_EQ(int{each.slice().data()[0]}, each.slice().length == 20 ? 2 : 3);
    }
    CHECK(world.pipe.sender->isSettled());
  }
  CHECK_EQ(world.pipe.sender->takeBack().byteLength(), 0u);
  world.checkNothingIsHeld();
}

TEST(whatADeadReceiverHadTakenDoesNotComeBack) {
  World world;
  world.pipe.sender->keepUntaken(kNoBound);
  {
    Message message(*world.b.domain);
    for (uint8_t i = 1; i <= 3; i++) {
      CHECK(world.pipe.send(world.a.bytes(10, i)) == SendOutcome::Sent);
    }
    CHECK(world.pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
    CHECK(world.pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  }
  world.pipe.toReceiver->markDead();
  CHECK(world.pipe.send(world.a.bytes(10, 4)) == SendOutcome::PeerDead);
  const Aggregate untaken = world.pipe.sender->takeBack();
  CHECK_EQ(untaken.byteLength(), 10u);
  CHECK(allAre(untaken.sliceAt(0), 3));
}

TEST(aMessageThatCannotBeHadStaysForItsSenderToTakeBack) {
  World world;
  world.pipe.sender->keepUntaken(kNoBound);
  world.pipe.receiver->keepRefused();
  world.b.isDenied = true;
  {
    Message message(*world.b.domain);
    CHECK(world.pipe.send(world.a.bytes(10, 1)) == SendOutcome::Sent);
    CHECK(world.pipe.receiver->tryReceive(message) == ReceiveOutcome::Denied);
    CHECK(world.pipe.receiver->tryReceive(message) == ReceiveOutcome::Denied);
    CHECK(world.pipe.receiver->hasUntaken());
    CHECK(!world.pipe.receiver->isSenderClosed());
    const Aggregate untaken = world.pipe.sender->takeBack();
    CHECK_EQ(untaken.byteLength(), 10u);
  }
  world.pipe.sender->close();
  CHECK(world.pipe.receiver->isSenderClosed());
  world.checkNothingIsHeld();
}

TEST(asManyBytesAreInFlightAsWasSaidButAlwaysTwoMessages) {
  World world;
  world.pipe.sender->keepUntaken(1000);
  Message message(*world.b.domain);
  CHECK(world.pipe.send(world.a.bytes(4000, 1)) == SendOutcome::Sent);
  CHECK(world.pipe.send(world.a.bytes(4000, 2)) == SendOutcome::Sent);
  CHECK(world.pipe.send(world.a.bytes(1, 3)) == SendOutcome::Full);
  CHECK(!world.pipe.sender->hasWork());
  CHECK(world.pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK(world.pipe.sender->hasWork());  // It was waited for: the doorbell tells.
  CHECK(world.pipe.send(world.a.bytes(1, 3)) == SendOutcome::Sent);
  CHECK(world.pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK(world.pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  for (int i = 0; i < 20; i++) CHECK(world.pipe.send(world.a.bytes(50, 4)) == SendOutcome::Sent);
  CHECK(world.pipe.send(world.a.bytes(50, 4)) == SendOutcome::Full);
}

TEST(aMarkIsSeenFromTheOtherEndOfThePipeAndGoesWithItsDescriptor) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  sys::Fd reading(ends[0]);
  const sys::Fd writing(ends[1]);
  const auto readerIn = [&](uint64_t from, uint64_t count) {
    return sys::markOfPipe(writing.get(), sys::PipeEnd::Reading, from, count).take();
  };
  CHECK(!readerIn(0, 1ull << 60).has_value());
  CHECK(sys::markPipe(reading.get(), sys::PipeEnd::Reading, 4711).isOk());
  CHECK_EQ(readerIn(0, 1ull << 60).value_or(0), 4711u);
  CHECK_EQ(readerIn(4711, 1).value_or(0), 4711u);
  CHECK(!readerIn(4712, 1000).has_value());
  // Whoever has only one end cannot say that it has the other.
  CHECK(!sys::markPipe(reading.get(), sys::PipeEnd::Writing, 1).isOk());
  CHECK(!sys::markPipe(writing.get(), sys::PipeEnd::Reading, 1).isOk());
  CHECK(!sys::markOfPipe(reading.get(), sys::PipeEnd::Writing, 0, 1000).take().has_value());
  CHECK(sys::markPipe(writing.get(), sys::PipeEnd::Writing, 12).isOk());
  CHECK_EQ(sys::markOfPipe(reading.get(), sys::PipeEnd::Writing, 0, 1000).take().value_or(0), 12u);
  CHECK(sys::unmarkPipe(reading.get(), sys::PipeEnd::Reading, 4711).isOk());
  CHECK(!readerIn(0, 1ull << 60).has_value());
  CHECK(sys::markPipe(reading.get(), sys::PipeEnd::Reading, 4711).isOk());
  reading.reset();
  CHECK(!readerIn(0, 1ull << 60).has_value());
}

TEST(aLookAtAPipeSaysWhatIsInItAndWhoIsGone) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  sys::Fd reading(ends[0]);
  sys::Fd writing(ends[1]);
  CHECK(!sys::lookAtPipe(reading.get()).value().hasData);
  CHECK_EQ(::write(writing.get(), "abc", 3), 3);
  const sys::PipeLook look = sys::lookAtPipe(reading.get()).value();
  CHECK(look.isPipe && look.hasData && !look.hasEnded);
  CHECK_EQ(look.bytes, 3u);
  CHECK_EQ(sys::lookAtPipe(writing.get()).value().bytes, 3u);
  CHECK_EQ(sys::lookAtPipe(writing.get()).value().ino, look.ino);
  sys::Fd other = sys::duplicate(reading.get()).take();
  reading.reset();
  CHECK(!sys::lookAtPipe(writing.get()).value().isBroken);
  sys::Fd lastWriting = std::move(writing);
  lastWriting.reset();
  CHECK(sys::lookAtPipe(other.get()).value().hasData);
  CHECK(sys::lookAtPipe(other.get()).value().hasEnded);
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const sys::Fd alone(ends[1]);
  ::close(ends[0]);
  CHECK(sys::lookAtPipe(alone.get()).value().isBroken);
  CHECK_EQ(sys::lookAtPipe(-1).status().systemErrno(), EBADF);
}

}  // namespace
}  // namespace iol
