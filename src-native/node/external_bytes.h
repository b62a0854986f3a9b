// node/external_bytes.h: an ArrayBuffer over memory of ours, and who else may have that memory.
//
// The engine keeps the memory for as long as anybody may store there: the ArrayBuffer, another one
// that it was transferred to, or a job of a thread (fs.read) that was given it.
//
// Ownership   the engine shares `memory` until it needs it no more; a weak reference finds the
//             ArrayBuffer again.
// Threads     the environment's own.
// Failure     NoMemory; Unsupported where the runtime refuses external ArrayBuffers.
// Cost        2 us, and what the garbage collector does about that many bytes.
// May include everything below node/
#pragma once

#include <node_api.h>

#include <memory>

#include "base/status.h"

namespace iol::node {

class ExternalBytes {
 public:
  ExternalBytes() = default;
  ExternalBytes(ExternalBytes&& other) noexcept { *this = std::move(other); }
  ExternalBytes& operator=(ExternalBytes&& other) noexcept;
  ExternalBytes(const ExternalBytes&) = delete;
  ExternalBytes& operator=(const ExternalBytes&) = delete;

  bool isMade() const { return reference_ != nullptr; }
  // Once. `memory` is what `data` lies in.
  Result<napi_value> make(napi_env env, std::shared_ptr<void> memory, void* data, size_t bytes);
  // Null when the engine has dropped it.
  napi_value get(napi_env env) const;
  // Another ArrayBuffer has the memory, which nobody here can detach.
  bool isTransferred(napi_env env) const;
  // The ArrayBuffer's length is 0 from now on, unless its memory was transferred.
  void giveUp(napi_env env);

 private:
  struct Claim {
    std::shared_ptr<void> memory;
    std::shared_ptr<bool> isFreed;
  };
  static void onFreed(napi_env env, void* data, void* hint);

  napi_ref reference_ = nullptr;  // Weak.
  std::shared_ptr<bool> isFreed_;
};

}  // namespace iol::node
