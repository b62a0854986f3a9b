// node/wrap_aggregate_search.cc: finding and comparing bytes.
//
// A needle crosses the border as what it is, so that no copy is made of it: text that the engine
// encodes, an array, one byte, or another aggregate.

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "aggregate/search.h"
#include "aggregate/trusted.h"
#include "base/copy.h"
#include "node/aggregate_call.h"
#include "node/exports.h"
#include "sys/limits.h"

namespace iol::node {
namespace {

// What kind of value a needle is; lib/aggregate/bytes-like.ts has the same numbers, the first three
// being those of TextEncoding.
constexpr int32_t kNeedleArray = 3;
constexpr int32_t kNeedleByte = 4;
constexpr int32_t kNeedleHeld = 5;

// An aggregate in several slices, or that others can change, is joined, unless it is longer than
// `lengthMax`: nothing has it then, and nobody looks at its bytes.
class Needle {
 public:
  template <size_t N>
  Needle(const Call<N>& call, size_t kindIndex, size_t valueIndex, uint64_t lengthMax = 0) {
    const int32_t kind = call.intAt(kindIndex);
    if (kind == kNeedleHeld) {
      takeAggregate(call, aggregateAt(call, valueIndex), lengthMax);
    } else if (kind == kNeedleByte) {
      short_[0] = static_cast<uint8_t>(call.intAt(valueIndex));
      length_ = 1;
    } else if (kind == kNeedleArray) {
      const auto bytes = call.spanAt(valueIndex);
      data_ = bytes.data;
      length_ = bytes.length;
    } else {
      takeText(call.env(), call.value(valueIndex), encodingAt(call, kindIndex));
    }
  }
  Needle(const Needle&) = delete;
  Needle& operator=(const Needle&) = delete;

  bool isThere() const { return isThere_; }
  const uint8_t* data() const { return data_; }
  size_t length() const { return length_; }

 private:
  static constexpr size_t kShortBytes = 256;
  static constexpr size_t kAskBytesMin = 1 << 20;

  void takeText(napi_env env, napi_value text, TextEncoding encoding) {
    length_ = encode(env, text, encoding, short_, kShortBytes);
    if (length_ < kShortBytes - 4) return;  // A character more would have fitted.
    const size_t room = encodedBytes(env, text, encoding) + terminatorBytes(encoding);
    joined_.reset(new uint8_t[room]);
    data_ = joined_.get();
    length_ = encode(env, text, encoding, joined_.get(), room);
  }

  template <size_t N>
  void takeAggregate(const Call<N>& call, const Aggregate* aggregate, uint64_t lengthMax) {
    isThere_ = aggregate != nullptr;
    if (!isThere_ || aggregate->byteLength() == 0) return;
    length_ = aggregate->byteLength();
    data_ = aggregate->sliceAt(0).data();
    if (length_ > lengthMax) return;  // Only its length matters.
    const bool isTrusted = !isForeign(*aggregate);
    if (aggregate->sliceCount() == 1 && isTrusted) return;
    // Why asked: a few slices, repeated, can be more bytes than there is memory.
    uint64_t room = kAskBytesMin;
    if (length_ >= kAskBytesMin) {
      const Result<sys::MemoryRoom> asked = sys::memoryRoom();
      if (!asked.isOk()) {
        isThere_ = false;
        call.fail(asked.status());
        return;
      }
      room = asked.value().availableBytes;
    }
    if (length_ <= room) joined_.reset(new (std::nothrow) uint8_t[length_]);
    if (joined_ == nullptr) {
      isThere_ = false;
      call.fail(Status(Code::NoMemory, "needle", length_, room));
      return;
    }
    data_ = joined_.get();
    aggregate->copyTo(joined_.get(), 0, length_,
                      isTrusted ? CopyReason::Linearize : CopyReason::Untrusted);
  }

  alignas(8) uint8_t short_[kShortBytes];
  std::unique_ptr<uint8_t[]> joined_;
  const uint8_t* data_ = short_;
  size_t length_ = 0;
  bool isThere_ = true;
};

// aggregateIndexOf(aggregate, kind, needle, from, isLast) -> place, or -1
napi_value aggregateIndexOf(napi_env env, napi_callback_info info) {
  Call<5> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  const Needle needle(call, 1, 2, aggregate->byteLength());
  if (!needle.isThere()) return nullptr;
  const auto find = call.boolAt(4) ? lastIndexOf : indexOf;
  const uint64_t at = find(*aggregate, needle.data(), needle.length(), call.bytesAt(3));
  return at == kNotFound ? call.int32(-1) : call.number(static_cast<double>(at));
}

// aggregateMatches(aggregate, kind, needle, at, isEnd): whether it begins, or ends, at place `at`.
napi_value aggregateMatches(napi_env env, napi_callback_info info) {
  Call<5> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  const Aggregate* held = call.intAt(1) == kNeedleHeld ? aggregateAt(call, 2) : nullptr;
  if (call.intAt(1) == kNeedleHeld && held == nullptr) return nullptr;
  const Needle needle(call, 1, 2);  // Of a held one only the length: it is compared as it lies.
  const uint64_t length = needle.length();
  uint64_t at = call.bytesAt(3);
  if (call.boolAt(4)) {
    if (length > at) return call.boolean(false);
    at -= length;
  }
  if (held == nullptr) return call.boolean(equalsAt(*aggregate, at, needle.data(), length));
  const Aggregate there = aggregate->slice(at, at + length);
  return call.boolean(there.byteLength() == length && compare(there, *held) == 0);
}

int compareBytes(const Aggregate& left, const uint8_t* right, size_t length) {
  const uint64_t shared = std::min<uint64_t>(left.byteLength(), length);
  for (uint64_t at = 0; at < shared;) {
    uint64_t sliceFrom = 0;
    const Slice& slice = left.sliceOf(at, &sliceFrom);
    const uint64_t end = std::min(sliceFrom + slice.length, shared);
    const int order = std::memcmp(slice.data() + (at - sliceFrom), right + at, end - at);
    if (order != 0) return order;
    at = end;
  }
  if (left.byteLength() == length) return 0;
  return left.byteLength() < length ? -1 : 1;
}

// aggregateCompare(aggregate, kind, other) -> < 0, 0, > 0
napi_value aggregateCompare(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  if (call.intAt(1) == kNeedleHeld) {
    const Aggregate* other = aggregateAt(call, 2);
    return other == nullptr ? nullptr : call.int32(compare(*aggregate, *other));
  }
  const Needle other(call, 1, 2);
  return call.int32(compareBytes(*aggregate, other.data(), other.length()));
}

// aggregateEquals(aggregate, kind, other)
napi_value aggregateEquals(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  if (call.intAt(1) == kNeedleHeld) {
    const Aggregate* other = aggregateAt(call, 2);
    if (other == nullptr) return nullptr;
    return call.boolean(aggregate->byteLength() == other->byteLength() &&
                        compare(*aggregate, *other) == 0);
  }
  const Needle other(call, 1, 2);
  return call.boolean(aggregate->byteLength() == other.length() &&
                      equalsAt(*aggregate, 0, other.data(), other.length()));
}

constexpr Export kExports[] = {
    {"aggregateIndexOf", aggregateIndexOf},
    {"aggregateMatches", aggregateMatches},
    {"aggregateCompare", aggregateCompare},
    {"aggregateEquals", aggregateEquals},
};

}  // namespace

void exportAggregateSearches(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
