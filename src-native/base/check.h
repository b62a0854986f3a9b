// base/check.h: where programmer errors stop. Never used on data that a peer can write.
//
// Failure     prints expression, file and line, then aborts.
// May include nothing of ours.
#pragma once

namespace iol {
[[noreturn]] void checkFailed(const char* expression, const char* file, int line);
}

// Always on.
#define IOL_CHECK(expression)                    \
  (__builtin_expect(!!(expression), 1) ? (void)0 \
                                       : ::iol::checkFailed(#expression, __FILE__, __LINE__))

// On in debug and sanitizer builds, for checks that cost on a hot path.
#ifdef IOL_DEBUG
#define IOL_DCHECK(expression) IOL_CHECK(expression)
#else
#define IOL_DCHECK(expression) ((void)0)
#endif
