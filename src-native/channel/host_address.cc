#include "channel/host_address.h"

#include "sys/unix_socket.h"

namespace iol {
namespace {

constexpr size_t kTokenDigits = 32;

int digitOf(char letter) {
  if (letter >= '0' && letter <= '9') return letter - '0';
  if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
  return -1;
}

}  // namespace

Result<HostAddress> HostAddress::parse(std::string_view text) {
  const size_t mark = text.rfind('#');
  if (mark == std::string_view::npos || text.size() - mark - 1 != kTokenDigits) {
    return Status(Code::BadDescriptor, "IOL_WINDOW (no token of 32 hexadecimal digits)",
                  text.size());
  }
  if (mark > sys::kSocketAddressMax) {
    return Status(Code::TooLarge, "IOL_WINDOW's socket address", mark, sys::kSocketAddressMax);
  }
  const std::string_view socket = text.substr(0, mark);
  if (socket.size() < 2 || (socket[0] != '@' && socket[0] != '/') ||
      socket.find('\0') != std::string_view::npos) {
    return Status(Code::BadDescriptor, "IOL_WINDOW (neither @name nor an absolute path)");
  }
  HostAddress address;
  address.socket = std::string(socket);
  for (size_t at = 0; at < kTokenDigits; at++) {
    const int digit = digitOf(text[mark + 1 + at]);
    if (digit < 0) return Status(Code::BadDescriptor, "IOL_WINDOW's token");
    uint64_t& half = address.token[at / 16];
    half = half << 4 | static_cast<uint64_t>(digit);
  }
  return address;
}

std::string HostAddress::format() const {
  std::string text = socket + '#';
  for (const uint64_t half : token) {
    for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[half >> shift & 15];
  }
  return text;
}

bool sameToken(const uint64_t (&one)[2], const uint64_t (&other)[2]) {
  return ((one[0] ^ other[0]) | (one[1] ^ other[1])) == 0;
}

}  // namespace iol
