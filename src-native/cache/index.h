// cache/index.h: writing and reading the shared index of cached extents.
//
//   IndexWriter   the owner's; IndexReader   anybody's, also of a process that may be stopped or
//                 dead in the middle of a store: then the entry is a miss
//
// How a reader takes what it found: find(); hold each buffer; one full fence; check the
// generations and isUnchanged(); only then look at bytes (design.md section 4).
//
// Ownership   the writer owns the memfd. The index holds no buffers: its owner's cache does.
// Threads     writer: the cache's. Reader: any one at a time, while the writer writes.
// Failure     System, WindowFull, NoMemory; Format for memory that is no index of this window.
// Cost        insert, erase: a few stores. find: at most 64 entries looked at, a bounded number of
//             times each.
// May include base/ sys/ window/
#pragma once

#include <memory>
#include <optional>

#include "base/status.h"
#include "cache/index_layout.h"
#include "sys/fd.h"
#include "sys/file.h"
#include "window/window.h"

namespace iol {

// What an entry says, copied out. Untrusted in a reader's hands: check the segment, slot, offset
// and length before use (I3).
struct IndexRecord {
  sys::FileFacts file;  // dev, ino, size, mtimeNs, ctimeNs only.
  uint64_t offset = 0;
  uint64_t generation = 0;
  uint32_t segmentNumber = 0;
  uint32_t slot = 0;
  uint32_t sliceOffset = 0;
  uint32_t length = 0;
};

class IndexWriter {
 public:
  static Result<std::unique_ptr<IndexWriter>> create(Window& window, DomainName owner,
                                                     uint32_t slots);
  ~IndexWriter();
  IndexWriter(const IndexWriter&) = delete;
  IndexWriter& operator=(const IndexWriter&) = delete;

  // The place it went to; none when all places in reach are taken or half of all are: make a
  // larger index.
  std::optional<uint32_t> insert(const IndexRecord& record);
  void erase(uint32_t place);
  // Tells readers to ask for the new index.
  void retire();

  uint32_t slots() const { return slots_; }
  uint32_t live() const { return live_; }
  const sys::Fd& readOnlyFd() const { return readOnlyFd_; }
  const uint8_t* base() const { return base_; }

 private:
  explicit IndexWriter(Window& window) : window_(window) {}
  IndexEntry& entry(uint32_t place);
  void store(IndexEntry& entry, const IndexRecord& record);
  void setState(IndexEntry& entry, IndexState state);

  Window& window_;
  sys::Fd memory_;
  sys::Fd readOnlyFd_;
  uint8_t* base_ = nullptr;
  uint32_t slots_ = 0;
  uint32_t live_ = 0;
};

class IndexReader {
 public:
  // `bytes` of mapped memory from somebody else. Nothing in it is trusted.
  static Result<IndexReader> attach(const uint8_t* base, uint64_t bytes, uint64_t windowId);

  struct Found {
    IndexRecord record;
    uint32_t place = 0;
    uint32_t sequence = 0;
  };
  // The extent of this version of the file that covers byte `position`.
  std::optional<Found> find(const sys::FileFacts& file, uint64_t position) const;
  // Still the same entry? After the fence that follows the take.
  bool isUnchanged(const Found& found) const;
  // Ask the owner for the index that took this one's place.
  bool isRetired() const;

 private:
  IndexReader(const uint8_t* base, uint32_t slots) : base_(base), slots_(slots) {}
  const IndexEntry& entry(uint32_t place) const;
  std::optional<Found> findFrom(uint64_t block, const sys::FileFacts& file,
                                uint64_t position) const;

  const uint8_t* base_;
  uint32_t slots_;  // From the header, once, checked against `bytes`.
};

}  // namespace iol
