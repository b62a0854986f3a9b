#include "cache/file_write.h"

#include <algorithm>
#include <utility>

#include "aggregate/slice_iterator.h"
#include "cache/cache_state.h"

namespace iol {
FileWrite::FileWrite(std::shared_ptr<FileCache> cache, const sys::FileFacts& facts)
    : cache_(std::move(cache)), planned_(cache_->versionOf(facts)) {
  ++planned_->writes;
}

FileWrite::~FileWrite() {
  if (isEnded_) return;
  end();
  if (!planned_->isStale) cache_->invalidate(*planned_);
}

void FileWrite::end() {
  isEnded_ = true;
  --planned_->writes;
}

void FileWrite::finish(const Change& change, const Aggregate& bytes) {
  end();
  FileCache& cache = *cache_;
  if (cache.isClosed_) return;
  cache.drainWatches();
  const std::shared_ptr<FileVersion> before = cache.findVersion(change.before);
  // What was planned for another version than the one before the write: the file had changed.
  if (planned_ != before && !planned_->isStale) cache.invalidate(*planned_);
  if (!change.isCertain) {
    if (before) cache.invalidate(*before);
    if (const auto after = cache.findVersion(change.after)) cache.invalidate(*after);
    return;
  }
  // Why first: on coarse clocks the version after it may have the same name.
  if (before) cache.retire(*before);
  const std::shared_ptr<FileVersion> after = cache.versionOf(change.after);
  if (before) cache.moveEntries(*before, *after);
  cache.place(*after, change.offset, bytes);
}

// ---- The cache's side --------------------------------------------------------------------------

std::shared_ptr<FileVersion> FileCache::findVersion(const sys::FileFacts& facts) {
  const auto known = state_->versions.find(facts);
  return known == state_->versions.end() ? nullptr : known->second->shared_from_this();
}

std::shared_ptr<FileVersion> FileCache::versionOf(const sys::FileFacts& facts) {
  if (auto known = findVersion(facts)) return known;
  auto version = std::make_shared<FileVersion>();
  version->facts = facts;
  version->table = &state_->versions;
  state_->versions.emplace(facts, version.get());
  return version;
}

// Nobody finds it by its file-id any more, and nothing more is read or cached for it.
void FileCache::retire(FileVersion& version) {
  version.isStale = true;
  if (version.table != nullptr) version.table->erase(version.facts);
  version.table = nullptr;
}

// What was cached of a retired version goes over to its successor. When that has entries of its
// own they were read after the write: then they alone stay.
void FileCache::moveEntries(FileVersion& from, FileVersion& to) {
  const auto keepAlive = from.shared_from_this();
  if (!to.entries.empty()) {
    while (!from.entries.empty()) removeEntry(*from.entries.back());
    return;
  }
  if (from.entries.empty()) return;
  touchUsed(from);
  std::erase(state_->used, &from);
  from.usedTo = 0;
  from.run.reset();
  to.entries = std::exchange(from.entries, {});
  to.self = to.shared_from_this();
  from.self.reset();
  for (CacheEntry* entry : to.entries) {
    entry->version = &to;
    if (entry->indexPlace == kNoIndexPlace) continue;
    state_->index->erase(entry->indexPlace);
    entry->indexPlace = kNoIndexPlace;
    publish(*entry);
  }
}

// The slices take the place of what is cached of [offset, offset + their length).
void FileCache::place(FileVersion& version, uint64_t offset, const Aggregate& bytes) {
  const auto keepAlive = version.shared_from_this();
  makeRoom(version, offset, offset + bytes.byteLength());
  for (SliceIterator it(bytes); !it.isAtEnd(); it.next()) {
    const Slice& whole = it.slice();
    const bool isOwn = whole.segment->isOwn();
    for (uint32_t from = 0; from < whole.length;) {
      const auto count =
          static_cast<uint32_t>(std::min<uint64_t>(whole.length - from, kExtentBytesMax));
      if (isOwn) addEntry(version, offset, whole.part(from, count));
      offset += count;
      from += count;
    }
  }
  evictTo(options_.maxBytes);
}

}  // namespace iol
