// sys/private_map.h: a range of addresses where a store changes nothing but a copy of its page.
//
//   reserve    |  anonymous, zeros, takes no memory before it is written             |
//   overlay    |   |== pages of memfd A ==|== pages of memfd B ==|                   |
//   store                    [x]  the kernel copies that one page; the memfd is as it was
//
// Ownership   owns the addresses; they are unmapped with it. Not the memfds: their owner must keep
//             the pages what they are for as long as they are mapped here.
// Threads     one; stores may come from any.
// Failure     NoMemory (no addresses left, RLIMIT_AS, strict overcommit), TooManySlices when the
//             process has kOverlayShare of vm.max_map_count, System.
// Cost        overlay: one system call, 1 to 2 us. A first store to a page: one fault, 0.5 to 1 us.
//             privatePages: one ioctl where the kernel has PAGEMAP_SCAN (6.7), else 8 bytes read
//             per page. A forked child has none of it (MADV_DONTFORK).
// May include base/
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "sys/fd.h"

namespace iol::sys {

// Every overlay may need two mappings of the kernel's; half of them are left to everybody else.
constexpr uint32_t kOverlayShare = 4;

struct ByteRange {
  uint64_t from;
  uint64_t to;
};

// How private pages are told from shared ones; each way falls back to the next.
enum class PageFinder : uint8_t { Scan, Pagemap, None };

class PrivateMap {
 public:
  PrivateMap() = default;
  PrivateMap(PrivateMap&& other) noexcept;
  PrivateMap& operator=(PrivateMap&& other) noexcept;
  PrivateMap(const PrivateMap&) = delete;
  PrivateMap& operator=(const PrivateMap&) = delete;
  ~PrivateMap();

  // `bytes` is a multiple of the page, as is every number here. Up to `overlays` will be made.
  static Result<PrivateMap> reserve(uint64_t bytes, uint64_t overlays);
  // [at, at + bytes) shows the memfd's bytes from `offset` on.
  Status overlay(uint64_t at, const Fd& memory, uint64_t offset, uint64_t bytes);
  // After the last overlay.
  Status keepFromChildren();

  uint8_t* base() const { return base_; }
  uint64_t byteLength() const { return bytes_; }

  struct Pages {
    std::vector<ByteRange> ranges;
    bool isExact;  // False: nobody could tell, so it is all pages.
  };
  // Where a page is this mapping's own: stored to, or never overlaid and touched.
  Pages privatePages(PageFinder finder = PageFinder::Scan) const;

  // Gives all pages back. What is read here is zero from now on, and a store harms nobody.
  void discard();

 private:
  uint8_t* base_ = nullptr;
  uint64_t bytes_ = 0;
  uint64_t overlays_ = 0;  // Of the process's budget.
};

// vm.max_map_count / kOverlayShare.
uint64_t overlaysMax();

}  // namespace iol::sys
