// sys/memory.h: shared memory as the kernel gives it: memfds, seals, mappings, holes.
//
//   memfd (mode 0400, SHRINK|GROW sealed [, FUTURE_WRITE sealed])
//     mapWritable   the owner's one writable mapping, MADV_DONTFORK
//     mapReadOnly   every other mapping, of a descriptor re-opened O_RDONLY
//
// Ownership   createMemory returns the only descriptor that can write; hand out reopenReadOnly's.
// Threads     any.
// Failure     System with the call's name and errno.
// Cost        stated per call; none is made in steady state.
// May include base/
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "sys/fd.h"

namespace iol::sys {

constexpr size_t kPageBytes = 4096;

// A memfd of `bytes` that can neither shrink nor grow and that only we can open for writing.
Result<Fd> createMemory(const char* name, uint64_t bytes);
// Refuses every later writable mapping or write, also ours. Map writable first.
Status sealFutureWrites(const Fd& memory);
// That was done, here or by whoever it is from: then not even its owner can punch holes into it.
bool hasSealedWrites(const Fd& memory);
Result<Fd> reopenReadOnly(const Fd& memory);

// Shared, read-write, not inherited by a forked child.
Result<uint8_t*> mapWritable(const Fd& memory, uint64_t bytes);
Result<uint8_t*> mapReadOnly(const Fd& readOnly, uint64_t bytes);
void unmap(uint8_t* address, uint64_t bytes);

// For a read-only mapping that somebody may still look at: zeros from now on, for good, which
// take no memory. Ends the process when even that fails: what is there would be given to others.
void replaceByZeros(uint8_t* address, uint64_t bytes);

// Allocates the pages of [offset, offset + bytes) so that touching them can fail no more.
// About 0.4 ms a MiB.
Status commit(const Fd& memory, uint64_t offset, uint64_t bytes);
// Gives the pages of [offset, offset + bytes) back; they read as zeros. 80-100 us per 64 KiB.
Status punchHole(const Fd& memory, uint64_t offset, uint64_t bytes);
// No page of it is there. After punchHole it is not so where a huge page could not be divided.
bool isHole(const Fd& memory, uint64_t offset, uint64_t bytes);
// Bytes of the memfd that are allocated now.
Result<uint64_t> allocatedBytes(const Fd& memory);

// A descriptor from a peer is usable memory only if it is a tmpfs file of exactly `bytes`,
// of a sealed size, that nobody can open for writing. Anything else could fault or hang (I3).
Status checkForeignMemory(const Fd& memory, uint64_t bytes);

}  // namespace iol::sys
