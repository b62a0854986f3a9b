// node/wrap_streams.cc: bytes into and out of streams, for lib/io/streams*.ts and lib/io/web.ts.
//
//   aggregate  [big slice][s][s][s][big slice]     s: too small to be worth a view
//   pieces      view       one copy   view

#include <algorithm>

#include "base/copy.h"
#include "node/call.h"
#include "node/exports.h"
#include "node/views.h"

namespace iol::node {
namespace {

// streamTake(pool, chunk, length) -> aggregate of one slice with the chunk's first bytes.
napi_value streamTake(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(0));
  if (pool == nullptr) return call.failClosed("pool");
  const auto chunk = call.spanAt(1);
  const uint64_t length = std::min<uint64_t>(chunk.length, call.bytesAt(2));
  Aggregate aggregate(call.state().domain());
  if (length == 0) return call.newAggregate(std::move(aggregate));
  Result<Draft> draft = pool->allocate(length);
  if (!draft.isOk()) return call.fail(draft.status());
  copyBytes(draft.value().bytes(), chunk.data, length, CopyReason::StreamIn);
  const Slice sealed = draft.value().seal(static_cast<uint32_t>(length));
  if (Status status = aggregate.adopt(sealed); !status.isOk()) return call.fail(status);
  return call.newAggregate(std::move(aggregate));
}

// How many bytes from `at` on are in slices below `smallBytes`, up to `limit` of them.
uint64_t smallRun(const Aggregate& bytes, uint64_t at, uint64_t smallBytes, uint64_t limit) {
  const uint64_t from = at;
  while (at < bytes.byteLength() && at - from < limit) {
    uint64_t sliceFrom = 0;
    const Slice& slice = bytes.sliceOf(at, &sliceFrom);
    if (slice.length >= smallBytes) break;
    at = sliceFrom + slice.length;
  }
  return std::min(at - from, limit);
}

// streamPiece(aggregate, at, smallBytes, joinBytesMax) -> the ArrayBuffer of the rest of the slice
// at `at`, or undefined when it is small and the next bytes are better copied together; scratch:
// how many bytes that is, offset in the ArrayBuffer.
napi_value streamPiece(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* bytes = call.state().aggregates().get(call.handle(0));
  if (bytes == nullptr) return call.failClosed("aggregate");
  const uint64_t at = call.bytesAt(1);
  double* out = call.state().scratch();
  out[0] = 0;
  if (at >= bytes->byteLength()) return call.undefined();
  const uint64_t run = smallRun(*bytes, at, call.bytesAt(2), call.bytesAt(3));
  if (run > 0) {
    out[0] = static_cast<double>(run);
    return call.undefined();
  }
  uint64_t sliceFrom = 0;
  const Slice& slice = bytes->sliceOf(at, &sliceFrom);
  Result<Views::View> view = call.state().views().viewOf(slice);
  if (!view.isOk()) return call.fail(view.status());
  const uint64_t skipped = at - sliceFrom;
  out[0] = static_cast<double>(slice.length - skipped);
  out[1] = static_cast<double>(view.value().offset + skipped);
  return view.value().arrayBuffer;
}

// streamCopy(aggregate, target, from, isJoin): fills the target with the bytes from `from` on.
napi_value streamCopy(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* bytes = call.state().aggregates().get(call.handle(0));
  if (bytes == nullptr) return call.failClosed("aggregate");
  const auto target = call.spanAt(1);
  const CopyReason reason = call.boolAt(3) ? CopyReason::Coalesce : CopyReason::CopyOut;
  if (target.length > 0) bytes->copyTo(target.data, call.bytesAt(2), target.length, reason);
  return call.undefined();
}

constexpr Export kExports[] = {
    {"streamTake", streamTake},
    {"streamPiece", streamPiece},
    {"streamCopy", streamCopy},
};

}  // namespace

void exportStreams(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
