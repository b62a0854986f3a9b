#include "node/waits.h"

#include <array>

#include "node/call.h"
#include "node/env.h"
#include "sys/file.h"

namespace iol::node {

Status Waits::open() {
  if (set_) return {};
  Result<sys::PollSet> set = sys::PollSet::create();
  if (!set.isOk()) return set.status();
  uv_poll_t* poll = new uv_poll_t;
  if (const int error = uv_poll_init(state_.loop(), poll, set.value().fd().get()); error != 0) {
    delete poll;
    return Status::system("epoll_ctl", -error);
  }
  set_ = set.take();
  poll_ = poll;
  poll_->data = this;
  state_.claim();
  uv_poll_start(poll_, UV_READABLE,
                [](uv_poll_t* handle, int, int) { static_cast<Waits*>(handle->data)->onReady(); });
  uv_unref(reinterpret_cast<uv_handle_t*>(poll_));
  return {};
}

Result<int32_t> Waits::start(int fd, sys::Interest interest, napi_value done) {
  IOL_TRY(open());
  Result<sys::Fd> duplicate = sys::duplicate(fd);
  if (!duplicate.isOk()) return duplicate.status();
  const int32_t id = waits_.insert(Wait{duplicate.take(), fd, nullptr});
  if (id == 0) return Status(Code::NoMemory, "wait table");
  Wait& wait = *waits_.get(id);
  if (Status status = set_->add(wait.fd, interest, static_cast<uint64_t>(id)); !status.isOk()) {
    waits_.remove(id);
    return status;
  }
  napi_create_reference(state_.env(), done, 1, &wait.done);
  ++started_;
  uv_ref(reinterpret_cast<uv_handle_t*>(poll_));
  return id;
}

Result<int32_t> Waits::pin(int fd) {
  Result<sys::Fd> duplicate = sys::duplicate(fd);
  if (!duplicate.isOk()) return duplicate.status();
  const int32_t id = waits_.insert(Wait{duplicate.take(), fd, nullptr});
  if (id == 0) return Status(Code::NoMemory, "wait table");
  return id;
}

bool Waits::isSame(int32_t id) {
  const Wait* wait = waits_.get(id);
  return wait != nullptr && sys::isSameFile(wait->number, wait->fd.get());
}

void Waits::end(int32_t id) {
  Wait* wait = waits_.get(id);
  if (wait == nullptr) return;
  if (wait->done != nullptr) {
    set_->remove(wait->fd);
    napi_delete_reference(state_.env(), wait->done);
    if (--started_ == 0) uv_unref(reinterpret_cast<uv_handle_t*>(poll_));
  }
  waits_.remove(id);
}

void Waits::cancel(int32_t id) { end(id); }

void Waits::onReady() {
  std::array<sys::Readiness, 64> ready;
  const uint32_t count = set_->wait(ready);
  LoopScope scope(state_.env());
  for (uint32_t i = 0; i < count; ++i) {
    const int32_t id = static_cast<int32_t>(ready[i].tag);
    Wait* wait = waits_.get(id);
    if (wait == nullptr) continue;  // Cancelled by a callback before it.
    napi_value done = nullptr;
    napi_value receiver = nullptr;
    napi_get_reference_value(state_.env(), wait->done, &done);
    napi_get_undefined(state_.env(), &receiver);
    napi_value isSame = nullptr;
    napi_get_boolean(state_.env(), sys::isSameFile(wait->number, wait->fd.get()), &isSame);
    end(id);
    napi_call_function(state_.env(), receiver, done, 1, &isSame, nullptr);
  }
}

void Waits::shutDown() {
  waits_.takeAll([](Wait) {});
  if (poll_ == nullptr) return;
  uv_close(reinterpret_cast<uv_handle_t*>(std::exchange(poll_, nullptr)), [](uv_handle_t* handle) {
    EnvState& state = static_cast<Waits*>(handle->data)->state_;
    delete reinterpret_cast<uv_poll_t*>(handle);
    state.unclaim();
  });
}

}  // namespace iol::node
