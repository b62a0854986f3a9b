// A body that is made anew for each request: a counter of 16 hexadecimal digits, then one letter,
// which goes with the counter, up to its length. worker.mjs makes the same.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { kCounterDigits = 16, kBodyMax = 64 << 20 };

static inline void fillBody(char* body, size_t size, uint64_t counter) {
  memset(body, 'a' + (int)(counter % 26), size);
  char digits[kCounterDigits + 1];
  snprintf(digits, sizeof digits, "%016llx", (unsigned long long)counter);
  memcpy(body, digits, size < kCounterDigits ? size : kCounterDigits);
}

// "/app/fresh/1024": the number after the last slash, and whether the body is made anew.
static inline size_t askedFor(const char* path, int* isFresh) {
  *isFresh = path != NULL && strstr(path, "/fresh/") != NULL;
  const char* slash = path == NULL ? NULL : strrchr(path, '/');
  unsigned long long size = 0;
  if (slash == NULL || sscanf(slash + 1, "%llu", &size) != 1 || size > kBodyMax) return 0;
  return (size_t)size;
}
