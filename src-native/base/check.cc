#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace iol {

void checkFailed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "io-lite: FATAL %s:%d: %s\n", file, line, expression);
  std::abort();
}

}  // namespace iol
