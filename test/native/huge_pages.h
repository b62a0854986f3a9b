// test/native/huge_pages.h: what anybody may do to shared memory that he can read.
#pragma once

#include <errno.h>
#include <sys/mman.h>

#include "sys/fd.h"
#include "sys/small_pages.h"

namespace iol::test {

// Has 2 MiB of pages merged into a huge one, as a process with a read-only descriptor can. 0 or the
// errno of madvise: EAGAIN when one of them is in use, EINVAL when this kernel merges for nobody.
inline int mergePages(const sys::Fd& readOnly, uint64_t hugePage) {
  constexpr int kCollapse = 25;  // MADV_COLLAPSE
  constexpr uintptr_t kBytes = sys::kHugePageBytes;
  void* const room = ::mmap(nullptr, 2 * kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const auto place = (reinterpret_cast<uintptr_t>(room) + kBytes - 1) / kBytes * kBytes;
  void* const mapped =
      ::mmap(reinterpret_cast<void*>(place), kBytes, PROT_READ, MAP_SHARED | MAP_FIXED,
             readOnly.get(), static_cast<off_t>(hugePage * kBytes));
  const int error = mapped == MAP_FAILED                        ? errno
                    : ::madvise(mapped, kBytes, kCollapse) != 0 ? errno
                                                                : 0;
  ::munmap(room, 2 * kBytes);
  return error;
}

}  // namespace iol::test
