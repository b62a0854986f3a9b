// Who wakes whom, what it costs, and what a peer can do to the bell.
#include "channel/doorbell.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "channel_world.h"

namespace iol {
namespace {

using namespace test;

bool isReadable(const sys::Fd& fd) {
  sys::PollSet set = sys::PollSet::create().take();
  CHECK(set.add(fd, sys::Interest::Read, 1).isOk());
  sys::Readiness ready[1];
  return set.wait(ready) == 1;
}

TEST(aBusyPairRingsNobody) {
  Neighbours neighbours;
  Participant a(neighbours);
  Participant b(neighbours);
  Pipe ab(a, b);
  Pipe ba(b, a);
  Message atA(*a.domain);
  Message atB(*b.domain);
  const Aggregate body = a.bytes(64, 1);
  for (int round = 0; round < 10000; round++) {
    CHECK(ab.send(body) == SendOutcome::Sent);
    CHECK(ab.receiver->tryReceive(atB) == ReceiveOutcome::Received);
    CHECK(ba.send(atB.aggregate) == SendOutcome::Sent);
    CHECK(ba.receiver->tryReceive(atA) == ReceiveOutcome::Received);
  }
  CHECK_EQ(a.doorbell->stats().rings, 0u);
  CHECK_EQ(b.doorbell->stats().rings, 0u);
}

TEST(aSleeperIsRungOnceForManyMessages) {
  Neighbours neighbours;
  Participant a(neighbours);
  Participant b(neighbours);
  Pipe pipe(a, b);
  Message message(*b.domain);
  for (uint64_t round = 1; round <= 3; round++) {
    CHECK(b.doorbell->prepareToSleep());
    CHECK(!isReadable(b.doorbell->fd()));
    for (int count = 0; count < 10; count++) CHECK(pipe.send(a.bytes(1, 1)) == SendOutcome::Sent);
    CHECK_EQ(a.doorbell->stats().rings, round);
    CHECK(isReadable(b.doorbell->fd()));
    b.doorbell->wake();
    CHECK(!isReadable(b.doorbell->fd()));
    while (pipe.receiver->tryReceive(message) == ReceiveOutcome::Received) continue;
  }
}

TEST(aCorkedSenderRingsOnceForAll) {
  Neighbours neighbours;
  Participant a(neighbours);
  Participant b(neighbours);
  Pipe pipe(a, b);
  Message message(*b.domain);
  pipe.sender->setCorked(true);
  // Who is awake finds each message at once.
  CHECK(pipe.send(a.bytes(1, 1)) == SendOutcome::Sent);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK(b.doorbell->prepareToSleep());
  for (int count = 0; count < 10; count++) CHECK(pipe.send(a.bytes(1, 1)) == SendOutcome::Sent);
  CHECK_EQ(a.doorbell->stats().rings, 0u);
  CHECK(!isReadable(b.doorbell->fd()));
  a.doorbell->publishAll();
  CHECK_EQ(a.doorbell->stats().rings, 1u);
  CHECK(isReadable(b.doorbell->fd()));
  b.doorbell->wake();
  for (int count = 0; count < 10; count++) {
    CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  }
  a.doorbell->publishAll();  // Nothing new.
  CHECK_EQ(a.doorbell->stats().rings, 1u);
}

TEST(aCorkedSenderRingsBeforeItSleepsWhenItIsUncorkedAndWhenTheRingIsFull) {
  Neighbours neighbours;
  Participant a(neighbours);
  Participant b(neighbours);
  Pipe pipe(a, b);
  Message message(*b.domain);
  const auto takeAll = [&] {
    b.doorbell->wake();
    size_t taken = 0;
    while (pipe.receiver->tryReceive(message) == ReceiveOutcome::Received) taken++;
    return taken;
  };
  pipe.sender->setCorked(true);
  CHECK(b.doorbell->prepareToSleep());
  CHECK(pipe.send(a.bytes(1, 1)) == SendOutcome::Sent);
  CHECK(a.doorbell->prepareToSleep());
  CHECK_EQ(a.doorbell->stats().rings, 1u);
  a.doorbell->withdraw();
  CHECK_EQ(takeAll(), 1u);
  CHECK(b.doorbell->prepareToSleep());
  const Aggregate body = a.bytes(64, 1);
  size_t sent = 0;
  while (pipe.send(body) == SendOutcome::Sent) sent++;
  CHECK_EQ(a.doorbell->stats().rings, 2u);  // Else nobody would make room.
  CHECK_EQ(takeAll(), sent);
  CHECK(b.doorbell->prepareToSleep());
  CHECK(pipe.send(body) == SendOutcome::Sent);
  CHECK_EQ(a.doorbell->stats().rings, 2u);
  pipe.sender->setCorked(false);
  CHECK_EQ(a.doorbell->stats().rings, 3u);
  CHECK_EQ(takeAll(), 1u);
  CHECK(b.doorbell->prepareToSleep());
  CHECK(pipe.send(body) == SendOutcome::Sent);
  CHECK_EQ(a.doorbell->stats().rings, 4u);
}

TEST(whatCameBeforeTheAnnouncementIsSeenByIt) {
  Neighbours neighbours;
  Participant a(neighbours);
  Participant b(neighbours);
  Pipe pipe(a, b);
  CHECK(pipe.send(a.bytes(1, 1)) == SendOutcome::Sent);
  CHECK_EQ(a.doorbell->stats().rings, 0u);
  CHECK(!b.doorbell->prepareToSleep());
  CHECK(pipe.send(a.bytes(1, 1)) == SendOutcome::Sent);
  CHECK_EQ(a.doorbell->stats().rings, 0u);  // The announcement was withdrawn.
}

size_t fill(Pipe& pipe, const Aggregate& body) {
  size_t sent = 0;
  while (pipe.send(body) == SendOutcome::Sent) sent++;
  return sent;
}

void takeHalf(Pipe& pipe, Message& message, size_t sent) {
  for (size_t taken = 0; taken < sent / 2 + 1; taken++) {
    CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  }
}

TEST(aSenderThatWaitsForRoomIsRungWhenThereIsSome) {
  Neighbours neighbours;
  Participant a(neighbours);
  Participant b(neighbours);
  Pipe pipe(a, b);
  Message message(*b.domain);
  const Aggregate body = a.bytes(1, 1);
  const size_t sent = fill(pipe, body);
  CHECK(a.doorbell->prepareToSleep());
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK_EQ(b.doorbell->stats().rings, 0u);  // Not for the room of one: for half the ring.
  takeHalf(pipe, message, sent);
  CHECK_EQ(b.doorbell->stats().rings, 1u);
  a.doorbell->wake();
  CHECK(!a.doorbell->prepareToSleep());  // There is room: it will not sleep on it.
  CHECK(pipe.send(body) == SendOutcome::Sent);
  CHECK(a.doorbell->prepareToSleep());
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK_EQ(b.doorbell->stats().rings, 1u);  // It waits for nothing now.
}

TEST(whoDoesNotSendAfterAllMaySleep) {
  Neighbours neighbours;
  Participant a(neighbours);
  Participant b(neighbours);
  Pipe pipe(a, b);
  Message message(*b.domain);
  const Aggregate body = a.bytes(1, 1);
  const size_t sent = fill(pipe, body);
  takeHalf(pipe, message, sent);
  CHECK(!a.doorbell->prepareToSleep());  // Told that there is room,
  CHECK(a.doorbell->prepareToSleep());   // and not again.
  a.doorbell->wake();
  (void)fill(pipe, body);
  takeHalf(pipe, message, sent);
  CHECK(!a.doorbell->prepareToSleep());
  pipe.receiver->close();
  CHECK(!a.doorbell->prepareToSleep());  // Told that it is over.
  CHECK(a.doorbell->prepareToSleep());
}

TEST(aHundredIdleChannelsAreOneDescriptorAndNoWork) {
  Neighbours neighbours;
  Participant a(neighbours);
  Participant b(neighbours);
  std::vector<std::unique_ptr<Pipe>> pipes;
  for (int count = 0; count < 100; count++) pipes.push_back(std::make_unique<Pipe>(a, b));
  CHECK(b.doorbell->prepareToSleep());
  CHECK_EQ(b.doorbell->sleepMs(), -1);
  CHECK(!isReadable(b.doorbell->fd()));
  CHECK(pipes[57]->send(a.bytes(1, 1)) == SendOutcome::Sent);
  CHECK(isReadable(b.doorbell->fd()));
  b.doorbell->wake();
}

// A9: what a peer does to its own button is nobody else's business, and nothing blocks.
TEST(aPeerCanNeitherDrainNorBlockNorShutTheBell) {
  Neighbours neighbours;
  Participant victim(neighbours);
  Participant good(neighbours);
  Pipe pipe(good, victim);
  const sys::Fd bad = victim.doorbell->makeButton().take();
  CHECK(victim.doorbell->prepareToSleep());
  CHECK(pipe.send(good.bytes(1, 1)) == SendOutcome::Sent);
  char byte;
  CHECK(::recv(bad.get(), &byte, 1, MSG_DONTWAIT) < 0);
  CHECK(isReadable(victim.doorbell->fd()));
  // Filled to the brim by one that blocks if asked to: the others do not hang, the bell rings.
  ::fcntl(bad.get(), F_SETFL, 0);
  while (::send(bad.get(), "x", 1, MSG_DONTWAIT) == 1) continue;
  sys::pressButton(bad);
  victim.doorbell->wake();
  Message message(*victim.domain);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK(victim.doorbell->prepareToSleep());
  CHECK(pipe.send(good.bytes(1, 1)) == SendOutcome::Sent);
  ::shutdown(bad.get(), SHUT_RDWR);
  for (int turn = 0; turn < 100; turn++) victim.doorbell->wake();
  CHECK(!isReadable(victim.doorbell->fd()));
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK(victim.doorbell->prepareToSleep());
  CHECK(pipe.send(good.bytes(1, 1)) == SendOutcome::Sent);
  CHECK(isReadable(victim.doorbell->fd()));
  victim.doorbell->wake();
}

TEST(whoSpinsInVainSpinsLess) {
  Neighbours neighbours;
  Participant a(neighbours);
  a.doorbell->setSpinNs(1000);
  for (int turn = 0; turn < 200; turn++) a.doorbell->wait(0);
  CHECK_EQ(a.doorbell->stats().spinsInVain, 8u);  // Turns 1, 3, 7, 15, 31, 63, 127, 191.
  CHECK_EQ(a.doorbell->stats().sleeps, 200u);
}

// Two threads that sleep whenever they can: a lost wake-up would hang this test.
TEST(twoThreadsThatSleepAtEveryTurnLoseNoWakeUp) {
  Neighbours neighbours;
  Participant a(neighbours);
  Participant b(neighbours);
  Pipe ab(a, b);
  Pipe ba(b, a);
  constexpr int kRounds = 3000;
  const Aggregate body = a.bytes(64, 3);
  b.grant(a, *body.sliceAt(0).segment);  // Beforehand: the two threads share no control plane.
  std::thread other([&] {
    Message message(*b.domain);
    for (int round = 0; round < kRounds; round++) {
      while (ab.receiver->tryReceive(message) != ReceiveOutcome::Received) b.doorbell->wait(-1);
      while (ba.send(message.aggregate) != SendOutcome::Sent) b.doorbell->wait(-1);
    }
    message.aggregate.clear();
  });
  Message message(*a.domain);
  for (int round = 0; round < kRounds; round++) {
    CHECK(ab.send(body) == SendOutcome::Sent);
    while (ba.receiver->tryReceive(message) != ReceiveOutcome::Received) a.doorbell->wait(-1);
  }
  other.join();
  CHECK(a.doorbell->stats().sleeps + b.doorbell->stats().sleeps > 0);
}

// One way through a small ring, both sides sleeping on it: back-pressure loses no wake-up either.
TEST(aSmallRingBetweenSleepersKeepsEveryMessage) {
  Neighbours neighbours;
  Participant a(neighbours);
  Participant b(neighbours);
  Pipe pipe(a, b);
  constexpr uint32_t kMessages = 20000;
  std::thread other([&] {
    Message message(*b.domain);
    for (uint32_t next = 0; next < kMessages;) {
      if (pipe.receiver->tryReceive(message) != ReceiveOutcome::Received) {
        b.doorbell->wait(-1);
        continue;
      }
      CHECK_EQ(textOf(message.metadata), std::to_string(next++));
    }
  });
  const Aggregate nothing(*a.domain);
  for (uint32_t next = 0; next < kMessages;) {
    if (pipe.send(nothing, std::to_string(next)) == SendOutcome::Sent) {
      next++;
    } else {
      a.doorbell->wait(-1);
    }
  }
  other.join();
  pipe.sender->settle();
  CHECK(pipe.sender->isSettled());
}

}  // namespace
}  // namespace iol
