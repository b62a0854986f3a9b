#include "base/crash_point.h"

#ifdef IOL_CRASH_POINTS

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

namespace iol {
namespace {

std::atomic<uint64_t> passagesLeft{0};
bool isStop = false;
std::string* laterOrders = nullptr;  // Never freed: it may be needed while the process ends.

// Up to `end`, which is taken out, too.
std::string_view takeWord(std::string_view& text, char end) {
  const size_t length = text.find(end);
  const std::string_view word = text.substr(0, length);
  text = length == text.npos ? std::string_view() : text.substr(length + 1);
  return word;
}

CrashPoint armFromEnvironment() {
  const char* wanted = std::getenv("IOL_CRASH");
  if (wanted != nullptr && !armCrashPoint(wanted)) std::abort();
  return armedCrashPoint;
}

}  // namespace

CrashPoint armedCrashPoint = armFromEnvironment();

bool armCrashPoint(const char* orders) {
  std::string_view rest = orders;
  std::string_view order = takeWord(rest, ',');
  const std::string_view wanted = takeWord(order, ':');
  const std::string passage(takeWord(order, ':'));
  uint8_t number = 0;
  for (const char* name : kCrashPointNames) {
    number++;
    if (wanted != name) continue;
    laterOrders = new std::string(rest);
    isStop = order == "stop";
    passagesLeft.store(passage.empty() ? 1 : std::strtoull(passage.c_str(), nullptr, 10));
    armedCrashPoint = static_cast<CrashPoint>(number);
    return true;
  }
  return false;
}

// SIGKILL, as by somebody else: no handler, no clean-up.
void passArmedCrashPoint() {
  if (passagesLeft.fetch_sub(1) != 1) return;
  if (!isStop) std::raise(SIGKILL);
  armedCrashPoint = CrashPoint::None;
  (void)armCrashPoint(laterOrders->c_str());
  std::raise(SIGSTOP);
}

}  // namespace iol

#endif
