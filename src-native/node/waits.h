// node/waits.h: waiting for descriptors, by the loop.
//
//   wait { duplicate of the fd, callback } ... -> one epoll set -> one uv_poll
//
// Why not a uv_poll for each: libuv makes its descriptor non-blocking, and that flag belongs to
// everybody who has the file open, in any process. An epoll set of our own changes nothing.
//
// Ownership   owns duplicates and callbacks; a wait ends once, by its descriptor or by cancel().
// Threads     the environment's own.
// Failure     System: EPERM for what cannot be waited for, EMFILE.
// Cost        four system calls a wait.
// May include everything below node/
#pragma once

#include <node_api.h>
#include <uv.h>

#include <optional>

#include "base/status.h"
#include "node/handles.h"
#include "sys/fd.h"
#include "sys/poll_set.h"

namespace iol::node {

class EnvState;

class Waits {
 public:
  explicit Waits(EnvState& state) : state_(state) {}
  Waits(const Waits&) = delete;
  Waits& operator=(const Waits&) = delete;

  // Calls `done` once, when an attempt on the descriptor is worth while, with false when its number
  // was closed meanwhile (and may be of another file now). Keeps the loop alive.
  Result<int32_t> start(int fd, sys::Interest interest, napi_value done);
  // Keeps hold of what `fd` is now, for isSame alone; until cancel().
  Result<int32_t> pin(int fd);
  // Whether the number is still of the open file that it was of when the wait or pin began.
  bool isSame(int32_t id);
  void cancel(int32_t id);  // Of a wait or pin. Idempotent.
  void shutDown();

 private:
  struct Wait {
    sys::Fd fd;
    int number = -1;          // The caller's own.
    napi_ref done = nullptr;  // Null: a pin.
  };
  Status open();
  void onReady();
  void end(int32_t id);

  EnvState& state_;
  std::optional<sys::PollSet> set_;
  uv_poll_t* poll_ = nullptr;
  Handles<Wait> waits_;   // And pins.
  uint32_t started_ = 0;  // Without pins.
};

}  // namespace iol::node
