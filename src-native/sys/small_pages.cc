#include "sys/small_pages.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sys/memory.h"
#include "sys/uninterrupted.h"

namespace iol::sys {
namespace {

constexpr int kCollapse = 25;  // MADV_COLLAPSE, Linux 6.1; older libc headers lack it.

// A mapping for reading at a multiple of a huge page's size: only there can one be asked for.
class AlignedMapping {
 public:
  AlignedMapping(const Fd& memory, uint64_t offset, uint64_t bytes) {
    room_ = ::mmap(nullptr, kRoom, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room_ == MAP_FAILED) return;
    const auto start = reinterpret_cast<uintptr_t>(room_);
    void* const place = static_cast<uint8_t*>(room_) + (kHugePageBytes - start % kHugePageBytes);
    address_ = ::mmap(place, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, memory.get(),
                      static_cast<off_t>(offset));
  }
  ~AlignedMapping() {
    if (room_ != MAP_FAILED) ::munmap(room_, kRoom);
  }
  AlignedMapping(const AlignedMapping&) = delete;
  AlignedMapping& operator=(const AlignedMapping&) = delete;

  bool isOpen() const { return address_ != MAP_FAILED; }
  void* address() const { return address_; }

 private:
  static constexpr uint64_t kRoom = 2 * kHugePageBytes;
  void* room_ = MAP_FAILED;
  void* address_ = MAP_FAILED;
};

// Asks for a huge page where a pipe keeps a small one: refused, unless it is huge already.
Status checkIsSmall(const Fd& memory, uint64_t hugePage) {
  const AlignedMapping mapping(memory, hugePage * kHugePageBytes, kHugePageBytes);
  if (!mapping.isOpen()) return Status::system("mmap", errno);
  if (::madvise(mapping.address(), kHugePageBytes, kCollapse) == 0) {
    return Status(Code::BadDescriptor, "pages (huge)");
  }
  const int refused = errno;
  if (refused == EAGAIN) return {};
  // EINVAL: the kernel merges for nobody. Or it does not for us alone, and nothing was learnt.
  if (refused == EINVAL && ::prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0) return {};
  return Status::system("madvise(MADV_COLLAPSE)", refused);
}

// Touches a page that is not there, as a reader may who has advised large ones.
bool touchAdvised(const Fd& memory) {
  // Less than a huge page: those are found out where they are.
  constexpr uint64_t kBytes = kHugePageBytes / 2;
  const AlignedMapping mapping(memory, 0, kBytes);
  if (!mapping.isOpen()) return false;
  (void)::madvise(mapping.address(), kBytes, MADV_HUGEPAGE);
  return *static_cast<const volatile uint8_t*>(mapping.address()) == 0;
}

bool hasOnePage(const Fd& memory) {
  const Result<uint64_t> bytes = allocatedBytes(memory);
  return bytes.isOk() && bytes.value() <= kPageBytes;
}

}  // namespace

bool areNewPagesLarge() {
  const Result<Fd> taken = createMemory("io-lite-probe", kHugePageBytes);
  const Result<Fd> read = createMemory("io-lite-probe", kHugePageBytes);
  if (!taken.isOk() || !read.isOk()) return true;
  if (!commit(taken.value(), 0, kPageBytes).isOk() || !hasOnePage(taken.value())) return true;
  return !touchAdvised(read.value()) || !hasOnePage(read.value());
}

Result<Fd> keepPagesSmall(const Fd& memory, uint64_t offset, uint64_t bytes) {
  if (areNewPagesLarge()) return Status(Code::BadDescriptor, "pages (shmem_enabled)");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return Status::system("pipe2", errno);
  Fd keeping(ends[0]);
  const Fd writing(ends[1]);
  // All pipes of a user share a budget of 16,384 places, and a new one would take 16 of them.
  const uint64_t places = (offset + bytes - 1) / kHugePageBytes - offset / kHugePageBytes + 1;
  (void)::fcntl(writing.get(), F_SETPIPE_SZ, static_cast<int>(places * kPageBytes));
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
