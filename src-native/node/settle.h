// node/settle.h: promises that native work settles, and the values they are settled with.
//
// Why not a promise made in TypeScript around a callback: this is one object less an operation.
//
// Threads     the environment's own. Outside a native call a LoopScope must be open.
// May include everything below node/
#pragma once

#include <node_api.h>

#include <functional>

#include "aggregate/aggregate.h"
#include "base/status.h"
#include "node/call.h"
#include "node/env.h"

namespace iol::node {

// One promise; settle it once. A job that is dropped at shutdown leaves it unsettled for ever.
class Promise {
 public:
  explicit Promise(napi_env env) : env_(env) { napi_create_promise(env, &deferred_, &promise_); }

  // To be returned to JavaScript by the call that made it; of no use later.
  napi_value value() const { return promise_; }
  napi_env env() const { return env_; }

  void resolve(double number) const {
    napi_value value = nullptr;
    napi_create_double(env_, number, &value);
    napi_resolve_deferred(env_, deferred_, value);
  }
  void reject(const Status& status, const char* path = nullptr) const {
    napi_reject_deferred(env_, deferred_, makeError(env_, status, path));
  }
  // With the handle of the aggregate, or 0 for an empty one that stands for the end of a file.
  void resolveAggregate(Aggregate aggregate) const {
    // Why: the window may have been closed meanwhile, and with it every handle.
    if (Status open = EnvState::of(env_).start(); !open.isOk()) return reject(open);
    const int32_t handle = EnvState::of(env_).aggregates().insert(std::move(aggregate));
    if (handle == 0) return reject(Status(Code::NoMemory, "handle table"));
    resolve(handle);
  }

 private:
  napi_env env_;
  napi_deferred deferred_ = nullptr;
  napi_value promise_ = nullptr;
};

}  // namespace iol::node
