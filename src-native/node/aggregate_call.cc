#include "node/aggregate_call.h"

namespace iol::node {

size_t encodedBytes(napi_env env, napi_value text, TextEncoding encoding) {
  size_t length = 0;
  switch (encoding) {
    case TextEncoding::Utf8:
      napi_get_value_string_utf8(env, text, nullptr, 0, &length);
      return length;
    case TextEncoding::Latin1:
      napi_get_value_string_latin1(env, text, nullptr, 0, &length);
      return length;
    case TextEncoding::Utf16:
      napi_get_value_string_utf16(env, text, nullptr, 0, &length);
      return 2 * length;
  }
  return 0;
}

bool isAsciiText(napi_env env, napi_value text, size_t utf8Bytes) {
  size_t characters = 0;
  napi_get_value_string_latin1(env, text, nullptr, 0, &characters);
  return characters == utf8Bytes;
}

size_t encode(napi_env env, napi_value text, TextEncoding encoding, uint8_t* to, size_t room) {
  size_t length = 0;
  switch (encoding) {
    case TextEncoding::Utf8:
      napi_get_value_string_utf8(env, text, reinterpret_cast<char*>(to), room, &length);
      return length;
    case TextEncoding::Latin1:
      napi_get_value_string_latin1(env, text, reinterpret_cast<char*>(to), room, &length);
      return length;
    case TextEncoding::Utf16:
      napi_get_value_string_utf16(env, text, reinterpret_cast<char16_t*>(to), room / 2, &length);
      return 2 * length;
  }
  return 0;
}

}  // namespace iol::node
