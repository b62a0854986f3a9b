// test/native/main.cc — runs the registered native tests: `native_tests [part of a name]`.

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "test.h"

namespace iol::test {
namespace {

struct Case {
  const char* file;
  const char* name;
  TestFunction function;
};

std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}

std::mutex mutex;
int failures = 0;
std::string skipReason;
bool isSkipped = false;

int failureCount() {
  const std::lock_guard<std::mutex> lock(mutex);
  return failures;
}

// The file's name without folder or ending, so that output and filter read "pool_test.name".
std::string fullName(const Case& test) {
  const char* slash = std::strrchr(test.file, '/');
  std::string module = slash != nullptr ? slash + 1 : test.file;
  module = module.substr(0, module.find('.'));
  return module + "." + test.name;
}

int runAll(const char* filter) {
  std::stable_sort(cases().begin(), cases().end(), [](const Case& a, const Case& b) {
    return std::strcmp(a.file, b.file) < 0;
  });
  int passed = 0;
  int failed = 0;
  int skipped = 0;
  for (const Case& test : cases()) {
    const std::string name = fullName(test);
    if (filter != nullptr && name.find(filter) == std::string::npos) continue;
    failures = 0;
    isSkipped = false;
    test.function();
    if (failureCount() > 0) {
      ++failed;
      std::printf("not ok  %s\n", name.c_str());
    } else if (isSkipped) {
      ++skipped;
      std::printf("skip    %s: %s\n", name.c_str(), skipReason.c_str());
    } else {
      ++passed;
      std::printf("ok      %s\n", name.c_str());
    }
    std::fflush(stdout);
  }
  if (passed + failed + skipped == 0) {
    std::printf("No test has a name that contains \"%s\".\n", filter != nullptr ? filter : "");
    return 1;
  }
  std::printf("native: %d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed > 0 ? 1 : 0;
}

}  // namespace

Registration::Registration(const char* file, const char* name, TestFunction function) {
  cases().push_back({file, name, function});
}

void fail(const char* file, int line, const std::string& message) {
  const std::lock_guard<std::mutex> lock(mutex);
  ++failures;
  // Why a bound: a check inside a loop of millions would bury the first failure.
  if (failures <= 20) std::printf("%s:%d: %s\n", file, line, message.c_str());
}

void skip(const std::string& reason) {
  const std::lock_guard<std::mutex> lock(mutex);
  isSkipped = true;
  skipReason = reason;
}

bool hasFailed() { return failureCount() > 0; }

}  // namespace iol::test

int main(int argc, char** argv) { return iol::test::runAll(argc > 1 ? argv[1] : nullptr); }
