// aggregate/checksum.h: sums of bytes that can be put together from sums of their parts.
//
//   bytes     [---- A ----][-- B --]
//   sum(A B)  = combine(sum(A), sum(B), length of A or B)     without looking at a byte again
//
// The Internet checksum is RFC 1071's; CRC-32C is RFC 3720's (Castagnoli), by the processor's own
// instruction where it has one.
//
// Threads     any: nothing is kept.
// Failure     none.
// Cost        bytes once; bench/native/checksum_bench.cc has figures. combineCrc32c: one
//             multiplication (some 30 ns) for each bit that is set in the length.
// May include base/ sys/
#pragma once

#include <cstddef>
#include <cstdint>

namespace iol {

// The one's complement sum of 16-bit big-endian words, an odd last byte being a high one. Not yet
// complemented: the checksum of a whole message is ~sum.
uint16_t internetSum(const uint8_t* bytes, size_t length);
// `sum` of what comes first, `more` of what follows it at place `at`.
uint16_t combineInternetSum(uint16_t sum, uint16_t more, uint64_t at);

// Of the bytes that `crc` is the CRC of (0: of none) and these.
uint32_t crc32c(uint32_t crc, const uint8_t* bytes, size_t length);
// `crc` of what comes first, `more` of the `length` bytes that follow.
uint32_t combineCrc32c(uint32_t crc, uint32_t more, uint64_t length);

// The same as crc32c by tables alone: for tests, and for processors without the instruction.
uint32_t crc32cByTable(uint32_t crc, const uint8_t* bytes, size_t length);

}  // namespace iol
