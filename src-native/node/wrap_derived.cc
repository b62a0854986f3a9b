// node/wrap_derived.cc: values computed from bytes, and what is remembered of them.

#include <algorithm>

#include "aggregate/checksum.h"
#include "aggregate/derived.h"
#include "node/call.h"
#include "node/exports.h"

namespace iol::node {
namespace {

template <size_t N>
const Aggregate* aggregateAt(const Call<N>& call, size_t i) {
  const Aggregate* aggregate = call.state().aggregates().get(call.handle(i));
  if (aggregate == nullptr) call.failClosed("aggregate");
  return aggregate;
}

// derivedInternetChecksum(aggregate)
napi_value derivedInternetChecksum(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* bytes = aggregateAt(call, 0);
  return bytes == nullptr ? nullptr : call.int32(call.state().derived().internetChecksum(*bytes));
}

// derivedCrc32c(aggregate)
napi_value derivedCrc32c(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* bytes = aggregateAt(call, 0);
  return bytes == nullptr ? nullptr : call.number(call.state().derived().crc32c(*bytes));
}

// internetChecksumOf(bytes), crc32cOf(bytes): of an array on the heap; nothing is remembered.
napi_value internetChecksumOf(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  const auto bytes = call.spanAt(0);
  return call.int32(static_cast<uint16_t>(~internetSum(bytes.data, bytes.length)));
}

napi_value crc32cOf(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  const auto bytes = call.spanAt(0);
  return call.number(crc32c(0, bytes.data, bytes.length));
}

// derivedFindSha256(aggregate, target) -> whether it is known; then the target has it.
napi_value derivedFindSha256(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* bytes = aggregateAt(call, 0);
  if (bytes == nullptr) return nullptr;
  Sha256 digest;
  const auto target = call.spanAt(1);
  const bool isKnown =
      target.length == digest.size() && call.state().derived().findSha256(*bytes, &digest);
  if (isKnown) std::copy(digest.begin(), digest.end(), target.data);
  return call.boolean(isKnown);
}

// derivedKeepSha256(aggregate, digest)
napi_value derivedKeepSha256(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* bytes = aggregateAt(call, 0);
  if (bytes == nullptr) return nullptr;
  Sha256 digest;
  const auto from = call.spanAt(1);
  if (from.length != digest.size()) return call.undefined();
  std::copy_n(from.data, digest.size(), digest.begin());
  call.state().derived().keepSha256(*bytes, digest);
  return call.undefined();
}

// scratch: the numbers of DerivedValues::Stats in their order.
napi_value derivedStats(napi_env env, napi_callback_info info) {
  Call<0> call(env, info);
  if (!call.isReady()) return nullptr;
  const DerivedValues::Stats stats = call.state().derived().stats();
  double* out = call.state().scratch();
  for (uint64_t number : {stats.computed, stats.computedBytes, stats.reused, stats.reusedBytes,
                          stats.entries, stats.bytes}) {
    *out++ = static_cast<double>(number);
  }
  return call.undefined();
}

constexpr Export kExports[] = {
    {"derivedInternetChecksum", derivedInternetChecksum},
    {"derivedCrc32c", derivedCrc32c},
    {"internetChecksumOf", internetChecksumOf},
    {"crc32cOf", crc32cOf},
    {"derivedFindSha256", derivedFindSha256},
    {"derivedKeepSha256", derivedKeepSha256},
    {"derivedStats", derivedStats},
};

}  // namespace

void exportDerived(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
