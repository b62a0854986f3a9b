// http/alike.h: which requests are alike: the same method, version and target, and the same values,
// or the same absence, of those headers that a decision has looked at.
//
//   Likeness::of(request, uses = Range | Accept-Encoding)  ->  [GET 1.1][/a.css][gzip, br]
//   likeness.isOf(another)                                      Range absent in both
//
// Ownership   a copy of the target and of the values: at most kLikenessBytesMax bytes.
// Threads     a plain value.
// Failure     none: what cannot be compared cheaply is like nothing.
// Cost        of: one copy (CopyReason::Head). isOf: comparisons of bytes, nothing else.
// May include own folder, base
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "http/request_head.h"

namespace iol::http {

inline constexpr uint32_t kLikenessBytesMax = 1024;

class Likeness {
 public:
  // `uses` are bits of known headers. None: the request has a body or wants something of the server
  // before it sends one, repeats one of these headers, or is too long, or in several pieces.
  static std::optional<Likeness> of(const RequestHead& head, const HeadText& text, uint32_t uses);
  bool isOf(const RequestHead& head, const HeadText& text) const;
  // Whether both are of the same requests.
  bool operator==(const Likeness&) const = default;

  // Of what all requests that are alike have in common, and quickly found out; none as for of().
  static std::optional<uint64_t> hashOf(const RequestHead& head, const HeadText& text);

 private:
  Likeness() = default;
  uint32_t uses_ = 0;
  uint32_t present_ = 0;  // Of these.
  Method method_ = Method::kOther;
  uint8_t versionMinor_ = 0;
  uint32_t targetBytes_ = 0;
  std::string bytes_;  // The target, then the values in the order of the bits, each with an end.
};

}  // namespace iol::http
