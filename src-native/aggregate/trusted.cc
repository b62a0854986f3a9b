#include "aggregate/trusted.h"

#include <algorithm>

#include "aggregate/coalesce.h"
#include "aggregate/slice_iterator.h"

namespace iol {
namespace {

// Foreign bytes from `at` on, across slices.
uint64_t foreignRun(const Aggregate& bytes, uint64_t at, uint64_t bytesMax) {
  SliceIterator it(bytes, at);
  const uint64_t end = at + bytesMax;
  while (!it.isAtEnd() && !it.slice().segment->isOwn() && it.end() < end) it.next();
  if (it.isAtEnd()) return bytes.byteLength() - at;
  return (it.slice().segment->isOwn() ? it.start() : end) - at;
}

void copyAll(const std::vector<PlannedCopy>& copies, size_t first) {
  for (size_t index = first; index < copies.size(); index++) {
    const PlannedCopy& copy = copies[index];
    copyBytes(copy.to, copy.from, copy.byteLength, CopyReason::Untrusted);
  }
}

}  // namespace

bool isForeign(const Aggregate& bytes) {
  for (SliceIterator it(bytes); !it.isAtEnd(); it.next()) {
    if (!it.slice().segment->isOwn()) return true;
  }
  return false;
}

Result<Aggregate> planTrusted(const Aggregate& bytes, uint64_t bytesMax,
                              const AllocateDraft& allocate, std::vector<PlannedCopy>& copies) {
  Aggregate trusted(bytes.domain());
  copies.clear();
  for (uint64_t at = 0; at < bytes.byteLength();) {
    uint64_t sliceFrom = 0;
    const Slice& slice = bytes.sliceOf(at, &sliceFrom);
    if (slice.segment->isOwn()) {
      IOL_TRY(trusted.append(slice));
      at = sliceFrom + slice.length;
      continue;
    }
    const uint64_t run = foreignRun(bytes, at, bytesMax);
    Result<Draft> draft = allocate(run);
    if (!draft.isOk()) return draft.status();
    uint8_t* to = draft.value().bytes();
    const size_t first = copies.size();
    forEachRun(bytes, at, at + run, [&](const uint8_t* from, size_t length) {
      copies.push_back({from, to, static_cast<uint32_t>(length)});
      to += length;
      return true;
    });
    if (run <= tree::kCoalesceBytesMax) {  // Or it might be joined with others before it is filled.
      copyAll(copies, first);
      copies.resize(first);
    }
    // Sealed before it is filled, but nobody has its name before the copies are made.
    IOL_TRY(trusted.adopt(draft.value().seal(static_cast<uint32_t>(run))));
    at += run;
  }
  return trusted;
}

void makeCopies(const std::vector<PlannedCopy>& copies) { copyAll(copies, 0); }

Result<Aggregate> trustedCopy(const Aggregate& bytes, Pool& pool) {
  std::vector<PlannedCopy> copies;
  const auto allocate = [&pool](uint64_t byteLength) { return pool.allocate(byteLength); };
  Result<Aggregate> trusted = planTrusted(bytes, kOwnSegmentBytes, allocate, copies);
  if (trusted.isOk()) makeCopies(copies);
  return trusted;
}

}  // namespace iol
