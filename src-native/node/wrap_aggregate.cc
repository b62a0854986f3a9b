// node/wrap_aggregate.cc: making and editing aggregates by handle. An IolBuffer has one slice.
//
// Whoever makes or edits an aggregate leaves its byteLength in scratch[0].

#include <algorithm>

#include "base/copy.h"
#include "node/aggregate_call.h"
#include "node/exports.h"

namespace iol::node {
namespace {

constexpr size_t kPartsMax = 16;

// Bytes that have just come into the window, as an aggregate.
Aggregate sealed(Domain& domain, Draft& draft, size_t length) {
  Aggregate aggregate(domain);
  // One slice always fits.
  if (length > 0) (void)aggregate.adopt(draft.seal(static_cast<uint32_t>(length)));
  return aggregate;
}

template <size_t N>
Result<Aggregate> aggregateOfText(const Call<N>& call, Pool& pool, size_t textIndex,
                                  size_t encodingIndex) {
  TextEncoding encoding = encodingAt(call, encodingIndex);
  const napi_value text = call.value(textIndex);
  const size_t length = encodedBytes(call.env(), text, encoding);
  if (encoding == TextEncoding::Utf8 && isAsciiText(call.env(), text, length)) {
    encoding = TextEncoding::Latin1;
  }
  // The terminator stays inside: the next byte may be somebody's.
  const size_t room = length + terminatorBytes(encoding);
  Result<Draft> draft = pool.allocate(room);
  if (!draft.isOk()) return draft.status();
  encode(call.env(), text, encoding, draft.value().bytes(), room);
  countCopy(length, CopyReason::Write);
  return sealed(call.state().domain(), draft.value(), length);
}

template <size_t N>
Result<Aggregate> aggregateOfBytes(const Call<N>& call, Pool& pool, size_t index) {
  const auto bytes = call.spanAt(index);
  Result<Draft> draft = pool.allocate(bytes.length);
  if (!draft.isOk()) return draft.status();
  copyBytes(draft.value().bytes(), bytes.data, bytes.length, CopyReason::Write);
  return sealed(call.state().domain(), draft.value(), bytes.length);
}

template <size_t N>
napi_value edited(const Call<N>& call, const Aggregate& aggregate) {
  call.state().scratch()[0] = static_cast<double>(aggregate.byteLength());
  return call.undefined();
}

napi_value aggregateEmpty(napi_env env, napi_callback_info info) {
  Call<0> call(env, info);
  if (!call.isReady()) return nullptr;
  return call.newAggregate(Aggregate(call.state().domain()));
}

// aggregateFromString(pool, text, encoding)
napi_value aggregateFromString(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(0));
  if (pool == nullptr) return call.failClosed("pool");
  Result<Aggregate> made = aggregateOfText(call, *pool, 1, 2);
  return made.isOk() ? call.newAggregate(made.take()) : call.fail(made.status());
}

// aggregateFromBytes(pool, bytes)
napi_value aggregateFromBytes(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(0));
  if (pool == nullptr) return call.failClosed("pool");
  Result<Aggregate> made = aggregateOfBytes(call, *pool, 1);
  return made.isOk() ? call.newAggregate(made.take()) : call.fail(made.status());
}

template <size_t N>
napi_value appendMade(const Call<N>& call, Aggregate& aggregate, const Result<Aggregate>& made) {
  if (!made.isOk()) return call.fail(made.status());
  if (Status status = aggregate.append(made.value()); !status.isOk()) return call.fail(status);
  return edited(call, aggregate);
}

// aggregateAppendString(aggregate, pool, text, encoding)
napi_value aggregateAppendString(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(1));
  if (pool == nullptr) return call.failClosed("pool");
  return appendMade(call, *aggregate, aggregateOfText(call, *pool, 2, 3));
}

// aggregateAppendBytes(aggregate, pool, bytes)
napi_value aggregateAppendBytes(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(1));
  if (pool == nullptr) return call.failClosed("pool");
  return appendMade(call, *aggregate, aggregateOfBytes(call, *pool, 2));
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

// aggregateClone(aggregate)
napi_value aggregateClone(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  return aggregate == nullptr ? nullptr : call.newAggregate(aggregate->clone());
}

// aggregateSlice(aggregate, from, to)
napi_value aggregateSlice(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  return call.newAggregate(aggregate->slice(call.bytesAt(1), call.bytesAt(2)));
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
  return edited(call, *aggregate);
}

// aggregateReplace(aggregate, from, to, other): bytes [from, to) give way to those of `other`.
napi_value aggregateReplace(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  const Aggregate* other = aggregateAt(call, 3);
  if (other == nullptr) return nullptr;
  Status status = aggregate->replace(call.bytesAt(1), call.bytesAt(2), *other);
  if (!status.isOk()) return call.fail(status);
  return edited(call, *aggregate);
}

// aggregateRemove(aggregate, from, to)
napi_value aggregateRemove(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  const uint64_t from = call.bytesAt(1);
  const uint64_t to = call.bytesAt(2);
  if (from == 0) {
    aggregate->truncateFront(to);
  } else if (to >= aggregate->byteLength()) {
    aggregate->truncateBack(std::min(from, aggregate->byteLength()));
  } else {
    aggregate->remove(from, to);
  }
  return edited(call, *aggregate);
}

// aggregateSplit(aggregate, bytes) -> the first bytes as an aggregate; scratch[0] is its length.
napi_value aggregateSplit(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  if (call.state().aggregates().isFull()) return call.failHandlesFull();
  return call.newAggregate(aggregate->split(call.bytesAt(1)));
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

// aggregateDispose(aggregate): idempotent.
napi_value aggregateDispose(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  call.state().aggregates().remove(call.handle(0));
  call.state().reapRetiredPools();
  return nullptr;
}

constexpr Export kExports[] = {
    {"aggregateEmpty", aggregateEmpty},
    {"aggregateFromString", aggregateFromString},
    {"aggregateFromBytes", aggregateFromBytes},
    {"aggregateConcat", aggregateConcat},
    {"aggregateClone", aggregateClone},
    {"aggregateSlice", aggregateSlice},
    {"aggregateAppend", aggregateAppend},
    {"aggregateAppendString", aggregateAppendString},
    {"aggregateAppendBytes", aggregateAppendBytes},
    {"aggregateReplace", aggregateReplace},
    {"aggregateRemove", aggregateRemove},
    {"aggregateSplit", aggregateSplit},
    {"aggregateLinearize", aggregateLinearize},
    {"aggregateByteLength", aggregateByteLength},
    {"aggregateSliceCount", aggregateSliceCount},
    {"aggregateDispose", aggregateDispose},
};

}  // namespace

void exportAggregates(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
