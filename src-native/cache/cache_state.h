// cache/cache_state.h: the tables behind FileCache. Included by the files of cache/ only.
//
//   paths (LRU) ──> CachedFile ──> FileVersion <── versions, by file-id
//                                      ├─ entries: what is cached, by offset, no overlaps
//                                      └─ fills: what is being read
//
// Ownership   a FileVersion lives while a CachedFile points to it or entries are in it.
// Threads     the domain's.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "cache/file_cache.h"
#include "cache/index.h"
#include "cache/policy.h"
#include "sys/watch.h"

namespace iol {

class FillJob;
constexpr uint32_t kNoIndexPlace = ~0u;

struct CacheEntry : PolicyEntry {
  FileVersion* version = nullptr;
  uint64_t offset = 0;
  Slice slice;  // The cache's own hold.
  uint32_t indexPlace = kNoIndexPlace;
  bool isExported = false;  // Else its name must not be in the index.
  uint64_t end() const { return offset + slice.length; }
};

struct FileKeyHash {
  size_t operator()(const sys::FileFacts& facts) const;
};
struct FileKeyEqual {
  bool operator()(const sys::FileFacts& a, const sys::FileFacts& b) const {
    return a.sameVersion(b);
  }
};
using VersionTable = std::unordered_map<sys::FileFacts, FileVersion*, FileKeyHash, FileKeyEqual>;

struct FileVersion : std::enable_shared_from_this<FileVersion> {
  ~FileVersion();
  sys::FileFacts facts;
  VersionTable* table = nullptr;  // Null once the version is no longer found by its file-id.
  std::vector<CacheEntry*> entries;
  std::vector<FillJob*> fills;
  // The bytes of entries without a gap between them, from `runFrom` on, for hits on more than one.
  // Made when asked for, dropped when entries change or one must go: while it is there its slices
  // look as if somebody else held them.
  std::optional<Aggregate> run;
  uint64_t runFrom = 0;
  // Where such hits were since the last eviction: then their recency is noted.
  uint64_t usedFrom = 0;
  uint64_t usedTo = 0;                // 0: nowhere.
  std::shared_ptr<FileVersion> self;  // Set while entries is not empty.
  uint32_t writes = 0;                // Through the library, planned or on their way.
  uint32_t paths = 0;                 // Remembered paths that lead here.
  bool isStale = false;               // The file changed: nothing more is read or cached for it.
};

struct PathHash {
  using is_transparent = void;
  size_t operator()(std::string_view path) const { return std::hash<std::string_view>{}(path); }
};

struct KnownPath {
  CachedFilePtr file;
  int64_t placedAtMs = 0;  // When it got its place in `recent`.
};

// How many entries lie in the buffer at this window address: as many holds are the cache's own.
using BufferCounts = std::unordered_map<uint64_t, uint32_t>;

// Any hold on the buffer that is not the cache's own.
class OtherHolds final : public ReferenceProbe {
 public:
  OtherHolds(Pool& pool, const BufferCounts& entriesOf) : pool_(pool), entriesOf_(entriesOf) {}
  bool isReferenced(const PolicyEntry& entry) const override;

 private:
  Pool& pool_;
  const BufferCounts& entriesOf_;
};

struct FileCache::State {
  VersionTable versions;

  // Least recently used first, but for uses since an entry got its place: see forgetOldPaths().
  std::list<KnownPath> recent;
  std::unordered_map<std::string, std::list<KnownPath>::iterator, PathHash, std::equal_to<>> paths;

  std::unique_ptr<ReplacementPolicy> policy;
  std::vector<FileVersion*> used;  // Versions with a usedTo, in the order of their first hit.
  BufferCounts entriesOfBuffer;
  std::unique_ptr<IndexWriter> index;

  std::unique_ptr<sys::Watcher> watcher;
  std::unordered_map<int, std::vector<CachedFile*>> watched;
  // While an open is in flight its file is not in `watched` yet: remember which watches had events
  // (-1: maybe all), and remove none.
  uint32_t opensInFlight = 0;
  std::vector<int> recentEvents;
  std::vector<int> watchesToRemove;
  std::unordered_map<std::string, class OpenJob*, PathHash, std::equal_to<>> opens;
  bool isRefreshing = false;
};

uint64_t bufferAddress(const Slice& slice);
std::string makeEtag(const sys::FileFacts& facts);
// The first entry that ends after `offset`.
size_t entryAfter(const FileVersion& version, uint64_t offset);

}  // namespace iol
