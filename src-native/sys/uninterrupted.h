// sys/uninterrupted.h: repeats a system call that a signal interrupted.
// May include nothing
#pragma once

#include <cerrno>

namespace iol::sys {

// `call` makes the call and returns its answer, negative with errno set when it failed.
template <typename Call>
auto uninterrupted(Call call) {
  decltype(call()) answer;
  do {
    answer = call();
  } while (answer < 0 && errno == EINTR);
  return answer;
}

}  // namespace iol::sys
