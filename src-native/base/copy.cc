#include "base/copy.h"

#include <atomic>
#include <cstring>

namespace iol {
namespace {

struct Counter {
  std::atomic<uint64_t> times{0};
  std::atomic<uint64_t> bytes{0};
};

Counter counters[kCopyReasons];

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

CopyCount copyCount(CopyReason reason) {
  const size_t index = static_cast<size_t>(reason);
  return {kKeys[index], counters[index].times.load(std::memory_order_relaxed),
          counters[index].bytes.load(std::memory_order_relaxed)};
}

}  // namespace iol
