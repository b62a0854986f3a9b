// sys/fd.h: one open file descriptor that closes itself.
//
// It is never 0, 1 or 2: a process that has closed those goes on writing to them, and would write
// into the window. What is wrapped with such a number gets another one; when there is none it is
// closed, and not open with the errno of fcntl(2).
//
// Ownership   the Fd owns the descriptor; release() gives it away.
// Threads     one at a time.
// May include base/
#pragma once

#include <utility>

namespace iol::sys {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd < 0 || fd > kStandardMax ? fd : aboveStandard(fd)) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  bool isOpen() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();  // Closes; an error of close(2) is of no use to anybody and is dropped.

 private:
  static constexpr int kStandardMax = 2;  // Standard input, output and error.
  static int aboveStandard(int fd);

  int fd_ = -1;
};

}  // namespace iol::sys
