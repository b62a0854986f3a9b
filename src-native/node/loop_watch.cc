#include "node/loop_watch.h"

#include "node/env.h"

namespace iol::node {

namespace {
uv_handle_t* handleOf(auto* handle) { return reinterpret_cast<uv_handle_t*>(handle); }
LoopWatch& watchOf(auto* handle) { return *static_cast<LoopWatch*>(handle->data); }
}  // namespace

Result<LoopWatch*> LoopWatch::start(EnvState& state, LoopClient& client, const sys::Fd& guest,
                                    const sys::Fd& bell, const sys::Fd& deaths) {
  LoopWatch* watch = new LoopWatch(state);
  uv_prepare_init(state.loop(), &watch->prepare_);
  uv_check_init(state.loop(), &watch->check_);
  uv_idle_init(state.loop(), &watch->idle_);
  uv_timer_init(state.loop(), &watch->timer_);
  state.claim();
  watch->client_ = &client;
  watch->prepare_.data = watch->check_.data = watch->idle_.data = watch->timer_.data = watch;
  watch->open_ = 4;
  const struct {
    uv_poll_t* poll;
    const sys::Fd& fd;
    uv_poll_cb onReady;
  } polls[] = {
      {&watch->guest_, guest,
       [](uv_poll_t* handle, int, int) {
         if (LoopClient* client = watchOf(handle).client_) client->onGuestReady();
       }},
      {&watch->bell_, bell,
       [](uv_poll_t* handle, int, int) {
         if (LoopClient* client = watchOf(handle).client_) client->onBell();
       }},
      {&watch->deaths_, deaths,
       [](uv_poll_t* handle, int, int) {
         if (LoopClient* client = watchOf(handle).client_) client->onDeaths();
       }},
  };
  for (const auto& each : polls) {
    const int error = uv_poll_init(state.loop(), each.poll, each.fd.get());
    if (error != 0) {
      watch->stop();
      return Status::system("epoll_ctl", -error);
    }
    each.poll->data = watch;
    watch->open_++;
    uv_poll_start(each.poll, UV_READABLE, each.onReady);
    uv_unref(handleOf(each.poll));
  }
  uv_unref(handleOf(&watch->prepare_));
  uv_unref(handleOf(&watch->check_));
  uv_unref(handleOf(&watch->idle_));
  uv_unref(handleOf(&watch->timer_));
  return watch;
}

void LoopWatch::stop() {
  client_ = nullptr;
  const auto close = [](auto* handle) {
    uv_close(handleOf(handle), [](uv_handle_t* closed) {
      LoopWatch* watch = static_cast<LoopWatch*>(closed->data);
      if (--watch->open_ > 0) return;
      EnvState& state = watch->state_;
      delete watch;
      state.unclaim();
    });
  };
  const int polls = open_ - 4;
  if (polls > 0) close(&guest_);
  if (polls > 1) close(&bell_);
  if (polls > 2) close(&deaths_);
  close(&prepare_);
  close(&check_);
  close(&idle_);
  close(&timer_);
}

void LoopWatch::setReferenced(bool isReferenced) {
  isReferenced ? uv_ref(handleOf(&guest_)) : uv_unref(handleOf(&guest_));
}

void LoopWatch::watchSleep(bool isOn) {
  if (!isOn) {
    uv_prepare_stop(&prepare_);
    uv_check_stop(&check_);
    uv_idle_stop(&idle_);
    uv_timer_stop(&timer_);
    return;
  }
  uv_prepare_start(&prepare_, [](uv_prepare_t* handle) { watchOf(handle).prepare(); });
  uv_check_start(&check_, [](uv_check_t* handle) {
    if (LoopClient* client = watchOf(handle).client_) client->afterSleep();
  });
}

void LoopWatch::prepare() {
  if (client_ == nullptr) return;
  uv_idle_stop(&idle_);
  // A timer of ours that is due does not count: it was only to wake the loop.
  uv_timer_stop(&timer_);
  const LoopClient::Sleep sleep = client_->beforeSleep(uv_backend_timeout(state_.loop()) != 0);
  if (!sleep.isAllowed) {
    uv_idle_start(&idle_, [](uv_idle_t*) {});
  } else if (sleep.mostMs >= 0) {
    uv_timer_start(
        &timer_, [](uv_timer_t*) {}, static_cast<uint64_t>(sleep.mostMs), 0);
  }
}

}  // namespace iol::node
