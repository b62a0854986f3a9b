// pool/span.h: what an owner knows privately of its segments: spans, free chunks, committed pages.
//
// Nothing here is shared memory. A span is a number of chunks carved into equal buffers.
//
// Threads     the owning domain's.
// May include base/ sys/ window/
#pragma once

#include <bitset>
#include <memory>
#include <vector>

#include "pool/slice.h"
#include "window/layout.h"
#include "window/segment.h"

namespace iol {

class Pool;
struct OwnSegment;

struct Span {
  OwnSegment* segment = nullptr;
  uint32_t firstChunk = 0;
  uint32_t chunks = 0;
  uint32_t slotStep = 0;  // Slots from one buffer to the next.
  uint64_t bufferBytes = 0;
  uint32_t capacity = 0;  // Buffers that fit.
  uint32_t carved = 0;    // Buffers handed out at least once.
  uint32_t live = 0;      // Buffers not free: drafts, held, pending.
  std::vector<uint32_t> freeSlots;
  std::vector<Span*>* list = nullptr;  // The class's list of spans with room; null for large.
  size_t listIndex = SIZE_MAX;         // Position in it; SIZE_MAX when full.
  bool isViewed = false;               // JavaScript has an ArrayBuffer over it.
  bool isWatched = false;              // That, or somebody waits for a buffer's last hold.
  bool mustPunch = false;              // The kernel may still read it: never reused in place (I4).
};

struct OwnSegment {
  Pool* pool = nullptr;
  std::unique_ptr<Segment> segment;
  bool isLarge = false;                      // One buffer, its own memfd.
  std::bitset<kChunksMax> used;              // In a span, or with the helper thread.
  std::vector<uint8_t> pagesCommitted;       // Per chunk, counted from its start.
  std::vector<std::unique_ptr<Span>> spans;  // By first chunk.
  std::vector<uint32_t> spanOfChunk;         // First chunk of the span that has this chunk.
  std::vector<bool> exported;                // By slot; empty until the first export.
  std::vector<bool> pending;                 // By slot, likewise: on the pool's pending list.
  bool isPublished = false;                  // The control plane knows the segment.
  std::vector<bool> watched;                 // By slot; empty until the first watchLastHold().
  uint32_t usedChunks = 0;
  uint32_t keptChunks = 0;  // Of these, free but not to be filled: the kernel may still read them.

  bool isIdle() const { return usedChunks == keptChunks; }
  bool isExported(uint32_t slot) const { return !exported.empty() && exported[slot]; }
  Span* spanAt(uint32_t chunk) const { return spans[spanOfChunk[chunk]].get(); }
};

struct ChunkRun {
  OwnSegment* segment;
  uint32_t first;
  uint32_t chunks;
};

constexpr uint32_t kPagesPerChunk = kChunkBytes / 4096;

}  // namespace iol
