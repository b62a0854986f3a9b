#include "aggregate/coalesce.h"

#include <algorithm>

#include "base/copy.h"
#include "pool/pool.h"

namespace iol::tree {
namespace {

// The longest run that begins at `first`.
Run runAt(const Domain& domain, const Slice* slices, uint32_t first, uint32_t count) {
  Run best;
  const Pool* pool = domain.poolOf(slices[first]);
  if (pool == nullptr) return best;
  uint64_t bytes = 0;
  uint32_t longest = 0;
  for (uint32_t index = first; index < count; index++) {
    const uint32_t length = slices[index].length;
    bytes += length;
    longest = std::max(longest, length);
    if (bytes > kCoalesceBytesMax || domain.poolOf(slices[index]) != pool) break;
    if (index - first + 1 >= kCoalesceSlices && bytes >= 2 * longest) {
      best = {first, index - first + 1, static_cast<uint32_t>(bytes)};
    }
  }
  return best;
}

}  // namespace

Run tinyRun(const Domain& domain, const Slice* slices, uint32_t count) {
  Run best;
  uint64_t window = 0;  // The bytes of kCoalesceSlices slices: mostly too many for any run.
  for (uint32_t end = 0; end < count; end++) {
    window += slices[end].length;
    if (end + 1 < kCoalesceSlices) continue;
    const uint32_t first = end + 1 - kCoalesceSlices;
    if (window <= kCoalesceBytesMax) {
      const Run run = runAt(domain, slices, first, count);
      if (run.count > best.count) best = run;
    }
    window -= slices[first].length;
  }
  return best;
}

uint32_t joinRun(Domain& domain, Slice* slices, uint32_t count, Run run) {
  Result<Draft> draft = domain.poolOf(slices[run.first])->allocate(run.bytes);
  if (!draft.isOk()) return 0;
  uint8_t* to = draft.value().bytes();
  for (uint32_t index = run.first; index < run.first + run.count; index++) {
    copyBytes(to, slices[index].data(), slices[index].length, CopyReason::Coalesce);
    to += slices[index].length;
    domain.release(slices[index]);
  }
  slices[run.first] = draft.value().seal();
  std::copy(slices + run.first + run.count, slices + count, slices + run.first + 1);
  return run.count - 1;
}

}  // namespace iol::tree
