#include "scoreboard.h"

#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cstdio>
#include <cstdlib>

namespace iol::torture {

const char* nameOf(Role role) {
  constexpr const char* kNames[] = {"host",  "producer", "consumer", "forwarder",
                                    "hasty", "churner",  "node"};
  return kNames[static_cast<uint32_t>(role)];
}

const char* nameOf(State state) {
  constexpr const char* kNames[] = {"empty", "starting", "attached", "alone",
                                    "quiet", "left",     "failed"};
  return kNames[static_cast<uint32_t>(state)];
}

// Step 4 * log2(us) + the next two bits.
void Histogram::add(int64_t ns) {
  const uint64_t us = ns > 1000 ? static_cast<uint64_t>(ns) / 1000 : 1;
  const uint32_t power = static_cast<uint32_t>(std::bit_width(us)) - 1;
  const uint32_t quarter = power >= 2 ? (us >> (power - 2)) & 3 : 0;
  const uint32_t step = power * 4 + quarter;
  steps_[step < kSteps ? step : kSteps - 1].fetch_add(1, std::memory_order_relaxed);
  int64_t most = maxNs_.load(std::memory_order_relaxed);
  while (ns > most && !maxNs_.compare_exchange_weak(most, ns)) continue;
}

uint64_t Histogram::count() const {
  uint64_t sum = 0;
  for (const auto& step : steps_) sum += step.load(std::memory_order_relaxed);
  return sum;
}

double Histogram::ms(double share) const {
  const double wanted = share * static_cast<double>(count());
  double seen = 0;
  for (uint32_t step = 0; step < kSteps; step++) {
    seen += static_cast<double>(steps_[step].load(std::memory_order_relaxed));
    if (seen < wanted) continue;
    const uint64_t power = step / 4;
    const double us = static_cast<double>(1ull << power) * (1 + (step % 4 + 1) / 4.0);
    return us / 1000;
  }
  return 0;
}

SharedScoreboard makeScoreboard() {
  SharedScoreboard made;
  made.memory = sys::Fd(::memfd_create("torture-scoreboard", MFD_CLOEXEC));
  if (::ftruncate(made.memory.get(), sizeof(Scoreboard)) != 0) std::abort();
  made.board = openScoreboard(made.memory.get());
  return made;
}

Scoreboard* openScoreboard(int descriptor) {
  void* mapped =
      ::mmap(nullptr, sizeof(Scoreboard), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (mapped == MAP_FAILED) {
    std::perror("the torture's scoreboard");
    std::exit(2);
  }
  return static_cast<Scoreboard*>(mapped);
}

}  // namespace iol::torture
