#include "node/http_binding.h"

#include <string>
#include <utility>

#include "sys/listener.h"

namespace iol::node {
namespace {

// Connections handled in one turn of the loop: timers and other handles wait for no more than that.
constexpr uint32_t kEventsPerTurn = 256;

std::string textOf(const http::RequestView& request, http::HeadRange range) {
  std::string text;
  text.reserve(range.length);
  http::ByteWalk bytes = request.text.walk(range);
  for (int byte = bytes.next(); byte >= 0; byte = bytes.next()) {
    text.push_back(static_cast<char>(byte));
  }
  countCopy(text.size(), CopyReason::Head);
  return text;
}

}  // namespace

std::string textAt(napi_env env, napi_value value) {
  size_t length = 0;
  napi_get_value_string_utf8(env, value, nullptr, 0, &length);
  std::string text(length, '\0');
  napi_get_value_string_utf8(env, value, text.data(), length + 1, &length);
  return text;
}

HttpBinding& serverAt(napi_env env, napi_value value) {
  void* pointer = nullptr;
  napi_get_value_external(env, value, &pointer);
  return **static_cast<BindingPointer*>(pointer);
}

napi_value rangeValue(napi_env env, const http::RequestView& request, http::HeadRange range) {
  napi_value value = nullptr;
  if (const uint8_t* bytes = request.text.contiguous(range)) {
    napi_create_string_latin1(env, reinterpret_cast<const char*>(bytes), range.length, &value);
  } else {
    const std::string text = textOf(request, range);
    napi_create_string_latin1(env, text.data(), text.size(), &value);
  }
  return value;
}

napi_value targetValue(napi_env env, const http::RequestView& request) {
  const http::RequestHead& head = request.head;
  if (head.targetForm != http::TargetForm::kAbsolute) return rangeValue(env, request, head.target);
  const uint32_t end = head.target.offset + head.target.length;
  if (head.path.length > 0) {
    return rangeValue(env, request, {head.path.offset, end - head.path.offset});
  }
  // http://host?query: an absolute target without a path means the root.
  std::string text = "/";
  if (head.query.length > 0) text += '?' + textOf(request, head.query);
  napi_value value = nullptr;
  napi_create_string_latin1(env, text.data(), text.size(), &value);
  return value;
}

Result<std::shared_ptr<HttpBinding>> HttpBinding::start(EnvState& state, Pool& pool,
                                                        sys::Fd listener,
                                                        const http::Connections::Options& options,
                                                        const Script& script) {
  auto binding = std::make_shared<HttpBinding>(state);
  IOL_TRY(binding->serve(pool, std::move(listener), options));
  IOL_TRY(binding->startHandles());
  napi_env env = state.env();
  napi_create_reference(env, script.onRequest, 1, &binding->onRequest_);
  napi_create_reference(env, script.onEvent, 1, &binding->onEvent_);
  napi_create_reference(env, script.record, 1, &binding->recordArray_);
  void* data = nullptr;
  napi_get_typedarray_info(env, script.record, nullptr, nullptr, &data, nullptr, nullptr);
  binding->record_ = static_cast<uint32_t*>(data);
  state.atShutdown([weak = std::weak_ptr<HttpBinding>(binding)] {
    if (const std::shared_ptr<HttpBinding> open = weak.lock()) open->finish(false);
  });
  return binding;
}

Status HttpBinding::serve(Pool& pool, sys::Fd listener, const http::Connections::Options& options) {
  const Result<sys::Endpoint> endpoint = sys::localEndpoint(listener);
  if (!endpoint.isOk()) return endpoint.status();
  endpoint_ = endpoint.value();
  path_ = sys::pathOf(listener);
  Result<std::unique_ptr<http::Connections>> connections =
      http::Connections::create(pool, *this, std::move(listener), options);
  if (!connections.isOk()) return connections.status();
  connections_ = connections.take();
  return {};
}

Status HttpBinding::startHandles() {
  const int error = uv_poll_init(state_.loop(), &poll_, connections_->pollFd().get());
  if (error != 0) return Status::system("epoll_ctl", -error);
  uv_timer_init(state_.loop(), &timer_);
  uv_unref(reinterpret_cast<uv_handle_t*>(&timer_));  // The listener keeps the loop alive.
  poll_.data = timer_.data = this;
  openHandles_ = 2;
  state_.claim();
  state_.claim();
  self_ = shared_from_this();
  uv_poll_start(&poll_, UV_READABLE, [](uv_poll_t* handle, int, int) {
    static_cast<HttpBinding*>(handle->data)->turn();
  });
  return {};
}

void HttpBinding::setReferenced(bool isReferenced) {
  if (connections_ == nullptr) return;
  auto* handle = reinterpret_cast<uv_handle_t*>(&poll_);
  isReferenced ? uv_ref(handle) : uv_unref(handle);
}

void HttpBinding::turn() {
  const std::shared_ptr<HttpBinding> alive = shared_from_this();
  state_.healIfPending();
  isInTurn_ = true;
  {
    const Entry entry(*this);
    connections_->turn(kEventsPerTurn);
  }
  isInTurn_ = false;
  requestFunction_ = receiver_ = nullptr;
  scope_.reset();  // Microtasks and ticks run here, and may call in again.
}

// After the outermost call into the engine: it may have ended, or have a new deadline.
void HttpBinding::afterCall() {
  if (connections_ == nullptr) return;
  // Why only in a turn: a call from JavaScript may be about to throw.
  if (isInTurn_ && !connections_->incidents().isEmpty()) tell(Event::Incidents, {});
  if (connections_ == nullptr) return;  // It was destroyed from there.
  if (isDrained_) {
    finish(true);
  } else {
    armTimer();
  }
}

void HttpBinding::armTimer() {
  const int64_t lookMs = connections_->nextLookMs();
  if (lookMs == timerLookMs_) return;
  timerLookMs_ = lookMs;
  if (lookMs < 0) {
    uv_timer_stop(&timer_);
    return;
  }
  // Why update: libuv counts from its own idea of now, which a long turn leaves behind.
  uv_update_time(state_.loop());
  const auto inMs = static_cast<uint64_t>(connections_->nextTimeoutMs());
  uv_timer_start(
      &timer_,
      [](uv_timer_t* handle) {
        auto* binding = static_cast<HttpBinding*>(handle->data);
        binding->timerLookMs_ = -1;
        binding->turn();
      },
      inMs, 0);
}

void HttpBinding::finish(bool tellsScript) {
  if (connections_ == nullptr) return;
  lastStats_ = connections_->stats();
  lastLog_ = std::exchange(connections_->log(), {});  // Who is cut now is in no log.
  closeHandles();
  connections_.reset();
  repeats_.forget();
  if (tellsScript) tell(Event::Drained, {});
  napi_env env = state_.env();
  napi_delete_reference(env, std::exchange(onRequest_, nullptr));
  napi_delete_reference(env, std::exchange(onEvent_, nullptr));
  napi_delete_reference(env, std::exchange(recordArray_, nullptr));
}

void HttpBinding::closeHandles() {
  const auto closed = [](uv_handle_t* handle) {
    auto* binding = static_cast<HttpBinding*>(handle->data);
    EnvState& state = binding->state_;
    if (--binding->openHandles_ == 0) binding->self_.reset();
    state.unclaim();
  };
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), closed);
  uv_close(reinterpret_cast<uv_handle_t*>(&timer_), closed);
}

napi_value HttpBinding::functionOf(napi_ref reference) {
  if (isInTurn_ && !scope_) {
    scope_.emplace(state_.env());
    napi_get_reference_value(state_.env(), onRequest_, &requestFunction_);
    napi_get_undefined(state_.env(), &receiver_);
  }
  if (reference == onRequest_) return requestFunction_;
  napi_value function = nullptr;
  napi_get_reference_value(state_.env(), reference, &function);
  return function;
}

void HttpBinding::onRequest(const http::RequestView& request) {
  if (repeats_.answer(*connections_, request)) return;
  napi_env env = state_.env();
  napi_value function = functionOf(onRequest_);
  if (function == nullptr) {
    // Outside a turn: close() answers what had arrived.
    napi_get_reference_value(env, onRequest_, &function);
  }
  const http::RequestHead& head = request.head;
  record_[0] = request.id.slot;
  record_[1] = request.id.epoch;
  record_[2] = static_cast<uint32_t>(head.method) | uint32_t{head.versionMinor} << 8 |
               static_cast<uint32_t>(head.targetForm) << 16 |
               uint32_t{connections_->isSecure()} << 24;
  record_[3] = head.knownHeaders;
  record_[4] = head.repeatedHeaders;
  napi_value target = targetValue(env, request);
  napi_value receiver = receiver_;
  if (receiver == nullptr) napi_get_undefined(env, &receiver);
  if (napi_call_function(env, receiver, function, 1, &target, nullptr) != napi_ok) {
    reportException();
  }
}

void HttpBinding::onSecure(http::ConnectionId id, sys::Fd network, sys::Fd plain) {
  record_[5] = static_cast<uint32_t>(network.get());
  record_[6] = static_cast<uint32_t>(plain.get());
  tell(Event::Secure, {id.slot, id.epoch});
  if (record_[5] == 0) (void)network.release();
  if (record_[6] == 0) (void)plain.release();
}

void HttpBinding::tell(Event event, http::RequestId id) {
  napi_env env = state_.env();
  napi_handle_scope handles = nullptr;
  napi_value function = functionOf(onEvent_);  // Opens the turn's scope, which must be outside.
  napi_open_handle_scope(env, &handles);
  napi_value arguments[3];
  napi_value receiver = nullptr;
  napi_create_int32(env, static_cast<int32_t>(event), &arguments[0]);
  napi_create_uint32(env, id.slot, &arguments[1]);
  napi_create_uint32(env, id.epoch, &arguments[2]);
  napi_get_undefined(env, &receiver);
  if (napi_call_function(env, receiver, function, 3, arguments, nullptr) != napi_ok) {
    reportException();
  }
  napi_close_handle_scope(env, handles);
}

void HttpBinding::reportException() {
  napi_env env = state_.env();
  napi_value error = nullptr;
  bool isPending = false;
  napi_is_exception_pending(env, &isPending);
  if (!isPending) return;  // A worker that is being terminated.
  napi_get_and_clear_last_exception(env, &error);
  napi_fatal_exception(env, error);
}

}  // namespace iol::node
