#include "sys/disk.h"

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/copy.h"
#include "sys/memory.h"
#include "sys/uninterrupted.h"

namespace iol::sys {
namespace {

constexpr int kReadDontCache = 0x80;    // RWF_DONTCACHE, Linux 6.14; older headers lack it.
constexpr long kCachestatNumber = 451;  // Linux 6.5; the same on x64 and arm64.
constexpr uint64_t kBounceBytes = 64 << 10;
// From here on O_DIRECT costs less processor time than any way through the page cache: measured a
// sixth at 1 MiB, a half at 128 KiB, the same at 16 KiB, more below (bench:cold).
constexpr uint64_t kDirectBytesMin = 32 << 10;

// What is known of a filesystem. Reset to less, never to more.
struct Filesystem {
  bool knowsDontCache = true;
  bool knowsDirect = true;
  bool isMemory = false;   // tmpfs: the page cache is the file.
  bool isStacked = false;  // overlayfs: its own page cache is empty, the lower file's is not.
};

std::mutex filesystemsMutex;
std::unordered_map<uint64_t, Filesystem>& filesystems() {
  // Why never destroyed: helper threads may outlive static destructors.
  static auto* all = new std::unordered_map<uint64_t, Filesystem>;
  return *all;
}

Filesystem filesystemOf(int fd, uint64_t dev) {
  {
    const std::lock_guard<std::mutex> lock(filesystemsMutex);
    const auto known = filesystems().find(dev);
    if (known != filesystems().end()) return known->second;
  }
  Filesystem filesystem;
  struct statfs answer;
  if (::fstatfs(fd, &answer) == 0) {
    const auto type = static_cast<uint32_t>(answer.f_type);
    filesystem.isMemory = type == TMPFS_MAGIC || type == RAMFS_MAGIC;
    filesystem.isStacked = type == OVERLAYFS_SUPER_MAGIC;
  }
  const std::lock_guard<std::mutex> lock(filesystemsMutex);
  // Why bounded: device numbers of filesystems that come and go are many.
  if (filesystems().size() >= 1024) filesystems().clear();
  return filesystems().emplace(dev, filesystem).first->second;
}

void forget(uint64_t dev, bool Filesystem::*ability) {
  const std::lock_guard<std::mutex> lock(filesystemsMutex);
  filesystems()[dev].*ability = false;
}

struct Range {
  uint64_t from = 0;
  uint64_t to = 0;
};

Range pagesOf(uint64_t offset, uint64_t length) {
  return {offset / kPageBytes * kPageBytes,
          (offset + length + kPageBytes - 1) / kPageBytes * kPageBytes};
}

// Pages of the range in the page cache, by cachestat(2); an error where it is not to be had.
Result<uint64_t> countResident(int fd, Range pages) {
  const struct {
    uint64_t offset;
    uint64_t length;
  } range = {pages.from, pages.to - pages.from};
  struct {
    uint64_t cached, dirty, writeback, evicted, recentlyEvicted;
  } answer = {};
  if (::syscall(kCachestatNumber, fd, &range, &answer, 0) != 0) {
    return Status::system("cachestat", errno);
  }
  return answer.cached;
}

// One byte per page, its low bit set when the page is resident. The kernel calls every page
// resident for those who may not write the file: then nothing counts as ours to drop.
Result<std::vector<unsigned char>> residentMap(int fd, Range pages) {
  const uint64_t bytes = pages.to - pages.from;
  void* const mapping =
      ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(pages.from));
  if (mapping == MAP_FAILED) return Status::system("mmap", errno);
  std::vector<unsigned char> map(bytes / kPageBytes);
  const int failed = ::mincore(mapping, bytes, map.data());
  const int error = errno;
  ::munmap(mapping, bytes);
  if (failed != 0) return Status::system("mincore", error);
  return map;
}

// The runs of pages that are absent now. Unknown counts as present.
std::vector<Range> absentRanges(int fd, Range pages) {
  std::vector<Range> absent;
  auto map = residentMap(fd, pages);
  if (!map.isOk()) return absent;
  for (size_t page = 0; page < map.value().size(); ++page) {
    if (map.value()[page] & 1) continue;
    const uint64_t from = pages.from + page * kPageBytes;
    if (!absent.empty() && absent.back().to == from) {
      absent.back().to += kPageBytes;
    } else {
      absent.push_back({from, from + kPageBytes});
    }
  }
  return absent;
}

// preadv2 until `length` bytes are there or the file ends.
Result<uint64_t> readAll(int fd, uint64_t offset, uint8_t* to, uint64_t length, int flags) {
  uint64_t done = 0;
  while (done < length) {
    const iovec vector = {to + done, length - done};
    const auto at = static_cast<off_t>(offset + done);
    const ssize_t bytes = uninterrupted([&] { return ::preadv2(fd, &vector, 1, at, flags); });
    if (bytes < 0) return Status::system("preadv2", errno);
    if (bytes == 0) break;
    done += static_cast<uint64_t>(bytes);
  }
  return done;
}

struct Alignment {
  uint64_t offset = kPageBytes;
  uint64_t memory = kPageBytes;
};

// False: the kernel says that this file cannot be read directly.
bool directAlignment(int fd, Alignment& alignment) {
#ifdef STATX_DIOALIGN
  struct statx answer;
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &answer) == 0 &&
      (answer.stx_mask & STATX_DIOALIGN) != 0) {
    if (answer.stx_dio_offset_align == 0) return false;
    alignment.offset = answer.stx_dio_offset_align;
    alignment.memory = answer.stx_dio_mem_align > 0 ? answer.stx_dio_mem_align : kPageBytes;
  }
#else
  (void)fd;
#endif
  // Before Linux 6.1 nobody tells: a page suits every device.
  (void)alignment;
  return alignment.offset <= kBounceBytes && kPageBytes % alignment.memory == 0;
}

struct FreeMemory {
  void operator()(uint8_t* memory) const { std::free(memory); }
};

// `direct` was opened with O_DIRECT. Whole blocks go where they belong; the rest, and everything
// when `to` is not aligned, through a bounce.
Result<uint64_t> readDirect(int direct, uint64_t offset, uint8_t* to, uint64_t length,
                            Alignment alignment) {
  std::unique_ptr<uint8_t, FreeMemory> bounce;
  uint64_t done = 0;
  while (done < length) {
    const uint64_t at = offset + done;
    const uint64_t skip = at % alignment.offset;
    const uint64_t whole = (length - done) / alignment.offset * alignment.offset;
    const bool isAligned = reinterpret_cast<uintptr_t>(to + done) % alignment.memory == 0;
    if (skip == 0 && whole > 0 && isAligned) {
      auto bytes = readAll(direct, at, to + done, whole, 0);
      if (!bytes.isOk()) return bytes.status();
      done += bytes.value();
      if (bytes.value() < whole) break;
      continue;
    }
    if (!bounce) {
      bounce.reset(static_cast<uint8_t*>(std::aligned_alloc(kPageBytes, kBounceBytes)));
      if (!bounce) return Status(Code::NoMemory, "bounce buffer", kBounceBytes);
    }
    uint64_t wanted = skip + (length - done);
    if (wanted > kBounceBytes) wanted = kBounceBytes;
    wanted = (wanted + alignment.offset - 1) / alignment.offset * alignment.offset;
    auto bytes = readAll(direct, at - skip, bounce.get(), wanted, 0);
    if (!bytes.isOk()) return bytes.status();
    if (bytes.value() <= skip) break;
    uint64_t useful = bytes.value() - skip;
    if (useful > length - done) useful = length - done;
    // Copy: DirectTail. O_DIRECT moves whole blocks only.
    copyBytes(to + done, bounce.get() + skip, useful, CopyReason::DirectTail);
    done += useful;
    if (bytes.value() < wanted) break;
  }
  return done;
}

// Reads through the page cache and takes out again exactly what was not in it before.
Result<uint64_t> readBuffered(int fd, uint64_t offset, uint8_t* to, uint64_t length,
                              const Filesystem& filesystem, std::optional<uint64_t> residentPages) {
  const Range pages = pagesOf(offset, length);
  std::vector<Range> absent;
  if (filesystem.isMemory) {
    // Nothing to drop.
  } else if (residentPages == uint64_t{0}) {
    absent.push_back(pages);
  } else if (residentPages != (pages.to - pages.from) / kPageBytes) {
    absent = absentRanges(fd, pages);
  }
  auto done = readAll(fd, offset, to, length, 0);
  for (const Range& range : absent) {
    (void)::posix_fadvise(fd, static_cast<off_t>(range.from),
                          static_cast<off_t>(range.to - range.from), POSIX_FADV_DONTNEED);
  }
  return done;
}

}  // namespace

namespace {

struct Request {
  int fd;
  uint64_t dev;
  uint64_t offset;
  uint8_t* to;
  uint64_t length;
};

// The ways. None: not to be had here, try the next.
using Way = std::optional<Result<uint64_t>>;

Way tryDontCache(const Request& request) {
  auto bytes = readAll(request.fd, request.offset, request.to, request.length, kReadDontCache);
  if (bytes.isOk() || bytes.status().systemErrno() != EOPNOTSUPP) return bytes;
  forget(request.dev, &Filesystem::knowsDontCache);
  return std::nullopt;
}

enum class Edges : uint8_t { Allowed, TailOnly };

Way tryDirect(const Request& request, Edges edges) {
  Alignment alignment;
  if (!directAlignment(request.fd, alignment)) return std::nullopt;
  const bool isAligned = request.offset % alignment.offset == 0 &&
                         reinterpret_cast<uintptr_t>(request.to) % alignment.memory == 0;
  if (edges == Edges::TailOnly && !isAligned) return std::nullopt;
  auto direct = reopenForRead(request.fd, Reopen::Direct);
  Status failed = direct.status();
  if (direct.isOk()) {
    auto bytes =
        readDirect(direct.value().get(), request.offset, request.to, request.length, alignment);
    if (bytes.isOk() || bytes.status().systemErrno() != EINVAL) return bytes;
    failed = bytes.status();
  }
  // Why only EINVAL: a refused open is the file's affair, not the filesystem's.
  if (failed.systemErrno() == EINVAL) forget(request.dev, &Filesystem::knowsDirect);
  return std::nullopt;
}

}  // namespace

Result<ColdRead> readCold(int fd, uint64_t dev, uint64_t offset, uint8_t* to, uint64_t length,
                          const ColdOptions& options) {
  if (length == 0) return ColdRead{};
  const Request request = {fd, dev, offset, to, length};
  const Filesystem filesystem = filesystemOf(fd, dev);
  const Range pages = pagesOf(offset, length);
  std::optional<uint64_t> resident;
  if (!filesystem.isStacked) {
    auto counted = countResident(fd, pages);
    if (counted.isOk()) resident = counted.value();
  }
  const bool isAllResident = resident == (pages.to - pages.from) / kPageBytes;
  const uint64_t residentBytes = resident.value_or(0) * kPageBytes;
  const auto answer = [&](const Way& bytes, ColdWay way) -> Result<ColdRead> {
    if (!bytes->isOk()) return bytes->status();
    return ColdRead{bytes->value(), way, residentBytes < length ? residentBytes : length};
  };

  const bool canDirect = filesystem.knowsDirect && !filesystem.isMemory && !options.noDirect;
  const bool canDontCache =
      filesystem.knowsDontCache && !filesystem.isMemory && !options.noDontCache;
  if (canDirect && length >= kDirectBytesMin && resident.value_or(0) == 0) {
    if (auto bytes = tryDirect(request, Edges::TailOnly)) return answer(bytes, ColdWay::Direct);
  }
  if (canDontCache) {
    if (auto bytes = tryDontCache(request)) return answer(bytes, ColdWay::DontCache);
  }
  if (canDirect && !isAllResident) {
    if (auto bytes = tryDirect(request, Edges::Allowed)) return answer(bytes, ColdWay::Direct);
  }
  const Way buffered = readBuffered(fd, offset, to, length, filesystem, resident);
  return answer(buffered, ColdWay::Buffered);
}

Result<uint64_t> residentBytes(int fd, uint64_t offset, uint64_t length) {
  if (length == 0) return uint64_t{0};
  const Range pages = pagesOf(offset, length);
  uint64_t resident = 0;
  auto counted = countResident(fd, pages);
  if (counted.isOk()) {
    resident = counted.value();
  } else {
    auto map = residentMap(fd, pages);
    if (!map.isOk()) return map.status();
    for (const unsigned char page : map.value()) resident += page & 1;
  }
  const uint64_t bytes = resident * kPageBytes;
  return bytes < length ? bytes : length;
}

void disableReadAhead(int fd) { (void)::posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); }

}  // namespace iol::sys
