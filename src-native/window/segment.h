// window/segment.h: one memfd of a pool, mapped by its owner or by a reader.
//
//   writable()  ->  owner only: allocator, drafts          (MAP_SHARED, RW, MADV_DONTFORK)
//   readOnly()  ->  everything the library reads or sends   (MAP_SHARED, RO)
//   (a third mapping, one per JavaScript environment, is made by node/ and guarded by
//   sys/fault_guard: a stray store may leave a private page there, so nothing else reads it)
//
// Ownership   the owner's Segment has the descriptor that can write; readers have a read-only one.
// Threads     created and retired by its domain's thread; the pointers may be read by any.
// Failure     WindowFull (no segment numbers), System, Format for a foreign segment.
// Cost        create and open: a handful of system calls. Never in steady state.
// May include base/ sys/
#pragma once

#include <memory>

#include "base/check.h"
#include "base/status.h"
#include "sys/fd.h"
#include "sys/memory.h"
#include "window/layout.h"

namespace iol {

class Window;
struct DomainName {
  uint32_t slot = 0;
  uint32_t epoch = 0;
  friend bool operator==(const DomainName&, const DomainName&) = default;
};

class Segment {
 public:
  struct Shape {
    uint64_t totalBytes = kSegmentBytes;
    uint32_t unitBytes = kSmallUnitBytes;  // 0: one buffer as large as the segment.
    uint32_t ordinal = 0;
    uint32_t pool = 0;    // The owner's number for it, for those who look on.
    bool sealed = false;  // F_SEAL_FUTURE_WRITE: not even a same-uid process can map it writable.
  };

  // A new segment of `window`, owned by `owner`. Only its tables' first page is committed.
  static Result<std::unique_ptr<Segment>> create(Window& window, DomainName owner, Shape shape);
  // A segment of somebody else, from a read-only descriptor that passed checkForeignMemory.
  static Result<std::unique_ptr<Segment>> open(uint64_t windowId, sys::Fd readOnly,
                                               uint64_t totalBytes);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  bool isOwn() const { return writable_ != nullptr; }
  // Copied out of the shared header once, checked, then trusted.
  uint32_t number() const { return header_.number; }
  uint32_t ordinal() const { return header_.ordinal; }
  uint32_t unitBytes() const { return header_.unitBytes; }
  uint32_t slots() const { return header_.slots; }
  uint32_t chunks() const { return header_.chunks; }
  uint64_t totalBytes() const { return header_.totalBytes; }
  uint64_t dataOffset() const { return header_.dataOffset; }
  uint64_t dataBytes() const { return header_.totalBytes - header_.dataOffset; }
  DomainName owner() const { return {header_.ownerSlot, header_.ownerEpoch}; }

  // The window address of byte 0 of the segment.
  uint64_t address() const { return uint64_t{header_.number} * kSegmentBytes; }
  uint64_t slotOffset(uint32_t slot) const {
    return header_.dataOffset + uint64_t{slot} * header_.unitBytes;
  }
  uint32_t slotAt(uint64_t offset) const {
    return header_.unitBytes == 0
               ? 0
               : static_cast<uint32_t>((offset - header_.dataOffset) / header_.unitBytes);
  }
  uint32_t chunkOf(uint32_t slot) const {
    return static_cast<uint32_t>(uint64_t{slot} * header_.unitBytes / kChunkBytes);
  }

  uint8_t* writable() const { return writable_; }
  const uint8_t* readOnly() const { return readOnly_; }
  GenerationWord& generation(uint32_t slot) const { return generations_[slot]; }
  ChunkEntry& chunkEntry(uint32_t chunk) const { return chunkEntries_[chunk]; }

  // The storage of one buffer can be exchanged for other (I4): by a hole, or, if there is no other
  // buffer in the segment, with all of it.
  bool canGiveUpStorage() const { return !hasSealedWrites_ || header_.unitBytes == 0; }

  // What the owner's pool keeps beside the segment; null for a reader.
  void* keeper() const { return keeper_; }
  void setKeeper(void* keeper) { keeper_ = keeper; }

  // A reader's: JavaScript has an ArrayBuffer over some of it.
  bool isViewed() const { return isViewed_; }
  void setViewed() { isViewed_ = true; }
  // A reader's: its owner is done with it, and it goes with the last hold here.
  bool isLeaving() const { return isLeaving_; }
  void setLeaving() { isLeaving_ = true; }

  const sys::Fd& memory() const { return memory_; }
  const sys::Fd& readOnlyFd() const { return readOnlyFd_; }

 private:
  Segment() = default;
  void point(uint8_t* base);

  SegmentHeader header_{};
  sys::Fd memory_;  // Owner only.
  sys::Fd readOnlyFd_;
  uint8_t* writable_ = nullptr;
  uint8_t* readOnly_ = nullptr;
  void* keeper_ = nullptr;
  bool isViewed_ = false;
  bool isLeaving_ = false;
  bool hasSealedWrites_ = false;
  // Owner: in the writable mapping. Reader: in the read-only one, and only ever loaded.
  GenerationWord* generations_ = nullptr;
  ChunkEntry* chunkEntries_ = nullptr;
};

}  // namespace iol
