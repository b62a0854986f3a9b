// node/wrap_aggregate_read.cc: the bytes of an aggregate: where they are, views, values, copies.

#include <algorithm>
#include <memory>
#include <new>

#include "aggregate/slice_iterator.h"
#include "base/copy.h"
#include "node/aggregate_call.h"
#include "node/exports.h"
#include "node/views.h"

namespace iol::node {
namespace {

// V8's longest string, and what it may take as UTF-8: no longer bytes are worth joining.
constexpr uint64_t kCharactersMax = (1u << 29) - 24;
constexpr size_t kPeekBytesMax = 8;

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

// aggregateViewAt(aggregate, at, isUnsafe) -> ArrayBuffer of the slice with byte `at`, or undefined
// behind the end; scratch: byteLength, offset in the ArrayBuffer, the first place of the slice.
napi_value aggregateViewAt(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  const uint64_t at = call.bytesAt(1);
  if (at >= aggregate->byteLength()) return call.undefined();
  uint64_t sliceFrom = 0;
  const Slice& slice = aggregate->sliceOf(at, &sliceFrom);
  Views& views = call.state().views();
  Result<Views::View> view = call.boolAt(2) ? views.unsafeViewOf(slice) : views.viewOf(slice);
  if (!view.isOk()) return call.fail(view.status());
  double* out = call.state().scratch();
  out[0] = slice.length;
  out[1] = static_cast<double>(view.value().offset);
  out[2] = static_cast<double>(sliceFrom);
  return view.value().arrayBuffer;
}

// aggregateViewsFrom(aggregate, at) -> the ArrayBuffer with the slice that has byte `at`, undefined
// behind the end; scratch: how many slices from that one on are in the ArrayBuffer, up to 24; the
// first one's first place; then byteLength and offset of each.
napi_value aggregateViewsFrom(napi_env env, napi_callback_info info) {
  constexpr size_t kViewsMax = 24;
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  SliceIterator it(*aggregate, call.bytesAt(1));
  if (it.isAtEnd()) return call.undefined();
  const Slice& first = it.slice();
  const Views& views = call.state().views();
  Result<Views::View> view = call.state().views().viewOf(first);
  if (!view.isOk()) return call.fail(view.status());
  double* out = call.state().scratch();
  out[1] = static_cast<double>(it.start());
  size_t count = 0;
  for (; !it.isAtEnd() && count < kViewsMax; it.next(), ++count) {
    const Slice& slice = it.slice();
    uint64_t offset = 0;
    if (!views.covers(view.value(), slice, &offset)) break;
    out[2 + 2 * count] = slice.length;
    out[3 + 2 * count] = static_cast<double>(offset);
  }
  out[0] = static_cast<double>(count);
  return view.value().arrayBuffer;
}

// aggregatePeek(aggregate, at, count): up to 8 bytes into the scratch's last ones; scratch: the
// first place of the slice that has byte `at`, and the place behind its last.
napi_value aggregatePeek(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  uint64_t at = call.bytesAt(1);
  uint64_t count = std::min<uint64_t>(call.bytesAt(2), kPeekBytesMax);
  const uint64_t byteLength = aggregate->byteLength();
  if (at >= byteLength || count > byteLength - at) {
    return call.fail(Status(Code::TooLarge, "aggregate", at + count, byteLength));
  }
  uint64_t sliceFrom = 0;
  Slice slice = aggregate->sliceOf(at, &sliceFrom);
  double* out = call.state().scratch();
  out[0] = static_cast<double>(sliceFrom);
  out[1] = static_cast<double>(sliceFrom + slice.length);
  // Not counted: a value is made of the bytes, no payload is moved.
  for (uint8_t* byte = call.state().peeked(); count > 0; --count, ++at, ++byte) {
    if (at - sliceFrom == slice.length) slice = aggregate->sliceOf(at, &sliceFrom);
    *byte = slice.data()[at - sliceFrom];
  }
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

bool isAscii(const uint8_t* bytes, size_t length) {
  uint64_t bits[4] = {};
  size_t at = 0;
  for (; at + sizeof bits <= length; at += sizeof bits) {
    for (size_t lane = 0; lane < 4; ++lane) {
      uint64_t word;
      __builtin_memcpy(&word, bytes + at + 8 * lane, sizeof word);
      bits[lane] |= word;
    }
  }
  for (; at < length; ++at) bits[0] |= bytes[at];
  return ((bits[0] | bits[1] | bits[2] | bits[3]) & 0x8080808080808080) == 0;
}

// The bytes change no more. Why ASCII apart: it is copied, where UTF-8 is decoded at some 1 GB/s.
napi_status createString(napi_env env, TextEncoding encoding, const uint8_t* bytes, size_t length,
                         napi_value* text) {
  const auto* characters = reinterpret_cast<const char*>(bytes);
  switch (encoding) {
    case TextEncoding::Utf8:
      return isAscii(bytes, length) ? napi_create_string_latin1(env, characters, length, text)
                                    : napi_create_string_utf8(env, characters, length, text);
    case TextEncoding::Latin1: return napi_create_string_latin1(env, characters, length, text);
    case TextEncoding::Utf16:
      return napi_create_string_utf16(env, reinterpret_cast<const char16_t*>(bytes), length / 2,
                                      text);
  }
  return napi_invalid_arg;
}

uint64_t textBytesMax(TextEncoding encoding) {
  if (encoding == TextEncoding::Latin1) return kCharactersMax;
  return (encoding == TextEncoding::Utf8 ? 3 : 2) * kCharactersMax;
}

// aggregateToString(aggregate, encoding, from, to)
napi_value aggregateToString(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  const TextEncoding encoding = encodingAt(call, 1);
  const uint64_t from = call.bytesAt(2);
  const uint64_t to = std::min(call.bytesAt(3), aggregate->byteLength());
  const uint64_t length = from < to ? to - from : 0;
  if (const uint64_t limit = textBytesMax(encoding); length > limit) {
    return call.fail(Status(Code::TooLarge, "string", length, limit));
  }
  static constexpr uint8_t kNothing[2] = {};
  const uint8_t* bytes = kNothing;
  // Only for bytes in more than one slice, at an odd place, or that others can change.
  std::unique_ptr<uint8_t[]> joined;
  if (length > 0) {
    uint64_t sliceFrom = 0;
    const Slice& slice = aggregate->sliceOf(from, &sliceFrom);
    bytes = slice.data() + (from - sliceFrom);
    const bool isWhole = to - sliceFrom <= slice.length;
    const bool isAligned =
        encoding != TextEncoding::Utf16 || reinterpret_cast<uintptr_t>(bytes) % 2 == 0;
    // V8 counts the characters first and decodes then: what changes in between overruns its string.
    const bool isStable = encoding != TextEncoding::Utf8 || slice.segment->isOwn();
    if (isWhole && isAligned && isStable) {
      countCopy(length, CopyReason::CopyOut);
    } else {
      joined.reset(new (std::nothrow) uint8_t[length]);
      if (joined == nullptr) return call.fail(Status(Code::NoMemory, "string", length));
      aggregate->copyTo(joined.get(), from, length, CopyReason::CopyOut);
      bytes = joined.get();
    }
  }
  napi_value text = nullptr;
  if (createString(env, encoding, bytes, length, &text) == napi_ok) return text;
  napi_value ignored;
  napi_get_and_clear_last_exception(env, &ignored);
  return call.fail(Status(Code::TooLarge, "string", length, kCharactersMax));
}

constexpr Export kExports[] = {
    {"aggregateSliceAt", aggregateSliceAt},     {"aggregateViewAt", aggregateViewAt},
    {"aggregateViewsFrom", aggregateViewsFrom}, {"aggregatePeek", aggregatePeek},
    {"aggregateCopyTo", aggregateCopyTo},       {"aggregateToString", aggregateToString},
};

}  // namespace

void exportAggregateReads(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
