#include "node/env.h"

#include <algorithm>

#include "base/check.h"
#include "node/call.h"
#include "node/views.h"
#include "sys/fault_guard.h"

namespace iol::node {

namespace {
struct WatchTarget {
  EnvState* state;
  std::weak_ptr<FileCache> cache;
};
}  // namespace

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

EnvState::EnvState(napi_env env) : env_(env), disk_(*this), waits_(*this) {
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
  copied_ = std::make_unique<CopyTally>(scratch_ + kCopiedAt, CopyReason::CopyOut);

  napi_value resource = nullptr;
  napi_value name = nullptr;
  napi_create_object(env, &resource);
  napi_create_string_utf8(env, "io-lite", NAPI_AUTO_LENGTH, &name);
  napi_create_reference(env, resource, 1, &asyncResource_);
  napi_async_init(env, resource, name, &asyncContext_);
}

EnvState::~EnvState() {
  // What holds memory goes first, then whose memory it is, the domain last.
  aggregates_.clear();
  mapped_.clear();
  drafts_.clear();
  for (const std::weak_ptr<DraftStore>& parked : parked_) {
    if (const std::shared_ptr<DraftStore> store = parked.lock()) store->parked.abandon();
  }
  files_.clear();
  caches_.clear();
  pools_.clear();
  if (domain_ != nullptr) endDomain();
}

Pool* EnvState::poolOf(int32_t handle) {
  if (handle == kDefaultPool) return defaultPool_.get();
  std::unique_ptr<Pool>* pool = pools_.get(handle);
  return pool ? pool->get() : nullptr;
}

void EnvState::retirePool(std::unique_ptr<Pool> pool) {
  pool->trim(0);
  retiredPools_.push_back(std::move(pool));
  reapRetiredPools();
}

void EnvState::reapSlowly() {
  std::erase_if(cachesMade_, [](std::weak_ptr<FileCache>& cache) { return cache.expired(); });
  // Why: a job may allocate again before it ends; it is rare enough to wait for all of them.
  if (disk_.jobsInFlight() > 0) return;
  std::erase_if(retiredPools_, [this](std::unique_ptr<Pool>& pool) {
    if (pool->stats().pending > 0) pool->collect();
    if (pool->stats().buffers > 0) return false;
    return std::none_of(cachesMade_.begin(), cachesMade_.end(), [&](auto& made) {
      const std::shared_ptr<FileCache> cache = made.lock();
      return cache != nullptr && &cache->pool() == pool.get();
    });
  });
}

bool EnvState::detachBytes(DraftEntry& entry) {
  if (entry.bytes == nullptr) return true;
  napi_value bytes = nullptr;
  bool isDetached = true;
  napi_get_reference_value(env_, entry.bytes, &bytes);
  if (bytes != nullptr) napi_is_detached_arraybuffer(env_, bytes, &isDetached);
  if (isDetached && !entry.store->isFreed) return false;
  if (!isDetached) napi_detach_arraybuffer(env_, bytes);
  napi_delete_reference(env_, entry.bytes);
  entry.bytes = nullptr;
  return true;
}

void EnvState::giveUp(DraftEntry& entry) {
  if (detachBytes(entry)) return;
  napi_delete_reference(env_, entry.bytes);
  entry.store->parked = std::move(entry.draft);
  std::erase_if(parked_, [](const std::weak_ptr<DraftStore>& store) { return store.expired(); });
  parked_.push_back(entry.store);
}

void EnvState::giveUp(MappedEntry& entry) {
  const bool isShared = entry.bytes.isMade();
  entry.bytes.giveUp(env_);
  if (isShared) entry.view.memory()->discard();
}

void EnvState::updateWatch(CacheEntry& entry) {
  if (entry.watch != nullptr || entry.cache->isClosed() || entry.cache->watchFd() < 0) return;
  uv_poll_t* watch = new uv_poll_t;
  if (uv_poll_init(loop_, watch, entry.cache->watchFd()) != 0) {
    delete watch;  // The check interval alone then bounds how late a change is noticed.
    return;
  }
  claim();
  watch->data = new WatchTarget{this, entry.cache};
  uv_unref(reinterpret_cast<uv_handle_t*>(watch));
  uv_poll_start(watch, UV_READABLE, [](uv_poll_t* handle, int, int) {
    if (auto cache = static_cast<WatchTarget*>(handle->data)->cache.lock()) {
      cache->drainWatches();
    }
  });
  entry.watch = watch;
}

void EnvState::endWatch(CacheEntry& entry) {
  if (entry.watch == nullptr) return;
  uv_close(reinterpret_cast<uv_handle_t*>(std::exchange(entry.watch, nullptr)),
           [](uv_handle_t* handle) {
             std::unique_ptr<WatchTarget> target(static_cast<WatchTarget*>(handle->data));
             delete reinterpret_cast<uv_poll_t*>(handle);
             target->state->unclaim();
           });
}

void EnvState::closeWindow() {
  aggregates_.clear();
  mapped_.forEach([this](MappedEntry& entry) { giveUp(entry); });
  mapped_.clear();
  drafts_.forEach([this](DraftEntry& entry) { giveUp(entry); });
  drafts_.clear();
  closeCaches();
  files_.clear();
  caches_.clear();
  pools_.takeAll([this](std::unique_ptr<Pool> pool) { retiredPools_.push_back(std::move(pool)); });
  reapRetiredPools();
  isWindowClosed_ = true;
  noteStaleViews();
  leaveWindow();
}

void EnvState::closeCaches() {
  caches_.forEach([this](CacheEntry& entry) {
    // Why before close(): the descriptor must leave the loop while it is still open.
    std::shared_ptr<FileCache> cache = entry.cache;
    endWatch(entry);
    cache->close();
  });
}

void EnvState::noteStaleViews() {
  auto* const count = reinterpret_cast<int32_t*>(scratch_ + kScratchNumbers - 1);
  std::atomic_ref<int32_t>(*count).fetch_add(1, std::memory_order_relaxed);
}

void EnvState::onStoreCaught() {
  noteStaleViews();
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
  napi_value arguments[2];
  napi_create_array_with_length(env_, 2 * reports.size(), &arguments[0]);
  uint32_t index = 0;
  for (const Report& report : reports) {
    napi_value number;
    napi_create_double(env_, static_cast<double>(report.address), &number);
    napi_set_element(env_, arguments[0], index++, number);
    napi_create_double(env_, static_cast<double>(report.generation), &number);
    napi_set_element(env_, arguments[0], index++, number);
  }
  napi_get_boolean(env_, wasReplaced, &arguments[1]);
  if (napi_call_function(env_, receiver, reporter, 2, arguments, nullptr) == napi_ok) return;
  napi_value error;
  if (napi_get_and_clear_last_exception(env_, &error) == napi_ok) napi_fatal_exception(env_, error);
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

void EnvState::setErrorFactory(napi_value factory) { setReference(env_, &errorFactory_, factory); }
napi_value EnvState::errorFactory() const { return valueOf(env_, errorFactory_); }
void EnvState::setImmutableReporter(napi_value reporter) {
  setReference(env_, &immutableReporter_, reporter);
}
void EnvState::setWindowReporters(napi_value onReady, napi_value onEvent) {
  setReference(env_, &onReady_, onReady);
  setReference(env_, &onEvent_, onEvent);
}
napi_value EnvState::asyncResource() const { return valueOf(env_, asyncResource_); }
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
  closeCaches();
  waits_.shutDown();
  if (participant_ != nullptr) participant_->shut(false);
  host_.reset();
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
