// pool/size_classes.h: how many bytes a buffer really takes.
//
// Four classes to a doubling: 1 2 3 [4] 5 6 7 [8] 10 12 14 [16] 20 ..., in units of 64 bytes up
// to 4 KiB (carved from one chunk) and of 1 KiB up to 128 KiB (carved from a run of 16 chunks,
// because one chunk would waste a quarter). Above that a buffer is a number of whole chunks, of
// which only the pages it needs are committed; above kOwnSegmentBytes it has its own segment.
//
// Cost        a few instructions; no table look-up on the way to a class.
// May include base/ sys/ window/
#pragma once

#include <bit>
#include <cstdint>

#include "window/layout.h"

namespace iol {

constexpr uint64_t kSmallBytesMax = 4096;
constexpr uint64_t kMediumBytesMax = 128 << 10;
constexpr uint32_t kRunChunks = 16;
constexpr uint64_t kOwnSegmentBytes = 16ull << 20;

// The largest buffer: its segment must fit one ArrayBuffer, tables included.
constexpr uint64_t kBufferBytesMax = kLargeSegmentBytesMax - (64ull << 10);

constexpr uint32_t kClassesPerUnit = 28;  // 1..4, then 4 per doubling up to 128 or 64 units.

// 0-based class of a size of `units` >= 1.
constexpr uint32_t classOfUnits(uint32_t units) {
  if (units <= 4) return units - 1;
  const uint32_t shift = static_cast<uint32_t>(std::bit_width(units - 1)) - 3;
  return 4 * shift + ((units - 1) >> shift);
}

constexpr uint32_t unitsOfClass(uint32_t sizeClass) {
  if (sizeClass < 4) return sizeClass + 1;
  const uint32_t shift = (sizeClass - 4) / 4;
  return (5 + (sizeClass - 4) % 4) << shift;
}

static_assert(classOfUnits(4) == 3 && classOfUnits(5) == 4 && classOfUnits(8) == 7);
static_assert(classOfUnits(9) == 8 && classOfUnits(10) == 8 && classOfUnits(11) == 9);
static_assert(unitsOfClass(7) == 8 && unitsOfClass(8) == 10 && unitsOfClass(12) == 20);

}  // namespace iol
