// The programs of examples/native, which are built beside this one.
#include <stdio.h>
#include <unistd.h>

#include <climits>
#include <string>

#include "test.h"

#ifndef IOL_ONE_MAPPING  // That variant is about threads; these are programs.
namespace iol {
namespace {

using namespace test;

std::string beside(const char* name) {
  char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  const std::string self(path, length < 0 ? 0 : static_cast<size_t>(length));
  return self.substr(0, self.rfind('/') + 1) + name;
}

TEST(twoProcessesOfTheExampleSeeTheSameBytesAtTheSameAddress) {
  FILE* const output = ::popen(("'" + beside("two_processes") + "' 100000").c_str(), "r");
  REQUIRE(output != nullptr);
  unsigned long long bytes[2] = {};
  unsigned long long address[2] = {};
  unsigned long long sum = 0;
  CHECK_EQ(::fscanf(output, "parent: %llu bytes at %llu\n", &bytes[0], &address[0]), 2);
  CHECK_EQ(::fscanf(output, "child: %llu bytes at %llu, sum %llu", &bytes[1], &address[1], &sum),
           3);
  CHECK_EQ(::pclose(output), 0);
  CHECK_EQ(bytes[0], 100000u);
  CHECK_EQ(bytes[1], 100000u);
  CHECK_EQ(sum, 100000u);
  CHECK(address[0] != 0);
  CHECK_EQ(address[1], address[0]);
}

}  // namespace
}  // namespace iol
#endif
