#include "node/call.h"

#include <cstring>

namespace iol::node {

namespace {
napi_value text(napi_env env, const char* characters) {
  napi_value value = nullptr;
  if (characters == nullptr) {
    napi_get_undefined(env, &value);
  } else {
    napi_create_string_utf8(env, characters, std::strlen(characters), &value);
  }
  return value;
}

napi_value plainError(napi_env env, const Status& status) {
  napi_value error = nullptr;
  napi_create_error(env, text(env, codeName(status.code())), text(env, codeMessage(status.code())),
                    &error);
  return error;
}
}  // namespace

napi_value makeError(napi_env env, const Status& status, const char* path) {
  napi_value factory = EnvState::of(env).errorFactory();
  if (factory == nullptr) return plainError(env, status);
  napi_value arguments[7];
  arguments[0] = text(env, codeName(status.code()));
  arguments[1] = text(env, codeMessage(status.code()));
  arguments[2] = text(env, status.subject());
  napi_create_double(env, static_cast<double>(status.value()), &arguments[3]);
  napi_create_double(env, static_cast<double>(status.limit()), &arguments[4]);
  napi_create_int32(env, status.systemErrno(), &arguments[5]);
  arguments[6] = text(env, path);
  napi_value receiver = nullptr;
  napi_get_undefined(env, &receiver);
  napi_value error = nullptr;
  if (napi_call_function(env, receiver, factory, 7, arguments, &error) == napi_ok) return error;
  napi_get_and_clear_last_exception(env, &error);
  return plainError(env, status);
}

napi_value throwStatus(napi_env env, const Status& status, const char* path) {
  napi_value error = makeError(env, status, path);
  if (error != nullptr) napi_throw(env, error);
  return nullptr;
}

LoopScope::LoopScope(napi_env env) : env_(env) {
  const EnvState& state = EnvState::of(env);
  napi_open_handle_scope(env, &handles_);
  napi_open_callback_scope(env, state.asyncResource(), state.asyncContext(), &callback_);
}

LoopScope::~LoopScope() {
  // Microtasks and ticks run here; what they throw is an uncaught exception like any other.
  napi_close_callback_scope(env_, callback_);
  napi_close_handle_scope(env_, handles_);
}

void defineExports(EnvState& state, napi_value exports, const Export* table, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    napi_value function = nullptr;
    napi_create_function(state.env(), table[i].name, NAPI_AUTO_LENGTH, table[i].callback, &state,
                         &function);
    napi_set_named_property(state.env(), exports, table[i].name, function);
  }
}

}  // namespace iol::node
