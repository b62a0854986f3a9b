// The named places where a test build can be killed.
#include "base/crash_point.h"

#include <signal.h>
#include <sys/wait.h>

#include <string>

#include "pool/pool.h"
#include "test.h"

namespace iol {
namespace {

CHILD(diesAtACrashPoint) {
  if (!armCrashPoint(argv[0])) return 3;
  Window window({64ull << 20});
  auto domain = Domain::create(window).take();
  auto pool = Pool::create(*domain, {}).take();
  for (int step = 0; step < 3; step++) (void)pool->allocate(100);
  return 0;
}

int dieAt(const std::string& point) {
  return test::awaitChild(test::startChild("diesAtACrashPoint", {point}, -1));
}

TEST(aProcessDiesAtTheNthPassageOfItsCrashPoint) {
  if (!kHasCrashPoints) SKIP("built without crash points");
  CHECK_EQ(dieAt("HoldRaise:3"), 128 + SIGKILL);
  CHECK_EQ(dieAt("HoldRaise:4"), 0);
  CHECK_EQ(dieAt("NoSuchPlace:1"), 3);
}

TEST(aProcessStopsAtOnePointAndDiesAtTheNext) {
  if (!kHasCrashPoints) SKIP("built without crash points");
  const int pid = test::startChild("diesAtACrashPoint", {"HoldRaise:1:stop,HoldRaise:2"}, -1);
  int status = 0;
  CHECK_EQ(::waitpid(pid, &status, WUNTRACED), pid);
  CHECK(WIFSTOPPED(status));
  ::kill(pid, SIGCONT);
  CHECK_EQ(test::awaitChild(pid), 128 + SIGKILL);
}

}  // namespace
}  // namespace iol
