// base/copy.h: the only place that moves payload, so that "zero-copy" is a number.
//
// Ownership   borrows both sides; of a tally its numbers, until it ends.
// Threads     any; the counters are process-wide and relaxed.
// Failure     none.
// Cost        one memcpy and two relaxed atomic additions.
// May include nothing of ours.
#pragma once

#include <cstddef>
#include <cstdint>

namespace iol {

enum class CopyReason : uint8_t {
#define IOL_COPY_REASON(name, key, meaning) name,
#include "copy_reasons.def"
#undef IOL_COPY_REASON
};

constexpr size_t kCopyReasons = 0
#define IOL_COPY_REASON(name, key, meaning) +1
#include "copy_reasons.def"
#undef IOL_COPY_REASON
    ;

struct CopyCount {
  const char* key;
  uint64_t times;
  uint64_t bytes;
};

// Moves `length` bytes and counts them under `reason`. The ranges must not overlap.
void copyBytes(void* to, const void* from, size_t length, CopyReason reason);
// The same for ranges that may overlap.
void moveBytes(void* to, const void* from, size_t length, CopyReason reason);

// Counts a move that somebody else makes for us (V8, the kernel on our behalf).
void countCopy(size_t length, CopyReason reason);

// Copies that TypeScript makes, and counts in memory of its own: they are in copyCount(), too.
// `numbers` are how many there were and their bytes; other threads may read them meanwhile.
class CopyTally {
 public:
  CopyTally(const double* numbers, CopyReason reason);
  ~CopyTally();
  CopyTally(const CopyTally&) = delete;
  CopyTally& operator=(const CopyTally&) = delete;

 private:
  friend CopyCount copyCount(CopyReason reason);
  uint64_t numberAt(size_t i) const;

  const double* numbers_;
  CopyReason reason_;
};

CopyCount copyCount(CopyReason reason);

}  // namespace iol
