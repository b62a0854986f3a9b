// io/iol.h: the two verbs, iolRead and iolWrite, on any descriptor, by reference.
//
//   pipe, socket, terminal   tryRead: one read(2) straight into a draft of the pool
//                            tryWrite: one gathering write straight out of the buffers
//   datagrams, seqpacket     one message a call, whole or not at all
//   regular file             a disk job; through the file cache when one is given
//   /proc, /sys, block dev.  a disk job of one plain read, never through the cache
//
// Ownership   results own their holds; descriptors are borrowed for the call, duplicated for jobs.
// Threads     the domain's. Only disk jobs wait.
// Failure     WouldBlock (nothing can move now), System (EPIPE, ...), FileChanged, pool errors.
// Cost        one system call and, for reads, one allocation in the pool.
// May include base/ sys/ window/ pool/ aggregate/ cache/
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "aggregate/aggregate.h"
#include "base/status.h"
#include "cache/disk_job.h"
#include "cache/file_cache.h"
#include "pool/pool.h"
#include "sys/file.h"

namespace iol {

constexpr uint32_t kReadBytesMax = 64 << 10;  // Of one tryRead, unless the caller says otherwise.

// A descriptor, looked at once. Make it anew when the descriptor's flags may have changed.
struct Endpoint {
  int fd = -1;
  sys::FdModes modes;
  bool isRegular() const { return modes.kind == sys::FdKind::Regular; }
  // Moving bytes may wait for the disk, which no poll tells of: it is a job's work.
  bool needsJob() const { return isRegular() || modes.kind == sys::FdKind::BlockDevice; }
};
Result<Endpoint> inspect(int fd);

// A read for which the pool has no room is short; only when nothing fits it fails. Messages are
// read whole or not at all.

// Up to `size` bytes that are there now; of a message all, or TooLarge, and it stays. An empty
// aggregate is the end, or, when `isEmptyMessage` says so, a message of no bytes. What needsJob()
// answers WouldBlock: use readFile. Directories are System EISDIR.
Result<Aggregate> tryRead(Pool& pool, const Endpoint& source, uint64_t size,
                          uint32_t bytesMax = kReadBytesMax, bool* isEmptyMessage = nullptr);

// Writes from byte `from` of the aggregate what fits now; returns the bytes written, at least 1
// unless nothing was left to write. On a MessageSocket all of it is one message, also when it is
// empty; TooManySlices when the kernel takes no message of so many parts. What needsJob() answers
// WouldBlock: use writeFile.
Result<uint64_t> tryWrite(const Endpoint& sink, const Aggregate& bytes, uint64_t from);

using ReadDone = std::function<void(Result<Aggregate>)>;
using WriteDone = std::function<void(Result<uint64_t>)>;

struct FileReadOptions {
  uint64_t size = 0;
  std::optional<uint64_t> position;  // None: at the descriptor's own, which then advances.
  FileCache* cache = nullptr;        // Extents come from here and stay here.
  // Asked before the own position moves, at the end of the job. Null: it does.
  std::function<bool()> isWanted;
  // What is cached in another pool is copied into this one (CopyReason::Pool), each time anew; what
  // is not cached is read into it and stays uncached. Null: whatever pool the cache has.
  Pool* into = nullptr;
};
// Reads a regular file; all bytes are from one moment of it. It is read again a few times when it
// changes meanwhile, then FileChanged. An empty aggregate is the end.
// Synthetic files (sys::isSynthetic) have no version: one plain read, never through the cache, of
// up to kReadBytesMax. Block devices likewise.
void readFile(Pool& pool, DiskQueue& queue, const Endpoint& source, const FileReadOptions& options,
              ReadDone done);
// What of it is cached, at once: two system calls less than a look at the disk. WouldBlock when
// not all of it is, or the file ends before it begins.
Result<Aggregate> readCached(const Endpoint& source, const FileReadOptions& options);

struct FileWriteOptions {
  std::optional<uint64_t> position;  // None: at the descriptor's own, or the end when it appends.
  FileCache* cache = nullptr;        // The slices take the place of what is cached there.
  sys::Sync sync = sys::Sync::None;
};
// Writes all of [from, end) of the aggregate to a regular file; `bytes` is cloned. Reads through
// the library, in any environment of the process, see all of it or nothing. A failure says how
// many bytes were written before (Status::value), and drops what is cached of the file.
void writeFile(DiskQueue& queue, const Endpoint& sink, const Aggregate& bytes, uint64_t from,
               const FileWriteOptions& options, WriteDone done);

// The synchronous forms: they wait for the disk on the calling thread. With a cache, what is
// cached comes from it and what is read goes into it.
Result<Aggregate> readFileSync(Pool& pool, const Endpoint& source, const FileReadOptions& options);
Result<uint64_t> writeFileSync(const Endpoint& sink, const Aggregate& bytes, uint64_t from,
                               const FileWriteOptions& options);

// For the synchronous verbs on everything else: waits until the descriptor can move bytes, has
// ended or failed. `timeoutMs` < 0: without bound. TimedOut.
enum class Direction : uint8_t { Read, Write };
Status waitUntilReady(const Endpoint& endpoint, Direction direction, int timeoutMs);

}  // namespace iol
