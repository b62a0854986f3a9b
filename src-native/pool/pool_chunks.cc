// The lower half of Pool: segments, chunks, committed pages, and giving memory back.
#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/crash_point.h"
#include "pool/committer.h"
#include "pool/pool.h"
#include "pool/span.h"
#include "sys/memory.h"
#include "sys/process.h"

namespace iol {
namespace {

constexpr uint32_t kNoRun = UINT32_MAX;
constexpr uint32_t kStepChunks = (1u << 20) / kChunkBytes;  // Memory is committed by the MiB.

// First run of `chunks` free chunks, preferring none: the lowest address keeps segments dense.
uint32_t findRun(const OwnSegment& own, uint32_t chunks) {
  const uint32_t total = own.segment->chunks();
  if (total - own.usedChunks < chunks) return kNoRun;
  uint32_t length = 0;
  for (uint32_t chunk = 0; chunk < total; chunk++) {
    length = own.used[chunk] ? 0 : length + 1;
    if (length == chunks) return chunk + 1 - chunks;
  }
  return kNoRun;
}

void setUsed(OwnSegment& own, uint32_t first, uint32_t chunks, bool used) {
  for (uint32_t chunk = first; chunk < first + chunks; chunk++) own.used[chunk] = used;
  own.usedChunks += used ? chunks : -chunks;
}

uint64_t committedIn(const OwnSegment& own, uint32_t first, uint32_t chunks) {
  uint64_t pages = 0;
  for (uint32_t chunk = first; chunk < first + chunks; chunk++) pages += own.pagesCommitted[chunk];
  return pages * sys::kPageBytes;
}

}  // namespace

Status Pool::checkLimit(uint64_t moreBytes) const {
  const uint64_t wanted = stats_.bytesCommitted + moreBytes;
  if (wanted > options_.maxBytes) {
    return Status(Code::PoolFull, options_.name, wanted, options_.maxBytes);
  }
  if (domain_.maxBytes() == 0) return {};
  uint64_t ofDomain = moreBytes;
  for (const Pool* pool : domain_.pools()) ofDomain += pool->stats_.bytesCommitted;
  if (ofDomain <= domain_.maxBytes()) return {};
  return Status(Code::PoolFull, "domain", ofDomain, domain_.maxBytes());
}

Result<Span*> Pool::carveSpan(uint32_t unitBytes, uint32_t chunks, uint64_t bufferBytes,
                              uint64_t spanBytes, ClassList* list) {
  settleJobs(false);
  Result<Span*> span = tryCarveSpan(unitBytes, chunks, bufferBytes, spanBytes, list);
  if (span.isOk() || !makeRoom(span.status())) return span;
  return tryCarveSpan(unitBytes, chunks, bufferBytes, spanBytes, list);
}

// At a limit: free memory that is kept for reuse may make the room, and at one that is not the
// pool's own that of the domain's other pools.
bool Pool::makeRoom(const Status& shortage) {
  if (shortage.code() == Code::System) return false;
  collect();
  if (trim(0) > 0) return true;
  if (shortage.subject() == options_.name) return false;
  uint64_t freed = 0;
  for (Pool* other : domain_.pools()) {
    if (other == this) continue;
    other->collect();
    freed += other->trim(0);
  }
  return freed > 0;
}

Result<Span*> Pool::tryCarveSpan(uint32_t unitBytes, uint32_t chunks, uint64_t bufferBytes,
                                 uint64_t spanBytes, ClassList* list) {
  OwnSegment* own = nullptr;
  uint32_t first = kNoRun;
  for (const std::unique_ptr<OwnSegment>& candidate : segments_) {
    if (candidate == nullptr || candidate->segment->unitBytes() != unitBytes) continue;
    first = findRun(*candidate, chunks);
    if (first == kNoRun) continue;
    own = candidate.get();
    break;
  }
  if (own == nullptr) {
    IOL_TRY(checkLimit(spanBytes));
    Result<OwnSegment*> added = addSegment(unitBytes, kSegmentBytes);
    if (!added.isOk()) return added.status();
    own = added.value();
    first = 0;
  }
  IOL_TRY(commitChunks(*own, first, chunks, spanBytes));
  std::unique_ptr<Span> made(new (std::nothrow) Span());
  if (made == nullptr) return Status(Code::NoMemory, "span");
  Span* span = made.get();
  span->segment = own;
  span->firstChunk = first;
  span->chunks = chunks;
  span->bufferBytes = bufferBytes;
  span->slotStep = static_cast<uint32_t>(bufferBytes / unitBytes);
  span->capacity = static_cast<uint32_t>(chunks * kChunkBytes / bufferBytes);
  span->list = list;
  setUsed(*own, first, chunks, true);
  for (uint32_t chunk = first; chunk < first + chunks; chunk++) {
    own->spanOfChunk[chunk] = first;
    IOL_CRASH_POINT(ChunkCarve);
    own->segment->chunkEntry(chunk).store(bufferBytes, std::memory_order_release);
  }
  own->spans[first] = std::move(made);
  if (list != nullptr) {
    listSpan(*span);
    commitAhead(*own);
  }
  return span;
}

void Pool::listSpan(Span& span) {
  span.listIndex = span.list->size();
  span.list->push_back(&span);
}

void Pool::unlistSpan(Span& span) {
  if (span.list == nullptr || span.listIndex == SIZE_MAX) return;
  Span* last = span.list->back();
  (*span.list)[span.listIndex] = last;
  last->listIndex = span.listIndex;
  span.list->pop_back();
  span.listIndex = SIZE_MAX;
}

// The kernel may still read the old pages: it keeps them, we get new ones (I4). Not in a sealed
// segment, which cannot be punched, nor where a page turned out to be a part of a huge one.
bool Pool::giveUpStorage(OwnSegment& own, uint32_t first, uint32_t chunks) {
  if (options_.sealed) return false;
  const uint64_t offset = own.segment->dataOffset() + first * kChunkBytes;
  const Status punched = sys::punchHole(own.segment->memory(), offset, chunks * kChunkBytes);
  IOL_CHECK(punched.isOk());
  if (!sys::isHole(own.segment->memory(), offset, chunks * kChunkBytes)) return false;
  const uint64_t bytes = committedIn(own, first, chunks);
  std::fill_n(own.pagesCommitted.begin() + first, chunks, uint8_t{0});
  stats_.bytesCommitted -= bytes;
  stats_.bytesReturned += bytes;
  domain_.window().unreserve(bytes);
  return true;
}

// Storage that could not be given up stays used until it can, or until nothing else of its segment
// is: then that goes, whole.
void Pool::keepStorage(OwnSegment& own, uint32_t first, uint32_t chunks) {
  setUsed(own, first, chunks, true);
  own.keptChunks += chunks;
  kept_.push_back({&own, first, chunks});
}

void Pool::settleKept() {
  std::erase_if(kept_, [this](const ChunkRun& run) {
    if (!giveUpStorage(*run.segment, run.first, run.chunks)) return false;
    setUsed(*run.segment, run.first, run.chunks, false);
    run.segment->keptChunks -= run.chunks;
    return true;
  });
}

void Pool::releaseSpan(Span& span) {
  IOL_DCHECK(span.live == 0);
  OwnSegment& own = *span.segment;
  const uint32_t first = span.firstChunk;
  const uint32_t chunks = span.chunks;
  const bool mustPunch = span.mustPunch;
  unlistSpan(span);
  for (uint32_t chunk = first; chunk < first + chunks; chunk++) {
    IOL_CRASH_POINT(ChunkRelease);
    own.segment->chunkEntry(chunk).store(0, std::memory_order_release);
  }
  own.spans[first].reset();
  setUsed(own, first, chunks, false);
  if (mustPunch && !giveUpStorage(own, first, chunks)) keepStorage(own, first, chunks);
  if (own.isIdle() && segments_.size() > 1 &&
      stats_.bytesCommitted > stats_.bytesInUse + options_.idleBytesMax) {
    retireSegment(own);
    return;
  }
  if (!options_.sealed && stats_.bytesCommitted > stats_.bytesInUse + options_.idleBytesMax) {
    punchFree(options_.idleBytesMax, true);
  }
}

Result<OwnSegment*> Pool::addSegment(uint32_t unitBytes, uint64_t totalBytes) {
  Segment::Shape shape;
  shape.totalBytes = totalBytes;
  shape.unitBytes = unitBytes;
  shape.sealed = options_.sealed;
  shape.pool = number_;
  while (shape.ordinal < kOrdinalsMax && domain_.ordinalsUsed_[shape.ordinal]) shape.ordinal++;
  if (shape.ordinal == kOrdinalsMax) {
    return Status(Code::WindowFull, "segments of one domain", kOrdinalsMax + 1, kOrdinalsMax);
  }
  Result<std::unique_ptr<Segment>> segment =
      Segment::create(domain_.window(), domain_.name(), shape);
  if (!segment.isOk()) return segment.status();
  std::unique_ptr<OwnSegment> own(new (std::nothrow) OwnSegment());
  if (own == nullptr) return Status(Code::NoMemory, "segment");
  own->pool = this;
  own->segment = segment.take();
  own->segment->setKeeper(own.get());
  own->isLarge = unitBytes == 0;
  own->pagesCommitted.assign(own->segment->chunks(), 0);
  own->spanOfChunk.assign(own->segment->chunks(), 0);
  own->spans.resize(own->segment->chunks());
  if (own->isLarge) {
    std::unique_ptr<Span> span(new (std::nothrow) Span());
    if (span == nullptr) return Status(Code::NoMemory, "span");
    span->segment = own.get();
    span->chunks = 1;
    span->capacity = 1;
    span->bufferBytes = own->segment->dataBytes();
    IOL_CRASH_POINT(ChunkCarve);
    own->segment->chunkEntry(0).store(span->bufferBytes, std::memory_order_release);
    own->spans[0] = std::move(span);
  }
  if (domain_.source_ != nullptr) domain_.source_->needNumbers();
  domain_.ordinalsUsed_[shape.ordinal] = true;
  auto hole = std::find(segments_.begin(), segments_.end(), nullptr);
  if (hole == segments_.end()) hole = segments_.insert(hole, nullptr);
  domain_.segments_[own->segment->number()] = own->segment.get();
  *hole = std::move(own);
  return hole->get();
}

void Pool::retireSegment(OwnSegment& own) {
  uint64_t bytes = committedIn(own, 0, own.isLarge ? 0 : own.segment->chunks());
  if (own.isLarge && own.pagesCommitted[0] != 0) bytes = own.segment->dataBytes();
  stats_.bytesCommitted -= bytes;
  stats_.bytesReturned += bytes;
  domain_.window().unreserve(bytes);
  domain_.ordinalsUsed_[own.segment->ordinal()] = false;
  domain_.segments_.erase(own.segment->number());
  std::erase_if(kept_, [&own](const ChunkRun& run) { return run.segment == &own; });
  if (own.isPublished && domain_.source_ != nullptr) domain_.source_->retire(*own.segment);
  if (domain_.viewListener_ != nullptr) domain_.viewListener_->onSegmentRetired(*own.segment);
  for (std::unique_ptr<Span>& span : own.spans) {
    if (span != nullptr) unlistSpan(*span);
  }
  for (std::unique_ptr<OwnSegment>& entry : segments_) {
    if (entry.get() == &own) {
      entry.reset();
      return;
    }
  }
}

std::shared_ptr<CommitJob> Pool::jobFor(const OwnSegment& own, uint32_t first,
                                        uint32_t chunks) const {
  const Segment& segment = *own.segment;
  auto made = std::make_shared<CommitJob>();
  CommitJob& job = *made;
  job.window = &domain_.window();
  job.segmentOrdinal = segment.ordinal();
  job.firstChunk = first;
  job.chunks = chunks;
  job.dataOffset = segment.dataOffset() + first * kChunkBytes;
  job.dataBytes = chunks * kChunkBytes;
  job.budgetBytes = job.dataBytes - committedIn(own, first, chunks);
  if (!own.isLarge) {
    const uint64_t wordsPerChunk = kChunkBytes / segment.unitBytes();
    job.generationsOffset = kGenerationsOffset + first * wordsPerChunk * sizeof(GenerationWord);
    job.generationsBytes = chunks * wordsPerChunk * sizeof(GenerationWord);
  }
  return made;
}

// Commits what [first, first + chunks) lacks for `bytes`, here and now, a MiB at least when the
// neighbours are free too. Nothing is taken when it fails.
Status Pool::commitChunks(OwnSegment& own, uint32_t first, uint32_t chunks, uint64_t bytes) {
  if (own.isLarge) {
    const std::shared_ptr<CommitJob> made = jobFor(own, 0, 1);
    CommitJob& job = *made;
    job.dataBytes = job.budgetBytes = bytes;
    IOL_TRY(checkLimit(bytes));
    job.memory = sys::Fd(own.segment->memory().get());
    const Status status = runCommit(job);
    job.memory.release();
    IOL_TRY(status);
    own.pagesCommitted[0] = 1;
    stats_.bytesCommitted += bytes;
    stats_.commitsInline++;
    return {};
  }
  const uint32_t pagesWanted = static_cast<uint32_t>(bytes / sys::kPageBytes);
  bool isShort = false;
  for (uint32_t chunk = 0; chunk < chunks; chunk++) {
    const uint32_t before = chunk * kPagesPerChunk;
    const uint32_t wanted = std::min(kPagesPerChunk, pagesWanted - std::min(pagesWanted, before));
    if (own.pagesCommitted[first + chunk] < wanted) isShort = true;
  }
  if (!isShort) return {};
  const std::shared_ptr<CommitJob> made = jobFor(own, first, chunks);
  CommitJob& job = *made;
  job.dataBytes = bytes;
  const uint32_t lastPages = pagesWanted - (chunks - 1) * kPagesPerChunk;
  const uint32_t spared =
      kPagesPerChunk - std::max<uint32_t>(lastPages, own.pagesCommitted[first + chunks - 1]);
  job.budgetBytes -= uint64_t{spared} * sys::kPageBytes;
  IOL_TRY(checkLimit(job.budgetBytes));
  job.memory = sys::Fd(own.segment->memory().get());  // Borrowed for the call.
  const Status status = runCommit(job);
  job.memory.release();
  IOL_TRY(status);
  for (uint32_t chunk = 0; chunk < chunks; chunk++) {
    own.pagesCommitted[first + chunk] = kPagesPerChunk;
  }
  own.pagesCommitted[first + chunks - 1] = static_cast<uint8_t>(kPagesPerChunk - spared);
  stats_.bytesCommitted += job.budgetBytes;
  stats_.commitsInline++;
  return {};
}

// Keeps one step of committed, free memory before the allocator's front, on the helper thread.
void Pool::commitAhead(OwnSegment& own) {
  for (const std::shared_ptr<CommitJob>& job : jobs_) {
    if (!job->isPunch) return;  // One step at a time.
  }
  const uint32_t total = own.segment->chunks();
  uint32_t ready = 0;
  uint32_t next = kNoRun;
  uint32_t length = 0;
  for (uint32_t chunk = 0; chunk < total && next == kNoRun; chunk++) {
    if (own.used[chunk]) {
      length = 0;
    } else if (own.pagesCommitted[chunk] == kPagesPerChunk) {
      if (++ready >= kStepChunks) return;
      length = 0;
    } else if (++length == kStepChunks) {
      next = chunk + 1 - kStepChunks;
    }
  }
  if (next == kNoRun) return;
  std::shared_ptr<CommitJob> job = jobFor(own, next, kStepChunks);
  if (!checkLimit(job->budgetBytes).isOk()) return;
  Result<sys::Fd> memory = sys::duplicate(own.segment->memory());
  if (!memory.isOk()) return;
  job->memory = memory.take();
  setUsed(own, next, kStepChunks, true);
  stats_.bytesCommitted += job->budgetBytes;
  jobs_.push_back(job);
  submitCommitJob(std::move(job));
}

// Takes back the chunks of the jobs that the helper has finished.
void Pool::settleJobs(bool wait) {
  for (size_t index = 0; index < jobs_.size();) {
    const std::shared_ptr<CommitJob> job = jobs_[index];
    if (wait) awaitCommitJob(*job);
    const CommitJob::State state = job->state.load(std::memory_order_acquire);
    if (state == CommitJob::State::Waiting) {
      index++;
      continue;
    }
    jobs_.erase(jobs_.begin() + static_cast<ptrdiff_t>(index));
    for (const std::unique_ptr<OwnSegment>& own : segments_) {
      if (own == nullptr || own->segment->ordinal() != job->segmentOrdinal) continue;
      setUsed(*own, job->firstChunk, job->chunks, false);
      const bool isDone = state == CommitJob::State::Done;
      const auto pages = own->pagesCommitted.begin() + job->firstChunk;
      if (job->isPunch) {
        if (!isDone) continue;  // The pages are as they were.
        std::fill_n(pages, job->chunks, uint8_t{0});
        stats_.bytesCommitted -= job->budgetBytes;
        stats_.bytesReturned += job->budgetBytes;
      } else if (isDone) {
        std::fill_n(pages, job->chunks, static_cast<uint8_t>(kPagesPerChunk));
        stats_.commitsAhead++;
      } else {
        stats_.bytesCommitted -= job->budgetBytes;
      }
    }
  }
}

// Gives free committed chunks back until `keepBytes` of them are left.
uint64_t Pool::punchFree(uint64_t keepBytes, bool onHelper) {
  uint64_t returned = 0;
  uint64_t idle =
      stats_.bytesCommitted > stats_.bytesInUse ? stats_.bytesCommitted - stats_.bytesInUse : 0;
  for (auto entry = segments_.rbegin(); entry != segments_.rend() && idle > keepBytes; ++entry) {
    if (*entry == nullptr || (*entry)->isLarge) continue;
    OwnSegment& own = **entry;
    for (uint32_t chunk = own.segment->chunks(); chunk-- > 0 && idle > keepBytes;) {
      if (own.used[chunk] || own.pagesCommitted[chunk] == 0) continue;
      uint32_t first = chunk;  // Down to the start of this run of free committed chunks.
      while (first > 0 && !own.used[first - 1] && own.pagesCommitted[first - 1] != 0 &&
             chunk + 1 - first < kStepChunks) {
        first--;
      }
      const uint32_t chunks = chunk + 1 - first;
      std::shared_ptr<CommitJob> job = jobFor(own, first, chunks);
      const uint64_t bytes = committedIn(own, first, chunks);
      job->isPunch = true;
      job->budgetBytes = bytes;
      idle -= std::min(idle, bytes);
      returned += bytes;
      if (onHelper) {
        Result<sys::Fd> memory = sys::duplicate(own.segment->memory());
        if (!memory.isOk()) return returned - bytes;
        job->memory = memory.take();
        setUsed(own, first, chunks, true);
        jobs_.push_back(job);
        submitCommitJob(std::move(job));
      } else {
        const Status punched =
            sys::punchHole(own.segment->memory(), job->dataOffset, job->dataBytes);
        if (!punched.isOk()) return returned - bytes;
        std::fill_n(own.pagesCommitted.begin() + first, chunks, uint8_t{0});
        stats_.bytesCommitted -= bytes;
        stats_.bytesReturned += bytes;
        domain_.window().unreserve(bytes);
      }
      chunk = first;
    }
  }
  return returned;
}

uint64_t Pool::trim(uint64_t keepBytes) {
  settleJobs(true);
  const uint64_t before = stats_.bytesReturned;
  settleKept();
  for (ClassList* lists : {small_, medium_}) {
    for (uint32_t sizeClass = 0; sizeClass < kClassesPerUnit; sizeClass++) {
      ClassList& list = lists[sizeClass];
      for (size_t index = list.size(); index-- > 0;) {
        if (list[index]->live == 0) releaseSpan(*list[index]);
      }
    }
  }
  for (std::unique_ptr<OwnSegment>& own : segments_) {
    // Why not the large ones: each is one live buffer, and retires with it.
    if (own == nullptr || own->isLarge || !own->isIdle()) continue;
    if (stats_.bytesCommitted > stats_.bytesInUse + keepBytes) retireSegment(*own);
  }
  if (!options_.sealed) punchFree(keepBytes, false);
  return stats_.bytesReturned - before;
}

}  // namespace iol
