// The two verbs on descriptors of every kind: messages, terminals, counters, devices.
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <termios.h>
#include <unistd.h>

#include "cache_world.h"
#include "io/iol.h"
#include "sys/poll_set.h"
#include "test.h"

namespace iol::test {
namespace {

Aggregate make(CacheWorld& world, const std::string& text, size_t sliceBytes) {
  Aggregate bytes(*world.domain);
  for (size_t at = 0; at < text.size(); at += sliceBytes) {
    const std::string part = text.substr(at, sliceBytes);
    auto draft = world.pool->allocate(part.size());
    std::memcpy(draft.value().bytes(), part.data(), part.size());
    CHECK(bytes.adopt(draft.value().seal()).isOk());
  }
  return bytes;
}

Endpoint at(const sys::Fd& fd) { return inspect(fd.get()).take(); }

TEST(messagesAreReadAndWrittenWhole) {
  for (const int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
    CacheWorld world;
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0);
    const sys::Fd near(fds[0]);
    sys::Fd far(fds[1]);
    CHECK_EQ(tryRead(*world.pool, at(near), 10).status().code(), Code::WouldBlock);
    const std::string large = pattern(150'000, 3);  // More than one read of a stream would give.
    CHECK_EQ(tryWrite(at(far), make(world, "one message", 2), 0).value(), 11u);
    CHECK_EQ(tryWrite(at(far), make(world, large, 1000), 0).value(), large.size());
    CHECK_EQ(tryWrite(at(far), Aggregate(*world.domain), 0).value(), 0u);
    CHECK_EQ(tryWrite(at(far), make(world, "last", 4), 0).value(), 4u);
    const Status tooLarge = tryRead(*world.pool, at(near), 10).status();
    CHECK_EQ(tooLarge.code(), Code::TooLarge);
    CHECK_EQ(tooLarge.value(), 11u);
    CHECK_EQ(tooLarge.limit(), 10u);
    CHECK_EQ(textOf(tryRead(*world.pool, at(near), 11).value()), "one message");
    CHECK(textOf(tryRead(*world.pool, at(near), 1 << 20).value()) == large);
    bool isEmptyMessage = false;
    auto empty = tryRead(*world.pool, at(near), 100, kReadBytesMax, &isEmptyMessage);
    CHECK_EQ(empty.value().byteLength(), 0u);
    CHECK(isEmptyMessage);
    CHECK_EQ(textOf(tryRead(*world.pool, at(near), 100).value()), "last");
    const Status parts = tryWrite(at(far), make(world, large, 130), 0).status();
    CHECK_EQ(parts.code(), Code::TooManySlices);
    CHECK_EQ(parts.limit(), 1024u);
    far.reset();
    if (type == SOCK_SEQPACKET) {
      auto end = tryRead(*world.pool, at(near), 100, kReadBytesMax, &isEmptyMessage);
      CHECK_EQ(end.value().byteLength(), 0u);
      CHECK(!isEmptyMessage);
    }
    CHECK_EQ(world.pool->stats().drafts, 0u);
  }
}

std::string messagesUntilTheEnd(CacheWorld& world, const sys::Fd& fd) {
  std::string found;
  for (int count = 0; count < 10; count++) {
    bool isEmptyMessage = false;
    auto bytes = tryRead(*world.pool, at(fd), 100, kReadBytesMax, &isEmptyMessage);
    if (!bytes.isOk()) return found + "not now";
    if (bytes.value().byteLength() == 0 && !isEmptyMessage) return found + "end";
    found += "[" + textOf(bytes.value()) + "]";
  }
  return found;
}

TEST(emptyMessagesBeforeOthersAreNotTheEnd) {
  CacheWorld world;
  for (const int type : {SOCK_DGRAM, SOCK_SEQPACKET}) {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) == 0);
    const sys::Fd near(fds[0]);
    const sys::Fd far(fds[1]);
    for (const char* text : {"", "one", "", "two"}) {
      CHECK(tryWrite(at(far), make(world, text, 10), 0).isOk());
    }
    // Our own end of reading: for datagrams there is no other.
    REQUIRE(::shutdown(near.get(), SHUT_RD) == 0);
    CHECK_EQ(messagesUntilTheEnd(world, near), "[][one][][two]end");
    CHECK_EQ(messagesUntilTheEnd(world, near), "end");
  }
}

TEST(aReadThatThePoolHasNoRoomForIsShort) {
  CacheWorld world;
  Pool::Options options;
  options.maxBytes = 1 << 20;
  auto pool = Pool::create(*world.domain, options).take();
  std::vector<Draft> drafts;
  for (auto more = pool->allocate(2000); more.isOk(); more = pool->allocate(2000)) {
    drafts.push_back(more.take());
  }
  for (auto more = pool->allocate(64); more.isOk(); more = pool->allocate(64)) {
    drafts.push_back(more.take());
  }
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  const sys::Fd near(fds[0]);
  const sys::Fd far(fds[1]);
  const std::string text = pattern(10'000, 1);
  CHECK_EQ(tryWrite(at(far), make(world, text, 1000), 0).value(), text.size());
  const Status full = tryRead(*pool, at(near), 64 << 10).status();
  CHECK_EQ(full.code(), Code::PoolFull);
  CHECK_EQ(full.value(), 64u << 10);
  drafts.erase(drafts.begin());
  const auto some = tryRead(*pool, at(near), 64 << 10);
  REQUIRE(some.isOk());
  const uint64_t count = some.value().byteLength();
  CHECK(count >= 64 && count <= 2048);
  drafts.clear();
  // Nothing was lost by the read that failed, or the short one.
  std::string found = textOf(some.value());
  for (int reads = 0; found.size() < text.size() && reads < 100; reads++) {
    found += textOf(tryRead(*pool, at(near), 64 << 10).value());
  }
  CHECK(found == text);
}

struct Terminal {
  Terminal() : master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (!master.isOpen() || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0) return;
    line = sys::Fd(::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
    termios plain = {};
    ::tcgetattr(line.get(), &plain);
    ::cfmakeraw(&plain);
    ::tcsetattr(line.get(), TCSANOW, &plain);
  }
  sys::Fd master;
  sys::Fd line;
};

TEST(aBlockingTerminalNeverHangsNeitherEndOfIt) {
  Terminal terminal;
  if (!terminal.line.isOpen()) SKIP("no terminals here");
  CacheWorld world;
  for (const sys::Fd* fd : {&terminal.line, &terminal.master}) {
    const Endpoint sink = at(*fd);
    const Endpoint source = at(fd == &terminal.line ? terminal.master : terminal.line);
    CHECK(sink.modes.kind == sys::FdKind::Terminal);
    CHECK(!sink.modes.isNonBlocking);
    // More than it takes at a time: it fills up, and says so.
    const Aggregate out = make(world, std::string(300'000, 'x'), 5000);
    uint64_t from = 0;
    Code code = Code::Ok;
    while (code == Code::Ok && from < out.byteLength()) {
      auto written = tryWrite(sink, out, from);
      code = written.status().code();
      if (written.isOk()) from += written.value();
    }
    CHECK_EQ(code, Code::WouldBlock);
    CHECK(from > 1000);
    uint64_t got = 0;
    while (got < from) {
      auto in = tryRead(*world.pool, source, 4096);
      if (in.isOk()) got += in.value().byteLength();
      if (in.status().code() == Code::WouldBlock) {
        REQUIRE(waitUntilReady(source, Direction::Read, 10'000).isOk());
      }
    }
    CHECK_EQ(got, from);
    CHECK(!at(*fd).modes.isNonBlocking);  // The flag is everybody's.
  }
}

TEST(countersTimersAndEventsGiveTheirRecords) {
  CacheWorld world;
  const sys::Fd counter(::eventfd(0, EFD_CLOEXEC));  // Blocking.
  CHECK_EQ(tryRead(*world.pool, at(counter), 8).status().code(), Code::WouldBlock);
  const uint64_t three = 3;
  const std::string record(reinterpret_cast<const char*>(&three), 8);
  CHECK_EQ(tryWrite(at(counter), make(world, record, 8), 0).value(), 8u);
  CHECK_EQ(tryRead(*world.pool, at(counter), 4).status().systemErrno(), EINVAL);
  CHECK(textOf(tryRead(*world.pool, at(counter), 100).value()) == record);

  const sys::Fd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  CHECK_EQ(tryRead(*world.pool, at(timer), 8).status().code(), Code::WouldBlock);
  const itimerspec soon = {{0, 0}, {0, 1}};
  REQUIRE(::timerfd_settime(timer.get(), 0, &soon, nullptr) == 0);
  REQUIRE(waitUntilReady(at(timer), Direction::Read, 10'000).isOk());
  CHECK_EQ(tryRead(*world.pool, at(timer), 100).value().byteLength(), 8u);

  const sys::Fd events(::inotify_init1(IN_CLOEXEC));
  if (!events.isOpen()) SKIP("no inotify here");
  REQUIRE(::inotify_add_watch(events.get(), world.folder.at("").c_str(), IN_CREATE) >= 0);
  CHECK_EQ(tryRead(*world.pool, at(events), 4096).status().code(), Code::WouldBlock);
  world.put("made", "");
  const std::string event = textOf(tryRead(*world.pool, at(events), 4096).value());
  REQUIRE(event.size() >= sizeof(inotify_event));
  CHECK(std::strcmp(event.data() + sizeof(inotify_event), "made") == 0);
  CHECK_EQ(world.pool->stats().drafts, 0u);
}

TEST(devicesAreWhatTheyAre) {
  CacheWorld world;
  const sys::Fd zero(::open("/dev/zero", O_RDWR | O_CLOEXEC));
  const sys::Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const sys::Fd full(::open("/dev/full", O_RDWR | O_CLOEXEC));
  if (!zero.isOpen() || !null.isOpen() || !full.isOpen()) SKIP("no devices here");
  const Aggregate out = make(world, "some text", 4);
  CHECK(textOf(tryRead(*world.pool, at(zero), 1000).value()) == std::string(1000, '\0'));
  CHECK_EQ(tryRead(*world.pool, at(null), 1000).value().byteLength(), 0u);
  CHECK_EQ(tryRead(*world.pool, at(full), 10).value().byteLength(), 10u);
  CHECK(tryWrite(at(zero), out, 0).value() > 0);
  CHECK(tryWrite(at(null), out, 0).value() > 0);
  CHECK_EQ(tryWrite(at(full), out, 0).status().systemErrno(), ENOSPC);
}

TEST(whatCannotMoveBytesIsTyped) {
  CacheWorld world;
  world.put("a", "text");
  const Aggregate out = make(world, "x", 1);
  const sys::Fd path(::open(world.folder.at("a").c_str(), O_PATH | O_CLOEXEC));
  CHECK_EQ(tryRead(*world.pool, at(path), 1).status().systemErrno(), EBADF);
  CHECK_EQ(tryWrite(at(path), out, 0).status().systemErrno(), EBADF);
  const sys::PollSet set = sys::PollSet::create().take();
  const Endpoint epoll = inspect(set.fd().get()).take();
  CHECK_EQ(tryRead(*world.pool, epoll, 1).status().systemErrno(), EINVAL);
  const sys::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(tryRead(*world.pool, at(listener), 1).status().systemErrno() != 0);
  CHECK_EQ(tryWrite(at(listener), out, 0).status().code(), Code::System);
  CHECK_EQ(world.pool->stats().drafts, 0u);
}

}  // namespace
}  // namespace iol::test
