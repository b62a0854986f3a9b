// window/layout.h: every struct that lives in shared memory, and nothing else.
//
//   segment memfd        written by its owner alone, read-only to everybody else
//   +--------+---------------+---------------------------+---------------------------------+
//   | header | chunk entries | generations, one per slot | data, in chunks of 64 KiB ...   |
//   +--------+---------------+---------------------------+---------------------------------+
//   0        4 KiB           12 KiB                      dataOffset                totalBytes
//
//   hold table memfd     one per (domain, owner), written by that domain alone
//   +--------+-- segment ordinal 0 --------------------+-- segment ordinal 1 ---- ... --+
//   | header | 1,024 chunk counts | 1 Mi slot counts   |                               |
//   +--------+-----------------------------------------+-------------------------------+
//
//   host block memfd     written by the host alone: for each owner how many hold tables it was sent
//
// A *slot* is a start address in units of SegmentHeader::unitBytes, counted from dataOffset, so
// that its number never changes meaning, whatever the chunk is carved into.
// A *window address* is segmentNumber * 64 MiB + offset in the segment: one number, below 2^53,
// for the same byte in every process. A segment larger than 64 MiB takes several numbers.
//
// Changing anything here raises kFormat and needs a Format line in CHANGELOG.md.
// May include base/
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace iol {

constexpr uint32_t kFormat = 4;
constexpr uint32_t kByteOrder = 0x01020304;
constexpr uint64_t kSegmentMagic = 0x3167'6573'6c6f'6900;    // "\0iolseg1"
constexpr uint64_t kHoldTableMagic = 0x3164'6c68'6c6f'6900;  // "\0iolhld1"
constexpr uint64_t kHostMagic = 0x3174'7368'6c6f'6900;       // "\0iolhst1"

constexpr uint64_t kSegmentBytes = 64ull << 20;
constexpr uint64_t kLargeSegmentBytesMax = 4ull << 30;  // One V8 ArrayBuffer on Node 20.
constexpr uint64_t kChunkBytes = 64ull << 10;
constexpr uint32_t kChunksMax = kSegmentBytes / kChunkBytes;
constexpr uint32_t kSmallUnitBytes = 64;     // Segments of buffers up to 4 KiB.
constexpr uint32_t kMediumUnitBytes = 1024;  // Segments of everything larger.
constexpr uint32_t kSlotsMax = kSegmentBytes / kSmallUnitBytes;

constexpr uint32_t kSegmentNumberBits = 27;  // 2^27 numbers of 64 MiB: 8 PiB of addresses.
constexpr uint32_t kOrdinalsMax = 2048;      // Segments that one owner has at a time.
constexpr uint32_t kDomainsMax = 256;

// Generations are even when the content is stable, odd while the owner revokes it. They stay
// below 2^52, so that JavaScript can hold one in a number.
constexpr uint64_t kGenerationRevoking = 1;
constexpr uint64_t kGenerationMax = 1ull << 52;

// A hold word: a saturating count, and the bit that says the kernel may still read the pages.
constexpr uint32_t kHoldKernelVisible = 1u << 31;
constexpr uint32_t kHoldCountMax = kHoldKernelVisible - 1;

// A chunk word: how many of the chunk's slots are held, and above it since when (seconds of the
// monotonic clock, as many bits as fit; only in tables for another domain's buffers). 0: none.
constexpr uint32_t kHoldChunkCountBits = 11;
constexpr uint32_t kHoldChunkCountMask = (1u << kHoldChunkCountBits) - 1;
static_assert(kChunkBytes / kSmallUnitBytes <= kHoldChunkCountMask);

struct SegmentHeader {
  uint64_t magic;
  uint32_t format;
  uint32_t byteOrder;
  uint64_t windowId;
  uint64_t totalBytes;
  uint64_t dataOffset;
  uint64_t generationsOffset;
  uint32_t number;     // First window segment number; never reused within the window.
  uint32_t ordinal;    // Index in every hold table for this owner.
  uint32_t unitBytes;  // What a slot number counts. 0: the whole segment is one buffer, slot 0.
  uint32_t slots;
  uint32_t chunks;
  uint32_t ownerSlot;
  uint32_t ownerEpoch;
  uint32_t pool;  // The owner's number for the pool that it belongs to.
};
static_assert(sizeof(SegmentHeader) == 80);
static_assert(offsetof(SegmentHeader, number) == 48);

// Bytes of each buffer that starts in the chunk; 0 while the chunk is not carved. A chunk in the
// middle of a larger buffer has the value of the chunk where that buffer starts.
using ChunkEntry = std::atomic<uint64_t>;
using GenerationWord = std::atomic<uint64_t>;
using HoldWord = std::atomic<uint32_t>;
static_assert(sizeof(ChunkEntry) == 8 && ChunkEntry::is_always_lock_free);
static_assert(sizeof(HoldWord) == 4 && HoldWord::is_always_lock_free);

constexpr uint64_t kChunkEntriesOffset = 4096;
constexpr uint64_t kGenerationsOffset = kChunkEntriesOffset + kChunksMax * sizeof(ChunkEntry);

struct HoldTableHeader {
  uint64_t magic;
  uint32_t format;
  uint32_t byteOrder;
  uint64_t windowId;
  uint32_t domainSlot;  // Who holds, and writes this table.
  uint32_t domainEpoch;
  uint32_t ownerSlot;  // Whose buffers are held.
  uint32_t ownerEpoch;
};
static_assert(sizeof(HoldTableHeader) == 40);

constexpr uint64_t kHoldRegionsOffset = 4096;
constexpr uint64_t kHoldSlotCountsOffset = kChunksMax * sizeof(HoldWord);
constexpr uint64_t kHoldRegionBytes = kHoldSlotCountsOffset + kSlotsMax * sizeof(HoldWord);
constexpr uint64_t kHoldTableBytes = kHoldRegionsOffset + kOrdinalsMax * kHoldRegionBytes;

using EpochWord = std::atomic<uint64_t>;
struct HostBlock {
  uint64_t magic;
  uint32_t format;
  uint32_t byteOrder;
  uint64_t windowId;
  uint64_t reserved[5];
  // By owner's slot. Raised after another domain's hold table was put into the owner's socket and
  // before that domain is granted anything of this owner; never lowered, not even when the slot
  // gets another domain.
  EpochWord ownerEpochs[kDomainsMax];
};
static_assert(sizeof(HostBlock) == 64 + kDomainsMax * sizeof(EpochWord));
static_assert(offsetof(HostBlock, ownerEpochs) == 64);
static_assert(std::is_standard_layout_v<HostBlock>);

}  // namespace iol
