// test/native/sanitizer.h: whether a sanitizer is there, which makes system calls of its own.
#pragma once

// g++ and clang++ say it in ways of their own.
#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IOL_TEST_IS_SANITIZED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IOL_TEST_IS_SANITIZED
#endif

namespace iol::test {

#ifdef IOL_TEST_IS_SANITIZED
inline constexpr bool kIsSanitized = true;
#else
inline constexpr bool kIsSanitized = false;
#endif

}  // namespace iol::test
