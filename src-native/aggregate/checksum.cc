#include "aggregate/checksum.h"

#include <array>
#include <bit>

#include "sys/cpu.h"

namespace iol {
namespace {

static_assert(std::endian::native == std::endian::little);

uint64_t load64(const uint8_t* at) {
  uint64_t word;
  __builtin_memcpy(&word, at, sizeof word);
  return word;
}

// The last 1 to 7 bytes as the first ones of a word of zeros.
uint64_t loadTail(const uint8_t* at, size_t length) {
  uint64_t word = 0;
  for (size_t index = 0; index < length; index++) word |= uint64_t{at[index]} << (8 * index);
  return word;
}

uint64_t addWithCarry(uint64_t sum, uint64_t word) {
  sum += word;
  return sum + (sum < word);
}

uint16_t fold(uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// CRCs are polynomials modulo this one; bit 31 is x^0.
constexpr uint32_t kCastagnoli = 0x82f63b78;
constexpr uint32_t kOne = 1u << 31;

// Why masks: the bits are as good as random, and a branch on one is mispredicted half the time.
constexpr uint32_t timesX(uint32_t value) { return (value >> 1) ^ (kCastagnoli & -(value & 1)); }

constexpr uint32_t multiply(uint32_t left, uint32_t right) {
  uint32_t product = 0;
  for (int bit = 31; bit >= 0; bit--, right = timesX(right)) product ^= right & -(left >> bit & 1);
  return product;
}

// x to the power of 8 * 2^n.
constexpr std::array<uint32_t, 64> powersOfBytes() {
  std::array<uint32_t, 64> powers{};
  powers[0] = kOne >> 8;
  for (size_t n = 1; n < powers.size(); n++) powers[n] = multiply(powers[n - 1], powers[n - 1]);
  return powers;
}
constexpr std::array<uint32_t, 64> kPowers = powersOfBytes();

// Products with those powers that a length of a slice is made of, for each digit of a register:
// eight look-ups instead of 32 steps. 16 KiB.
using Products = std::array<std::array<uint32_t, 16>, 8>;
constexpr std::array<Products, 32> productsOfPowers() {
  std::array<Products, 32> products{};
  for (size_t n = 0; n < products.size(); n++) {
    for (uint32_t at = 0; at < 8; at++) {
      for (uint32_t digit = 0; digit < 16; digit++) {
        products[n][at][digit] = multiply(kPowers[n], digit << (4 * at));
      }
    }
  }
  return products;
}
constexpr std::array<Products, 32> kProducts = productsOfPowers();

uint32_t timesPower(size_t n, uint32_t crc) {
  if (n >= kProducts.size()) return multiply(kPowers[n], crc);
  uint32_t product = 0;
  for (uint32_t at = 0; at < 8; at++) product ^= kProducts[n][at][(crc >> (4 * at)) & 15];
  return product;
}

// What a register becomes when `length` zero bytes follow.
uint32_t appendZeros(uint32_t crc, uint64_t length) {
  for (; length != 0; length &= length - 1) {
    crc = timesPower(static_cast<size_t>(std::countr_zero(length)), crc);
  }
  return crc;
}

// Row k: the register after a byte and k zero bytes.
constexpr std::array<std::array<uint32_t, 256>, 8> makeTables() {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (auto& table : tables) {
      for (int bit = 0; bit < 8; bit++) crc = timesX(crc);
      table[byte] = crc;
    }
  }
  return tables;
}
constexpr std::array<std::array<uint32_t, 256>, 8> kTables = makeTables();

#if defined(__x86_64__)
#define IOL_CRC_TARGET __attribute__((target("sse4.2")))
#define IOL_CRC_BYTE(crc, byte) __builtin_ia32_crc32qi(crc, byte)
#define IOL_CRC_WORD(crc, word) static_cast<uint32_t>(__builtin_ia32_crc32di(crc, word))
#elif defined(__clang__)
#define IOL_CRC_TARGET __attribute__((target("crc")))
#define IOL_CRC_BYTE(crc, byte) __builtin_arm_crc32cb(crc, byte)
#define IOL_CRC_WORD(crc, word) __builtin_arm_crc32cd(crc, word)
#else
#define IOL_CRC_TARGET __attribute__((target("+crc")))
#define IOL_CRC_BYTE(crc, byte) __builtin_aarch64_crc32cb(crc, byte)
#define IOL_CRC_WORD(crc, word) __builtin_aarch64_crc32cx(crc, word)
#endif

// The instruction answers after three cycles and starts every one: three lanes keep it busy.
constexpr size_t kLaneBytes = 4096;

IOL_CRC_TARGET uint32_t crcByInstruction(uint32_t crc, const uint8_t* bytes, size_t length) {
  for (; length >= 3 * kLaneBytes; bytes += 3 * kLaneBytes, length -= 3 * kLaneBytes) {
    uint32_t second = 0;
    uint32_t third = 0;
    for (size_t at = 0; at < kLaneBytes; at += 8) {
      crc = IOL_CRC_WORD(crc, load64(bytes + at));
      second = IOL_CRC_WORD(second, load64(bytes + kLaneBytes + at));
      third = IOL_CRC_WORD(third, load64(bytes + 2 * kLaneBytes + at));
    }
    crc = appendZeros(appendZeros(crc, kLaneBytes) ^ second, kLaneBytes) ^ third;
  }
  for (; length >= 8; bytes += 8, length -= 8) crc = IOL_CRC_WORD(crc, load64(bytes));
  for (; length > 0; bytes++, length--) crc = IOL_CRC_BYTE(crc, *bytes);
  return crc;
}

}  // namespace

uint16_t internetSum(const uint8_t* bytes, size_t length) {
  // Why in this machine's order: the sum of swapped words is the swapped sum.
  uint64_t sums[4] = {};
  for (; length >= 32; bytes += 32, length -= 32) {
    for (size_t lane = 0; lane < 4; lane++) {
      sums[lane] = addWithCarry(sums[lane], load64(bytes + 8 * lane));
    }
  }
  for (; length >= 8; bytes += 8, length -= 8) sums[0] = addWithCarry(sums[0], load64(bytes));
  sums[1] = addWithCarry(sums[1], loadTail(bytes, length));
  const uint64_t sum = addWithCarry(addWithCarry(sums[0], sums[1]), addWithCarry(sums[2], sums[3]));
  return __builtin_bswap16(fold(sum));
}

uint16_t combineInternetSum(uint16_t sum, uint16_t more, uint64_t at) {
  return fold(uint64_t{sum} + (at % 2 == 0 ? more : __builtin_bswap16(more)));
}

uint32_t crc32c(uint32_t crc, const uint8_t* bytes, size_t length) {
  static const bool hasInstruction = sys::cpuHasCrc32c();
  return hasInstruction ? ~crcByInstruction(~crc, bytes, length)
                        : crc32cByTable(crc, bytes, length);
}

uint32_t combineCrc32c(uint32_t crc, uint32_t more, uint64_t length) {
  return appendZeros(crc, length) ^ more;
}

uint32_t crc32cByTable(uint32_t crc, const uint8_t* bytes, size_t length) {
  crc = ~crc;
  for (; length >= 8; bytes += 8, length -= 8) {
    const uint64_t word = load64(bytes) ^ crc;
    crc = 0;
    for (size_t byte = 0; byte < 8; byte++) crc ^= kTables[7 - byte][(word >> (8 * byte)) & 0xff];
  }
  for (; length > 0; bytes++, length--) crc = kTables[0][(crc ^ *bytes) & 0xff] ^ (crc >> 8);
  return ~crc;
}

}  // namespace iol
