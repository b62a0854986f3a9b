#include "sys/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/check.h"
#include "sys/uninterrupted.h"

#ifdef IOL_ONE_MAPPING
#include <map>
#include <mutex>
#endif

namespace iol::sys {
namespace {

// Linux 5.1; older libc headers lack it.
constexpr unsigned kSealFutureWrite = 0x0010;

#ifdef IOL_ONE_MAPPING
// ThreadSanitizer cannot see a race through two mappings of one memfd. In its test build all
// domains of the process therefore share one mapping of each, found by inode.
struct OneMapping {
  uint8_t* address;
  uint32_t users;
};
std::mutex oneMappingMutex;
std::map<ino_t, OneMapping> oneMappings;

Result<uint8_t*> mapOnce(int fd, uint64_t bytes, int protection) {
  std::lock_guard<std::mutex> lock(oneMappingMutex);
  struct stat facts;
  if (::fstat(fd, &facts) != 0) return Status::system("fstat", errno);
  if (auto found = oneMappings.find(facts.st_ino); found != oneMappings.end()) {
    found->second.users++;
    return found->second.address;
  }
  void* address = ::mmap(nullptr, bytes, protection, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) return Status::system("mmap", errno);
  oneMappings[facts.st_ino] = {static_cast<uint8_t*>(address), 1};
  return static_cast<uint8_t*>(address);
}
#endif

Result<uint8_t*> map(int fd, uint64_t bytes, int protection) {
#ifdef IOL_ONE_MAPPING
  return mapOnce(fd, bytes, protection);
#else
  void* address = ::mmap(nullptr, bytes, protection, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) return Status::system("mmap", errno);
  return static_cast<uint8_t*>(address);
#endif
}

}  // namespace

Result<Fd> createMemory(const char* name, uint64_t bytes) {
  Fd memory(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.isOpen()) return Status::system("memfd_create", errno);
  // Without the mode any process that receives the descriptor could re-open it for writing.
  if (::fchmod(memory.get(), 0400) != 0) return Status::system("fchmod", errno);
  if (::ftruncate(memory.get(), static_cast<off_t>(bytes)) != 0) {
    return Status::system("ftruncate", errno);
  }
  if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
    return Status::system("fcntl(F_ADD_SEALS)", errno);
  }
  return memory;
}

Status sealFutureWrites(const Fd& memory) {
  if (::fcntl(memory.get(), F_ADD_SEALS, kSealFutureWrite | F_SEAL_SEAL) != 0) {
    return Status::system("fcntl(F_ADD_SEALS)", errno);
  }
  return {};
}

bool hasSealedWrites(const Fd& memory) {
  const int seals = ::fcntl(memory.get(), F_GET_SEALS);
  return seals >= 0 && (seals & kSealFutureWrite) != 0;
}

Result<Fd> reopenReadOnly(const Fd& memory) {
  char path[32];
  ::snprintf(path, sizeof path, "/proc/self/fd/%d", memory.get());
  Fd readOnly(::open(path, O_RDONLY | O_CLOEXEC));
  if (!readOnly.isOpen()) return Status::system("open(/proc/self/fd)", errno);
  return readOnly;
}

Result<uint8_t*> mapWritable(const Fd& memory, uint64_t bytes) {
  Result<uint8_t*> mapped = map(memory.get(), bytes, PROT_READ | PROT_WRITE);
  if (!mapped.isOk()) return mapped;
  // A forked child would be a second writer that no seal can stop (I1).
  if (::madvise(mapped.value(), bytes, MADV_DONTFORK) != 0) {
    const int error = errno;
    unmap(mapped.value(), bytes);
    return Status::system("madvise(MADV_DONTFORK)", error);
  }
  return mapped;
}

Result<uint8_t*> mapReadOnly(const Fd& readOnly, uint64_t bytes) {
  return map(readOnly.get(), bytes, PROT_READ);
}

void unmap(uint8_t* address, uint64_t bytes) {
  if (address == nullptr) return;
#ifdef IOL_ONE_MAPPING
  std::lock_guard<std::mutex> lock(oneMappingMutex);
  for (auto entry = oneMappings.begin(); entry != oneMappings.end(); ++entry) {
    if (entry->second.address != address) continue;
    if (--entry->second.users > 0) return;
    oneMappings.erase(entry);
    break;
  }
#endif
  ::munmap(address, bytes);
}

void replaceByZeros(uint8_t* address, uint64_t bytes) {
  void* const mapped = ::mmap(address, bytes, PROT_READ,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  IOL_CHECK(mapped == address);
}

Status commit(const Fd& memory, uint64_t offset, uint64_t bytes) {
  const auto from = static_cast<off_t>(offset);
  const auto length = static_cast<off_t>(bytes);
  const auto take = [&] { return ::fallocate(memory.get(), 0, from, length); };
  return uninterrupted(take) != 0 ? Status::system("fallocate", errno) : Status();
}

Status punchHole(const Fd& memory, uint64_t offset, uint64_t bytes) {
  constexpr int kMode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  const auto from = static_cast<off_t>(offset);
  const auto length = static_cast<off_t>(bytes);
  const auto give = [&] { return ::fallocate(memory.get(), kMode, from, length); };
  return uninterrupted(give) != 0 ? Status::system("fallocate(PUNCH_HOLE)", errno) : Status();
}

bool isHole(const Fd& memory, uint64_t offset, uint64_t bytes) {
  const off_t data = ::lseek(memory.get(), static_cast<off_t>(offset), SEEK_DATA);
  return data < 0 ? errno == ENXIO : static_cast<uint64_t>(data) >= offset + bytes;
}

Result<uint64_t> allocatedBytes(const Fd& memory) {
  struct stat facts;
  if (::fstat(memory.get(), &facts) != 0) return Status::system("fstat", errno);
  return static_cast<uint64_t>(facts.st_blocks) * 512;
}

Status checkForeignMemory(const Fd& memory, uint64_t bytes) {
  struct statfs fs;
  struct stat facts;
  if (::fstatfs(memory.get(), &fs) != 0) return Status::system("fstatfs", errno);
  if (::fstat(memory.get(), &facts) != 0) return Status::system("fstat", errno);
  const int seals = ::fcntl(memory.get(), F_GET_SEALS);
  constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW;
  if (fs.f_type != TMPFS_MAGIC || !S_ISREG(facts.st_mode) || seals < 0 ||
      (seals & kSizeSeals) != kSizeSeals) {
    return Status(Code::BadDescriptor, "descriptor (not a memfd with its size sealed)");
  }
  if ((facts.st_mode & 0222) != 0) {
    return Status(Code::BadDescriptor, "descriptor (a memfd that can be opened for writing)");
  }
  if (static_cast<uint64_t>(facts.st_size) != bytes) {
    return Status(Code::BadDescriptor, "memfd size", static_cast<uint64_t>(facts.st_size), bytes);
  }
  return {};
}

}  // namespace iol::sys
