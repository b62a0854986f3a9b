#include "sys/small_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>

#include "sys/memory.h"
#include "sys/uninterrupted.h"

namespace iol::sys {
namespace {

constexpr int kCollapse = 25;  // MADV_COLLAPSE, Linux 6.1; older libc headers lack it.

// Asks for a huge page where a pipe keeps a small one: refused, unless it is huge already.
Status checkIsSmall(const Fd& memory, uint64_t hugePage) {
  // Twice the room, since only a huge page at a multiple of its size can be asked for.
  constexpr uint64_t kRoom = 2 * kHugePageBytes;
  void* const room = ::mmap(nullptr, kRoom, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return Status::system("mmap", errno);
  const auto start = reinterpret_cast<uintptr_t>(room);
  void* const place = static_cast<uint8_t*>(room) + (kHugePageBytes - start % kHugePageBytes);
  void* const mapped = ::mmap(place, kHugePageBytes, PROT_READ, MAP_SHARED | MAP_FIXED,
                              memory.get(), static_cast<off_t>(hugePage * kHugePageBytes));
  const int failed = mapped == MAP_FAILED ? errno : 0;
  const int merged = failed == 0 ? ::madvise(place, kHugePageBytes, kCollapse) : 0;
  const int refused = errno;
  ::munmap(room, kRoom);
  if (failed != 0) return Status::system("mmap", failed);
  if (merged == 0) return Status(Code::BadDescriptor, "pages (huge)");
  if (refused == EAGAIN) return {};
  // EINVAL: the kernel merges for nobody. Or it does not for us alone, and nothing was learnt.
  if (refused == EINVAL && ::prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0) return {};
  return Status::system("madvise(MADV_COLLAPSE)", refused);
}

}  // namespace

bool areNewPagesLarge() {
  const Result<Fd> memory = createMemory("io-lite-probe", kHugePageBytes);
  if (!memory.isOk() || !commit(memory.value(), 0, kPageBytes).isOk()) return true;
  const Result<uint64_t> bytes = allocatedBytes(memory.value());
  return !bytes.isOk() || bytes.value() > kPageBytes;
}

Result<Fd> keepPagesSmall(const Fd& memory, uint64_t offset, uint64_t bytes) {
  if (areNewPagesLarge()) return Status(Code::BadDescriptor, "pages (shmem_enabled)");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return Status::system("pipe2", errno);
  Fd keeping(ends[0]);
  const Fd writing(ends[1]);
  for (uint64_t at = offset; at < offset + bytes; at = (at / kHugePageBytes + 1) * kHugePageBytes) {
    auto from = static_cast<off64_t>(at);
    const auto keep = [&] {
      return ::splice(memory.get(), &from, writing.get(), nullptr, 1, SPLICE_F_NONBLOCK);
    };
    if (uninterrupted(keep) != 1) return Status::system("splice", errno);
    IOL_TRY(checkIsSmall(memory, at / kHugePageBytes));
  }
  return keeping;
}

}  // namespace iol::sys
