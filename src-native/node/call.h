// node/call.h: arguments in, results and errors out, for functions on the raw Node-API.
//
//   napi_value draftSeal(napi_env env, napi_callback_info info) {
//     Call<2> call(env, info);
//     if (!call.isReady()) return nullptr;          // an exception is pending
//     ...
//     return call.fail(status);                     // or call.int32(handle), call.number(bytes)
//   }
//
// lib/validate.ts has checked types and ranges: what arrives here is of the right kind, and
// anything else reads as 0, which is a handle that nobody has.
//
// Failure     functions that answer null have left an exception pending.
// Cost        about 20 ns for a call with two numbers.
// May include everything below node/
#pragma once

#include <node_api.h>

#include <cmath>

#include "base/status.h"
#include "node/env.h"

namespace iol::node {

// Throws the IolError of `status`; always null, so that it can be returned. `path` may be null.
napi_value throwStatus(napi_env env, const Status& status, const char* path = nullptr);
// The same error as a value, to reject a promise with.
napi_value makeError(napi_env env, const Status& status, const char* path = nullptr);

// Handle scope and callback scope for code that a uv callback runs: whatever JavaScript it calls
// or promise it settles has its microtasks and ticks run when the scope ends.
class LoopScope {
 public:
  explicit LoopScope(napi_env env);
  ~LoopScope();
  LoopScope(const LoopScope&) = delete;
  LoopScope& operator=(const LoopScope&) = delete;

 private:
  napi_env env_;
  napi_handle_scope handles_ = nullptr;
  napi_callback_scope callback_ = nullptr;
};

struct Export {
  const char* name;
  napi_callback callback;
};
void defineExports(EnvState& state, napi_value exports, const Export* table, size_t count);

enum class Needs : uint8_t { Memory, Nothing };

template <size_t N>
class Call {
 public:
  Call(napi_env env, napi_callback_info info, Needs needs = Needs::Memory) : env_(env) {
    void* data = nullptr;
    count_ = N;
    napi_get_cb_info(env, info, &count_, arguments_, nullptr, &data);
    state_ = static_cast<EnvState*>(data);
    state_->healIfPending();
    if (needs == Needs::Nothing) return;
    if (Status status = state_->start(); !status.isOk()) {
      throwStatus(env, status);
      isReady_ = false;
    }
  }

  bool isReady() const { return isReady_; }
  napi_env env() const { return env_; }
  EnvState& state() const { return *state_; }
  size_t count() const { return count_; }
  napi_value value(size_t i) const { return arguments_[i]; }

  int32_t handle(size_t i) const {
    int32_t handle = 0;
    napi_get_value_int32(env_, arguments_[i], &handle);
    return handle;
  }
  int32_t intAt(size_t i) const { return handle(i); }
  double doubleAt(size_t i) const {
    double number = 0;
    napi_get_value_double(env_, arguments_[i], &number);
    return number;
  }
  // A count of bytes or a position: 0 for anything that is none.
  uint64_t bytesAt(size_t i) const {
    const double number = doubleAt(i);
    if (!(number >= 0)) return 0;
    return number < 9007199254740992.0 ? static_cast<uint64_t>(number) : 9007199254740991ull;
  }
  bool boolAt(size_t i) const {
    bool flag = false;
    napi_get_value_bool(env_, arguments_[i], &flag);
    return flag;
  }
  // The bytes of a Uint8Array, DataView or ArrayBuffer; null data and 0 for a detached one.
  struct Bytes {
    uint8_t* data = nullptr;
    size_t length = 0;
  };
  Bytes spanAt(size_t i) const {
    Bytes bytes;
    void* data = nullptr;
    napi_typedarray_type type;
    napi_value buffer;
    size_t offset;
    if (napi_get_typedarray_info(env_, arguments_[i], &type, &bytes.length, &data, &buffer,
                                 &offset) != napi_ok) {
      if (napi_get_arraybuffer_info(env_, arguments_[i], &data, &bytes.length) != napi_ok) {
        return {};
      }
    }
    bytes.data = static_cast<uint8_t*>(data);
    return bytes;
  }

  napi_value fail(const Status& status, const char* path = nullptr) const {
    return throwStatus(env_, status, path);
  }
  napi_value failClosed(const char* subject) const { return fail(Status(Code::Closed, subject)); }
  napi_value int32(int32_t number) const {
    napi_value value = nullptr;
    napi_create_int32(env_, number, &value);
    return value;
  }
  napi_value number(double number) const {
    napi_value value = nullptr;
    napi_create_double(env_, number, &value);
    return value;
  }
  napi_value boolean(bool flag) const {
    napi_value value = nullptr;
    napi_get_boolean(env_, flag, &value);
    return value;
  }
  napi_value undefined() const {
    napi_value value = nullptr;
    napi_get_undefined(env_, &value);
    return value;
  }
  // The handle of a new aggregate, its length in scratch[0]; null and an exception when the table
  // is full.
  napi_value newAggregate(Aggregate aggregate) const {
    state_->scratch()[0] = static_cast<double>(aggregate.byteLength());
    const int32_t handle = state_->aggregates().insert(std::move(aggregate));
    return handle == 0 ? failHandlesFull() : int32(handle);
  }
  napi_value failHandlesFull() const {
    return fail(Status(Code::NoMemory, "handle table", Handles<Aggregate>::kLiveMax,
                       Handles<Aggregate>::kLiveMax));
  }

 private:
  napi_env env_;
  EnvState* state_ = nullptr;
  size_t count_;
  napi_value arguments_[N > 0 ? N : 1] = {};
  bool isReady_ = true;
};

}  // namespace iol::node
