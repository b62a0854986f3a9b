// channel/host_address.h: where a window's host listens, as the environment says it (IOL_WINDOW).
//
//   @io-lite-5f0c2a9be1d34477#8b1f...32 digits    an abstract socket and the window's token
//   /run/app/window#8b1f...                       a path
//
// The token keeps out those who can reach the socket but were not given the variable.
//
// Failure     BadDescriptor naming what is wrong, TooLarge; nothing is printed of the token.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace iol {

constexpr const char* kWindowVariable = "IOL_WINDOW";

struct HostAddress {
  std::string socket;  // "@name" or a path; at most sys::kSocketAddressMax characters.
  uint64_t token[2] = {0, 0};

  static Result<HostAddress> parse(std::string_view text);
  std::string format() const;
};

// Compares in a time that does not depend on where they differ.
bool sameToken(const uint64_t (&one)[2], const uint64_t (&other)[2]);

}  // namespace iol
