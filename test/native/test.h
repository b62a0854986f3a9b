// test/native/test.h: the smallest test harness that serves: a registry, checks, a skip.
//
//   TEST(aSealedBufferKeepsItsBytes) {
//     if (!kernelHasThat()) SKIP("needs Linux 6.1");
//     REQUIRE(pool.isOpen());          // ends the test when false
//     CHECK_EQ(pool.liveCount(), 0u);  // notes the failure and goes on
//   }
//
// Names are sentences that would be true of a correct library. `main` (main.cc) runs the tests
// whose names contain the argument, all without one, and ends with the line
// `native: N passed, N failed, N skipped`. Leave a forked child with _exit(), never by returning.
//
// Threads   fail() and skip() may be called from any thread of the test's own process.
#pragma once

#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

namespace iol::test {

using TestFunction = void (*)();

// Registers a test before main() runs; `file` tells tests of one name apart.
struct Registration {
  Registration(const char* file, const char* name, TestFunction function);
};

// The other programs of a test: `native_tests --child NAME [ARGUMENT...]` runs one of them instead
// of the tests, so that a test can start a process that shares no memory with it by accident.
using ChildFunction = int (*)(int argc, char** argv);
struct ChildRegistration {
  ChildRegistration(const char* name, ChildFunction function);
};
// Starts this program as `--child name arguments...`, the descriptor `inherited` as its number 3
// (-1: none); returns its pid. Everything else is close-on-exec.
int startChild(const char* name, const std::vector<std::string>& arguments, int inherited);
// Waits for its end: the exit code, or 128 + the signal that ended it.
int awaitChild(int pid);

void fail(const char* file, int line, const std::string& message);
void skip(const std::string& reason);

// True when the test that is running has failed already: ends long loops early.
bool hasFailed();

template <typename T>
std::string show(const T& value) {
  std::ostringstream out;
  if constexpr (std::is_same_v<T, bool>) {
    out << (value ? "true" : "false");
  } else if constexpr (std::is_enum_v<T>) {
    out << static_cast<long long>(value);
  } else if constexpr (std::is_integral_v<T> && sizeof(T) == 1) {
    out << static_cast<int>(value);
  } else if constexpr (requires { out << value; }) {
    out << value;
  } else {
    out << "(a value that cannot be printed)";
  }
  return out.str();
}

template <typename A, typename B>
void checkEqual(const char* file, int line, const char* texts, const A& actual, const B& expected) {
  if (!(actual == expected)) {
    fail(file, line, std::string(texts) + ": got " + show(actual) + ", wanted " + show(expected));
  }
}

}  // namespace iol::test

#define TEST(name)                                                                      \
  static void name();                                                                   \
  static const ::iol::test::Registration registration_of_##name(__FILE__, #name, name); \
  static void name()

#define CHILD(name)                                                                      \
  static int name(int argc, char** argv);                                                \
  static const ::iol::test::ChildRegistration child_registration_of_##name(#name, name); \
  static int name([[maybe_unused]] int argc, [[maybe_unused]] char** argv)

#define CHECK(condition)                                                              \
  do {                                                                                \
    if (!(condition)) ::iol::test::fail(__FILE__, __LINE__, "CHECK(" #condition ")"); \
  } while (false)

#define CHECK_EQ(actual, expected) \
  ::iol::test::checkEqual(__FILE__, __LINE__, #actual " == " #expected, actual, expected)

#define REQUIRE(condition)                                              \
  do {                                                                  \
    if (!(condition)) {                                                 \
      ::iol::test::fail(__FILE__, __LINE__, "REQUIRE(" #condition ")"); \
      return;                                                           \
    }                                                                   \
  } while (false)

#define SKIP(reason)           \
  do {                         \
    ::iol::test::skip(reason); \
    return;                    \
  } while (false)
