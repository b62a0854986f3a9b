// http/byte_classes.h: which byte may stand where in a head: one table, one load per byte.
//
// Threads     constants.
// May include nothing of ours.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace iol::http {

enum ByteClass : uint8_t {
  kTokenByte = 1,    // tchar: methods, field names, codings (RFC 9110 section 5.6.2).
  kTargetByte = 2,   // Visible ASCII without '#'.
  kValueByte = 4,    // HTAB, SP, visible ASCII, obs-text: anything a field value may have.
  kRegNameByte = 8,  // unreserved and sub-delims: a host name without percent-encoding.
  kDigitByte = 16,
  kHexByte = 32,
};

constexpr std::array<uint8_t, 256> makeByteClasses() {
  std::array<uint8_t, 256> classes{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool isDigit = byte >= '0' && byte <= '9';
    const bool isLetter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    const bool isVisible = byte > ' ' && byte < 0x7f;
    const bool isValue = isVisible || byte == ' ' || byte == '\t' || byte >= 0x80;
    const char letter = static_cast<char>(byte);
    constexpr auto npos = std::string_view::npos;
    uint8_t bits = 0;
    if (isDigit) bits |= kDigitByte;
    if (isDigit || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F')) bits |= kHexByte;
    if (isDigit || isLetter) bits |= kTokenByte | kRegNameByte;
    if (isVisible && std::string_view("!#$%&'*+-.^_`|~").find(letter) != npos) bits |= kTokenByte;
    if (isVisible && std::string_view("-._~!$&'()*+,;=").find(letter) != npos) bits |= kRegNameByte;
    if (isVisible && letter != '#') bits |= kTargetByte;
    if (isValue) bits |= kValueByte;
    classes[byte] = bits;
  }
  return classes;
}

inline constexpr std::array<uint8_t, 256> kByteClasses = makeByteClasses();

constexpr bool isByte(int byte, uint8_t classes) {
  return byte >= 0 && (kByteClasses[static_cast<uint8_t>(byte)] & classes) != 0;
}

}  // namespace iol::http
