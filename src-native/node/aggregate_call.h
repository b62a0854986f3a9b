// node/aggregate_call.h: what the wrap_aggregate*.cc files have in common.
//
// Failure     functions that answer null have left an exception pending.
// May include everything below node/
#pragma once

#include "node/call.h"

namespace iol::node {

template <size_t N>
Aggregate* aggregateAt(const Call<N>& call, size_t i) {
  Aggregate* aggregate = call.state().aggregates().get(call.handle(i));
  if (aggregate == nullptr) call.failClosed("aggregate");
  return aggregate;
}

// Text as the engine writes and reads it itself; lib/aggregate/encodings.ts has the same numbers.
// Any other encoding is Node's work.
enum class TextEncoding : int32_t { Utf8 = 0, Latin1 = 1, Utf16 = 2 };

template <size_t N>
TextEncoding encodingAt(const Call<N>& call, size_t i) {
  const int32_t code = call.intAt(i);
  return code == 1 || code == 2 ? static_cast<TextEncoding>(code) : TextEncoding::Utf8;
}

// Bytes that V8 puts behind each text that it writes.
constexpr size_t terminatorBytes(TextEncoding encoding) {
  return encoding == TextEncoding::Utf16 ? 2 : 1;
}

// Bytes of the text, without the terminator.
size_t encodedBytes(napi_env env, napi_value text, TextEncoding encoding);
// Whether text of so many bytes in UTF-8 is all ASCII: it has as many characters then, and is the
// same bytes in Latin1, which V8 copies instead of encoding them.
bool isAsciiText(napi_env env, napi_value text, size_t utf8Bytes);
// Writes the text and a terminator to `to`, which has room for `room` bytes; the bytes of the text
// that were written. `to` is aligned to two bytes for Utf16.
size_t encode(napi_env env, napi_value text, TextEncoding encoding, uint8_t* to, size_t room);

}  // namespace iol::node
