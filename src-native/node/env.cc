#include "node/env.h"

#include "base/check.h"
#include "node/call.h"
#include "node/views.h"
#include "sys/fault_guard.h"

namespace iol::node {

EnvState& EnvState::create(napi_env env) {
  EnvState* state = new EnvState(env);
  napi_set_instance_data(env, state, nullptr, nullptr);
  napi_add_async_cleanup_hook(env, onCleanup, state, &state->cleanup_);
  return *state;
}

EnvState& EnvState::of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return *static_cast<EnvState*>(data);
}

EnvState::EnvState(napi_env env) : env_(env) {
  napi_get_uv_event_loop(env, &loop_);
  wake_ = new uv_async_t;
  uv_async_init(loop_, wake_, onWake);
  wake_->data = this;
  uv_unref(reinterpret_cast<uv_handle_t*>(wake_));
  claim();

  // Why not an external one: Electron refuses those, and this one is only 512 bytes.
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  void* data = nullptr;
  napi_create_arraybuffer(env, kScratchNumbers * sizeof(double), &data, &buffer);
  napi_create_typedarray(env, napi_float64_array, kScratchNumbers, buffer, 0, &array);
  napi_create_reference(env, array, 1, &scratchArray_);
  scratch_ = static_cast<double*>(data);
}

EnvState::~EnvState() {
  // Members go in the reverse of their order: what holds memory first, the domain last.
  aggregates_.clear();
  drafts_.clear();
  pools_.clear();
  retiredPools_.clear();
  defaultPool_.reset();
  if (domain_ != nullptr) domain_->setViewListener(nullptr);
}

Status EnvState::start() {
  if (domain_ != nullptr) return {};
  if (isShuttingDown_) return Status(Code::Closed, "environment");
  IOL_TRY(sys::installFaultHandler());
  Result<std::unique_ptr<Domain>> domain = Domain::create(Window::process());
  if (!domain.isOk()) return domain.status();
  Result<std::unique_ptr<Pool>> pool = Pool::create(*domain.value(), Pool::Options{});
  if (!pool.isOk()) return pool.status();
  domain_ = domain.take();
  defaultPool_ = pool.take();
  views_ = std::make_unique<Views>(*this);
  domain_->setViewListener(views_.get());
  return {};
}

Pool* EnvState::poolOf(int32_t handle) {
  if (handle == 0) return defaultPool_.get();
  std::unique_ptr<Pool>* pool = pools_.get(handle);
  return pool ? pool->get() : nullptr;
}

void EnvState::retirePool(std::unique_ptr<Pool> pool) {
  retiredPools_.push_back(std::move(pool));
  reapRetiredPools();
}

void EnvState::reapRetiredPools() {
  std::erase_if(retiredPools_, [](std::unique_ptr<Pool>& pool) {
    pool->collect();
    pool->trim(0);
    return pool->stats().buffers == 0;
  });
}

void EnvState::onStoreCaught() {
  healIsPending_.store(true, std::memory_order_relaxed);
  uv_async_send(wake_);
}

void EnvState::heal() {
  healIsPending_.store(false, std::memory_order_relaxed);
  if (views_ == nullptr) return;
  views_->heal([this](uint64_t address, uint64_t generation) {
    reports_.push_back({address, generation});
  });
  // Why wake: the store may have been healed by a library call, and reports are the loop's.
  if (!reports_.empty()) uv_async_send(wake_);
}

void EnvState::onWake(uv_async_t* handle) {
  EnvState& state = *static_cast<EnvState*>(handle->data);
  if (state.isShuttingDown_) return;
  LoopScope scope(state.env_);
  state.healIfPending();
  state.runPosted();
  state.deliverReports();
}

void EnvState::post(std::function<void()> work) {
  {
    std::lock_guard<std::mutex> lock(postedMutex_);
    posted_.push_back(std::move(work));
  }
  uv_async_send(wake_);
}

void EnvState::runPosted() {
  std::vector<std::function<void()>> work;
  {
    std::lock_guard<std::mutex> lock(postedMutex_);
    work.swap(posted_);
  }
  for (auto& run : work) run();
}

void EnvState::deliverReports() {
  if (reports_.empty() || immutableReporter_ == nullptr) return;
  std::vector<Report> reports;
  reports.swap(reports_);
  const bool wasReplaced = sys::reinstallFaultHandler();
  napi_value reporter = nullptr;
  napi_value receiver = nullptr;
  napi_get_reference_value(env_, immutableReporter_, &reporter);
  napi_get_undefined(env_, &receiver);
  for (const Report& report : reports) {
    napi_value arguments[3];
    napi_create_double(env_, static_cast<double>(report.address), &arguments[0]);
    napi_create_double(env_, static_cast<double>(report.generation), &arguments[1]);
    napi_get_boolean(env_, wasReplaced, &arguments[2]);
    if (napi_call_function(env_, receiver, reporter, 3, arguments, nullptr) != napi_ok) {
      napi_value error;
      if (napi_get_and_clear_last_exception(env_, &error) == napi_ok) {
        napi_fatal_exception(env_, error);
      }
      return;
    }
  }
}

namespace {
void setReference(napi_env env, napi_ref* reference, napi_value value) {
  if (*reference != nullptr) napi_delete_reference(env, *reference);
  *reference = nullptr;
  napi_create_reference(env, value, 1, reference);
}

napi_value valueOf(napi_env env, napi_ref reference) {
  napi_value value = nullptr;
  if (reference != nullptr) napi_get_reference_value(env, reference, &value);
  return value;
}
}  // namespace

void EnvState::setErrorFactory(napi_value factory) {
  setReference(env_, &errorFactory_, factory);
}
napi_value EnvState::errorFactory() const { return valueOf(env_, errorFactory_); }
void EnvState::setImmutableReporter(napi_value reporter) {
  setReference(env_, &immutableReporter_, reporter);
}
napi_value EnvState::scratchArray() { return valueOf(env_, scratchArray_); }

void EnvState::unclaim() {
  IOL_CHECK(claims_ > 0);
  --claims_;
  if (isShuttingDown_ && claims_ == 0) finish();
}

void EnvState::onCleanup(napi_async_cleanup_hook_handle, void* data) {
  static_cast<EnvState*>(data)->shutDown();
}

void EnvState::shutDown() {
  isShuttingDown_ = true;
  // Why a claim of its own: the hooks may give back the last one of the others.
  claim();
  while (!shutdownHooks_.empty()) {
    std::function<void()> hook = std::move(shutdownHooks_.back());
    shutdownHooks_.pop_back();
    hook();
  }
  uv_close(reinterpret_cast<uv_handle_t*>(wake_), [](uv_handle_t* handle) {
    EnvState* state = static_cast<EnvState*>(handle->data);
    delete reinterpret_cast<uv_async_t*>(handle);
    state->unclaim();
  });
  unclaim();
}

void EnvState::finish() {
  const napi_async_cleanup_hook_handle cleanup = cleanup_;
  delete this;
  napi_remove_async_cleanup_hook(cleanup);
}

}  // namespace iol::node
