// sys/bell.h: a descriptor that becomes readable when somebody else presses a button.
//
//   Bell (datagram socket, bound)  <--- button (socket connected to it), one per peer
//
// Why not an eventfd: it is one open file for everybody who has it, so a peer may drain it, fill it
// and make it blocking, and the next writer hangs. A button can only send, never blocks (the flag
// goes with each call), and what a peer does to its own is nobody else's business.
//
// Ownership   the Bell owns its socket; a button belongs to whoever got it. Never give one to two.
// Threads     a Bell: one at a time. pressButton: any.
// Failure     System.
// Cost        one system call each; makeButton three.
// May include base/
#pragma once

#include <cstdint>

#include "base/status.h"
#include "sys/fd.h"

namespace iol::sys {

class Bell {
 public:
  static Result<Bell> create();
  Result<Fd> makeButton() const;
  const Fd& fd() const { return fd_; }
  // Takes back what was pressed so far, at most that often; what is left shows again.
  static constexpr uint32_t kPressesAtOnce = 64;
  void clear(uint32_t presses = kPressesAtOnce) const;

 private:
  explicit Bell(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// Never blocks. A bell that is gone, or full and so readable anyway, is no failure.
void pressButton(const Fd& button);

// Until one is readable or the time is over: negative waits for ever.
void sleepUntilReadable(const Fd& fd, int64_t timeoutNs);

}  // namespace iol::sys
