#include "base/crash_point.h"

#ifdef IOL_CRASH_POINTS

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace iol {
namespace {

std::atomic<uint64_t> passagesLeft{0};

CrashPoint armFromEnvironment() {
  const char* wanted = std::getenv("IOL_CRASH");
  if (wanted != nullptr && !armCrashPoint(wanted)) std::abort();
  return armedCrashPoint;
}

}  // namespace

CrashPoint armedCrashPoint = armFromEnvironment();

bool armCrashPoint(const char* nameAndPassage) {
  const char* colon = std::strchr(nameAndPassage, ':');
  const size_t length = colon != nullptr ? colon - nameAndPassage : std::strlen(nameAndPassage);
  uint8_t number = 0;
  for (const char* name : kCrashPointNames) {
    number++;
    if (std::strlen(name) != length || std::strncmp(name, nameAndPassage, length) != 0) continue;
    passagesLeft.store(colon != nullptr ? std::strtoull(colon + 1, nullptr, 10) : 1);
    armedCrashPoint = static_cast<CrashPoint>(number);
    return true;
  }
  return false;
}

// SIGKILL, as by somebody else: no handler, no clean-up.
void passArmedCrashPoint() {
  if (passagesLeft.fetch_sub(1) == 1) std::raise(SIGKILL);
}

}  // namespace iol

#endif
