// base/status.h: how every function below node/ fails.
//
// A Status is a code, the subject (a string literal), and two numbers: what was asked and the
// limit it met. It owns nothing and allocates nothing, so a failure costs what a success costs.
//
// Failure     is what this file is about: [[nodiscard]] everywhere, no exceptions.
// May include nothing of ours.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

namespace iol {

enum class Code : uint8_t {
  Ok = 0,
#define IOL_ERROR(name, code, message, advice) name,
#include "errors.def"
#undef IOL_ERROR
};

class [[nodiscard]] Status {
 public:
  constexpr Status() = default;
  constexpr Status(Code code, const char* subject, uint64_t value = 0, uint64_t limit = 0)
      : code_(code), subject_(subject), value_(value), limit_(limit) {}

  // A system call failed with errno `error`, after `bytes` of what was wanted had moved.
  static constexpr Status system(const char* syscall, int error, uint64_t bytes = 0) {
    Status status(Code::System, syscall, bytes);
    status.errno_ = error;
    return status;
  }

  constexpr bool isOk() const { return code_ == Code::Ok; }
  constexpr Code code() const { return code_; }
  // What failed: a noun ("pool", "draft"), or the system call's name.
  constexpr const char* subject() const { return subject_; }
  constexpr uint64_t value() const { return value_; }
  constexpr uint64_t limit() const { return limit_; }
  constexpr int systemErrno() const { return errno_; }

 private:
  Code code_ = Code::Ok;
  int errno_ = 0;
  const char* subject_ = "";
  uint64_t value_ = 0;
  uint64_t limit_ = 0;
};

// The JavaScript code ("ERR_IOL_…") and the message of a Code.
const char* codeName(Code code);
const char* codeMessage(Code code);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit by design.
  Result(Status status) : status_(status) {}     // NOLINT
  bool isOk() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() { return *value_; }
  const T& value() const { return *value_; }
  T take() { return std::move(*value_); }

 private:
  std::optional<T> value_;
  Status status_;
};

// Returns from the caller when `expression` (a Status) is not Ok.
#define IOL_TRY(expression)                                                             \
  do {                                                                                  \
    if (::iol::Status iolStatus_ = (expression); !iolStatus_.isOk()) return iolStatus_; \
  } while (0)

}  // namespace iol
