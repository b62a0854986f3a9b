#include "aggregate/coalesce.h"

#include <algorithm>

#include "base/copy.h"
#include "pool/pool.h"

namespace iol::tree {
namespace {

struct Run {
  uint32_t first = 0;
  uint32_t count = 0;
  uint32_t bytes = 0;
};

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

uint32_t coalesce(Domain& domain, Slice* slices, uint32_t count) {
  Run best;
  for (uint32_t first = 0; first + std::max(best.count + 1, kCoalesceSlices) <= count; first++) {
    const Run run = runAt(domain, slices, first, count);
    if (run.count > best.count) best = run;
  }
  if (best.count == 0) return 0;
  Result<Draft> draft = domain.poolOf(slices[best.first])->allocate(best.bytes);
  if (!draft.isOk()) return 0;
  uint8_t* to = draft.value().bytes();
  for (uint32_t index = best.first; index < best.first + best.count; index++) {
    copyBytes(to, slices[index].data(), slices[index].length, CopyReason::Coalesce);
    to += slices[index].length;
    domain.release(slices[index]);
  }
  slices[best.first] = draft.value().seal();
  std::copy(slices + best.first + best.count, slices + count, slices + best.first + 1);
  return best.count - 1;
}

}  // namespace iol::tree
