// test/native/main.cc: runs the registered native tests: `native_tests [part of a name]`.

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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
  std::stable_sort(cases().begin(), cases().end(),
                   [](const Case& a, const Case& b) { return std::strcmp(a.file, b.file) < 0; });
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

struct Child {
  const char* name;
  ChildFunction function;
};

std::vector<Child>& children() {
  static std::vector<Child> all;
  return all;
}

int runChild(const char* name, int argc, char** argv) {
  for (const Child& child : children()) {
    if (std::strcmp(child.name, name) == 0) return child.function(argc, argv);
  }
  std::fprintf(stderr, "no child program is called %s\n", name);
  return 127;
}

}  // namespace

ChildRegistration::ChildRegistration(const char* name, ChildFunction function) {
  children().push_back({name, function});
}

int startChild(const char* name, const std::vector<std::string>& arguments, int inherited) {
  std::vector<char*> argv;
  for (const char* word : {"native_tests", "--child", name}) {
    argv.push_back(const_cast<char*>(word));
  }
  for (const std::string& word : arguments) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const int pid = ::vfork();
  if (pid == 0) {
    // dup2 onto itself would leave close-on-exec set.
    if (inherited == 3) ::fcntl(3, F_SETFD, 0);
    if (inherited >= 0 && inherited != 3) ::dup2(inherited, 3);
    ::execv("/proc/self/exe", argv.data());
    ::_exit(127);
  }
  return pid;
}

int awaitChild(int pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

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

int main(int argc, char** argv) {
  if (argc > 2 && std::strcmp(argv[1], "--child") == 0) {
    return iol::test::runChild(argv[2], argc - 3, argv + 3);
  }
  return iol::test::runAll(argc > 1 ? argv[1] : nullptr);
}
