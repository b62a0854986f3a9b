// base/crash_point.h: named places where a test build can be made to kill its process.
//
// There is one before every store to shared memory that another domain reads (the table is
// crash_points.def), so that a test can end a participant between any two of them. Programs built
// without IOL_CRASH_POINTS have none of this.
//
//   IOL_CRASH=RingPublish:3 ./program                SIGKILL at the third passage
//   IOL_CRASH=GenerationMark:1:stop,RingPublish:3    SIGSTOP at the first; once continued, the next
//
// Threads     any; arm before the threads start.
// Cost        one load and compare in a test build; nothing otherwise.
// May include nothing of ours.
#pragma once

#include <cstdint>

namespace iol {

enum class CrashPoint : uint8_t {
  None,
#define IOL_CRASH_POINT_NAME(name) name,
#include "crash_points.def"
#undef IOL_CRASH_POINT_NAME
};

#ifdef IOL_CRASH_POINTS

constexpr bool kHasCrashPoints = true;

extern CrashPoint armedCrashPoint;
void passArmedCrashPoint();

// "NAME:n": the n-th passage from now on kills the process; "NAME:n:stop" stops it there, and what
// follows a comma is armed. False when there is no such point.
bool armCrashPoint(const char* orders);

inline void passCrashPoint(CrashPoint point) {
  if (armedCrashPoint == point) passArmedCrashPoint();
}
#define IOL_CRASH_POINT(name) ::iol::passCrashPoint(::iol::CrashPoint::name)

#else

constexpr bool kHasCrashPoints = false;
inline bool armCrashPoint(const char*) { return false; }
#define IOL_CRASH_POINT(name) ((void)0)

#endif

// All names, in the order of the table.
constexpr const char* kCrashPointNames[] = {
#define IOL_CRASH_POINT_NAME(name) #name,
#include "crash_points.def"
#undef IOL_CRASH_POINT_NAME
};

}  // namespace iol
