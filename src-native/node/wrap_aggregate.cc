// node/wrap_aggregate.cc: aggregates by handle. An IolBuffer is an aggregate of one slice.
//
// Whoever makes an aggregate leaves its byteLength in scratch[0].

#include <algorithm>
#include <string>

#include "base/copy.h"
#include "node/call.h"
#include "node/exports.h"
#include "node/views.h"

namespace iol::node {
namespace {

constexpr size_t kShortStringBytes = 4096;
constexpr size_t kPartsMax = 16;
// V8's longest string, and what it may take as UTF-8: no longer bytes are worth joining.
constexpr uint64_t kCharactersMax = (1u << 29) - 24;
constexpr uint64_t kStringBytesMax = 3 * kCharactersMax;

template <size_t N>
Aggregate* aggregateAt(const Call<N>& call, size_t i) {
  Aggregate* aggregate = call.state().aggregates().get(call.handle(i));
  if (aggregate == nullptr) call.failClosed("aggregate");
  return aggregate;
}

template <size_t N>
napi_value newFromDraft(const Call<N>& call, Draft& draft, uint32_t length) {
  Aggregate aggregate(call.state().domain());
  if (length == 0) return call.newAggregate(std::move(aggregate));
  if (Status status = aggregate.adopt(draft.seal(length)); !status.isOk()) return call.fail(status);
  return call.newAggregate(std::move(aggregate));
}

napi_value aggregateEmpty(napi_env env, napi_callback_info info) {
  Call<0> call(env, info);
  if (!call.isReady()) return nullptr;
  return call.newAggregate(Aggregate(call.state().domain()));
}

// aggregateFromString(pool, string, isLatin1)
napi_value aggregateFromString(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(0));
  if (pool == nullptr) return call.failClosed("pool");
  const auto getString = call.boolAt(2) ? napi_get_value_string_latin1 : napi_get_value_string_utf8;
  char characters[kShortStringBytes];
  size_t length = 0;
  // Why not into the draft at once: Node-API ends what it writes with a zero byte.
  getString(env, call.value(1), characters, kShortStringBytes, &length);
  const bool isWhole = length < kShortStringBytes - 4;  // A character more would have fitted.
  if (!isWhole) getString(env, call.value(1), nullptr, 0, &length);
  Result<Draft> draft = pool->allocate(isWhole ? length : length + 1);
  if (!draft.isOk()) return call.fail(draft.status());
  if (isWhole) {
    if (length > 0) copyBytes(draft.value().bytes(), characters, length, CopyReason::Write);
  } else {
    getString(env, call.value(1), reinterpret_cast<char*>(draft.value().bytes()), length + 1,
              &length);
    countCopy(length, CopyReason::Write);
  }
  return newFromDraft(call, draft.value(), static_cast<uint32_t>(length));
}

// aggregateFromBytes(pool, bytes)
napi_value aggregateFromBytes(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(0));
  if (pool == nullptr) return call.failClosed("pool");
  const auto bytes = call.spanAt(1);
  Result<Draft> draft = pool->allocate(bytes.length);
  if (!draft.isOk()) return call.fail(draft.status());
  if (bytes.length > 0) {
    copyBytes(draft.value().bytes(), bytes.data, bytes.length, CopyReason::Write);
  }
  return newFromDraft(call, draft.value(), static_cast<uint32_t>(bytes.length));
}

// aggregateConcat(a, b, ...): up to kPartsMax.
napi_value aggregateConcat(napi_env env, napi_callback_info info) {
  Call<kPartsMax> call(env, info);
  if (!call.isReady()) return nullptr;
  Aggregate joined(call.state().domain());
  for (size_t i = 0; i < std::min(call.count(), kPartsMax); ++i) {
    const Aggregate* part = aggregateAt(call, i);
    if (part == nullptr) return nullptr;
    if (Status status = joined.append(*part); !status.isOk()) return call.fail(status);
  }
  return call.newAggregate(std::move(joined));
}

// aggregateAppend(aggregate, other)
napi_value aggregateAppend(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  const Aggregate* other = aggregateAt(call, 1);
  if (other == nullptr) return nullptr;
  if (Status status = aggregate->append(*other); !status.isOk()) return call.fail(status);
  call.state().scratch()[0] = static_cast<double>(aggregate->byteLength());
  return call.undefined();
}

// aggregateSlice(aggregate, from, to)
napi_value aggregateSlice(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  return call.newAggregate(aggregate->slice(call.bytesAt(1), call.bytesAt(2)));
}

napi_value aggregateByteLength(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  return call.number(static_cast<double>(aggregate->byteLength()));
}

napi_value aggregateSliceCount(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  return aggregate == nullptr ? nullptr : call.int32(static_cast<int32_t>(aggregate->sliceCount()));
}

// aggregateSliceAt(aggregate, index) -> whether there is one; scratch: byteLength, address,
// generation.
napi_value aggregateSliceAt(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  const uint64_t index = call.bytesAt(1);
  if (index >= aggregate->sliceCount()) return call.boolean(false);
  const Slice& slice = aggregate->sliceAt(static_cast<uint32_t>(index));
  double* out = call.state().scratch();
  out[0] = slice.length;
  out[1] = static_cast<double>(slice.address());
  out[2] = static_cast<double>(slice.generation);
  return call.boolean(true);
}

// aggregateView(aggregate, index, isUnsafe) -> ArrayBuffer, or undefined when there is no such
// slice; scratch: byteLength, offset in the ArrayBuffer.
napi_value aggregateView(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  const uint64_t index = call.bytesAt(1);
  if (index >= aggregate->sliceCount()) return call.undefined();
  const Slice& slice = aggregate->sliceAt(static_cast<uint32_t>(index));
  Views& views = call.state().views();
  Result<Views::View> view = call.boolAt(2) ? views.unsafeViewOf(slice) : views.viewOf(slice);
  if (!view.isOk()) return call.fail(view.status());
  double* out = call.state().scratch();
  out[0] = slice.length;
  out[1] = static_cast<double>(view.value().offset);
  return view.value().arrayBuffer;
}

// aggregateLinearize(aggregate, pool): afterwards it has at most one slice.
napi_value aggregateLinearize(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  if (aggregate->sliceCount() <= 1) return call.undefined();
  Pool* pool = call.state().poolOf(call.handle(1));
  if (pool == nullptr) return call.failClosed("pool");
  Result<Draft> draft = pool->allocate(aggregate->byteLength());
  if (!draft.isOk()) return call.fail(draft.status());
  aggregate->copyTo(draft.value().bytes(), 0, aggregate->byteLength(), CopyReason::Linearize);
  Aggregate whole(call.state().domain());
  if (Status status = whole.adopt(draft.value().seal()); !status.isOk()) return call.fail(status);
  *aggregate = std::move(whole);
  return call.undefined();
}

// aggregateCopyTo(aggregate, target, targetStart, from, to) -> bytes copied
napi_value aggregateCopyTo(napi_env env, napi_callback_info info) {
  Call<5> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  const auto target = call.spanAt(1);
  const uint64_t start = call.bytesAt(2);
  const uint64_t from = call.bytesAt(3);
  const uint64_t to = call.bytesAt(4);
  if (start >= target.length || from >= to) return call.int32(0);
  const uint64_t room = std::min<uint64_t>(target.length - start, to - from);
  return call.number(
      static_cast<double>(aggregate->copyTo(target.data + start, from, room, CopyReason::CopyOut)));
}

// aggregateToString(aggregate, isLatin1, from, to)
napi_value aggregateToString(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  const uint64_t from = call.bytesAt(2);
  const uint64_t to = std::min(call.bytesAt(3), aggregate->byteLength());
  const uint64_t length = from < to ? to - from : 0;
  const uint64_t limit = call.boolAt(1) ? kCharactersMax : kStringBytesMax;
  if (length > limit) return call.fail(Status(Code::TooLarge, "string", length, limit));
  const char* characters = nullptr;
  std::string joined;  // Only for bytes in more than one slice.
  if (aggregate->sliceCount() == 1) {
    characters = reinterpret_cast<const char*>(aggregate->sliceAt(0).data()) + from;
    if (length > 0) countCopy(length, CopyReason::CopyOut);
  } else if (length > 0) {
    joined.resize(length);
    aggregate->copyTo(reinterpret_cast<uint8_t*>(joined.data()), from, length, CopyReason::CopyOut);
    characters = joined.data();
  }
  napi_value text = nullptr;
  const auto create = call.boolAt(1) ? napi_create_string_latin1 : napi_create_string_utf8;
  if (create(env, length > 0 ? characters : "", length, &text) == napi_ok) return text;
  napi_value ignored;
  napi_get_and_clear_last_exception(env, &ignored);
  return call.fail(Status(Code::TooLarge, "string", length, kCharactersMax));
}

// aggregateDispose(aggregate): idempotent.
napi_value aggregateDispose(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  call.state().aggregates().remove(call.handle(0));
  call.state().reapRetiredPools();
  return nullptr;
}

constexpr Export kExports[] = {
    {"aggregateEmpty", aggregateEmpty},           {"aggregateFromString", aggregateFromString},
    {"aggregateFromBytes", aggregateFromBytes},   {"aggregateConcat", aggregateConcat},
    {"aggregateAppend", aggregateAppend},         {"aggregateSlice", aggregateSlice},
    {"aggregateByteLength", aggregateByteLength}, {"aggregateSliceCount", aggregateSliceCount},
    {"aggregateSliceAt", aggregateSliceAt},       {"aggregateView", aggregateView},
    {"aggregateLinearize", aggregateLinearize},   {"aggregateCopyTo", aggregateCopyTo},
    {"aggregateToString", aggregateToString},     {"aggregateDispose", aggregateDispose},
};

}  // namespace

void exportAggregates(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
