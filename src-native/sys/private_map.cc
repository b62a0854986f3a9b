#include "sys/private_map.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/check.h"
#include "sys/memory.h"
#include "sys/uninterrupted.h"

namespace iol::sys {
namespace {

std::atomic<uint64_t> overlaysInUse{0};

// <linux/fs.h> of Linux 6.7; older headers lack it.
struct PageRegion {
  uint64_t start;
  uint64_t end;
  uint64_t categories;
};
struct PageScan {
  uint64_t size;
  uint64_t flags;
  uint64_t start;
  uint64_t end;
  uint64_t walkEnd;
  uint64_t regions;
  uint64_t regionsMax;
  uint64_t pagesMax;
  uint64_t inverted;
  uint64_t allOf;
  uint64_t anyOf;
  uint64_t wanted;
};
static_assert(sizeof(PageScan) == 96);
constexpr unsigned long kPagemapScan = _IOWR('f', 16, PageScan);
constexpr uint64_t kScanFile = 1 << 2;
constexpr uint64_t kScanPresent = 1 << 3;
constexpr uint64_t kScanSwapped = 1 << 4;

// Bits of a word of /proc/self/pagemap.
constexpr uint64_t kPageFile = 1ull << 61;
constexpr uint64_t kPageSwapped = 1ull << 62;
constexpr uint64_t kPagePresent = 1ull << 63;

Status mapFailed(uint64_t bytes) {
  const int error = errno;
  return error == ENOMEM ? Status(Code::NoMemory, "mapping", bytes) : Status::system("mmap", error);
}

void append(std::vector<ByteRange>& ranges, uint64_t from, uint64_t to) {
  if (!ranges.empty() && ranges.back().to == from) {
    ranges.back().to = to;
  } else {
    ranges.push_back({from, to});
  }
}

bool scan(int pagemap, uint64_t base, uint64_t bytes, std::vector<ByteRange>& found) {
  PageRegion regions[256];
  PageScan request{};
  request.size = sizeof request;
  request.start = base;
  request.end = base + bytes;
  request.regions = reinterpret_cast<uint64_t>(regions);
  request.regionsMax = 256;
  request.inverted = request.allOf = kScanFile;  // Not of a file, ...
  request.anyOf = kScanPresent | kScanSwapped;   // ... and there.
  while (request.start < request.end) {
    const int count = uninterrupted([&] { return ::ioctl(pagemap, kPagemapScan, &request); });
    if (count < 0) return false;
    for (int index = 0; index < count; index++) {
      append(found, regions[index].start - base, regions[index].end - base);
    }
    if (request.walkEnd <= request.start) return false;
    request.start = request.walkEnd;
  }
  return true;
}

bool readPagemap(int pagemap, uint64_t base, uint64_t bytes, std::vector<ByteRange>& found) {
  constexpr uint64_t kBatch = 4096;
  std::vector<uint64_t> words(kBatch);
  const uint64_t pages = bytes / kPageBytes;
  for (uint64_t first = 0; first < pages;) {
    const size_t wanted = std::min(kBatch, pages - first) * sizeof(uint64_t);
    const auto at = static_cast<off_t>((base / kPageBytes + first) * sizeof(uint64_t));
    const auto read = [&] { return ::pread(pagemap, words.data(), wanted, at); };
    const ssize_t got = uninterrupted(read);
    if (got < static_cast<ssize_t>(sizeof(uint64_t))) return false;
    const uint64_t count = static_cast<uint64_t>(got) / sizeof(uint64_t);
    for (uint64_t index = 0; index < count; index++) {
      const uint64_t word = words[index];
      if ((word & (kPagePresent | kPageSwapped)) == 0 || (word & kPageFile) != 0) continue;
      append(found, (first + index) * kPageBytes, (first + index + 1) * kPageBytes);
    }
    first += count;
  }
  return true;
}

uint64_t readMapsMax() {
  char text[32] = {};
  const Fd file(::open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC));
  const bool isRead = file.isOpen() && ::read(file.get(), text, sizeof text - 1) > 0;
  return isRead ? ::strtoull(text, nullptr, 10) : 65530;
}

}  // namespace

uint64_t overlaysMax() {
  static const uint64_t max = readMapsMax() / kOverlayShare;
  return max;
}

PrivateMap::PrivateMap(PrivateMap&& other) noexcept { *this = std::move(other); }

PrivateMap& PrivateMap::operator=(PrivateMap&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(bytes_, other.bytes_);
  std::swap(overlays_, other.overlays_);
  return *this;
}

PrivateMap::~PrivateMap() {
  if (base_ != nullptr) ::munmap(base_, bytes_);
  overlaysInUse.fetch_sub(overlays_);
}

Result<PrivateMap> PrivateMap::reserve(uint64_t bytes, uint64_t overlays) {
  PrivateMap map;
  map.overlays_ = overlays;
  const uint64_t inUse = overlaysInUse.fetch_add(overlays) + overlays;
  if (inUse > overlaysMax()) {
    return Status(Code::TooManySlices, "mapping", inUse, overlaysMax());
  }
  // NORESERVE: what counts is the pages that are stored to, not the addresses.
  void* const base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return mapFailed(bytes);
  map.base_ = static_cast<uint8_t*>(base);
  map.bytes_ = bytes;
  return map;
}

Status PrivateMap::overlay(uint64_t at, const Fd& memory, uint64_t offset, uint64_t bytes) {
  IOL_DCHECK(at % kPageBytes == 0 && offset % kPageBytes == 0 && at + bytes <= bytes_);
  void* const mapped =
      ::mmap(base_ + at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
             memory.get(), static_cast<off_t>(offset));
  return mapped == MAP_FAILED ? mapFailed(bytes) : Status();
}

Status PrivateMap::keepFromChildren() {
  if (::madvise(base_, bytes_, MADV_DONTFORK) == 0) return {};
  return Status::system("madvise(MADV_DONTFORK)", errno);
}

PrivateMap::Pages PrivateMap::privatePages(PageFinder finder) const {
  Pages pages{{}, true};
  const uint64_t base = reinterpret_cast<uint64_t>(base_);
  const Fd pagemap(finder == PageFinder::None ? -1
                                              : ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (pagemap.isOpen()) {
    if (finder == PageFinder::Scan && scan(pagemap.get(), base, bytes_, pages.ranges)) return pages;
    pages.ranges.clear();
    if (readPagemap(pagemap.get(), base, bytes_, pages.ranges)) return pages;
  }
  pages.ranges.assign(1, {0, bytes_});
  pages.isExact = false;
  return pages;
}

void PrivateMap::discard() {
  if (base_ == nullptr) return;
  void* const mapped = ::mmap(base_, bytes_, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  IOL_CHECK(mapped == base_);  // One mapping in the place of many: it needs no more than is there.
  overlaysInUse.fetch_sub(std::exchange(overlays_, 0));
}

}  // namespace iol::sys
