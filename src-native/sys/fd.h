// sys/fd.h: one open file descriptor that closes itself.
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
  explicit Fd(int fd) : fd_(fd) {}
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
  int fd_ = -1;
};

}  // namespace iol::sys
