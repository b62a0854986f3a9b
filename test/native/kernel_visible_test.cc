// I4 with the kernel's own queues: a buffer that was sent by reference is not filled again while
// the kernel may still read it, whether the receiver is slow, the sender was killed or its socket
// closed.
//
//   owner --name--> sender, a process --sendfile, MSG_ZEROCOPY--> [queue] --> the test, late
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "holds_world.h"
#include "huge_pages.h"
#include "sys/small_pages.h"

namespace iol {
namespace {

using namespace test;

constexpr uint32_t kBytes = 1 << 20;
constexpr uint8_t kSent = 0x5a;

// Two ends of a TCP connection over loopback.
struct Connection {
  Connection() {
    const sys::Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof name;
    CHECK_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&name), length), 0);
    CHECK_EQ(::listen(listener.get(), 1), 0);
    ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&name), &length);
    receiver = sys::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int little = 4096;  // So that nearly all of it waits at the sender's side.
    ::setsockopt(receiver.get(), SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    CHECK_EQ(::connect(receiver.get(), reinterpret_cast<sockaddr*>(&name), length), 0);
    sender = sys::Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  }
  // Everything that was queued.
  std::string readAll(size_t bytes) const {
    std::string text(bytes, '\0');
    size_t done = 0;
    while (done < bytes) {
      const ssize_t count = ::recv(receiver.get(), text.data() + done, bytes - done, 0);
      if (count <= 0) break;
      done += static_cast<size_t>(count);
    }
    text.resize(done);
    return text;
  }
  sys::Fd receiver;
  sys::Fd sender;
};

struct Sent {
  uint64_t queued = 0;
  uint64_t wrong = 0;
  bool isSupported = true;
};

// `how`: sendfile or zerocopy. `end`: slow, killed or closed. `isMarked`: as I4 wants it.
Sent sendAndReuse(const char* how, const std::string& end, bool isMarked, bool isSealed) {
  Owner owner;
  Pool::Options options;
  options.sealed = isSealed;
  owner.pool.reset();
  owner.pool = Pool::create(*owner.domain, options).take();
  const Slice slice = owner.make(kBytes, kSent);
  Connection connection;
  Process sender(owner, "sendsByReference", {how, end, isMarked ? "marked" : "bare"},
                 {connection.sender.get()});
  connection.sender.reset();
  const Name name = nameOf(slice);
  CHECK(sys::sendMessage(sender.socket, &name, sizeof name).isOk());
  Sent sent;
  if (!sys::receiveMessage(sender.socket, &sent.queued, sizeof sent.queued).isOk()) {
    test::fail(__FILE__, __LINE__, "the sender is gone");
    return sent;
  }
  sent.isSupported = sent.queued > 0;
  owner.domain->release(slice);
  if (end == "killed") sender.kill();
  owner.pool->collect();
  CHECK_EQ(owner.pool->stats().buffers, 0u);
  // Whatever the pool has is filled with other bytes, the sent buffer's place too if it is free.
  std::vector<Slice> others;
  for (int count = 0; count < 70; count++) {
    Result<Draft> draft = owner.pool->allocate(kBytes);
    if (!draft.isOk()) break;
    std::memset(draft.value().bytes(), 0xee, kBytes);
    others.push_back(draft.value().seal());
  }
  const std::string received = connection.readAll(sent.queued);
  CHECK_EQ(received.size(), sent.queued);
  for (const char byte : received) sent.wrong += static_cast<uint8_t>(byte) != kSent;
  for (const Slice& other : others) owner.domain->release(other);
  if (end != "killed") sender.kill();
  return sent;
}

TEST(whatTheKernelMayStillReadIsNotFilledAgain) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  for (const char* how : {"sendfile", "zerocopy"}) {
    for (const char* end : {"slow", "killed", "closed"}) {
      for (const bool isSealed : {false, true}) {
        const Sent sent = sendAndReuse(how, end, true, isSealed);
        if (!sent.isSupported) SKIP(std::string("no ") + how);
        CHECK(sent.queued > 64 << 10);
        CHECK_EQ(sent.wrong, 0u);
        if (test::hasFailed()) return;
      }
    }
  }
}

// The hazard that the bit is there for: without it the very same steps send other bytes.
TEST(withoutTheMarkTheQueueIsOverwritten) {
  for (const char* end : {"slow", "killed", "closed"}) {
    const Sent sent = sendAndReuse("sendfile", end, false, false);
    CHECK(sent.wrong > 64 << 10);
  }
}

// A domain's own holds, nobody else's: the same rule in the same table.
TEST(anOwnersOwnSendIsProtectedLikeAnyOther) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  for (const bool isMarked : {true, false}) {
    Owner owner;
    const Slice slice = owner.make(kBytes, kSent);
    Connection connection;
    off_t at = static_cast<off_t>(slice.segment->slotOffset(slice.slot));
    const ssize_t queued =
        ::sendfile(connection.sender.get(), slice.segment->readOnlyFd().get(), &at, kBytes);
    REQUIRE(queued > 64 << 10);
    HoldTable& holds = owner.domain->ownHolds();
    if (isMarked) holds.setKernelVisible(slice.segment->ordinal(), slice.slot, true);
    owner.domain->release(slice);
    const Slice other = owner.make(kBytes, 0xee);
    uint64_t wrong = 0;
    for (const char byte : connection.readAll(static_cast<size_t>(queued))) {
      wrong += static_cast<uint8_t>(byte) != kSent;
    }
    CHECK_EQ(wrong > 0, !isMarked);
    owner.domain->release(other);
  }
}

// Whose pool may have 64 MiB.
struct SmallOwner : Owner {
  SmallOwner() {
    Pool::Options options;
    options.maxBytes = 64 << 20;
    pool.reset();
    pool = Pool::create(*domain, options).take();
  }
};

// A huge page that is in use is not exchanged in part: its storage is not filled, and not lost.
TEST(storageThatCannotBeGivenUpYetComesBackLater) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  SmallOwner owner;
  const Slice kept = owner.make(kBytes, kSent);  // So that the segment does not go, whole.
  const Slice slice = owner.make(kBytes, kSent);
  const Segment& segment = *slice.segment;
  const uint64_t hugePage = segment.slotOffset(slice.slot) / sys::kHugePageBytes;
  if (test::mergePages(segment.readOnlyFd(), hugePage) != 0) SKIP("nobody's pages are merged here");
  Connection connection;
  off_t at = static_cast<off_t>(segment.slotOffset(slice.slot));
  REQUIRE(::sendfile(connection.sender.get(), segment.readOnlyFd().get(), &at, 4096) == 4096);
  owner.domain->ownHolds().setKernelVisible(segment.ordinal(), slice.slot, true);
  owner.domain->release(slice);
  owner.pool->trim(0);
  const uint64_t committed = owner.pool->stats().bytesCommitted;
  CHECK(committed >= 2 * kBytes);
  CHECK_EQ(owner.pool->stats().bytesInUse, uint64_t{kBytes});
  CHECK_EQ(connection.readAll(4096).size(), 4096u);
  owner.pool->trim(0);
  CHECK(owner.pool->stats().bytesCommitted + kBytes <= committed);
  owner.domain->release(kept);
}

TEST(aPoolDoesNotFillUpWithStorageThatCannotBeGivenUp) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  SmallOwner owner;
  std::vector<sys::Fd> kept;
  for (int round = 0; round < 200; ++round) {
    const Slice slice = owner.make(kBytes, kSent);  // Fails the test when there is no room.
    const Segment& segment = *slice.segment;
    const uint64_t hugePage = segment.slotOffset(slice.slot) / sys::kHugePageBytes;
    (void)test::mergePages(segment.readOnlyFd(), hugePage);
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    kept.emplace_back(ends[0]);
    const sys::Fd writing(ends[1]);
    auto from = static_cast<off64_t>(hugePage * sys::kHugePageBytes);
    CHECK_EQ(::splice(segment.readOnlyFd().get(), &from, ends[1], nullptr, 1, 0), 1);
    owner.domain->ownHolds().setKernelVisible(segment.ordinal(), slice.slot, true);
    owner.domain->release(slice);
  }
  kept.clear();
  owner.pool->trim(0);
  CHECK_EQ(owner.pool->stats().bytesCommitted, 0u);
}

CHILD(sendsByReference) {
  const sys::Fd socket(3);
  std::vector<sys::Fd> more;
  Result<Holder> joined = join(socket, &more);
  if (!joined.isOk() || more.size() != 1 || argc < 3) return 2;
  Holder& holder = joined.value();
  Name name;
  if (!sys::receiveMessage(socket, &name, sizeof name).isOk()) return 3;
  if (holder.take(name) != TakeOutcome::Taken) return 4;
  const uint32_t ordinal = holder.segment->ordinal();
  if (std::string(argv[2]) == "marked") holder.table->setKernelVisible(ordinal, name.slot, true);
  const bool isFile = std::string(argv[0]) == "sendfile";
  const int on = 1;
  bool isSupported = true;
  if (!isFile) {
    isSupported = ::setsockopt(more[0].get(), SOL_SOCKET, SO_ZEROCOPY, &on, sizeof on) == 0;
  }
  off_t at = static_cast<off_t>(holder.segment->slotOffset(name.slot));
  uint64_t queued = 0;
  while (isSupported && queued < name.length) {
    ssize_t count = 0;
    if (isFile) {
      count =
          ::sendfile(more[0].get(), holder.segment->readOnlyFd().get(), &at, name.length - queued);
    } else {
      iovec vector{const_cast<uint8_t*>(holder.segment->readOnly()) + at + queued,
                   std::min<size_t>(name.length - queued, 64 << 10)};
      msghdr message{};
      message.msg_iov = &vector;
      message.msg_iovlen = 1;
      count = ::sendmsg(more[0].get(), &message, MSG_ZEROCOPY | MSG_DONTWAIT);
    }
    if (count <= 0) break;
    queued += static_cast<uint64_t>(count);
  }
  // Let go of before a single completion was read; the bit stays.
  const std::string end = argv[1];
  if (end == "closed") more[0].reset();
  if (end != "killed") holder.drop(name);
  if (!sys::sendMessage(socket, &queued, sizeof queued).isOk()) return 5;
  while (true) ::pause();
}

}  // namespace
}  // namespace iol
