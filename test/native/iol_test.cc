// The two verbs on pipes, sockets, terminals and files.
#include "io/iol.h"

#include <cerrno>
#include <csignal>
#include <optional>

#include <sys/eventfd.h>
#include <sys/socket.h>

#include "cache_world.h"
#include "test.h"

namespace iol::test {
namespace {

struct Pair {
  explicit Pair(bool isPipe) {
    int fds[2] = {-1, -1};
    (void)!(isPipe ? ::pipe2(fds, O_CLOEXEC) : ::socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    readEnd = sys::Fd(fds[0]);
    writeEnd = sys::Fd(fds[1]);
  }
  Endpoint source() const { return inspect(readEnd.get()).take(); }
  Endpoint sink() const { return inspect(writeEnd.get()).take(); }
  sys::Fd readEnd;
  sys::Fd writeEnd;
};

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

TEST(whatIsWrittenToAPipeOrSocketIsRead) {
  for (const bool isPipe : {true, false}) {
    CacheWorld world;
    const Pair pair(isPipe);
    CHECK_EQ(tryRead(*world.pool, pair.source(), 100).status().code(), Code::WouldBlock);
    const Aggregate out = make(world, "one by reference, in several slices", 5);
    CHECK_EQ(tryWrite(pair.sink(), out, 4).value(), out.byteLength() - 4);
    auto in = tryRead(*world.pool, pair.source(), 12);
    REQUIRE(in.isOk());
    CHECK_EQ(textOf(in.value()), "by reference");
    CHECK_EQ(textOf(tryRead(*world.pool, pair.source(), 1 << 20).value()), ", in several slices");
    CHECK_EQ(tryRead(*world.pool, pair.source(), 1).status().code(), Code::WouldBlock);
    CHECK_EQ(tryRead(*world.pool, pair.source(), 0).value().byteLength(), 0u);
    CHECK_EQ(tryWrite(pair.sink(), out, out.byteLength()).value(), 0u);
  }
}

TEST(theEndIsAnEmptyAggregate) {
  for (const bool isPipe : {true, false}) {
    CacheWorld world;
    Pair pair(isPipe);
    const Endpoint source = pair.source();
    pair.writeEnd.reset();
    auto end = tryRead(*world.pool, source, 100);
    REQUIRE(end.isOk());
    CHECK_EQ(end.value().byteLength(), 0u);
    CHECK_EQ(world.pool->stats().drafts, 0u);
  }
}

TEST(aBlockingDescriptorNeverHangsAndPartialWritesGoOn) {
  ::signal(SIGPIPE, SIG_IGN);
  for (const bool isPipe : {true, false}) {
    CacheWorld world;
    Pair pair(isPipe);
    const Endpoint source = pair.source();
    const Endpoint sink = pair.sink();
    CHECK(!sink.modes.isNonBlocking);
    const std::string text = pattern(3 << 20, 4);
    const Aggregate out = make(world, text, 1000);  // More slices than one call takes.
    std::string got;
    uint64_t from = 0;
    int partial = 0;
    while (got.size() < text.size() && !hasFailed()) {
      auto written = tryWrite(sink, out, from);
      if (written.isOk()) {
        CHECK(written.value() > 0 || from == text.size());
        from += written.value();
        partial += from < text.size();
      } else {
        CHECK_EQ(written.status().code(), Code::WouldBlock);
      }
      auto in = tryRead(*world.pool, source, 100'000);
      if (in.isOk()) {
        got += textOf(in.value());
      } else {
        CHECK_EQ(in.status().code(), Code::WouldBlock);
      }
    }
    CHECK(got == text);
    CHECK(partial > 10);
    pair.readEnd.reset();
    CHECK_EQ(tryWrite(sink, out, 0).status().systemErrno(), EPIPE);
  }
}

TEST(oneReadTakesNoMoreThanItsLimit) {
  CacheWorld world;
  const Pair pair(false);
  const Aggregate out = make(world, pattern(100'000, 5), 100'000);
  REQUIRE(tryWrite(pair.sink(), out, 0).value() == 100'000);
  CHECK(tryRead(*world.pool, pair.source(), 1 << 20).value().byteLength() <= kReadBytesMax);
  CHECK_EQ(tryRead(*world.pool, pair.source(), 1 << 20, 77).value().byteLength(), 77u);
}

TEST(aTerminalIsReadWithoutWaiting) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) SKIP("no terminals here");
  const sys::Fd owner(master);
  const sys::Fd line(::open(::ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC));
  CacheWorld world;
  const Endpoint terminal = inspect(line.get()).take();
  CHECK(terminal.modes.kind == sys::FdKind::Terminal);
  CHECK_EQ(tryRead(*world.pool, terminal, 10).status().code(), Code::WouldBlock);
  REQUIRE(::write(master, "typed\n", 6) == 6);
  CHECK(waitUntilReady(terminal, Direction::Read, 10'000).isOk());
  CHECK_EQ(textOf(tryRead(*world.pool, terminal, 100).value()), "typed\n");
  CHECK_EQ(tryWrite(terminal, make(world, "shown", 2), 0).value() > 0, true);
}

TEST(wrongDescriptorsAreTyped) {
  CacheWorld world;
  const Pair pair(true);
  const Aggregate out = make(world, "x", 1);
  CHECK_EQ(inspect(-1).status().systemErrno(), EBADF);
  CHECK_EQ(tryRead(*world.pool, pair.sink(), 1).status().systemErrno(), EBADF);
  CHECK_EQ(tryWrite(pair.source(), out, 0).status().systemErrno(), EBADF);
  const sys::Fd folder(::open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY));
  CHECK_EQ(tryRead(*world.pool, inspect(folder.get()).value(), 1).status().systemErrno(), EISDIR);
  world.put("a", "text");
  const sys::Fd file(::open(world.folder.at("a").c_str(), O_RDONLY | O_CLOEXEC));
  const Endpoint regular = inspect(file.get()).take();
  CHECK_EQ(tryRead(*world.pool, regular, 1).status().code(), Code::WouldBlock);
  Code code = Code::Ok;
  readFile(*world.pool, world.queue, pair.source(), {},
           [&](Result<Aggregate> bytes) { code = bytes.status().code(); });
  CHECK_EQ(code, Code::NotRegular);
  int error = 0;
  writeFile(world.queue, regular, out, 0, {},
            [&](Result<uint64_t> bytes) { error = bytes.status().systemErrno(); });
  CHECK_EQ(error, EBADF);
}

TEST(waitingIsBounded) {
  const Pair pair(true);
  const Status status = waitUntilReady(pair.source(), Direction::Read, 1);
  CHECK_EQ(status.code(), Code::TimedOut);
  CHECK_EQ(status.limit(), 1u);
  CHECK(waitUntilReady(pair.sink(), Direction::Write, -1).isOk());
}

// One answer of readFile, by job or at once.
std::string readText(CacheWorld& world, int fd, uint64_t size, std::optional<uint64_t> position,
                     bool isCached, bool isSync) {
  const FileReadOptions options = {size, position, isCached ? world.cache.get() : nullptr, {}};
  const Endpoint source = inspect(fd).take();
  std::optional<Result<Aggregate>> answer;
  if (isSync) {
    answer = readFileSync(*world.pool, source, options);
  } else {
    readFile(*world.pool, world.queue, source, options,
             [&](Result<Aggregate> bytes) { answer = std::move(bytes); });
    world.queue.drain();
  }
  if (!answer) return "never";
  return answer->isOk() ? textOf(answer->value()) : codeName(answer->status().code());
}

TEST(regularFilesAreReadWithAndWithoutACache) {
  for (const bool isCached : {false, true}) {
    for (const bool isSync : {false, true}) {
      CacheWorld world;
      const std::string text = pattern(2'500'000, 6);
      world.put("a", text);
      const sys::Fd fd(::open(world.folder.at("a").c_str(), O_RDONLY | O_CLOEXEC));
      const auto read = [&](uint64_t size, std::optional<uint64_t> position) {
        return readText(world, fd.get(), size, position, isCached, isSync);
      };
      CHECK(read(~0ull, 0) == text);
      CHECK(read(10, 1'048'570) == text.substr(1'048'570, 10));
      CHECK_EQ(read(10, 2'500'000), "");
      CHECK_EQ(read(10, ~0ull), "");
      // From the descriptor's own position, which goes on, once.
      CHECK_EQ(read(7, std::nullopt), text.substr(0, 7));
      CHECK_EQ(read(7, std::nullopt), text.substr(7, 7));
      CHECK_EQ(sys::position(fd.get()).take(), 14u);
      CHECK_EQ(world.cache->stats().hits > 0, isCached);
    }
  }
}

TEST(filesThatTheKernelMakesAreReadPlainly) {
  // Both say a wrong size: nothing, and a page.
  for (const char* path : {"/proc/filesystems", "/sys/devices/system/cpu/possible"}) {
    const sys::Fd fd(::open(path, O_RDONLY | O_CLOEXEC));
    if (!fd.isOpen()) SKIP("no procfs or sysfs here");
    CHECK(sys::isSynthetic(fd.get()));
    std::string text(64 << 10, '\0');
    text.resize(static_cast<size_t>(::pread(fd.get(), text.data(), text.size(), 0)));
    REQUIRE(!text.empty());
    CHECK(sys::factsOf(fd.get()).value().size != text.size());
    for (const bool isCached : {false, true}) {
      for (const bool isSync : {false, true}) {
        CacheWorld world;
        const auto read = [&](uint64_t size, std::optional<uint64_t> position) {
          return readText(world, fd.get(), size, position, isCached, isSync);
        };
        CHECK_EQ(read(1ull << 40, 0), text);
        CHECK_EQ(read(2, 1), text.substr(1, 2));
        CHECK_EQ(read(10, text.size()), "");
        REQUIRE(sys::setPosition(fd.get(), 0).isOk());
        CHECK_EQ(read(2, std::nullopt), text.substr(0, 2));
        CHECK_EQ(read(1 << 20, std::nullopt), text.substr(2));
        CHECK_EQ(read(10, std::nullopt), "");
        CHECK_EQ(world.cache->stats().misses + world.cache->stats().hits, 0u);
        CHECK_EQ(world.pool->stats().drafts, 0u);
      }
    }
  }
  const CacheWorld world;
  writeFile(world.folder.at("a"), "");
  CHECK(!sys::isSynthetic(sys::openForRead(world.folder.at("a").c_str()).value().get()));
}

TEST(aSyncReadFillsTheCache) {
  CacheWorld world;
  world.put("a", "some text");
  const CachedFilePtr file = world.open("a").take();
  const sys::Fd fd(::open(world.folder.at("a").c_str(), O_RDONLY | O_CLOEXEC));
  const Endpoint source = inspect(fd.get()).take();
  const Aggregate bytes = readFileSync(*world.pool, source, {4, 5, world.cache.get(), {}}).take();
  CHECK_EQ(world.cache->tryRead(*file, 5, 4).value().sliceAt(0).address(),
           bytes.sliceAt(0).address());
}

TEST(filesAreWrittenWholeFromManySlices) {
  CacheWorld world;
  world.put("a", "");
  const std::string text = pattern(200'000, 7);
  const Aggregate bytes = make(world, text, 300);
  const sys::Fd fd(::open(world.folder.at("a").c_str(), O_RDWR | O_CLOEXEC));
  const Endpoint sink = inspect(fd.get()).take();
  std::optional<Result<uint64_t>> answer;
  writeFile(world.queue, sink, bytes, 100, {},
            [&](Result<uint64_t> written) { answer = std::move(written); });
  world.queue.drain();
  REQUIRE(answer && answer->isOk());
  CHECK_EQ(answer->value(), text.size() - 100);
  CHECK(readText(world, fd.get(), ~0ull, 0, false, true) == text.substr(100));
  CHECK_EQ(writeFileSync(sink, bytes, 0, {.position = 0}).value(), text.size());
  CHECK(readText(world, fd.get(), ~0ull, 0, false, true) == text);
}

TEST(verbsLeakNothing) {
  CacheWorld world;
  {
    world.put("a", pattern(5000, 8));
    const sys::Fd fd(::open(world.folder.at("a").c_str(), O_RDWR | O_CLOEXEC));
    const Endpoint file = inspect(fd.get()).take();
    const Aggregate bytes = make(world, "text", 1);
    bool wasCalled = false;
    readFile(*world.pool, world.queue, file, {5000, 0, nullptr, {}},
             [&](Result<Aggregate>) { wasCalled = true; });
    writeFile(world.queue, file, bytes, 0, {}, [&](Result<uint64_t>) { wasCalled = true; });
    while (world.queue.waiting() > 0) world.queue.take().reset();
    CHECK(!wasCalled);
  }
  CHECK_EQ(world.domain->liveHolds(), 0u);
  CHECK_EQ(world.pool->stats().buffers, 0u);
}

}  // namespace
}  // namespace iol::test
