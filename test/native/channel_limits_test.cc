// Channels where the process has nothing left: descriptors, address space, a fork; and what a busy
// pair asks of the kernel: nothing.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/seccomp.h>

#include <atomic>
#include <thread>

#include "channel_world.h"
#include "channels_world.h"
#include "pool/committer.h"
#include "sanitizer.h"
#include "sys/limits.h"

namespace iol {
namespace {

using namespace test;

// ---- Forked children ---------------------------------------------------------------------------

TEST(inAForkedChildEveryCallOnAChannelSaysSo) {
  Neighbours neighbours;
  Participant owner(neighbours);
  Participant reader(neighbours);
  Pipe pipe(owner, reader);
  const Aggregate bytes = owner.bytes(100, 1);
  CHECK(pipe.send(bytes) == SendOutcome::Sent);
  const int pid = ::fork();
  if (pid == 0) {
    int wrong = 0;
    {
      Aggregate copy = bytes.clone();
      Message message(*reader.domain);
      wrong += pipe.sender->trySend(bytes).status().code() != Code::Forked;
      wrong += pipe.sender->enqueue(bytes).status().code() != Code::Forked;
      pipe.sender->publish();
      wrong += pipe.receiver->tryReceive(message) != ReceiveOutcome::Closed;
      wrong += pipe.receiver->failure().code() != Code::Forked;
      size_t count = 0;
      wrong += pipe.receiver->receiveBatch({&message, 1}, count) != ReceiveOutcome::Closed;
      wrong += owner.doorbell->prepareToSleep();
      owner.doorbell->wait(1000);
      owner.doorbell->wake();
      wrong += owner.pool->allocate(10).status().code() != Code::Forked;
      pipe.sender->close();
      pipe.receiver->close();
    }
    ::_exit(wrong);
  }
  CHECK_EQ(awaitChild(pid), 0);
  Message message(*reader.domain);
  CHECK(pipe.receiver->tryReceive(message) == ReceiveOutcome::Received);
  CHECK(allAre(message.aggregate.sliceAt(0), 1));
  CHECK(pipe.send(bytes) == SendOutcome::Sent);
}

// ---- A shortage of descriptors -----------------------------------------------------------------

int lowestFree() {
  const int fd = ::dup(0);
  ::close(fd);
  return fd;
}

// One domain's way into a window and to a channel, each step of which may fail.
Status attachAndSend(const HostAddress& address, const BufferName& name) {
  Correspondent member(address, "poor");
  if (member.guest == nullptr) return member.status;
  IOL_TRY(member.guest->awaitAttached(10'000));
  IOL_TRY(member.makePool());
  BufferName own;
  IOL_TRY(member.make(100, 7, &own));
  member.drop(own);
  Status status;
  const auto wait = [&](const std::function<bool()>& isDone) {
    for (int turn = 0; turn < 1000 && !isDone(); turn++) {
      sys::awaitReadable(member.guest->fd(), 10);
      member.guest->onReady();
      if (member.guest->state() == Guest::State::Alone) return member.guest->failure();
    }
    return isDone() ? Status() : Status(Code::TimedOut, "test");
  };
  IOL_TRY(wait([&] {
    status = member.take(name);
    return status.code() != Code::WouldBlock;
  }));
  IOL_TRY(status);
  if (!member.isRight(name)) return Status(Code::BadDescriptor, "bytes");
  member.drop(name);
  Result<std::unique_ptr<Doorbell>> doorbell = Doorbell::create(member.guest->domain());
  if (!doorbell.isOk()) return doorbell.status();
  member.doorbell = doorbell.take();
  member.channels =
      std::make_unique<Channels>(*member.guest, *member.doorbell, *member.pool, member);
  IOL_TRY(member.guest->find("rich"));
  IOL_TRY(wait([&] { return !member.found.empty(); }));
  const Result<uint64_t> opened = member.channels->open(member.found[0], "c");
  if (!opened.isOk()) return opened.status();
  IOL_TRY(wait([&] { return !member.opened.empty() || !member.refused.empty(); }));
  if (member.opened.empty()) return member.refused[0];
  const Aggregate bytes = member.bytes(100, 1);
  const Result<SendOutcome> sent = member.opened[0]->sender->trySend(bytes);
  return sent.isOk() ? Status() : sent.status();
}

// With none, one, two ... descriptors left: an error or success, never a crash, a hang or a leak.
CHILD(attachesWithFewDescriptors) {
  const HostAddress address = HostAddress::parse(argv[0]).take();
  BufferName name;
  name.number = static_cast<uint32_t>(std::atoi(argv[1]));
  name.slot = static_cast<uint32_t>(std::atoi(argv[2]));
  name.length = 64;
  name.fill = 0x5a;
  name.generation = std::strtoull(argv[3], nullptr, 10);
  if (!attachAndSend(address, name).isOk()) return 2;
  const int before = lowestFree();
  rlimit all{};
  ::getrlimit(RLIMIT_NOFILE, &all);
  int failures = 0;
  for (int left = 0; left < 64; left++) {
    rlimit few = all;
    few.rlim_cur = static_cast<rlim_t>(before + left);
    ::setrlimit(RLIMIT_NOFILE, &few);
    const Status status = attachAndSend(address, name);
    ::setrlimit(RLIMIT_NOFILE, &all);
    if (lowestFree() != before) return 3;
    if (status.isOk()) break;
    if (status.code() == Code::TimedOut) return 4;
    failures++;
  }
  if (failures < 10 || failures == 64) return 5;
  return attachAndSend(address, name).isOk() ? 0 : 6;
}

TEST(aShortageOfDescriptorsIsAnErrorAtEveryStepOfAttachingAndOpening) {
  HostWorld world;
  Correspondent rich(world.host->address(), "rich");
  REQUIRE(world.attach(rich));
  rich.begin();
  BufferName name;
  REQUIRE(rich.make(64, 0x5a, &name).isOk());
  const int pid = startChild("attachesWithFewDescriptors",
                             {world.host->address().format(), std::to_string(name.number),
                              std::to_string(name.slot), std::to_string(name.generation)},
                             -1);
  int status = -1;
  world.until({&rich}, [&] { return ::waitpid(pid, &status, WNOHANG) == pid; });
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 0);
  rich.drop(name);
}

// ---- A shortage of address space ---------------------------------------------------------------

CHILD(attachesWithLittleAddressSpace) {
  const HostAddress address = HostAddress::parse(argv[0]).take();
  rlimit all{};
  ::getrlimit(RLIMIT_AS, &all);
  int failures = 0;
  // A hold table spans 8 GiB, a segment 64 MiB twice: each of them fails at some of these.
  for (const uint64_t mebibytes : {0u, 16u, 80u, 200u, 8200u, 8300u, 8400u, 16'500u, 16'700u}) {
    Member member(address);
    rlimit little = all;
    little.rlim_cur = (mebibytes << 20) + (64u << 20);
    ::setrlimit(RLIMIT_AS, &little);
    Status status = member.guest != nullptr ? member.guest->awaitAttached(10'000) : member.status;
    if (status.isOk()) status = member.makePool();
    BufferName name;
    if (status.isOk()) status = member.make(100, 1, &name);
    if (status.isOk()) {
      member.drop(name);
    } else {
      failures++;
    }
    ::setrlimit(RLIMIT_AS, &all);
  }
  if (failures == 0) return 2;
  Member member(address);
  return member.guest != nullptr && member.guest->awaitAttached(10'000).isOk() ? 0 : 3;
}

TEST(aShortageOfAddressSpaceIsAnError) {
  if (kIsSanitized) SKIP("sanitizers need the address space");
  HostWorld world;
  const int pid =
      startChild("attachesWithLittleAddressSpace", {world.host->address().format()}, -1);
  int status = -1;
  world.until({}, [&] { return ::waitpid(pid, &status, WNOHANG) == pid; });
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 0);
}

// ---- Steady state ------------------------------------------------------------------------------

// Its jobs come in turn, so when this one has ended, all before it have.
void awaitHelper() {
  static const auto job = std::make_shared<CommitJob>();  // Fails: it has no memory.
  job->isPunch = true;
  job->state = CommitJob::State::Waiting;
  submitCommitJob(job);
  awaitCommitJob(*job);
}

enum class Passing : int { Killed = 1, Unsupported = 77, Wrong = 2, Done = 0 };

// Both ends on one thread, neither asleep. Strict seccomp: any system call but read, write and exit
// kills the thread, so whoever survives has mapped nothing, allocated nothing and rung nobody.
void passMessages(std::atomic<Passing>* result) {
  Neighbours neighbours;
  Participant owner(neighbours);
  Participant reader(neighbours);
  Pipe pipe(owner, reader, kRingBytesDefault);
  Pipe back(reader, owner, kRingBytesDefault);
  Message there(*reader.domain);
  Message home(*owner.domain);
  const uint8_t metadata[32] = {};
  uint64_t wrong = 0;
  const auto pass = [&](int rounds) {
    for (int count = 0; count < rounds; count++) {
      for (const uint32_t length : {1u, 64u, 1000u, 20'000u, 300'000u}) {
        const Aggregate bytes = owner.bytes(length, static_cast<uint8_t>(length));
        wrong += pipe.sender->trySend(bytes, metadata).value() != SendOutcome::Sent;
        wrong += pipe.receiver->tryReceive(there) != ReceiveOutcome::Received;
        wrong += back.sender->trySend(there.aggregate).value() != SendOutcome::Sent;
        wrong += back.receiver->tryReceive(home) != ReceiveOutcome::Received;
        wrong += home.aggregate.sliceAt(0).data()[length - 1] != static_cast<uint8_t>(length);
      }
    }
  };
  // Until the pool has grown to what this traffic needs, and the helper has nothing to do.
  for (uint64_t before = ~0ull; before != owner.pool->stats().bytesCommitted;) {
    before = owner.pool->stats().bytesCommitted;
    pass(500);
    awaitHelper();
  }
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) {
    *result = Passing::Unsupported;
  } else {
    pass(5000);
    *result = wrong == 0 ? Passing::Done : Passing::Wrong;
  }
  ::syscall(SYS_exit, 0);
}

CHILD(passesMessagesWithoutSystemCalls) {
  std::atomic<Passing> result{Passing::Killed};
  std::thread(passMessages, &result).join();
  ::_exit(static_cast<int>(result.load()));
}

TEST(aBusyPairMakesNoSystemCall) {
  if (kIsSanitized) SKIP("sanitizers make system calls of their own");
  const int pid = startChild("passesMessagesWithoutSystemCalls", {}, -1);
  const int code = awaitChild(pid);
  if (code == 77) SKIP("no seccomp");
  CHECK_EQ(code, 0);
}

}  // namespace
}  // namespace iol
