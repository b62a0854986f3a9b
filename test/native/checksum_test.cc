// Checksums: published vectors, both ways of computing, and parts put together at every border.
#include "aggregate/checksum.h"

#include <random>
#include <string>
#include <vector>

#include "test.h"

namespace iol {
namespace {

const uint8_t* at(const std::string& text, size_t from = 0) {
  return reinterpret_cast<const uint8_t*>(text.data()) + from;
}

std::string randomBytes(size_t length, uint32_t seed) {
  std::mt19937 random(seed);
  std::string bytes(length, 0);
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// As RFC 1071 writes it: word by word.
uint16_t plainSum(const std::string& bytes) {
  uint32_t sum = 0;
  for (size_t index = 0; index < bytes.size(); index++) {
    const auto byte = static_cast<uint8_t>(bytes[index]);
    sum += index % 2 == 0 ? byte << 8 : byte;
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

// Bit by bit, as RFC 3720 defines it.
uint32_t plainCrc(const std::string& bytes) {
  uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; bit++) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78 : crc >> 1;
  }
  return ~crc;
}

TEST(theExampleOfRfc1071) {
  const std::string bytes("\x00\x01\xf2\x03\xf4\xf5\xf6\xf7", 8);
  CHECK_EQ(internetSum(at(bytes), 8), 0xddf2);
  CHECK_EQ(internetSum(at(bytes), 0), 0);
  CHECK_EQ(internetSum(at(bytes), 3), 0x0001 + 0xf200);
}

TEST(theVectorsOfRfc3720) {
  std::string up(32, 0);
  std::string down(32, 0);
  for (int index = 0; index < 32; index++) {
    up[static_cast<size_t>(index)] = static_cast<char>(index);
    down[static_cast<size_t>(index)] = static_cast<char>(31 - index);
  }
  for (const auto compute : {crc32c, crc32cByTable}) {
    CHECK_EQ(compute(0, at(std::string(32, 0)), 32), 0x8a9136aau);
    CHECK_EQ(compute(0, at(std::string(32, '\xff')), 32), 0x62a8ab43u);
    CHECK_EQ(compute(0, at(up), 32), 0x46dd794eu);
    CHECK_EQ(compute(0, at(down), 32), 0x113fdb5cu);
    CHECK_EQ(compute(0, at("123456789"), 9), 0xe3069283u);
    CHECK_EQ(compute(0, nullptr, 0), 0u);
  }
}

TEST(everyLengthAndAlignmentIsTheSameAsWordByWord) {
  const std::string bytes = randomBytes(30000, 1);
  std::mt19937 random(2);
  for (int round = 0; round < 600; round++) {
    const size_t from = random() % 16;
    const size_t length = round < 100 ? static_cast<size_t>(round) : random() % 29000;
    const std::string part = bytes.substr(from, length);
    CHECK_EQ(internetSum(at(bytes, from), length), plainSum(part));
    CHECK_EQ(crc32c(0, at(bytes, from), length), plainCrc(part));
    CHECK_EQ(crc32cByTable(0, at(bytes, from), length), plainCrc(part));
  }
  const std::string ones(70001, '\xff');  // Carries everywhere.
  CHECK_EQ(internetSum(at(ones), ones.size()), plainSum(ones));
}

TEST(partsPutTogetherAtEveryBorderAreTheWhole) {
  const std::string bytes = randomBytes(300, 3);
  const uint16_t sum = internetSum(at(bytes), bytes.size());
  const uint32_t crc = crc32c(0, at(bytes), bytes.size());
  for (size_t cut = 0; cut <= bytes.size(); cut++) {
    const size_t rest = bytes.size() - cut;
    const uint16_t first = internetSum(at(bytes), cut);
    CHECK_EQ(combineInternetSum(first, internetSum(at(bytes, cut), rest), cut), sum);
    const uint32_t front = crc32c(0, at(bytes), cut);
    CHECK_EQ(combineCrc32c(front, crc32c(0, at(bytes, cut), rest), rest), crc);
    CHECK_EQ(crc32c(front, at(bytes, cut), rest), crc);
  }
}

TEST(manyPartsPutTogetherAreTheWhole) {
  std::mt19937 random(4);
  for (int round = 0; round < 200; round++) {
    const std::string bytes = randomBytes(random() % 40000, random());
    uint16_t sum = 0;
    uint32_t crc = 0;
    for (size_t from = 0; from < bytes.size();) {
      const size_t length = std::min<size_t>(bytes.size() - from, 1 + random() % 9000);
      sum = combineInternetSum(sum, internetSum(at(bytes, from), length), from);
      crc = combineCrc32c(crc, crc32c(0, at(bytes, from), length), length);
      from += length;
    }
    CHECK_EQ(sum, internetSum(at(bytes), bytes.size()));
    CHECK_EQ(crc, crc32c(0, at(bytes), bytes.size()));
  }
}

TEST(longPartsArePutTogetherWithoutTheirBytes) {
  // 2^40 zero bytes after one, in two steps and in one.
  const uint32_t one = crc32c(0, at("x"), 1);
  uint32_t zeros = crc32c(0, at(std::string(1024, 0)), 1024);
  uint64_t length = 1024;
  for (; length < 1ull << 39; length *= 2) zeros = combineCrc32c(zeros, zeros, length);
  const uint32_t both = combineCrc32c(zeros, zeros, length);
  CHECK_EQ(combineCrc32c(combineCrc32c(one, zeros, length), zeros, length),
           combineCrc32c(one, both, 2 * length));
}

}  // namespace
}  // namespace iol
