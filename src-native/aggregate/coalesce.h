// aggregate/coalesce.h: the one rule by which an aggregate copies payload on its own.
//
// When an edit that adds bytes finds a leaf too full, neighbours in it become one buffer if they
// are
//   - kCoalesceSlices or more, and together at most kCoalesceBytesMax bytes,
//   - together at least twice as long as the longest of them,
//   - all in one pool of this domain, which has room: the new buffer is of that same pool, so
//     nobody else may read it.
// So each copy at least doubles the slice that a byte is in: no byte is copied more than
// log2(kCoalesceBytesMax) = 10 times, however it was appended, and slices of kCoalesceBytesMax /
// kCoalesceSlices = 128 bytes are the longest that are ever copied.
//
// Ownership   the holds of the joined slices go; the new slice has one.
// Threads     the domain's.
// Failure     none: a pool that is full is left alone.
// Cost        counted as CopyReason::Coalesce.
// May include base/ sys/ window/ pool/
#pragma once

#include <cstdint>

#include "pool/domain.h"
#include "pool/slice.h"

namespace iol::tree {

constexpr uint32_t kCoalesceSlices = 8;
constexpr uint32_t kCoalesceBytesMax = 1024;

struct Run {
  uint32_t first = 0;
  uint32_t count = 0;  // 0: there is none.
  uint32_t bytes = 0;
};

// The longest run that the rule allows.
Run tinyRun(const Domain& domain, const Slice* slices, uint32_t count);
// Joins it in place, if there is room for it; returns how many slices fewer there are.
uint32_t joinRun(Domain& domain, Slice* slices, uint32_t count, Run run);

}  // namespace iol::tree
