// node/loop_watch.h: descriptors on the environment's loop, and what is done around its sleep.
//
//   prepare -> beforeSleep()   | the loop sleeps, unless told not to |   check -> afterSleep()
//                                 \-- descriptor ready --> onGuestReady(), onBell(), onDeaths()
//
// Ownership   its uv handles live until they are closed; the client hears nothing after stop().
// Threads     the environment's own.
// Failure     System.
// Cost        four calls a turn of the loop, while watchesSleep(true).
// May include everything below node/
#pragma once

#include <uv.h>

#include "base/status.h"
#include "sys/fd.h"

namespace iol::node {

class EnvState;

class LoopClient {
 public:
  struct Sleep {
    bool isAllowed = true;
    int32_t mostMs = -1;  // -1: as long as it likes.
  };
  virtual void onGuestReady() = 0;
  virtual void onBell() = 0;
  virtual void onDeaths() = 0;
  // `willSleep`: the loop has nothing else to do. Must not call JavaScript.
  virtual Sleep beforeSleep(bool willSleep) = 0;
  virtual void afterSleep() = 0;

 protected:
  ~LoopClient() = default;
};

class LoopWatch {
 public:
  // Starts unreferenced: it keeps no loop alive.
  static Result<LoopWatch*> start(EnvState& state, LoopClient& client, const sys::Fd& guest,
                                  const sys::Fd& bell, const sys::Fd& deaths);
  // Ends it; deletes itself once the loop has let go of the handles.
  void stop();
  void watchSleep(bool isOn);
  void setReferenced(bool isReferenced);

 private:
  explicit LoopWatch(EnvState& state) : state_(state) {}
  void prepare();

  EnvState& state_;
  LoopClient* client_ = nullptr;
  uv_poll_t guest_;
  uv_poll_t bell_;
  uv_poll_t deaths_;
  uv_prepare_t prepare_;
  uv_check_t check_;
  uv_idle_t idle_;  // While it runs, the loop does not sleep.
  uv_timer_t timer_;
  int open_ = 0;
};

}  // namespace iol::node
