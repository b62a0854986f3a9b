// sys/fault_guard.h: a stray store into sealed bytes changes nothing and kills nobody.
//
//   store -> SIGSEGV (write, protection) inside a guarded region
//         -> a private copy of the page is mapped over it, the store finishes there
//         -> heal(): the shared page is put back; the caller reports what happened
//
// Only mappings that JavaScript sees are guarded; the library reads through others, so private
// bytes never leave through it. Everything else (other addresses, reads, faults beyond the page
// budget, strict mode) goes to the handler that was there before, or ends the process with a line
// that says why.
//
// Ownership   the region's memory and descriptor stay the caller's and outlive the guard.
// Threads     guard, unguard, heal: any; the handler runs on whichever thread stores.
// Failure     WindowFull when no region is free, System when the handler cannot be installed.
// Cost        a faulting page about 13 us; healIsPending one relaxed load.
// May include base/
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"

namespace iol::sys {

struct GuardedRegion {
  uint8_t* base = nullptr;
  uint64_t bytes = 0;
  int readOnlyFd = -1;  // Of the memfd whose byte 0 is mapped at base.
  // Called in signal context after a store: an async-signal-safe wake-up and nothing else.
  void (*notify)(void*) = nullptr;
  void* data = nullptr;
};

struct HealedStore {
  uint64_t offset;  // In the region: the address that faulted first on that page.
};

Status installFaultHandler();
// Puts ours in front again; true when somebody had replaced it. The one found is chained.
bool reinstallFaultHandler();

Result<int> guardRegion(const GuardedRegion& region);
// Heals first. After it the mapping may be unmapped.
void unguardRegion(int id);

bool healIsPending(int id);
bool anyHealIsPending();
// Puts the shared pages back and says where stores went; call until it returns less than `max`.
size_t heal(int id, HealedStore* healed, size_t max);

uint64_t storesHealed();
// Die with the message at the first stray store.
void setStrict(bool strict);
// Pages that may be private at once, over all regions; beyond it the process ends.
void setPageBudget(uint32_t pages);
constexpr uint32_t kPageBudgetMax = 16384;

}  // namespace iol::sys
