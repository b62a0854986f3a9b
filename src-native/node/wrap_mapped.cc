// node/wrap_mapped.cc: contiguous, writable views of aggregates.

#include "aggregate/private_view.h"
#include "node/call.h"
#include "node/exports.h"

namespace iol::node {
namespace {

template <size_t N>
MappedEntry* mappedAt(const Call<N>& call, size_t i) {
  MappedEntry* entry = call.state().mapped().get(call.handle(i));
  if (entry == nullptr) call.failClosed("mapping");
  return entry;
}

// mappedCreate(aggregate, bytesMax) -> handle
napi_value mappedCreate(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* source = call.state().aggregates().get(call.handle(0));
  if (source == nullptr) return call.failClosed("aggregate");
  Result<PrivateView> view = PrivateView::create(*source, call.bytesAt(1));
  if (!view.isOk()) return call.fail(view.status());
  const int32_t handle = call.state().mapped().insert(MappedEntry{view.take(), {}});
  if (handle == 0) return call.fail(Status(Code::NoMemory, "mapping table"));
  return call.int32(handle);
}

// mappedBytes(mapped) -> ArrayBuffer; scratch: where the bytes begin in it.
napi_value mappedBytes(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  MappedEntry* entry = mappedAt(call, 0);
  if (entry == nullptr) return nullptr;
  PrivateView& view = entry->view;
  call.state().scratch()[0] = view.lead();
  if (entry->bytes.isMade()) {
    if (entry->bytes.isTransferred(env)) return call.fail(Status(Code::Busy, "mapping"));
    return entry->bytes.get(env);
  }
  if (view.byteLength() == 0) {
    napi_value empty = nullptr;
    napi_create_arraybuffer(env, 0, nullptr, &empty);
    return empty;
  }
  Result<napi_value> made =
      entry->bytes.make(env, view.memory(), view.memory()->base(), view.lead() + view.byteLength());
  return made.isOk() ? made.value() : call.fail(made.status());
}

// mappedPrivateBytes(mapped)
napi_value mappedPrivateBytes(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  const MappedEntry* entry = mappedAt(call, 0);
  if (entry == nullptr) return nullptr;
  return call.number(static_cast<double>(entry->view.privateBytes()));
}

// mappedChanges(mapped) -> [from, to, from, to, ...]
napi_value mappedChanges(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  const MappedEntry* entry = mappedAt(call, 0);
  if (entry == nullptr) return nullptr;
  napi_value list = nullptr;
  napi_create_array(env, &list);
  uint32_t index = 0;
  for (const ByteRange& range : entry->view.changes()) {
    napi_set_element(env, list, index++, call.number(static_cast<double>(range.from)));
    napi_set_element(env, list, index++, call.number(static_cast<double>(range.to)));
  }
  return list;
}

// mappedSnapshot(mapped, pool, isLast) -> aggregate; the last one ends the mapping.
napi_value mappedSnapshot(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  MappedEntry* entry = mappedAt(call, 0);
  if (entry == nullptr) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(1));
  if (pool == nullptr) return call.failClosed("pool");
  const bool isLast = call.boolAt(2);
  if (isLast && entry->bytes.isTransferred(env)) return call.fail(Status(Code::Busy, "mapping"));
  Result<Aggregate> bytes = entry->view.snapshot(*pool);
  if (!bytes.isOk()) return call.fail(bytes.status());
  const napi_value handle = call.newAggregate(bytes.take());
  if (handle != nullptr && isLast) {
    call.state().giveUp(*entry);
    call.state().mapped().remove(call.handle(0));
  }
  return handle;
}

// mappedDispose(mapped): idempotent.
napi_value mappedDispose(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  if (MappedEntry* entry = call.state().mapped().get(call.handle(0))) {
    call.state().giveUp(*entry);
    call.state().mapped().remove(call.handle(0));
    call.state().reapRetiredPools();
  }
  return nullptr;
}

constexpr Export kExports[] = {
    {"mappedCreate", mappedCreate},     {"mappedBytes", mappedBytes},
    {"mappedChanges", mappedChanges},   {"mappedPrivateBytes", mappedPrivateBytes},
    {"mappedSnapshot", mappedSnapshot}, {"mappedDispose", mappedDispose},
};

}  // namespace

void exportMapped(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
