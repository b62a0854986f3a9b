#include "base/copy.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <vector>

namespace iol {
namespace {

struct Counter {
  std::atomic<uint64_t> times{0};
  std::atomic<uint64_t> bytes{0};
};

Counter counters[kCopyReasons];

std::mutex talliesMutex;
std::vector<const CopyTally*> tallies;

constexpr const char* kKeys[] = {
#define IOL_COPY_REASON(name, key, meaning) key,
#include "copy_reasons.def"
#undef IOL_COPY_REASON
};

}  // namespace

void countCopy(size_t length, CopyReason reason) {
  Counter& counter = counters[static_cast<size_t>(reason)];
  counter.times.fetch_add(1, std::memory_order_relaxed);
  counter.bytes.fetch_add(length, std::memory_order_relaxed);
}

void copyBytes(void* to, const void* from, size_t length, CopyReason reason) {
  if (length == 0) return;
  std::memcpy(to, from, length);
  countCopy(length, reason);
}

void moveBytes(void* to, const void* from, size_t length, CopyReason reason) {
  if (length == 0) return;
  std::memmove(to, from, length);
  countCopy(length, reason);
}

CopyTally::CopyTally(const double* numbers, CopyReason reason)
    : numbers_(numbers), reason_(reason) {
  const std::lock_guard<std::mutex> lock(talliesMutex);
  tallies.push_back(this);
}

CopyTally::~CopyTally() {
  const std::lock_guard<std::mutex> lock(talliesMutex);
  std::erase(tallies, this);
  Counter& counter = counters[static_cast<size_t>(reason_)];
  counter.times.fetch_add(numberAt(0), std::memory_order_relaxed);
  counter.bytes.fetch_add(numberAt(1), std::memory_order_relaxed);
}

uint64_t CopyTally::numberAt(size_t i) const {
  double number;
  __atomic_load(numbers_ + i, &number, __ATOMIC_RELAXED);
  return static_cast<uint64_t>(number);
}

CopyCount copyCount(CopyReason reason) {
  const size_t index = static_cast<size_t>(reason);
  const std::lock_guard<std::mutex> lock(talliesMutex);
  CopyCount count{kKeys[index], counters[index].times.load(std::memory_order_relaxed),
                  counters[index].bytes.load(std::memory_order_relaxed)};
  for (const CopyTally* tally : tallies) {
    if (tally->reason_ != reason) continue;
    count.times += tally->numberAt(0);
    count.bytes += tally->numberAt(1);
  }
  return count;
}

}  // namespace iol
