// sys/clock.h: the time, behind a seam so that tests move it instead of sleeping.
//
// Ownership   a Clock is borrowed; systemClock() lives as long as the process.
// Threads     systemClock(): any.
// Cost        one vDSO call, no system call; ask once per turn, not per request.
// May include base/
#pragma once

#include <cstdint>

namespace iol::sys {

class Clock {
 public:
  // Never goes back; counts from an arbitrary moment.
  virtual int64_t monotonicMs() const = 0;
  // Seconds since 1970-01-01 UTC; may jump.
  virtual int64_t wallSeconds() const = 0;

 protected:
  ~Clock() = default;
};

const Clock& systemClock();

// The same clock as monotonicMs, for short spans.
int64_t monotonicNs();
// The same in seconds, up to some 10 ms late; 5 ns.
int64_t monotonicSeconds();
// Milliseconds since 1970-01-01 UTC; may jump.
int64_t wallMs();

}  // namespace iol::sys
