// cache/cached_paths.cc: which path leads to which open file, and how long that may be believed.

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "cache/cache_state.h"
#include "cache/file_cache.h"
#include "cache/open_job.h"

namespace iol {
namespace {

uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0xd6e8'feb8'6659'fd93;
  return hash ^ (hash >> 32);
}

uint64_t hashFacts(const sys::FileFacts& facts, uint64_t seed) {
  uint64_t hash = mix(mix(seed, facts.dev), facts.ino);
  hash = mix(mix(hash, facts.size), static_cast<uint64_t>(facts.mtimeNs));
  return mix(mix(hash, static_cast<uint64_t>(facts.ctimeNs)), seed);
}

}  // namespace

size_t FileKeyHash::operator()(const sys::FileFacts& facts) const { return hashFacts(facts, 1); }

std::string makeEtag(const sys::FileFacts& facts) {
  char text[40];
  std::snprintf(text, sizeof text, "\"%016llx%016llx\"",
                static_cast<unsigned long long>(hashFacts(facts, 0x2545'f491'4f6c'dd1d)),
                static_cast<unsigned long long>(hashFacts(facts, 0x9e37'79b9'7f4a'7c15)));
  return text;
}

// ---- CachedFile --------------------------------------------------------------------------------

CachedFile::~CachedFile() {
  if (const auto cache = cache_.lock()) cache->detachWatch(*this);
}

bool CachedFile::isFresh() {
  const auto cache = cache_.lock();
  return cache && cache->isFresh(*this);
}

bool FileCache::isFresh(CachedFile& file) {
  const int64_t now = nowMs();
  const bool isGood = isFresh(file, now);
  // Also when it is too old only: the next who asks shall find that somebody has looked.
  const bool isWorthALook = options_.checkIntervalMs > 0 && isKnown(file);
  if (isGood || isWorthALook) noteUseOf(file, now);
  if (wantsRefresh_) refresh();
  return isGood;
}

bool FileCache::isKnown(const CachedFile& file) const {
  const auto found = state_->paths.find(file.path_);
  return !isClosed_ && found != state_->paths.end() && found->second->file.get() == &file;
}

bool FileCache::isFresh(const CachedFile& file, int64_t nowMs) const {
  return !isClosed_ && !file.isSuspect_ && !file.version_->isStale &&
         nowMs - file.checkedAtMs_ < options_.checkIntervalMs;
}

void FileCache::noteUseOf(CachedFile& file, int64_t nowMs) {
  file.usedAtMs_ = nowMs;
  if (nowMs - file.checkedAtMs_ >= options_.checkIntervalMs / 2 && !state_->isRefreshing) {
    wantsRefresh_ = true;
  }
}

CachedFilePtr FileCache::makeFile(std::string path, sys::Fd fd, const sys::FileFacts& facts) {
  auto file = std::make_shared<CachedFile>();
  file->path_ = std::move(path);
  file->facts_ = facts;
  file->etag_ = makeEtag(facts);
  file->fd_ = std::move(fd);
  file->cache_ = weak_from_this();
  file->owner_ = this;
  file->version_ = versionOf(facts);
  return file;
}

// ---- Opening -----------------------------------------------------------------------------------

CachedFilePtr FileCache::tryOpen(std::string_view path) {
  const auto found = state_->paths.find(path);
  if (found == state_->paths.end()) return nullptr;
  KnownPath& known = *found->second;
  const int64_t now = nowMs();
  if (!isFresh(*known.file, now)) return nullptr;
  noteUseOf(*known.file, now);
  return known.file;
}

void FileCache::open(std::string_view path, OpenDone done) {
  if (isClosed_) return done(Status(Code::Closed, "file cache"));
  // A path with a zero byte in it would be another path to the kernel.
  if (path.find('\0') != std::string_view::npos) return done(Status::system("open", ENOENT));
  if (state_->paths.contains(path)) drainWatches();
  if (CachedFilePtr file = tryOpen(path)) return done(std::move(file));
  const auto pending = state_->opens.find(path);
  // Why not with interval 0: the job in flight may have looked already.
  if (pending != state_->opens.end() && options_.checkIntervalMs > 0) {
    return pending->second->wait(std::move(done));
  }
  auto job = std::make_unique<OpenJob>(shared_from_this(), std::string(path));
  job->wait(std::move(done));
  if (pending == state_->opens.end()) state_->opens.emplace(path, job.get());
  start(std::move(job));
}

Result<CachedFilePtr> FileCache::openDescriptor(int fd) {
  if (isClosed_) return Status(Code::Closed, "file cache");
  auto facts = sys::factsOf(fd);
  if (!facts.isOk()) return facts.status();
  if (facts.value().kind != sys::FdKind::Regular) return Status(Code::NotRegular, "file");
  // Why rather reopened: without read-ahead (see disk.h), which a duplicate would share.
  auto own = sys::reopenForRead(fd, sys::Reopen::Plain);
  if (own.isOk()) {
    sys::disableReadAhead(own.value().get());
  } else {
    own = sys::duplicate(fd);
    if (!own.isOk()) return own.status();
  }
  CachedFilePtr file = makeFile({}, own.take(), facts.value());
  file->checkedAtMs_ = nowMs();
  return file;
}

void FileCache::refresh() {
  wantsRefresh_ = false;
  if (isClosed_ || state_->isRefreshing) return;
  start(std::make_unique<RefreshJob>(shared_from_this()));
}

// ---- The table of paths ------------------------------------------------------------------------

CachedFilePtr FileCache::remember(CachedFilePtr file) {
  file->usedAtMs_ = nowMs();
  state_->recent.push_back({file, file->usedAtMs_});
  state_->paths[file->path_] = std::prev(state_->recent.end());
  ++file->version_->paths;
  forgetOldPaths(options_.openFilesMax);
  return file;
}

// `hasChanged`: the path leads elsewhere now, so its bytes are dropped too, unless another path
// still leads to them.
void FileCache::forgetPath(std::string_view path, bool hasChanged) {
  const auto found = state_->paths.find(path);
  if (found == state_->paths.end()) return;
  const CachedFilePtr file = found->second->file;
  state_->recent.erase(found->second);
  state_->paths.erase(found);
  file->isSuspect_ = true;
  if (--file->version_->paths == 0 && hasChanged) invalidate(*file->version_);
}

void FileCache::forgetOldPaths(uint32_t keep) {
  auto& recent = state_->recent;
  while (recent.size() > keep) {
    KnownPath& oldest = recent.front();
    if (oldest.file->usedAtMs_ > oldest.placedAtMs) {
      oldest.placedAtMs = oldest.file->usedAtMs_;
      recent.splice(recent.end(), recent, recent.begin());
      continue;
    }
    const std::string path = oldest.file->path_;
    forgetPath(path, false);
  }
}

// ---- Watches -----------------------------------------------------------------------------------

int FileCache::watchFd() const { return state_->watcher ? state_->watcher->fd() : -1; }

void FileCache::attachWatch(CachedFile& file, int watch) {
  if (watch < 0) return;
  file.watch_ = watch;
  state_->watched[watch].push_back(&file);
}

void FileCache::detachWatch(CachedFile& file) {
  const auto found = state_->watched.find(file.watch_);
  if (found == state_->watched.end()) return;
  std::erase(found->second, &file);
  if (!found->second.empty()) return;
  state_->watched.erase(found);
  state_->watchesToRemove.push_back(file.watch_);
  settleWatches();
}

// Removes watches that nobody needs, but not while an open may be about to use one of them.
void FileCache::settleWatches() {
  if (state_->opensInFlight > 0 || !state_->watcher) return;
  state_->recentEvents.clear();
  for (const int watch : std::exchange(state_->watchesToRemove, {})) {
    if (!state_->watched.contains(watch)) state_->watcher->remove(watch);
  }
}

void FileCache::drainWatches() {
  if (!state_->watcher || isClosed_) return;
  std::vector<sys::WatchEvent> events;
  state_->watcher->drain(events);
  for (const sys::WatchEvent& event : events) onWatchEvent(event);
}

void FileCache::onWatchEvent(const sys::WatchEvent& event) {
  // Why also of watches that are known: an open may have looked before it, and makes a new file.
  if (state_->opensInFlight > 0) state_->recentEvents.push_back(event.watch);
  if (event.change == sys::Change::Overflow) {
    for (const auto& [watch, files] : state_->watched) {
      for (CachedFile* file : files) {
        file->isSuspect_ = true;
        ++file->events_;
      }
    }
    return;
  }
  const auto found = state_->watched.find(event.watch);
  if (found == state_->watched.end()) return;
  std::vector<std::shared_ptr<FileVersion>> changed;
  for (CachedFile* file : found->second) {
    file->isSuspect_ = true;
    ++file->events_;
    // Why not by facts: a store within one tick of the clock leaves them as they were.
    if (event.change == sys::Change::Bytes) changed.push_back(file->version_);
    if (event.change == sys::Change::WatchEnded) file->watch_ = -1;
  }
  if (event.change == sys::Change::WatchEnded) state_->watched.erase(found);
  for (const auto& version : changed) {
    // Why not during our own writes: the event may be theirs. They look themselves (FileWrite).
    if (!version->isStale && version->writes == 0) invalidate(*version);
  }
}

}  // namespace iol
