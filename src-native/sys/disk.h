// sys/disk.h: reading a file into memory without leaving a second copy in the page cache (I7).
//
//   file   |edge|========== aligned middle ==========|edge|
//   ways   Direct      large cold ranges: the middle by O_DIRECT, the tail through a bounce
//                      (copied, counted); the least processor time from 32 KiB on
//          DontCache   small or partly warm ranges: RWF_DONTCACHE (Linux 6.14), which drops the
//                      pages it brought in
//          Direct      where there is no RWF_DONTCACHE, at any size, both edges through a bounce
//          Buffered    an ordinary read; then only ranges that were shown absent before are dropped
//
// What others keep in the page cache is theirs: it stays, and is reported. Which way works is
// found out by trying, per filesystem, and remembered.
//
// Ownership   borrows the descriptor.
// Threads     any.
// Failure     System. A short count means the end of the file came early.
// Cost        DontCache: two system calls. Direct: five. Buffered: up to six.
// May include base/
#pragma once

#include <cstdint>

#include "base/status.h"
#include "sys/file.h"

namespace iol::sys {

enum class ColdWay : uint8_t { DontCache, Direct, Buffered };

struct ColdOptions {
  bool noDontCache = false;  // For tests: as on a kernel or filesystem without it.
  bool noDirect = false;
};

struct ColdRead {
  uint64_t bytes = 0;
  ColdWay way = ColdWay::Buffered;
  uint64_t alsoInPageCacheBytes = 0;  // Resident before we came, so resident still.
};

// Reads [offset, offset + length) of a regular file into `to`; waits for the disk.
// `dev` is FileFacts::dev: under it is remembered which way the filesystem knows.
Result<ColdRead> readCold(int fd, uint64_t dev, uint64_t offset, uint8_t* to, uint64_t length,
                          const ColdOptions& options = {});

// Bytes of the range that lie in pages of the page cache. cachestat(2), else mincore(2), which
// tells only those who may write the file. For tests and statistics.
Result<uint64_t> residentBytes(int fd, uint64_t offset, uint64_t length);

// Say this of a descriptor that readCold is to use and that nobody else reads through, when less
// than the whole file may be asked for at a time: what read-ahead brings in beyond the range is
// dropped by nobody.
void disableReadAhead(int fd);

}  // namespace iol::sys
