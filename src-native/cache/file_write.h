// cache/file_write.h: what a write through the library does to what is cached of the file.
//
//   before   version V:  [extent A][   extent B   ][extent C]
//   write                       [ the aggregate  ]
//   after    version V': [ A ][x]                [y][   C   ]     x, y: what is left of B
//                               `- its own slices, by reference
//
// Of another domain's pools nothing is cached: its owner could change what the file does not have,
// and its memory would stay mapped here when it dies (I3). So FileWriteJob writes and caches a copy
// of such bytes; where there is no room for one, they are written from where they are, and read
// again when they are asked for.
//
// From its making to its finish() nothing that is read meanwhile is cached for the version, for
// it may be from before the write or after it.
//
// Ownership   keeps the cache and the version alive; takes holds of its own on what it caches.
// Threads     the cache's.
// Failure     none: what cannot be known to equal the file is dropped. So is everything when it is
//             destroyed unfinished.
// Cost        O(extents of the file), without a system call.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <memory>

#include "cache/file_cache.h"

namespace iol {

class FileWrite {
 public:
  // What the write saw; `isCertain` when nobody else changed the file meanwhile, as far as its
  // size and the place where the bytes landed tell.
  struct Change {
    sys::FileFacts before;
    sys::FileFacts after;
    uint64_t offset = 0;
    bool isCertain = false;
  };

  FileWrite(std::shared_ptr<FileCache> cache, const sys::FileFacts& facts);
  ~FileWrite();
  FileWrite(const FileWrite&) = delete;
  FileWrite& operator=(const FileWrite&) = delete;

  // `bytes` are at change.offset now.
  void finish(const Change& change, const Aggregate& bytes);

 private:
  void end();

  const std::shared_ptr<FileCache> cache_;
  const std::shared_ptr<FileVersion> planned_;
  bool isEnded_ = false;
};

}  // namespace iol
