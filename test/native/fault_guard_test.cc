// Stray stores into sealed bytes: undone, reported, bounded; everybody else's faults pass through.
#include "sys/fault_guard.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "sys/memory.h"
#include "test.h"

namespace iol {
namespace {

using test::awaitChild;
using test::startChild;

constexpr uint64_t kBytes = 256ull << 20;

// A memfd with a guarded read-only mapping, as a JavaScript environment has one.
struct Guarded {
  explicit Guarded(uint64_t size = kBytes) : bytes(size) {
    memory = sys::createMemory("guarded", bytes).take();
    readOnlyFd = sys::reopenReadOnly(memory).take();
    view = sys::mapReadOnly(readOnlyFd, bytes).take();
    other = sys::mapReadOnly(readOnlyFd, bytes).take();
    id = sys::guardRegion({view, bytes, readOnlyFd.get(), count, this}).take();
  }
  ~Guarded() {
    sys::unguardRegion(id);
    sys::unmap(view, bytes);
    sys::unmap(other, bytes);
  }
  static void count(void* self) { static_cast<Guarded*>(self)->notified.fetch_add(1); }
  void store(uint64_t offset, uint8_t value) {
    reinterpret_cast<volatile uint8_t*>(view)[offset] = value;
  }
  size_t healAll() {
    size_t total = 0;
    sys::HealedStore healed[64];
    while (size_t count = sys::heal(id, healed, 64)) total += count;
    return total;
  }
  uint64_t bytes;
  sys::Fd memory, readOnlyFd;
  uint8_t* view;
  uint8_t* other;
  int id;
  std::atomic<int> notified{0};
};

#ifndef IOL_ONE_MAPPING  // These need two mappings of one memfd.

TEST(aStrayStoreIsUndoneAndReported) {
  Guarded guarded;
  guarded.store(12345, 99);
  CHECK_EQ(guarded.view[12345], 99);  // The store finished, privately,
  CHECK_EQ(guarded.other[12345], 0);  // and nobody else ever sees it.
  CHECK(sys::healIsPending(guarded.id));
  CHECK_EQ(guarded.notified.load(), 1);
  sys::HealedStore healed[4];
  CHECK_EQ(sys::heal(guarded.id, healed, 4), 1u);
  CHECK_EQ(healed[0].offset, 12345u);
  CHECK_EQ(guarded.view[12345], 0);
  CHECK(!sys::healIsPending(guarded.id));
  guarded.store(12345, 98);  // And again: the page is guarded as before.
  CHECK_EQ(guarded.healAll(), 1u);
}

TEST(aStoreAcrossAPageBorderIsUndoneOnBothPages) {
  Guarded guarded;
  struct __attribute__((packed)) Unaligned {
    uint64_t word;
  };
  reinterpret_cast<volatile Unaligned*>(guarded.view + 8192 - 4)->word = ~0ull;
  CHECK_EQ(guarded.healAll(), 2u);
  CHECK_EQ(guarded.view[8191], 0);
  CHECK_EQ(guarded.view[8192], 0);
}

TEST(storesFromASecondThreadNeverReachTheSharedBytes) {
  Guarded guarded(1 << 20);
  std::atomic<bool> isOver{false};
  std::atomic<uint64_t> stores{0};
  std::thread scribbler([&] {
    for (uint64_t step = 0; !isOver.load(std::memory_order_relaxed); step++) {
      guarded.store(step * 37 % guarded.bytes, 0xee);
      stores.fetch_add(1, std::memory_order_relaxed);
    }
  });
  size_t healed = 0;
  while (healed < 3000 || stores.load() < 20000) healed += guarded.healAll();
  isOver = true;
  scribbler.join();
  guarded.healAll();
  for (uint64_t at = 0; at < guarded.bytes; at++) {
    if (guarded.other[at] != 0 || guarded.view[at] != 0) {
      test::fail(__FILE__, __LINE__, "a store got through");
      return;
    }
  }
}

TEST(scatteredStoresHealedInTimeNeedNoMorePagesThanTheBudget) {
  Guarded guarded;
  for (uint64_t page = 0; page < 40000; page++) {
    guarded.store(page * 4096 + 5, 1);
    if (page % 1000 == 999) CHECK_EQ(guarded.healAll(), 1000u);
  }
}

// 40,000 scattered stores in one go: the message and death, never a hang.
CHILD(scattersStores) {
  if (::freopen("/dev/null", "w", stderr) == nullptr) return 3;
  ::signal(SIGSEGV, SIG_DFL);
  Guarded guarded;
  for (uint64_t page = 0; page < 40000; page++) guarded.store(page * 4096 + 5, 1);
  return 0;
}
CHILD(storesInStrictMode) {
  if (::freopen("/dev/null", "w", stderr) == nullptr) return 3;
  ::signal(SIGSEGV, SIG_DFL);
  sys::setStrict(true);
  Guarded guarded;
  guarded.store(5, 1);
  return 0;
}
CHILD(storesElsewhere) {
  ::signal(SIGSEGV, SIG_DFL);
  Guarded guarded;
  void* const page = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  *static_cast<volatile uint8_t*>(page) = 1;
  return 0;
}
CHILD(readsARetiredSegment) {
  ::signal(SIGSEGV, SIG_DFL);
  uint8_t* view;
  {
    Guarded guarded;
    view = guarded.view;
  }
  return *static_cast<volatile uint8_t*>(view);
}

TEST(whatIsNotOursToHealEndsTheProcess) {
  CHECK_EQ(awaitChild(startChild("scattersStores", {}, -1)), 128 + SIGSEGV);
  CHECK_EQ(awaitChild(startChild("storesInStrictMode", {}, -1)), 128 + SIGSEGV);
  CHECK_EQ(awaitChild(startChild("storesElsewhere", {}, -1)), 128 + SIGSEGV);
  CHECK_EQ(awaitChild(startChild("readsARetiredSegment", {}, -1)), 128 + SIGSEGV);
}

sigjmp_buf landing;
void jumpBack(int, siginfo_t*, void*) { ::siglongjmp(landing, 1); }

// Somebody else takes SIGSEGV after us, as process.on('SIGSEGV') or a crash reporter does.
CHILD(outlivesAReplacedHandler) {
  Guarded guarded;
  struct sigaction theirs {};
  theirs.sa_sigaction = jumpBack;
  theirs.sa_flags = SA_SIGINFO;
  ::sigaction(SIGSEGV, &theirs, nullptr);
  if (!sys::reinstallFaultHandler()) return 1;
  if (sys::reinstallFaultHandler()) return 2;  // It is ours already.
  guarded.store(5, 1);
  if (guarded.healAll() != 1) return 3;
  // A foreign fault still reaches theirs, twice: as a WebAssembly trap reaches V8's.
  void* const foreign = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (static int landed = 0; landed < 2; landed++) {
    if (::sigsetjmp(landing, 1) == 0) {
      *static_cast<volatile uint8_t*>(foreign) = 1;
      return 4;
    }
  }
  guarded.store(6, 1);
  return guarded.healAll() == 1 ? 0 : 5;
}

TEST(foreignFaultsReachWhoeverHandledThemBefore) {
  CHECK_EQ(awaitChild(startChild("outlivesAReplacedHandler", {}, -1)), 0);
}

#endif

}  // namespace
}  // namespace iol
