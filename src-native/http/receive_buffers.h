// http/receive_buffers.h: the window memory that requests arrive in, shared by all connections.
//
//   connection   [draft: ...head 1][head 2, beg] -> [draft: inning...      ]
//                 0              used             next                 used
//
// An idle connection has none. A few warm ones serve everybody in turn, so that the bytes of a
// request land where the last one's were, in the processor's cache; at least one is kept from the
// start, so that a full pool still lets a server read a request and say 503.
//
// Ownership   take() gives one reference; retain and release count further ones. The drafts are
//             never sealed: their bytes are parsed, not sent.
// Threads     the domain's own.
// Failure     create: what Pool::allocate answers. take: null when the pool is full.
// Cost        warm: a few instructions.
// May include base/ sys/ window/ pool/
#pragma once

#include <memory>
#include <vector>

#include "base/status.h"
#include "http/head_text.h"
#include "pool/pool.h"

namespace iol::http {

constexpr uint32_t kReceiveBytes = 4096;
constexpr uint32_t kWarmBuffersMax = 4;

struct ReceiveBuffer {
  Draft draft;
  uint8_t* bytes = nullptr;
  uint32_t used = 0;
  uint32_t references = 0;
  ReceiveBuffer* next = nullptr;  // The following bytes of the same connection, or the next free.

  uint32_t room() const { return kReceiveBytes - used; }
};

class ReceiveBuffers {
 public:
  explicit ReceiveBuffers(Pool& pool) : pool_(pool) {}
  ReceiveBuffers(const ReceiveBuffers&) = delete;
  ReceiveBuffers& operator=(const ReceiveBuffers&) = delete;

  // Allocates the one that is always kept.
  Status prepare();
  // Empty, with one reference; null when the pool is full.
  ReceiveBuffer* take();
  void release(ReceiveBuffer* buffer);

 private:
  Pool& pool_;
  std::vector<std::unique_ptr<ReceiveBuffer>> all_;
  ReceiveBuffer* warm_ = nullptr;   // With memory.
  ReceiveBuffer* empty_ = nullptr;  // Without.
  uint32_t warmCount_ = 0;
};

// Where a connection's bytes are: `length` of them, from `offset` in `first` on.
struct ReceivedRun {
  ReceiveBuffer* first = nullptr;
  uint32_t offset = 0;
  uint32_t length = 0;

  // Fills `spans` and returns how many; bytes beyond the last span are left out.
  uint32_t fill(ByteSpan* spans, uint32_t spansMax) const;
};

}  // namespace iol::http
