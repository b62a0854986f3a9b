// What the kernel enforces (I1) and grants (I5): who may map, forked children, small cgroups.
#include "sys/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "pool/pool.h"
#include "sanitizer.h"
#include "small_group.h"
#include "sys/limits.h"
#include "test.h"

namespace iol {
namespace {

using test::awaitChild;
using test::startChild;

struct World {
  World() : window({4ull << 30}), domain(Domain::create(window).take()) {
    pool = Pool::create(*domain, {}).take();
  }
  Window window;
  std::unique_ptr<Domain> domain;
  std::unique_ptr<Pool> pool;
};

// Runs `body` in a forked child; its result is the exit code, 128 + signal when it was killed.
template <typename Body>
int inForkedChild(Body body) {
  const int pid = ::fork();
  if (pid == 0) {
    ::signal(SIGSEGV, SIG_DFL);  // A sanitizer's handler would print and exit otherwise.
    ::_exit(body());
  }
  return awaitChild(pid);
}

TEST(withoutADescriptorToLookWithNobodySaysThatThereIsNoMemory) {
  World world;
  const int error = inForkedChild([&] {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_NOFILE, &none);
    const Status status = world.window.reserve(1 << 20);
    return status.code() == Code::System ? status.systemErrno() : 0;
  });
  CHECK_EQ(error, EMFILE);
}

TEST(aForkedChildOwnsNothing) {
  World world;
  Draft draft = world.pool->allocate(100).take();
  std::memset(draft.bytes(), 7, 100);
  [[maybe_unused]] uint8_t* const writable = draft.bytes();
  const Slice slice = draft.seal();
  const uint64_t holds = world.domain->liveHolds();
  CHECK_EQ(inForkedChild([&] {
             if (world.pool->allocate(1).status().code() != Code::Forked) return 1;
             if (Pool::create(*world.domain, {}).status().code() != Code::Forked) return 2;
             if (Domain::create(world.window).status().code() != Code::Forked) return 3;
#ifndef IOL_ONE_MAPPING
             if (slice.data()[99] != 7) return 4;  // Reading goes on: it is the parent's to change.
#endif
             return 0;
           }),
           0);
#ifndef IOL_ONE_MAPPING
  CHECK_EQ(inForkedChild([&] {
             *const_cast<volatile uint8_t*>(writable) =
                 8;  // MADV_DONTFORK: there is no such memory here.
             return 0;
           }),
           128 + SIGSEGV);
#endif
  // A child that ends normally, running its exit handlers, drops nothing of its parent's.
  CHECK_EQ(world.domain->liveHolds(), holds);
  CHECK_EQ(slice.data()[0], 7);
  CHECK_EQ(world.domain->ownHolds().count(slice.segment->ordinal(), slice.slot), 1u);
  world.domain->release(slice);
}

#ifndef IOL_ONE_MAPPING
TEST(aReceivedDescriptorCanOnlyBeRead) {
  World world;
  const Slice slice = world.pool->allocate(100).take().seal();
  const sys::Fd& granted = slice.segment->readOnlyFd();
  CHECK(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, granted.get(), 0) == MAP_FAILED);
  CHECK_EQ(errno, EACCES);
  void* const view = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, granted.get(), 0);
  CHECK(::mprotect(view, 4096, PROT_READ | PROT_WRITE) != 0);
  CHECK_EQ(errno, EACCES);
  ::munmap(view, 4096);
  CHECK(::ftruncate(slice.segment->memory().get(), 4096) != 0);  // SHRINK and GROW are sealed.
  CHECK_EQ(errno, EPERM);
  world.domain->release(slice);
}

TEST(anotherUserCannotOpenTheMemoryForWriting) {
  if (::geteuid() != 0) SKIP("needs root to become another user");
  World world;
  const Slice slice = world.pool->allocate(100).take().seal();
  const std::string path = "/proc/self/fd/" + std::to_string(slice.segment->readOnlyFd().get());
  CHECK_EQ(inForkedChild([&] {
             if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 1;
             if (::open(path.c_str(), O_RDWR) >= 0) return 2;
             return errno == EACCES ? 0 : 3;
           }),
           0);
  world.domain->release(slice);
}
#endif

TEST(foreignMemoryMustBeASealedMemfdOfTheRightSize) {
  sys::Fd good = sys::createMemory("foreign", 1 << 20).take();
  CHECK(sys::checkForeignMemory(good, 1 << 20).isOk());
  CHECK(sys::checkForeignMemory(good, 2 << 20).code() == Code::BadDescriptor);
  sys::Fd shrinkable(::memfd_create("shrinkable", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  CHECK(::ftruncate(shrinkable.get(), 1 << 20) == 0);
  CHECK(sys::checkForeignMemory(shrinkable, 1 << 20).code() == Code::BadDescriptor);
  sys::Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  CHECK(!sys::checkForeignMemory(file, 1 << 20).isOk());
  int ends[2];
  CHECK(::pipe(ends) == 0);
  sys::Fd pipe(ends[0]);
  ::close(ends[1]);
  CHECK(!sys::checkForeignMemory(pipe, 1 << 20).isOk());
}

TEST(aSegmentOfAnotherFormatIsRefused) {
  World world;
  const Slice slice = world.pool->allocate(100).take().seal();
  const Segment& segment = *slice.segment;
  const auto open = [&](uint64_t windowId) {
    return Segment::open(windowId, sys::reopenReadOnly(segment.memory()).take(),
                         segment.totalBytes())
        .status()
        .code();
  };
  CHECK(open(world.window.id()) == Code::Ok);
  CHECK(open(world.window.id() + 1) == Code::Format);
  auto* header = reinterpret_cast<SegmentHeader*>(segment.writable());
  const SegmentHeader right = *header;
  header->format = kFormat + 1;
  CHECK(open(world.window.id()) == Code::Format);
  *header = right;
  header->slots += 1;  // Tables that would reach beyond the mapping.
  CHECK(open(world.window.id()) == Code::BadDescriptor);
  *header = right;
  header->dataOffset = 1ull << 40;
  CHECK(open(world.window.id()) == Code::BadDescriptor);
  *header = right;
  CHECK(Segment::open(world.window.id(), sys::reopenReadOnly(segment.memory()).take(), 4096)
            .status()
            .code() == Code::BadDescriptor);
  world.domain->release(slice);
}

// Exit code: 0 when allocation ended with NoMemory in good time, the code's number otherwise.
CHILD(growsUntilRefused) {
  if (!test::enterGroup(argv[0])) return 100;
  World world;
  if (sys::memoryRoom().take().totalBytes != 64u << 20) return 101;
  std::vector<Slice> held;
  for (int step = 0; step < 1000; step++) {
    Result<Draft> draft = world.pool->allocate(100 << 10);
    if (!draft.isOk()) {
      if (draft.status().code() != Code::NoMemory) return static_cast<int>(draft.status().code());
      if (held.size() < 200) return 102;  // Refused much too early.
      for (const Slice& slice : held) world.domain->release(slice);
      return world.pool->allocate(100 << 10).isOk() ? 0 : 103;
    }
    std::memset(draft.value().bytes(), 1, 100 << 10);
    held.push_back(draft.value().seal());
  }
  return 104;
}

TEST(growthInASmallControlGroupIsAnErrorNotAKill) {
  if (test::kIsSanitized) SKIP("a sanitizer's own memory does not fit the group");
  const std::string group = test::makeSmallGroup();
  if (group.empty()) SKIP("no memory control group can be made here");
  CHECK_EQ(awaitChild(startChild("growsUntilRefused", {group}, -1)), 0);
  ::rmdir(group.c_str());
}

}  // namespace
}  // namespace iol
