#include "cache/file_cache.h"

#include <algorithm>
#include <utility>

#include "aggregate/slice_iterator.h"
#include "base/check.h"
#include "cache/cache_state.h"

namespace iol {

static_assert(!std::is_copy_constructible_v<FileCache>);
static_assert(!std::is_copy_constructible_v<CachedFile>);

Result<std::shared_ptr<FileCache>> FileCache::create(Pool& pool, DiskQueue& queue,
                                                     Options options) {
  Window& window = pool.domain().window();
  if (options.maxBytes == 0) options.maxBytes = window.maxBytes() / 4;
  std::shared_ptr<FileCache> cache(new FileCache(pool, queue, std::move(options)));
  auto index = IndexWriter::create(window, pool.domain().name(), kIndexSlotsMin);
  if (!index.isOk()) return index.status();
  cache->state_->index = index.take();
  if (cache->options_.watches) {
    // Without inotify (too many instances) the interval alone decides.
    auto watcher = sys::Watcher::create();
    if (watcher.isOk()) cache->state_->watcher = std::make_unique<sys::Watcher>(watcher.take());
  }
  return cache;
}

FileCache::FileCache(Pool& pool, DiskQueue& queue, Options options)
    : pool_(pool), queue_(queue), options_(std::move(options)), state_(std::make_unique<State>()) {
  stats_.maxBytes = options_.maxBytes;
  state_->policy = std::move(options_.policy);
  if (!state_->policy) state_->policy = std::make_unique<LruPolicy>();
}

FileCache::~FileCache() { close(); }

void FileCache::close() {
  if (isClosed_) return;
  isClosed_ = true;
  wantsRefresh_ = false;
  for (const auto& [watch, files] : state_->watched) {
    for (CachedFile* file : files) file->watch_ = -1;
  }
  state_->watched.clear();
  while (!state_->recent.empty()) {
    const std::string path = state_->recent.front().file->path();
    forgetPath(path, false);
  }
  // Why a copy: the last entry of a version may end it, and with it its place in the table.
  const std::vector versions(state_->versions.begin(), state_->versions.end());
  for (const auto& [facts, version] : versions) {
    const auto keepAlive = version->weak_from_this().lock();
    while (!version->entries.empty()) removeEntry(*version->entries.back());
  }
  for (const auto& [facts, version] : state_->versions) {
    version->isStale = true;
    version->table = nullptr;
  }
  state_->versions.clear();
  state_->index->retire();
}

void FileCache::start(std::unique_ptr<DiskJob> job) {
  ++stats_.jobsInFlight;
  queue_.start(std::move(job));
}

// ---- Finding -----------------------------------------------------------------------------------

size_t entryAfter(const FileVersion& version, uint64_t offset) {
  const auto found =
      std::upper_bound(version.entries.begin(), version.entries.end(), offset,
                       [](uint64_t at, const CacheEntry* entry) { return at < entry->end(); });
  return static_cast<size_t>(found - version.entries.begin());
}

// The cached slice that covers `offset`, which lies `sliceFrom` bytes into it; null: not cached.
const Slice* FileCache::sliceAt(FileVersion& version, uint64_t offset, uint64_t& sliceFrom) {
  const size_t index = entryAfter(version, offset);
  if (index == version.entries.size()) return nullptr;
  CacheEntry& entry = *version.entries[index];
  if (entry.offset > offset) return nullptr;
  sliceFrom = offset - entry.offset;
  state_->policy->onAccess(entry);
  return &entry.slice;
}

Result<Aggregate> FileCache::tryRead(CachedFile& file, uint64_t offset, uint64_t length) {
  if (isClosed_ || file.owner_ != this) return Status(Code::Closed, "file cache");
  return readCached(*file.version_, offset, length);
}

Result<Aggregate> FileCache::tryRead(const sys::FileFacts& facts, uint64_t offset,
                                     uint64_t length) {
  const auto known = state_->versions.find(facts);
  if (known == state_->versions.end() || offset >= facts.size) {
    return Status(Code::WouldBlock, "extent");
  }
  return readCached(*known->second, offset, length);
}

Result<Aggregate> FileCache::readCached(FileVersion& version, uint64_t offset, uint64_t length) {
  const uint64_t size = version.facts.size;
  const uint64_t end = offset >= size ? offset : offset + std::min(length, size - offset);
  Aggregate bytes(pool_.domain());
  if (offset < end) {
    const size_t index = entryAfter(version, offset);
    if (index == version.entries.size()) return Status(Code::WouldBlock, "extent");
    CacheEntry& entry = *version.entries[index];
    if (entry.offset > offset) return Status(Code::WouldBlock, "extent");
    if (end > entry.end()) return readRun(version, index, offset, end);
    state_->policy->onAccess(entry);
    const auto from = static_cast<uint32_t>(offset - entry.offset);
    IOL_TRY(bytes.append(entry.slice.part(from, static_cast<uint32_t>(end - offset))));
  }
  ++stats_.hits;
  return bytes;
}

// ---- Entries -----------------------------------------------------------------------------------

uint64_t bufferAddress(const Slice& slice) {
  return slice.segment->address() + slice.segment->slotOffset(slice.slot);
}

bool OtherHolds::isReferenced(const PolicyEntry& policyEntry) const {
  const Slice& slice = static_cast<const CacheEntry&>(policyEntry).slice;
  const uint32_t ours = entriesOf_.at(bufferAddress(slice));
  const uint32_t ordinal = slice.segment->ordinal();
  if (pool_.domain().ownHolds().count(ordinal, slice.slot) > ours) return true;
  return pool_.domain().isHeldElsewhere(slice);
}

// Takes a hold of its own. Nothing may be cached in the range yet.
void FileCache::addEntry(FileVersion& version, uint64_t offset, const Slice& slice) {
  auto* entry = new CacheEntry;
  entry->version = &version;
  entry->offset = offset;
  entry->slice = slice;
  entry->bytes = slice.length;
  pool_.domain().retain(slice);
  version.run.reset();
  const size_t index = entryAfter(version, offset);
  version.entries.insert(version.entries.begin() + static_cast<ptrdiff_t>(index), entry);
  if (!version.self) version.self = version.shared_from_this();
  ++state_->entriesOfBuffer[bufferAddress(slice)];
  state_->policy->onInsert(*entry);
  ++stats_.entries;
  stats_.bytes += entry->bytes;
  // A host that cannot be told of the segment now: cached all the same, and others miss it.
  entry->isExported = options_.exportsNames && pool_.domain().exportSlice(slice).isOk();
  if (entry->isExported) publish(*entry);
}

void FileCache::removeEntry(CacheEntry& entry) {
  // Why first: no reader may find the name once the owner starts to look at the holds.
  if (entry.indexPlace != kNoIndexPlace) state_->index->erase(entry.indexPlace);
  state_->policy->onRemove(entry);
  FileVersion& version = *entry.version;
  version.run.reset();
  const size_t index = entryAfter(version, entry.offset);
  IOL_CHECK(version.entries[index] == &entry);
  version.entries.erase(version.entries.begin() + static_cast<ptrdiff_t>(index));
  --stats_.entries;
  stats_.bytes -= entry.bytes;
  const auto counted = state_->entriesOfBuffer.find(bufferAddress(entry.slice));
  if (--counted->second == 0) state_->entriesOfBuffer.erase(counted);
  const Slice slice = entry.slice;
  delete &entry;
  // Why last: letting go of `self` may end the version.
  if (version.entries.empty()) {
    std::erase(state_->used, &version);
    version.usedTo = 0;
    std::exchange(version.self, nullptr).reset();
  }
  pool_.domain().release(slice);
}

void FileCache::publish(CacheEntry& entry) {
  IndexRecord record;
  record.file = entry.version->facts;
  record.offset = entry.offset;
  record.generation = entry.slice.generation;
  record.segmentNumber = entry.slice.segment->number();
  record.slot = entry.slice.slot;
  record.sliceOffset = entry.slice.offset;
  record.length = entry.slice.length;
  auto place = state_->index->insert(record);
  if (!place) {
    growIndex();
    if (entry.indexPlace != kNoIndexPlace) return;
    place = state_->index->insert(record);
  }
  // An entry that finds no place is cached all the same; other processes miss it.
  entry.indexPlace = place.value_or(kNoIndexPlace);
}

void FileCache::growIndex() {
  const uint32_t slots = state_->index->slots() * 2;
  if (slots > kIndexSlotsMax) return;
  DomainName owner = pool_.domain().name();
  auto larger = IndexWriter::create(pool_.domain().window(), owner, slots);
  if (!larger.isOk()) return;
  state_->index->retire();
  state_->index = larger.take();
  for (const auto& [facts, version] : state_->versions) {
    for (CacheEntry* entry : version->entries) entry->indexPlace = kNoIndexPlace;
  }
  for (const auto& [facts, version] : state_->versions) {
    for (CacheEntry* entry : version->entries) {
      if (!entry->isExported) continue;
      const Slice& slice = entry->slice;
      const auto place =
          state_->index->insert({facts, entry->offset, slice.generation, slice.segment->number(),
                                 slice.slot, slice.offset, slice.length});
      entry->indexPlace = place.value_or(kNoIndexPlace);
    }
  }
}

// Takes [from, to) out of the version's entries; what sticks out on either side stays.
void FileCache::makeRoom(FileVersion& version, uint64_t from, uint64_t to) {
  const auto keepAlive = version.shared_from_this();
  for (size_t index = entryAfter(version, from);
       index < version.entries.size() && version.entries[index]->offset < to;) {
    CacheEntry& entry = *version.entries[index];
    const uint64_t start = entry.offset;
    const uint64_t end = entry.end();
    const Slice slice = entry.slice;
    pool_.domain().retain(slice);
    removeEntry(entry);
    const bool hasBack = end > to;
    if (start < from) addEntry(version, start, slice.part(0, static_cast<uint32_t>(from - start)));
    if (hasBack) {
      addEntry(version, to,
               slice.part(static_cast<uint32_t>(to - start), static_cast<uint32_t>(end - to)));
    }
    pool_.domain().release(slice);
    index = entryAfter(version, from);
    if (hasBack) return;
  }
}

Status FileCache::insert(CachedFile& file, uint64_t offset, const Aggregate& bytes) {
  if (isClosed_ || file.owner_ != this) return Status(Code::Closed, "file cache");
  if (file.version_->isStale) return Status(Code::FileChanged, "file");
  const uint64_t end = offset + bytes.byteLength();
  if (end < offset || end > file.byteLength()) {
    return Status(Code::TooLarge, "extent", end, file.byteLength());
  }
  if (file.version_->writes > 0) return Status(Code::FileChanged, "file");
  std::vector<PlannedCopy> copies;
  Result<Aggregate> own = planOwn(bytes, copies);
  if (!own.isOk()) return own.status();
  makeCopies(copies);
  place(*file.version_, offset, own.value());
  return {};
}

Result<Aggregate> FileCache::planOwn(const Aggregate& bytes, std::vector<PlannedCopy>& copies) {
  if (!isForeign(bytes)) return bytes.clone();
  if (bytes.byteLength() > options_.maxBytes) {
    return Status(Code::TooLarge, "extent", bytes.byteLength(), options_.maxBytes);
  }
  return planTrusted(
      bytes, kExtentBytesMax, [this](uint64_t byteLength) { return allocate(byteLength); }, copies);
}

// ---- Replacement -------------------------------------------------------------------------------

void FileCache::evictTo(uint64_t bytes) {
  if (stats_.bytes <= bytes) return;
  settleRuns();
  const OtherHolds probe(pool_, state_->entriesOfBuffer);
  while (stats_.bytes > bytes) {
    PolicyEntry* victim = state_->policy->victim(probe, ReplacementPolicy::Victims::Any);
    if (victim == nullptr) return;
    ++stats_.evictions;
    removeEntry(static_cast<CacheEntry&>(*victim));
  }
}

// A draft; gives up cached entries for it when the pool or the window is full.
Result<Draft> FileCache::allocate(uint64_t bytes) {
  const OtherHolds probe(pool_, state_->entriesOfBuffer);
  for (;;) {
    auto draft = pool_.allocate(bytes);
    if (draft.isOk()) return draft;
    if (!isShortage(draft.status())) return draft;
    settleRuns();
    // Why unreferenced only: dropping the others would free nothing.
    PolicyEntry* victim =
        state_->policy->victim(probe, ReplacementPolicy::Victims::UnreferencedOnly);
    if (victim == nullptr) return draft;
    ++stats_.evictions;
    removeEntry(static_cast<CacheEntry&>(*victim));
  }
}

// The file is another one now: forget what was cached of this version. Holders keep theirs.
void FileCache::invalidate(FileVersion& version) {
  const auto keepAlive = version.shared_from_this();
  retire(version);
  stats_.invalidations += version.entries.size();
  while (!version.entries.empty()) removeEntry(*version.entries.back());
}

FileVersion::~FileVersion() {
  if (table != nullptr) table->erase(facts);
}

FileCache::Stats FileCache::stats() const {
  Stats stats = stats_;
  stats.openFiles = state_->recent.size();
  stats.watches = state_->watched.size();
  return stats;
}

const sys::Fd* FileCache::indexFd() const { return &state_->index->readOnlyFd(); }

}  // namespace iol
