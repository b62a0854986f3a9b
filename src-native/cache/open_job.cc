#include "cache/open_job.h"

#include <cerrno>
#include <utility>

#include "cache/cache_state.h"

namespace iol {
namespace {

// A file is looked at so long after its last use. Why: a look costs a microsecond or two, opening
// it anew some fifty, and there are up to two looks in each interval.
constexpr int64_t kKeptIntervals = 20;

Status checkKind(const sys::FileFacts& facts) {
  if (facts.kind == sys::FdKind::Regular) return {};
  if (facts.kind == sys::FdKind::Directory) return Status::system("open", EISDIR);
  return Status(Code::NotRegular, "file");
}

}  // namespace

// ---- OpenJob -----------------------------------------------------------------------------------

OpenJob::OpenJob(std::shared_ptr<FileCache> cache, std::string path)
    : cache_(std::move(cache)),
      path_(std::move(path)),
      watcher_(cache_->state_->watcher.get()),
      askedAtMs_(cache_->nowMs()) {
  FileCache::State& state = *cache_->state_;
  const auto known = state.paths.find(path_);
  if (known != state.paths.end()) {
    known_ = known->second->file;
    knownEvents_ = known_->events_;
    mayKeep_ = watcher_ == nullptr || known_->watch_ >= 0;
  }
  eventsBefore_ = state.recentEvents.size();
  ++state.opensInFlight;
}

OpenJob::~OpenJob() {
  FileCache::State& state = *cache_->state_;
  --cache_->stats_.jobsInFlight;
  const auto open = state.opens.find(path_);
  if (open != state.opens.end() && open->second == this) state.opens.erase(open);
  --state.opensInFlight;
  cache_->settleWatches();
}

void OpenJob::run() { status_ = open(); }

Status OpenJob::open() {
  // Why before open: opening a device or a FIFO may have effects of its own.
  auto seen = sys::factsOf(path_.c_str());
  if (!seen.isOk()) return seen.status();
  IOL_TRY(checkKind(seen.value()));
  if (mayKeep_ && seen.value().sameVersion(known_->facts_)) {
    facts_ = seen.value();
    return {};
  }
  auto opened = sys::openForRead(path_.c_str());
  if (!opened.isOk()) return opened.status();
  fd_ = opened.take();
  // Why before the facts: a change after them is then an event.
  if (watcher_ != nullptr) {
    auto watch = watcher_->add(fd_.get());
    if (watch.isOk()) watch_ = watch.value();
  }
  auto facts = sys::factsOf(fd_.get());
  if (!facts.isOk()) return facts.status();
  facts_ = facts.value();
  IOL_TRY(checkKind(facts_));
  // A file of one extent is read to its end at once: there is nothing ahead of it.
  if (facts_.size > kExtentBytesMax) sys::disableReadAhead(fd_.get());
  return {};
}

void OpenJob::finish() {
  // Why: who waits may close the cache or open the path again.
  Result<CachedFilePtr> answer = conclude();
  for (FileCache::OpenDone& done : std::exchange(waiters_, {})) {
    if (isLost_) {
      cache_->open(path_, std::move(done));
    } else if (answer.isOk()) {
      done(answer.value());
    } else {
      done(answer.status());
    }
  }
}

Result<CachedFilePtr> OpenJob::conclude() {
  FileCache& cache = *cache_;
  FileCache::State& state = *cache.state_;
  const auto open = state.opens.find(path_);
  if (open != state.opens.end() && open->second == this) state.opens.erase(open);
  if (cache.isClosed_) return Status(Code::Closed, "file cache");
  cache.drainWatches();
  if (!status_.isOk()) {
    const int error = status_.systemErrno();
    if (error == EMFILE || error == ENFILE) {
      // Ours may be the descriptors that are missing: give half of them back for the next try.
      cache.forgetOldPaths(static_cast<uint32_t>(state.recent.size() / 2));
    } else {
      cache.forgetPath(path_, true);
    }
    return status_;
  }
  const auto known = state.paths.find(path_);
  if (known != state.paths.end()) {
    const CachedFilePtr& file = known->second->file;
    if (file->facts_.sameVersion(facts_) && !file->version_->isStale) {
      // Events since the job was made may be later than its look.
      const bool isQuiet = file != known_ || file->events_ == knownEvents_;
      if (isQuiet) file->isSuspect_ = false;
      if (file->checkedAtMs_ < askedAtMs_) file->checkedAtMs_ = askedAtMs_;
      if (file->watch_ < 0) cache.attachWatch(*file, watch_);
      return file;
    }
    cache.forgetPath(path_, true);
  }
  if (!fd_.isOpen()) {
    isLost_ = true;
    return Status(Code::WouldBlock, "file");
  }
  CachedFilePtr file = cache.makeFile(path_, std::move(fd_), facts_);
  file->checkedAtMs_ = askedAtMs_;
  cache.attachWatch(*file, watch_);
  for (size_t event = eventsBefore_; event < state.recentEvents.size(); ++event) {
    const int watch = state.recentEvents[event];
    if (watch == watch_ || watch < 0) file->isSuspect_ = true;
  }
  return cache.remember(std::move(file));
}

// ---- RefreshJob --------------------------------------------------------------------------------

RefreshJob::RefreshJob(std::shared_ptr<FileCache> cache)
    : cache_(std::move(cache)), askedAtMs_(cache_->nowMs()) {
  FileCache::State& state = *cache_->state_;
  const int64_t interval = cache_->options_.checkIntervalMs;
  state.isRefreshing = true;
  cache_->wantsRefresh_ = false;
  for (const KnownPath& known : state.recent) {
    const CachedFilePtr& file = known.file;
    if (file->usedAtMs_ >= askedAtMs_ - kKeptIntervals * interval &&
        askedAtMs_ - file->checkedAtMs_ >= interval / 4) {
      looks_.push_back({file, file->events_, false});
    }
  }
}

RefreshJob::~RefreshJob() {
  --cache_->stats_.jobsInFlight;
  cache_->state_->isRefreshing = false;
}

void RefreshJob::run() {
  for (Look& look : looks_) {
    const auto facts = sys::factsOf(look.file->path_.c_str());
    look.isSame = facts.isOk() && facts.value().sameVersion(look.file->facts_);
  }
}

void RefreshJob::finish() {
  if (cache_->isClosed_) return;
  cache_->drainWatches();
  FileCache::State& state = *cache_->state_;
  for (const Look& look : looks_) {
    const auto known = state.paths.find(look.file->path_);
    if (known == state.paths.end() || known->second->file != look.file) continue;
    if (!look.isSame) {
      cache_->forgetPath(look.file->path_, true);
      continue;
    }
    if (look.file->events_ == look.events) look.file->isSuspect_ = false;
    if (look.file->checkedAtMs_ < askedAtMs_) look.file->checkedAtMs_ = askedAtMs_;
  }
}

}  // namespace iol
