// aggregate/trusted.h: bytes that nobody else can change, for whoever looks at them twice (I3).
//
// A foreign pool's owner can store into its buffers at any time. So bytes of it that are parsed,
// checked, compared with, decoded or cached are first copied out, once, and only the copy is used:
//
//   an answer's head          wrap_http (checked, then sent: the copy is what is sent)
//   a needle, text            wrap_aggregate_search, wrap_aggregate_read (V8 decodes in two passes)
//   what enters the cache     FileCache::insert, FileWriteJob
//   a message's list          Receiver::readListBuffer; its metadata: readFrame
//
// What only moves bytes on (sends, gathers, hands out views) or looks at each byte once and
// believes nothing (indexOf, checksums) takes them as they are.
//
// Threads     the domain's.
// Failure     what Pool::allocate answers; nothing is taken then.
// Cost        isForeign: a look at each slice. The copy is counted (`untrusted`).
// May include base/ sys/ window/ pool/
#pragma once

#include <functional>
#include <vector>

#include "aggregate/aggregate.h"
#include "base/status.h"
#include "pool/pool.h"

namespace iol {

// Some of it is in another domain's pool.
bool isForeign(const Aggregate& bytes);

// To be made before anyone looks at the bytes, on any thread.
struct PlannedCopy {
  const uint8_t* from;
  uint8_t* to;
  uint32_t byteLength;
};

// The same bytes, own memory in place of runs of foreign buffers, which must stay held until the
// copies are made. `allocate` is asked for at most `bytesMax` bytes at a time.
using AllocateDraft = std::function<Result<Draft>(uint64_t byteLength)>;
Result<Aggregate> planTrusted(const Aggregate& bytes, uint64_t bytesMax,
                              const AllocateDraft& allocate, std::vector<PlannedCopy>& copies);

void makeCopies(const std::vector<PlannedCopy>& copies);

// Both at once.
Result<Aggregate> trustedCopy(const Aggregate& bytes, Pool& pool);

}  // namespace iol
