// pool/pool.h: buffers with one owner; grows and shrinks by segments.
//
//   pool -> segments -> spans (1 chunk, a run of 16, or n chunks) -> buffers
//
//   free --allocate--> draft --seal--> sealed --last hold--> free (generation + 2)
//                                         \--held elsewhere--> pending --collect--> free
//
// Ownership   allocate() returns a draft with one hold; seal() turns it into a slice with that
//             hold; Domain::release gives it back.
// Threads     the owning domain's. A helper thread commits memory ahead of need.
// Failure     PoolFull, WindowFull, NoMemory, TooLarge, Forked: before the kernel is asked, and
//             nothing was taken.
// Cost        allocate, release: tens of nanoseconds, no system call while committed memory is
//             left (stats().commitsInline counts the exceptions).
// May include base/ sys/ window/
#pragma once

#include <memory>
#include <vector>

#include "base/status.h"
#include "pool/access_list.h"
#include "pool/domain.h"
#include "pool/holds.h"
#include "pool/size_classes.h"
#include "pool/slice.h"

namespace iol {

// Whether a smaller allocation, or the same one later, may succeed.
inline bool isShortage(const Status& status) {
  const Code code = status.code();
  return code == Code::PoolFull || code == Code::WindowFull || code == Code::NoMemory;
}

// Memory that is being filled. Move-only; an abandoned draft gives its memory back.
class Draft {
 public:
  Draft() = default;
  Draft(Draft&& other) noexcept { *this = std::move(other); }
  Draft& operator=(Draft&& other) noexcept;
  ~Draft() { abandon(); }

  bool isOpen() const { return pool_ != nullptr; }
  // Writable, `byteLength()` bytes; what an earlier buffer left is still there until overwritten.
  uint8_t* bytes() const {
    return slice_.segment->writable() + slice_.segment->slotOffset(slice_.slot);
  }
  uint32_t byteLength() const { return slice_.length; }
  uint64_t address() const { return slice_.address(); }
  uint64_t generation() const { return slice_.generation; }

  // The first `length` bytes become immutable; the draft's hold goes to the returned slice.
  Slice seal(uint32_t length);
  Slice seal() { return seal(byteLength()); }
  void abandon();

 private:
  friend class Pool;
  Pool* pool_ = nullptr;
  Slice slice_;
};

struct CommitJob;
struct Span;
struct ChunkRun;
struct OwnSegment;

class Pool {
 public:
  struct Options {
    const char* name = "default";         // What errors call it.
    const char* label = nullptr;          // Shown to observers, cut to 31 bytes; null: the name.
    uint64_t maxBytes = 0;                // Of data committed; 0: as much as the window.
    uint64_t idleBytesMax = 64ull << 20;  // Free committed memory kept for reuse.
    bool sealed = false;                  // F_SEAL_FUTURE_WRITE; shrinks by whole segments only.
    AccessList access;                    // Empty: every domain of the window may read.
  };
  // In the domain's facts, where observers see them:
  //   bytesInUse      capacity of live buffers: drafts, held, pending
  //   bytesCommitted  data pages; tables are the window's account
  //   buffers         live: drafts, held, pending
  //   pending         released here, still held elsewhere
  //   allocations     since creation, as all that follow
  //   requestedTotal, grantedTotal   bytes asked for, and what was given for them: the difference
  //                   is the size classes' waste
  //   commitsInline   commits made on the domain's own thread; commitsAhead by the helper
  //   bytesReturned   given back to the system
  struct Stats : PoolFigures {
    uint64_t bytesFree = 0;  // Committed and free.
    uint32_t segments = 0;
  };

  static Result<std::unique_ptr<Pool>> create(Domain& domain, Options options);
  // Drafts and aggregates must be gone: their memory goes with the pool.
  ~Pool();

  Result<Draft> allocate(uint64_t byteLength);
  // The same, or less when there is no room for so much; fails when there is for nothing.
  Result<Draft> allocateUpTo(uint64_t bytesMax);

  // The buffer's name is about to leave this domain: from now on freeing follows the protocol.
  void exportBuffer(const Slice& slice);
  // Tries to free what was released here while others held it. Returns the buffers freed.
  size_t collect();
  // Gives free memory beyond `keepBytes` back to the system, now, on this thread.
  uint64_t trim(uint64_t keepBytes);

  Stats stats() const;
  Domain& domain() { return domain_; }
  PeerHolds& peers() { return domain_.peers(); }
  // Distinguishes the pools that this domain ever had.
  uint32_t number() const { return number_; }
  // The pool of an own segment.
  static Pool& of(const Segment& own);
  const Options& options() const { return options_; }
  // Segments in creation order; null where one was retired.
  std::vector<Segment*> segments() const;

 private:
  friend class Draft;
  friend class Domain;
  using ClassList = std::vector<Span*>;  // Spans of one size class that have room.

  Pool(Domain& domain, Options options);
  static OwnSegment& ownOf(const Segment& segment);

  // Buffers (pool.cc)
  Result<Draft> allocateFrom(ClassList& list, uint32_t unitBytes, uint32_t units,
                             uint64_t byteLength);
  Result<Draft> allocateChunks(uint64_t byteLength);
  Result<Draft> allocateSegment(uint64_t byteLength);
  Result<Draft> tryAllocateSegment(uint64_t byteLength);
  Draft takeSlot(Span& span, uint64_t byteLength);
  void onLastHold(const Slice& slice);
  ViewSpan viewSpan(const Slice& slice) const;
  void markViewed(const Slice& slice);
  void tellWatchers(OwnSegment& own, Span& span, const Slice& slice);
  size_t collectPending(size_t looksMax = SIZE_MAX);
  bool tryFree(OwnSegment& own, uint32_t slot);
  bool revoke(OwnSegment& own, uint32_t slot, bool* kernelVisible);
  void putBack(OwnSegment& own, uint32_t slot);
  void markPunched(uint32_t ordinal, uint32_t slot);

  // Spans, chunks and segments (pool_chunks.cc)
  Result<Span*> carveSpan(uint32_t unitBytes, uint32_t chunks, uint64_t bufferBytes,
                          uint64_t spanBytes, ClassList* list);
  Result<Span*> tryCarveSpan(uint32_t unitBytes, uint32_t chunks, uint64_t bufferBytes,
                             uint64_t spanBytes, ClassList* list);
  bool giveUpStorage(OwnSegment& own, uint32_t first, uint32_t chunks);
  void keepStorage(OwnSegment& own, uint32_t first, uint32_t chunks);
  void settleKept();
  void releaseSpan(Span& span);
  bool makeRoom(const Status& shortage);
  void listSpan(Span& span);
  void unlistSpan(Span& span);
  Result<OwnSegment*> addSegment(uint32_t unitBytes, uint64_t totalBytes);
  void retireSegment(OwnSegment& own);
  Status commitChunks(OwnSegment& own, uint32_t first, uint32_t chunks, uint64_t bytes);
  std::shared_ptr<CommitJob> jobFor(const OwnSegment& own, uint32_t first, uint32_t chunks) const;
  void commitAhead(OwnSegment& own);
  void settleJobs(bool wait);
  Status checkLimit(uint64_t moreBytes) const;
  uint64_t punchFree(uint64_t keepBytes, bool onHelper);

  Domain& domain_;
  Options options_;
  uint32_t number_;
  std::vector<std::unique_ptr<OwnSegment>> segments_;  // By creation; null where retired.
  ClassList small_[kClassesPerUnit];
  ClassList medium_[kClassesPerUnit];
  std::vector<std::pair<OwnSegment*, uint32_t>> pending_;
  size_t pendingAt_ = 0;        // Where the next look at them begins.
  std::vector<ChunkRun> kept_;  // Free, but the kernel may still read it.
  std::vector<std::shared_ptr<CommitJob>> jobs_;
  PoolFigures unseen_;          // When the domain's facts have no place.
  PoolFacts* facts_ = nullptr;  // In the domain's facts.
  PoolFigures& stats_;
};

}  // namespace iol
