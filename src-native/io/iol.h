// io/iol.h: the two verbs, iolRead and iolWrite, on any descriptor, by reference.
//
//   pipe, socket, terminal   tryRead: one read(2) straight into a draft of the pool
//                            tryWrite: one gathering write straight out of the buffers
//   regular file             a disk job; through the file cache when one is given
//   /proc, /sys              a disk job of one plain read, never through the cache
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
};
Result<Endpoint> inspect(int fd);

// Up to `size` bytes that are there now; an empty aggregate is the end. Regular files answer
// WouldBlock: use readFile. Directories are System EISDIR.
Result<Aggregate> tryRead(Pool& pool, const Endpoint& source, uint64_t size,
                          uint32_t bytesMax = kReadBytesMax);

// Writes from byte `from` of the aggregate what fits now; returns the bytes written, at least 1
// unless nothing was left to write. Regular files answer WouldBlock: use writeFile.
Result<uint64_t> tryWrite(const Endpoint& sink, const Aggregate& bytes, uint64_t from);

using ReadDone = std::function<void(Result<Aggregate>)>;
using WriteDone = std::function<void(Result<uint64_t>)>;

struct FileReadOptions {
  uint64_t size = 0;
  std::optional<uint64_t> position;  // None: at the descriptor's own, which then advances.
  FileCache* cache = nullptr;        // Extents come from here and stay here.
};
// Reads a regular file. Without a cache: all bytes from one version of the file; it is read again
// a few times when it changes meanwhile, then FileChanged. An empty aggregate is the end.
// Synthetic files (sys::isSynthetic) have no version: one plain read, never through the cache, of
// up to kReadBytesMax.
void readFile(Pool& pool, DiskQueue& queue, const Endpoint& source, const FileReadOptions& options,
              ReadDone done);
// Writes all of [from, end) of the aggregate to a regular file; `bytes` is cloned.
void writeFile(DiskQueue& queue, const Endpoint& sink, const Aggregate& bytes, uint64_t from,
               std::optional<uint64_t> position, WriteDone done);

// The synchronous forms: they wait for the disk on the calling thread. With a cache, what is
// cached comes from it and what is read goes into it.
Result<Aggregate> readFileSync(Pool& pool, const Endpoint& source, const FileReadOptions& options);
Result<uint64_t> writeFileSync(const Endpoint& sink, const Aggregate& bytes, uint64_t from,
                               std::optional<uint64_t> position);

// For the synchronous verbs on everything else: waits until the descriptor can move bytes, has
// ended or failed. `timeoutMs` < 0: without bound. TimedOut.
enum class Direction : uint8_t { Read, Write };
Status waitUntilReady(const Endpoint& endpoint, Direction direction, int timeoutMs);

}  // namespace iol
