// cache/index_layout.h: the file cache's index as other processes read it.
//
//   index memfd          written by the cache's owner alone, read-only to everybody else
//   +--------+---------+---------+---------+-- ... --+
//   | header | entry 0 | entry 1 | entry 2 |         |   slots entries, a power of two
//   +--------+---------+---------+---------+-- ... --+
//   0        4 KiB
//
// Open addressing: the entry of <file-id, offset> lies within kIndexProbesMax places from the
// hash of <file-id, offset / 1 MiB>, and no Empty place comes before it. One entry is one extent
// of at most 1 MiB inside one buffer, so an extent that covers a byte starts in the byte's own
// block of 1 MiB or in the one before.
//
// Each entry has its own sequence lock: odd while the owner writes. All words are atomic; the
// owner's stores are releases and the reader's loads acquires, so no fence is needed.
//
// Changing anything here raises kFormat and needs a Format line in CHANGELOG.md.
// May include base/ window/
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "window/layout.h"

namespace iol {

constexpr uint64_t kIndexMagic = 0x3178'6469'6c6f'6900;  // "\0ioidx1", low byte first.
constexpr uint64_t kIndexEntriesOffset = 4096;
constexpr uint64_t kExtentBytesMax = 1ull << 20;
constexpr uint32_t kIndexProbesMax = 32;
constexpr uint32_t kIndexSlotsMin = 4096;
constexpr uint32_t kIndexSlotsMax = 1u << 22;

enum class IndexState : uint32_t {
  Empty = 0,    // Never used since the last Empty after it: a probe may stop here.
  Removed = 1,  // Free, but a probe must go on.
  Live = 2,
};

struct IndexHeader {
  uint64_t magic;
  uint32_t format;
  uint32_t byteOrder;
  uint64_t windowId;
  uint32_t ownerSlot;
  uint32_t ownerEpoch;
  uint32_t slots;
  uint32_t reserved;
  alignas(64) std::atomic<uint32_t> isRetired;  // 1: a larger index took this one's place.
  uint32_t padding[15];
};
static_assert(sizeof(IndexHeader) == 128);
static_assert(offsetof(IndexHeader, isRetired) == 64);
static_assert(std::is_standard_layout_v<IndexHeader>);

using IndexWord = std::atomic<uint64_t>;
using IndexHalf = std::atomic<uint32_t>;

struct IndexEntry {
  IndexHalf sequence;
  IndexHalf state;
  // The file-id: one version of one file.
  IndexWord dev;
  IndexWord ino;
  IndexWord fileBytes;
  IndexWord mtimeNs;
  IndexWord ctimeNs;
  // The extent, and the slice that has its bytes.
  IndexWord offset;
  IndexWord generation;
  IndexHalf segmentNumber;
  IndexHalf slot;
  IndexHalf sliceOffset;
  IndexHalf length;
  uint64_t reserved[6];
};
static_assert(sizeof(IndexEntry) == 128);
static_assert(offsetof(IndexEntry, offset) == 48);
static_assert(offsetof(IndexEntry, segmentNumber) == 64);
static_assert(std::is_standard_layout_v<IndexEntry>);
static_assert(IndexWord::is_always_lock_free && IndexHalf::is_always_lock_free);

constexpr uint64_t indexBytes(uint32_t slots) {
  return kIndexEntriesOffset + uint64_t{slots} * sizeof(IndexEntry);
}

}  // namespace iol
