// sys/small_pages.h: pages of shared memory that nobody can merge into huge ones.
//
//   a hole in small pages        a socket that reads them keeps them, new pages fill the range
//   in a part of a huge one      (2 MiB) that is being read: it is zeroed and kept, for both
//
// So only small pages may be sent by reference (I4). Where shmem_enabled is `never` all are small,
// but whoever may map a memfd, if only for reading, may have its pages merged (MADV_COLLAPSE). No
// page of 2 MiB can be as long as one of them is in a pipe, or on its way through a socket.
//
// Ownership   the descriptor keeps one page for every 2 MiB of the range; closing it lets them go.
// Threads     any.
// Failure     BadDescriptor: the pages are huge, or nobody can tell. System with the call's name.
// Cost        some 30 system calls and a descriptor, 15 to 50 us.
// May include base/
#pragma once

#include <cstdint>

#include "base/status.h"
#include "sys/fd.h"

namespace iol::sys {

constexpr uint64_t kHugePageBytes = 2 << 20;

// Where the administrator wants it so (shmem_enabled), or lets readers ask for it, one page is not
// to be had without its neighbours. Also when that cannot be found out.
bool areNewPagesLarge();

// At most 16 MiB, since a pipe has 16 places, and written: of a page that is only allocated the
// kernel hands out another, of zeros, and the pages are merged by the very question.
Result<Fd> keepPagesSmall(const Fd& memory, uint64_t offset, uint64_t bytes);

}  // namespace iol::sys
