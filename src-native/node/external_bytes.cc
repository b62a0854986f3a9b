#include "node/external_bytes.h"

#include <utility>

#include "node/views.h"

namespace iol::node {

ExternalBytes& ExternalBytes::operator=(ExternalBytes&& other) noexcept {
  std::swap(reference_, other.reference_);
  std::swap(isFreed_, other.isFreed_);
  return *this;
}

void ExternalBytes::onFreed(napi_env, void*, void* hint) {
  const std::unique_ptr<Claim> claim(static_cast<Claim*>(hint));
  *claim->isFreed = true;
}

Result<napi_value> ExternalBytes::make(napi_env env, std::shared_ptr<void> memory, void* data,
                                       size_t bytes) {
  isFreed_ = std::make_shared<bool>(false);
  auto claim = std::make_unique<Claim>(Claim{std::move(memory), isFreed_});
  Result<napi_value> made = externalArrayBuffer(env, data, bytes, onFreed, claim.get());
  if (!made.isOk()) return made.status();
  claim.release();
  napi_create_reference(env, made.value(), 0, &reference_);
  return made.value();
}

napi_value ExternalBytes::get(napi_env env) const {
  napi_value bytes = nullptr;
  if (reference_ != nullptr) napi_get_reference_value(env, reference_, &bytes);
  return bytes;
}

bool ExternalBytes::isTransferred(napi_env env) const {
  if (reference_ == nullptr || *isFreed_) return false;
  const napi_value bytes = get(env);
  bool isDetached = true;
  if (bytes != nullptr) napi_is_detached_arraybuffer(env, bytes, &isDetached);
  return isDetached;
}

void ExternalBytes::giveUp(napi_env env) {
  if (reference_ == nullptr) return;
  if (const napi_value bytes = get(env)) napi_detach_arraybuffer(env, bytes);
  napi_delete_reference(env, std::exchange(reference_, nullptr));
}

}  // namespace iol::node
