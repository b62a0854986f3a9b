// node/wrap_draft.cc: drafts: memory that the program fills, and the step that ends it.

#include <algorithm>
#include <array>
#include <memory>

#include "base/copy.h"
#include "node/aggregate_call.h"
#include "node/exports.h"
#include "node/views.h"

namespace iol::node {
namespace {

// The slice of a fresh seal as an aggregate; scratch: byteLength, address, generation.
template <size_t N>
napi_value newBuffer(const Call<N>& call, const Slice& sealed) {
  Aggregate aggregate(call.state().domain());
  if (Status status = aggregate.adopt(sealed); !status.isOk()) return call.fail(status);
  double* out = call.state().scratch();
  out[1] = static_cast<double>(sealed.address());
  out[2] = static_cast<double>(sealed.generation);
  return call.newAggregate(std::move(aggregate));
}

// draftAllocate(pool, byteLength) -> handle
napi_value draftAllocate(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(0));
  if (pool == nullptr) return call.failClosed("pool");
  Result<Draft> draft = pool->allocate(call.bytesAt(1));
  if (!draft.isOk()) return call.fail(draft.status());
  const int32_t handle = call.state().drafts().insert(DraftEntry{draft.take()});
  if (handle == 0) return call.fail(Status(Code::NoMemory, "draft table"));
  return call.int32(handle);
}

// draftWrite(draft, bytes, at) -> bytes written. The range was checked against byteLength.
napi_value draftWrite(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  DraftEntry* entry = call.state().drafts().get(call.handle(0));
  if (entry == nullptr) return call.failClosed("draft");
  const auto bytes = call.spanAt(1);
  const uint64_t at = call.bytesAt(2);
  const uint64_t capacity = entry->draft.byteLength();
  if (at > capacity || bytes.length > capacity - at) {
    return call.fail(Status(Code::TooLarge, "draft", at + bytes.length, capacity));
  }
  // They may be the draft's own.
  moveBytes(entry->draft.bytes() + at, bytes.data, bytes.length, CopyReason::Write);
  return call.number(static_cast<double>(bytes.length));
}

// draftWriteString(draft, text, at, encoding) -> bytes written
napi_value draftWriteString(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  DraftEntry* entry = call.state().drafts().get(call.handle(0));
  if (entry == nullptr) return call.failClosed("draft");
  const TextEncoding encoding = encodingAt(call, 3);
  const uint64_t at = call.bytesAt(2);
  const uint64_t capacity = entry->draft.byteLength();
  const size_t length = encodedBytes(env, call.value(1), encoding);
  if (at > capacity || length > capacity - at) {
    return call.fail(Status(Code::TooLarge, "draft", at + length, capacity));
  }
  const size_t terminator = terminatorBytes(encoding);
  uint8_t* to = entry->draft.bytes() + at;
  if (length + terminator <= capacity - at && (encoding != TextEncoding::Utf16 || at % 2 == 0)) {
    // What is behind the text may have been written before.
    std::array<uint8_t, 2> behind{};
    std::copy_n(to + length, terminator, behind.begin());
    encode(env, call.value(1), encoding, to, length + terminator);
    std::copy_n(behind.begin(), terminator, to + length);
    countCopy(length, CopyReason::Write);
  } else if (length > 0) {
    // Why not at once: the byte behind the draft is somebody's.
    const std::unique_ptr<uint8_t[]> text(new uint8_t[length + terminator]);
    encode(env, call.value(1), encoding, text.get(), length + terminator);
    copyBytes(to, text.get(), length, CopyReason::Write);
  }
  return call.number(static_cast<double>(length));
}

// draftPoke(draft, at, count): the scratch's bytes for values, up to 8.
napi_value draftPoke(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  DraftEntry* entry = call.state().drafts().get(call.handle(0));
  if (entry == nullptr) return call.failClosed("draft");
  const uint64_t at = call.bytesAt(1);
  const uint64_t count = std::min<uint64_t>(call.bytesAt(2), 8);
  const uint64_t capacity = entry->draft.byteLength();
  if (at > capacity || count > capacity - at) {
    return call.fail(Status(Code::TooLarge, "draft", at + count, capacity));
  }
  std::copy_n(call.state().peeked(), count, entry->draft.bytes() + at);
  return call.undefined();
}

// draftFill(draft, pattern, from, to): repeats the pattern's bytes, which are not the draft's own;
// or one byte, which as a number costs no array.
napi_value draftFill(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  DraftEntry* entry = call.state().drafts().get(call.handle(0));
  if (entry == nullptr) return call.failClosed("draft");
  const uint64_t to = std::min<uint64_t>(call.bytesAt(3), entry->draft.byteLength());
  uint8_t* bytes = entry->draft.bytes();
  const uint64_t from = call.bytesAt(2);
  int32_t byte = 0;
  if (napi_get_value_int32(env, call.value(1), &byte) == napi_ok) {
    if (from < to) std::fill(bytes + from, bytes + to, static_cast<uint8_t>(byte));
    return call.undefined();
  }
  const auto pattern = call.spanAt(1);
  for (uint64_t at = from; pattern.length > 0 && at < to; at += pattern.length) {
    std::copy_n(pattern.data, std::min<uint64_t>(pattern.length, to - at), bytes + at);
  }
  return call.undefined();
}

// The memory of a draft's ArrayBuffer, wherever it was moved to, is out of JavaScript's reach.
void onStoreFreed(napi_env, void*, void* hint) {
  auto* const store = static_cast<std::shared_ptr<DraftStore>*>(hint);
  (*store)->isFreed = true;
  (*store)->parked.abandon();
  delete store;
}

// draftBytes(draft) -> ArrayBuffer over the draft itself, detached when it is sealed or given up.
napi_value draftBytes(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  DraftEntry* entry = call.state().drafts().get(call.handle(0));
  if (entry == nullptr) return call.failClosed("draft");
  if (entry->bytes != nullptr) {
    napi_value known = nullptr;
    napi_get_reference_value(env, entry->bytes, &known);
    return known != nullptr ? known : call.fail(Status(Code::Busy, "draft"));
  }
  entry->store = std::make_shared<DraftStore>();
  auto* const hint = new std::shared_ptr<DraftStore>(entry->store);
  Result<napi_value> made =
      externalArrayBuffer(env, entry->draft.bytes(), entry->draft.byteLength(), onStoreFreed, hint);
  if (!made.isOk()) {
    delete hint;
    return call.fail(made.status());
  }
  napi_create_reference(env, made.value(), 0, &entry->bytes);
  return made.value();
}

// draftCopyOut(draft, target): what the draft has so far, into the heap copy that bytes() makes.
napi_value draftCopyOut(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  DraftEntry* entry = call.state().drafts().get(call.handle(0));
  if (entry == nullptr) return call.failClosed("draft");
  const auto target = call.spanAt(1);
  if (target.length != entry->draft.byteLength()) {
    return call.fail(Status(Code::TooLarge, "draft", target.length, entry->draft.byteLength()));
  }
  if (target.length > 0) {
    copyBytes(target.data, entry->draft.bytes(), target.length, CopyReason::Draft);
  }
  return call.undefined();
}

// draftSeal(draft, byteLength, heapBytes | undefined) -> aggregate of one slice
napi_value draftSeal(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  DraftEntry* entry = call.state().drafts().get(call.handle(0));
  if (entry == nullptr) return call.failClosed("draft");
  const uint64_t length = call.bytesAt(1);
  if (length > entry->draft.byteLength()) {
    return call.fail(Status(Code::TooLarge, "draft", length, entry->draft.byteLength()));
  }
  if (call.state().aggregates().isFull()) return call.failHandlesFull();
  if (!call.state().detachBytes(*entry)) return call.fail(Status(Code::Busy, "draft"));
  const auto heap = call.spanAt(2);
  if (heap.length > 0 && length > 0) {
    copyBytes(entry->draft.bytes(), heap.data, std::min<uint64_t>(heap.length, length),
              CopyReason::Draft);
  }
  const Slice sealed = entry->draft.seal(static_cast<uint32_t>(length));
  call.state().drafts().remove(call.handle(0));
  return newBuffer(call, sealed);
}

// draftSealCopy(draft, byteLength, heapBytes | undefined) -> aggregate of one slice. The draft
// stays open: somebody may still be writing into it.
napi_value draftSealCopy(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  DraftEntry* entry = call.state().drafts().get(call.handle(0));
  Pool* pool = call.state().poolOf(call.handle(3));
  if (entry == nullptr) return call.failClosed("draft");
  if (pool == nullptr) return call.failClosed("pool");
  const uint64_t length = call.bytesAt(1);
  const auto heap = call.spanAt(2);
  if (length > entry->draft.byteLength()) {
    return call.fail(Status(Code::TooLarge, "draft", length, entry->draft.byteLength()));
  }
  Result<Draft> copy = pool->allocate(length);
  if (!copy.isOk()) return call.fail(copy.status());
  if (length > 0) {
    const uint8_t* from = heap.length >= length ? heap.data : entry->draft.bytes();
    copyBytes(copy.value().bytes(), from, length, CopyReason::Draft);
  }
  return newBuffer(call, copy.value().seal());
}

// detach(arrayBuffer): its memory is given up; it has length 0 from now on.
napi_value detach(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  napi_detach_arraybuffer(env, call.value(0));
  return nullptr;
}

// draftDispose(draft): idempotent.
napi_value draftDispose(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  if (DraftEntry* entry = call.state().drafts().get(call.handle(0))) {
    call.state().giveUp(*entry);
    call.state().drafts().remove(call.handle(0));
    call.state().reapRetiredPools();
  }
  return nullptr;
}

constexpr Export kExports[] = {
    {"draftAllocate", draftAllocate},
    {"draftWrite", draftWrite},
    {"draftWriteString", draftWriteString},
    {"draftPoke", draftPoke},
    {"draftFill", draftFill},
    {"draftBytes", draftBytes},
    {"draftCopyOut", draftCopyOut},
    {"draftSeal", draftSeal},
    {"draftSealCopy", draftSealCopy},
    {"draftDispose", draftDispose},
    {"detach", detach},
};

}  // namespace

void exportDrafts(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
