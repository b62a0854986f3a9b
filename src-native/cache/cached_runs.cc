// cache/cached_runs.cc: hits on several entries, in O(log entries).
//
//   entries   [A][B][C]   [D][E]        run: one aggregate of A B C, made by a hit on more than one
//                |--hit--|              of them; the next hit inside is a slice of it

#include <algorithm>

#include "cache/cache_state.h"
#include "cache/file_cache.h"

namespace iol {

Result<Aggregate> FileCache::readRun(FileVersion& version, size_t index, uint64_t offset,
                                     uint64_t end) {
  const bool isThere = version.run && version.runFrom <= offset &&
                       end <= version.runFrom + version.run->byteLength();
  if (!isThere) IOL_TRY(makeRun(version, index, end));
  noteUse(version, offset, end);
  ++stats_.hits;
  return version.run->slice(offset - version.runFrom, end - version.runFrom);
}

// Of all entries around `index` that touch; WouldBlock when they do not reach `end`.
Status FileCache::makeRun(FileVersion& version, size_t index, uint64_t end) {
  const std::vector<CacheEntry*>& entries = version.entries;
  size_t last = index;
  while (last + 1 < entries.size() && entries[last]->end() == entries[last + 1]->offset) ++last;
  if (entries[last]->end() < end) return Status(Code::WouldBlock, "extent");
  size_t first = index;
  while (first > 0 && entries[first - 1]->end() == entries[first]->offset) --first;
  Aggregate run(pool_.domain());
  for (size_t at = first; at <= last; ++at) IOL_TRY(run.append(entries[at]->slice));
  version.run = std::move(run);
  version.runFrom = entries[first]->offset;
  return {};
}

void FileCache::noteUse(FileVersion& version, uint64_t from, uint64_t to) {
  if (version.usedTo == 0) {
    state_->used.push_back(&version);
  } else if (from <= version.usedTo && version.usedFrom <= to) {
    from = std::min(from, version.usedFrom);
    to = std::max(to, version.usedTo);
  } else {
    // Why: what lies between the two was not asked for.
    touchUsed(version);
  }
  version.usedFrom = from;
  version.usedTo = to;
}

// To the policy all of what was used is used now.
void FileCache::touchUsed(FileVersion& version) {
  for (size_t index = entryAfter(version, version.usedFrom);
       index < version.entries.size() && version.entries[index]->offset < version.usedTo; ++index) {
    state_->policy->onAccess(*version.entries[index]);
  }
}

// Before the policy is asked: it must know what was used, and who else holds what.
void FileCache::settleRuns() {
  for (FileVersion* version : state_->used) {
    touchUsed(*version);
    version->usedTo = 0;
    version->run.reset();
  }
  state_->used.clear();
}

}  // namespace iol
