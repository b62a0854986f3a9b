#include "sys/fault_guard.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <mutex>

#include "sys/limits.h"
#include "sys/memory.h"

namespace iol::sys {
namespace {

constexpr int kRegionsMax = 8192;
constexpr uint64_t kPageMask = kPageBytes - 1;

// Everything that the handler touches is static and lock-free: it may interrupt anything. All zero
// at first, so that the tables take no room in the addon's file.
struct Slot {
  std::atomic<uintptr_t> base{0};  // 0: free.
  uint64_t bytes = 0;
  int fd = 0;
  void (*notify)(void*) = nullptr;
  void* data = nullptr;
  std::atomic<uint32_t> pending{0};
};
Slot regions[kRegionsMax];
std::atomic<int> regionsEnd{0};

// Pages that are private now. A claimed entry has its region first, and the address last.
struct PrivatePage {
  std::atomic<uintptr_t> address{0};  // Of the store; 0: free.
  std::atomic<int> regionPlusOne{0};
};
PrivatePage privatePages[kPageBudgetMax];
std::atomic<uint32_t> pagesEnd{0};
std::atomic<uint32_t> pagesPrivate{0};
std::atomic<uint32_t> pageBudget{4096};
std::atomic<bool> isStrict{false};
std::atomic<uint64_t> healedTotal{0};
std::atomic<uint32_t> pendingTotal{0};

std::mutex tableMutex;  // Never taken in the handler.
struct sigaction previous;
std::atomic<bool> isInstalled{false};

void say(const char* text) {
  if (::write(STDERR_FILENO, text, ::strlen(text)) < 0) return;
}

void sayHex(uintptr_t value) {
  char digits[19] = "0x";
  int length = 2;
  for (int shift = 60; shift >= 0; shift -= 4) {
    const unsigned digit = (value >> shift) & 15;
    if (digit == 0 && length == 2 && shift > 0) continue;
    digits[length++] = "0123456789abcdef"[digit];
  }
  digits[length] = 0;
  say(digits);
}

[[noreturn]] void die(uintptr_t address, uint64_t offset, const char* why) {
  say("io-lite: FATAL store into immutable bytes at ");
  sayHex(address);
  say(" (byte ");
  sayHex(offset);
  say(" of its segment): ");
  say(why);
  say("\n");
  ::signal(SIGSEGV, SIG_DFL);
  ::raise(SIGSEGV);
  ::_exit(139);
}

bool isWriteFault(const siginfo_t* info, const void* context) {
  if (info->si_code != SEGV_ACCERR) return false;
  const ucontext_t* machine = static_cast<const ucontext_t*>(context);
#if defined(__x86_64__)
  return (machine->uc_mcontext.gregs[REG_ERR] & 2) != 0;
#elif defined(__aarch64__)
  // The ESR record among the reserved bytes; bit 6 (WnR) says that the access was a write.
  const uint8_t* at = machine->uc_mcontext.__reserved;
  const uint8_t* end = at + sizeof machine->uc_mcontext.__reserved;
  while (at + sizeof(_aarch64_ctx) <= end) {
    const _aarch64_ctx* head = reinterpret_cast<const _aarch64_ctx*>(at);
    if (head->magic == 0 || head->size == 0) break;
    if (head->magic == ESR_MAGIC) {
      return (reinterpret_cast<const esr_context*>(at)->esr & (1u << 6)) != 0;
    }
    at += head->size;
  }
  return false;
#else
#error "io-lite supports x86-64 and arm64"
#endif
}

void callPrevious(int signal, siginfo_t* info, void* context) {
  if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction != nullptr) {
    previous.sa_sigaction(signal, info, context);
    return;
  }
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
    return;
  }
  // Nobody else wants it: the instruction runs again under the default action.
  ::signal(SIGSEGV, SIG_DFL);
}

// Claims a free entry; the budget bounds the search and the mappings (vm.max_map_count). The
// caller publishes the address once the private page is there: a heal in between must not miss it.
PrivatePage* claimPage() {
  if (pagesPrivate.fetch_add(1) >= pageBudget.load(std::memory_order_relaxed)) {
    pagesPrivate.fetch_sub(1);
    return nullptr;
  }
  const uint32_t start = pagesEnd.fetch_add(1);
  for (uint32_t probe = 0; probe < kPageBudgetMax; probe++) {
    PrivatePage& page = privatePages[(start + probe) % kPageBudgetMax];
    uintptr_t free = 0;
    if (page.address.load(std::memory_order_relaxed) != 0) continue;
    if (page.address.compare_exchange_strong(free, 1)) return &page;
  }
  pagesPrivate.fetch_sub(1);
  return nullptr;
}

void onFault(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  const uintptr_t address = reinterpret_cast<uintptr_t>(info->si_addr);
  const int end = regionsEnd.load(std::memory_order_acquire);
  for (int id = 0; id < end; id++) {
    Slot& region = regions[id];
    const uintptr_t base = region.base.load(std::memory_order_acquire);
    if (base == 0 || address < base || address - base >= region.bytes) continue;
    if (!isWriteFault(info, context)) break;
    const uint64_t offset = address - base;
    if (isStrict.load(std::memory_order_relaxed)) die(address, offset, "strict mode");
    PrivatePage* const noted = claimPage();
    if (noted == nullptr) die(address, offset, "too many pages were stored to at once");
    void* const page = reinterpret_cast<void*>(address & ~kPageMask);
    void* const mapped = ::mmap(page, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
                                region.fd, static_cast<off_t>(offset & ~kPageMask));
    if (mapped == MAP_FAILED) die(address, offset, "its page could not be shielded");
    region.pending.fetch_add(1);
    pendingTotal.fetch_add(1);
    noted->regionPlusOne.store(id + 1);
    noted->address.store(address, std::memory_order_release);
    if (region.notify != nullptr) region.notify(region.data);
    errno = error;
    return;
  }
  callPrevious(signal, info, context);
  errno = error;
}

bool isOurs(const struct sigaction& action) {
  return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == onFault;
}

}  // namespace

Status installFaultHandler() {
  std::lock_guard<std::mutex> lock(tableMutex);
  if (isInstalled.load()) return {};
  struct sigaction action {};
  action.sa_sigaction = onFault;
  // NODEFER: a fault inside the previous handler must reach it again, as without us.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  ::sigemptyset(&action.sa_mask);
  if (::sigaction(SIGSEGV, &action, &previous) != 0) return Status::system("sigaction", errno);
  isInstalled.store(true);
  return {};
}

bool reinstallFaultHandler() {
  std::lock_guard<std::mutex> lock(tableMutex);
  if (!isInstalled.load()) return false;
  struct sigaction now {};
  if (::sigaction(SIGSEGV, nullptr, &now) != 0 || isOurs(now)) return false;
  struct sigaction action {};
  action.sa_sigaction = onFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  ::sigemptyset(&action.sa_mask);
  previous = now;
  return ::sigaction(SIGSEGV, &action, nullptr) == 0;
}

Result<int> guardRegion(const GuardedRegion& wanted) {
  IOL_TRY(installFaultHandler());
  std::lock_guard<std::mutex> lock(tableMutex);
  for (int id = 0; id < kRegionsMax; id++) {
    Slot& region = regions[id];
    if (region.base.load(std::memory_order_relaxed) != 0) continue;
    region.bytes = wanted.bytes;
    region.fd = wanted.readOnlyFd;
    region.notify = wanted.notify;
    region.data = wanted.data;
    region.pending.store(0);
    region.base.store(reinterpret_cast<uintptr_t>(wanted.base), std::memory_order_release);
    if (id >= regionsEnd.load()) regionsEnd.store(id + 1, std::memory_order_release);
    return id;
  }
  return Status(Code::WindowFull, "guarded regions", kRegionsMax + 1, kRegionsMax);
}

void unguardRegion(int id) {
  HealedStore unused[64];
  while (heal(id, unused, 64) > 0) continue;
  std::lock_guard<std::mutex> lock(tableMutex);
  regions[id].base.store(0, std::memory_order_release);
}

bool healIsPending(int id) { return regions[id].pending.load(std::memory_order_relaxed) != 0; }

bool anyHealIsPending() { return pendingTotal.load(std::memory_order_relaxed) != 0; }

size_t heal(int id, HealedStore* healed, size_t max) {
  if (!healIsPending(id)) return 0;
  std::lock_guard<std::mutex> lock(tableMutex);
  Slot& region = regions[id];
  const uintptr_t base = region.base.load(std::memory_order_acquire);
  if (base == 0) return 0;
  size_t count = 0;
  for (PrivatePage& page : privatePages) {
    if (count == max || region.pending.load() == 0) break;
    const uintptr_t address = page.address.load(std::memory_order_acquire);
    if (address <= 1 || page.regionPlusOne.load() != id + 1) continue;
    if (address < base || address - base >= region.bytes) continue;
    // The entry is freed first: a store that comes in between faults again and is noted anew.
    page.regionPlusOne.store(0);
    page.address.store(0, std::memory_order_release);
    pagesPrivate.fetch_sub(1);
    region.pending.fetch_sub(1);
    pendingTotal.fetch_sub(1);
    const uint64_t offset = address - base;
    void* const mapped =
        ::mmap(reinterpret_cast<void*>(address & ~kPageMask), kPageBytes, PROT_READ,
               MAP_SHARED | MAP_FIXED, region.fd, static_cast<off_t>(offset & ~kPageMask));
    if (mapped == MAP_FAILED) die(address, offset, "its page could not be put back");
    healedTotal.fetch_add(1, std::memory_order_relaxed);
    healed[count++] = {offset};
  }
  return count;
}

uint64_t storesHealed() { return healedTotal.load(std::memory_order_relaxed); }
void setStrict(bool strict) { isStrict.store(strict); }

void setPageBudget(uint32_t pages) {
  pageBudget.store(pages < kPageBudgetMax ? pages : kPageBudgetMax);
}

}  // namespace iol::sys
