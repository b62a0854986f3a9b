// node/wrap_window.cc: the window, pools and their figures.

#include <string>

#include "base/copy.h"
#include "node/call.h"
#include "node/exports.h"
#include "sys/fault_guard.h"
#include "window/window.h"

namespace iol::node {
namespace {

// windowConfigure(maxBytes): before the window's first use only.
napi_value windowConfigure(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  Window::Options options;
  options.maxBytes = call.bytesAt(0);
  if (Status status = Window::configure(options); !status.isOk()) return call.fail(status);
  return call.undefined();
}

// windowStart(): makes the environment's domain; scratch: id (low, high), maxBytes, committed.
napi_value windowStart(napi_env env, napi_callback_info info) {
  Call<0> call(env, info);
  if (!call.isReady()) return nullptr;
  const Window& window = call.state().domain().window();
  double* out = call.state().scratch();
  out[0] = static_cast<double>(window.id() & UINT32_MAX);
  out[1] = static_cast<double>(window.id() >> 32);
  out[2] = static_cast<double>(window.maxBytes());
  out[3] = static_cast<double>(window.committedBytes());
  return call.undefined();
}

// windowClose(): everything that JavaScript has a handle of is given up.
napi_value windowClose(napi_env env, napi_callback_info info) {
  Call<0> call(env, info, Needs::Nothing);
  call.state().closeWindow();
  return call.undefined();
}

napi_value windowReopen(napi_env env, napi_callback_info info) {
  Call<0> call(env, info, Needs::Nothing);
  const Status status = call.state().reopenWindow();
  return status.isOk() ? call.undefined() : call.fail(status);
}

// scratch: live holds of this environment, stores healed in the process, aggregates, drafts, then
// times and bytes of each copy reason.
napi_value processStats(napi_env env, napi_callback_info info) {
  Call<0> call(env, info);
  if (!call.isReady()) return nullptr;
  EnvState& state = call.state();
  state.reapRetiredPools();
  double* out = state.scratch();
  *out++ = static_cast<double>(state.domain().liveHolds());
  *out++ = static_cast<double>(sys::storesHealed());
  *out++ = state.aggregates().size();
  *out++ = state.drafts().size();
  *out++ = state.mapped().size();
  const Aggregate::Steps steps = Aggregate::steps();
  *out++ = static_cast<double>(steps.nodes);
  *out++ = static_cast<double>(steps.entries);
  *out++ = static_cast<double>(steps.released);
  static_assert(8 + 2 * kCopyReasons <= EnvState::kCopiedAt);
  for (size_t reason = 0; reason < kCopyReasons; ++reason) {
    const CopyCount count = copyCount(static_cast<CopyReason>(reason));
    *out++ = static_cast<double>(count.times);
    *out++ = static_cast<double>(count.bytes);
  }
  return call.undefined();
}

// The keys of stats().copies, in the order of processStats().
napi_value copyReasons(napi_env env, napi_callback_info info) {
  Call<0> call(env, info, Needs::Nothing);
  napi_value keys = nullptr;
  napi_create_array(env, &keys);
  for (uint32_t reason = 0; reason < kCopyReasons; ++reason) {
    napi_value key = nullptr;
    napi_create_string_utf8(env, copyCount(static_cast<CopyReason>(reason)).key, NAPI_AUTO_LENGTH,
                            &key);
    napi_set_element(env, keys, reason, key);
  }
  return keys;
}

// Kind, value, kind, value, ...: as lib/window/access-list.ts has checked them. False for anything
// else.
bool readAccess(napi_env env, napi_value array, AccessList& access) {
  uint32_t length = 0;
  if (napi_get_array_length(env, array, &length) != napi_ok || length % 2 != 0) return false;
  for (uint32_t i = 0; i < length; i += 2) {
    napi_value kind = nullptr;
    napi_value value = nullptr;
    uint32_t number = 0;
    napi_get_element(env, array, i, &kind);
    napi_get_element(env, array, i + 1, &value);
    napi_get_value_uint32(env, kind, &number);
    if (static_cast<AccessEntry::Kind>(number) == AccessEntry::Kind::Label) {
      char label[kDomainLabelBytes] = {};
      napi_get_value_string_latin1(env, value, label, sizeof label, nullptr);
      if (!access.addLabel(label)) return false;
    } else {
      uint32_t id = 0;
      napi_get_value_uint32(env, value, &id);
      if (!access.add(static_cast<AccessEntry::Kind>(number), id)) return false;
    }
  }
  return access.isValid();
}

// poolCreate(maxBytes, idleBytesMax, sealed, access, name) -> handle
napi_value poolCreate(napi_env env, napi_callback_info info) {
  Call<5> call(env, info);
  if (!call.isReady()) return nullptr;
  call.state().reapRetiredPools();
  Pool::Options options;
  if (!readAccess(env, call.value(3), options.access)) {
    return call.fail(Status(Code::BadDescriptor, "access list"));
  }
  char label[kFactsNameBytes] = {};
  napi_get_value_string_utf8(env, call.value(4), label, sizeof label, nullptr);
  options.name = "pool";
  options.label = label;
  options.maxBytes = call.bytesAt(0);
  options.idleBytesMax = call.bytesAt(1);
  options.sealed = call.boolAt(2);
  Result<std::unique_ptr<Pool>> pool = Pool::create(call.state().domain(), options);
  if (!pool.isOk()) return call.fail(pool.status());
  const int32_t handle = call.state().pools().insert(pool.take());
  if (handle == 0) return call.fail(Status(Code::NoMemory, "pool table"));
  return call.int32(handle);
}

// poolClose(pool): idempotent.
napi_value poolClose(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  if (auto pool = call.state().pools().take(call.handle(0))) {
    call.state().retirePool(std::move(*pool));
  }
  return call.undefined();
}

napi_value poolTrim(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(0));
  if (pool == nullptr) return call.failClosed("pool");
  pool->collect();
  return call.number(static_cast<double>(pool->trim(call.bytesAt(1))));
}

// scratch: the numbers of Pool::Stats in their order, then maxBytes and idleBytesMax.
napi_value poolStats(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(0));
  if (pool == nullptr) return call.failClosed("pool");
  const Pool::Stats stats = pool->stats();
  const uint64_t numbers[] = {stats.bytesInUse,
                              stats.bytesFree,
                              stats.bytesCommitted,
                              stats.buffers,
                              stats.drafts,
                              stats.pending,
                              stats.segments,
                              stats.allocations,
                              stats.requestedTotal,
                              stats.grantedTotal,
                              stats.commitsInline,
                              stats.commitsAhead,
                              stats.bytesReturned,
                              pool->options().maxBytes,
                              pool->options().idleBytesMax};
  double* out = call.state().scratch();
  for (uint64_t number : numbers) *out++ = static_cast<double>(number);
  return call.undefined();
}

// setStrict(on): a stray store prints the message and ends the process.
napi_value setStrict(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  sys::setStrict(call.boolAt(0));
  return call.undefined();
}

napi_value setPageBudget(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  sys::setPageBudget(static_cast<uint32_t>(call.bytesAt(0)));
  return call.undefined();
}

// True when somebody had replaced the SIGSEGV handler; ours is in front again.
napi_value reinstallFaultHandler(napi_env env, napi_callback_info info) {
  Call<0> call(env, info, Needs::Nothing);
  return call.boolean(call.state().isStarted() && sys::reinstallFaultHandler());
}

constexpr Export kExports[] = {
    {"windowConfigure", windowConfigure},
    {"windowStart", windowStart},
    {"windowClose", windowClose},
    {"windowReopen", windowReopen},
    {"processStats", processStats},
    {"copyReasons", copyReasons},
    {"poolCreate", poolCreate},
    {"poolClose", poolClose},
    {"poolTrim", poolTrim},
    {"poolStats", poolStats},
    {"setStrict", setStrict},
    {"setPageBudget", setPageBudget},
    {"reinstallFaultHandler", reinstallFaultHandler},
};

}  // namespace

void exportWindow(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
