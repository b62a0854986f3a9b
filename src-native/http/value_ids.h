// http/value_ids.h: numbers for header values, so that one may decide once per value.
//
// Clients send few different values of one header, a browser the same all day. Equal bytes have the
// same number as long as they are among the last kValueIdsMax that were asked for; a number never
// comes to mean other bytes.
//
// Ownership   copies of the values: at most kValueIdsMax * kIdValueBytesMax bytes.
// Threads     one.
// Cost        a comparison of bytes for the value that was asked for last; else of lengths, too.
//             What is new is copied (reason head).
// May include own folder, base
#pragma once

#include <array>
#include <cstdint>

namespace iol::http {

inline constexpr uint32_t kValueIdsMax = 32;
inline constexpr uint32_t kIdValueBytesMax = 256;

class ValueIds {
 public:
  // 0 for what is longer than kIdValueBytesMax.
  uint64_t idOf(const uint8_t* bytes, uint32_t length);

 private:
  struct Value {
    uint64_t id = 0;  // 0: none yet.
    uint32_t length = 0;
    uint8_t bytes[kIdValueBytesMax];

    bool is(const uint8_t* other, uint32_t otherLength) const;
  };

  std::array<Value, kValueIdsMax> values_;
  uint64_t lastId_ = 0;
  uint32_t recent_ = 0;  // Index of what was asked for last.
};

}  // namespace iol::http
