// pool/holds.h: who holds which buffer: one domain's counters, and an owner's view of everybody's.
//
//   HoldTable          this domain's counts of one owner's buffers; only its thread stores here
//   PeerHolds          the owner's read-only mappings of other domains' tables, their deaths, and
//                      the owner's epoch word that says whether all of them are known
//
// The discipline (design.md section 4, model in test/model):
//   take     count + 1; full fence (one per batch); read the generation: equal and even, or drop
//   drop     release store after the last load of the payload
//   free     mark odd; full fence; read the epoch and every count: all zero, or restore
//
// Ownership   a HoldTable owns its memfd; PeerHolds own their mappings and pidfds.
// Threads     the domain's own thread; other domains read the counts through their own mapping.
// Failure     System, NoMemory. Counts saturate and then stick: such a buffer is never reused.
// Cost        take, drop: two loads and one or two stores. A scan: one or two loads per domain.
// May include base/ sys/ window/
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "sys/fd.h"
#include "sys/poll_set.h"
#include "window/layout.h"
#include "window/segment.h"

namespace iol {

class HoldTable {
 public:
  static Result<std::unique_ptr<HoldTable>> create(uint64_t windowId, DomainName holder,
                                                   DomainName owner);
  ~HoldTable();
  HoldTable(const HoldTable&) = delete;
  HoldTable& operator=(const HoldTable&) = delete;

  // Count + 1. The caller fences (once for a batch), then checks the generation.
  void take(uint32_t ordinal, uint32_t chunk, uint32_t slot);
  // Count - 1; true when this domain holds the slot no more.
  bool drop(uint32_t ordinal, uint32_t chunk, uint32_t slot);
  uint32_t count(uint32_t ordinal, uint32_t slot) const;
  // Slots of the chunk that this domain holds.
  uint32_t heldInChunk(uint32_t ordinal, uint32_t chunk) const;
  // The kernel may read the pages after the call returns (I4). Set while held; taken back only
  // after every completion was read from the still-open socket.
  void setKernelVisible(uint32_t ordinal, uint32_t slot, bool visible);
  // For the owner that frees a slot nobody holds: true when the bit was left set; clears it.
  bool clearKernelVisible(uint32_t ordinal, uint32_t chunk, uint32_t slot);
  // Of a segment that its owner never fills again, all at once. Why needed: the next segment of
  // that ordinal may have other slots in a chunk, and a bit left there would hide a hold from its
  // owner. False when the domain still holds one of its buffers; the others' bits are cleared.
  bool clearKernelVisible(const Segment& retired);

  // Before a sleep: a chunk's time is then looked up anew, else each 64th time only, so that a busy
  // domain's are a little early.
  void forgetTime() { raised_ = 0; }

  uint64_t liveHolds() const { return liveHolds_; }
  const sys::Fd& readOnlyFd() const { return readOnlyFd_; }

 private:
  HoldTable() = default;
  HoldWord& chunkWordOf(uint32_t ordinal, uint32_t chunk) const;
  void raiseChunk(uint32_t ordinal, uint32_t chunk);
  void lowerChunk(uint32_t ordinal, uint32_t chunk);
  HoldWord* slotCounts(uint32_t ordinal) const;

  sys::Fd memory_;
  sys::Fd readOnlyFd_;
  uint8_t* base_ = nullptr;
  bool isForeign_ = false;  // Of another domain's buffers: says since when, too.
  uint32_t seconds_ = 0;    // As last looked at, and chunks raised since.
  uint32_t raised_ = 0;
  uint64_t liveHolds_ = 0;  // Sum of all counts.
};

// The fence between a batch of takes and the generation reads; pairs with PeerHolds::scan.
void fenceAfterTake();

enum class TakeOutcome : uint8_t {
  Taken,     // Yours until you drop it.
  Revoking,  // Keep the hold, leave the message where it is, look again later.
  Stale,     // Not yours: drop.
};

// After the fence: is the content still the one that was named? `ownerIsDead` makes the odd
// generation of an owner that died while revoking count as the even one below it; ask for the
// death before calling: read afterwards, a living owner may have gone on in between. A name with
// an odd generation is never valid, so a peer cannot get one taken while its owner revokes it.
TakeOutcome checkTaken(const Segment& segment, uint32_t slot, uint64_t generation,
                       bool ownerIsDead);

class PeerHolds {
 public:
  PeerHolds() = default;
  ~PeerHolds();
  PeerHolds(const PeerHolds&) = delete;
  PeerHolds& operator=(const PeerHolds&) = delete;

  // From now on `epochWord` (the host's, for this owner) is compared with the tables that are
  // here; `epoch` is its value as far as they are. Without it nobody else can know a name.
  void follow(const EpochWord* epochWord, uint64_t epoch);

  // Maps the table of a domain that is about to be granted something. The host raises the epoch
  // word to `epoch` for it; they come in order, without a gap, so that the last one says that
  // everybody is known. The word may be raised later than the table is added, never before it was
  // sent: so an owner whose host died is never left waiting for a table.
  Status add(DomainName domain, sys::Fd table, sys::Fd pidfd, uint64_t epoch);

  // A table that is none: its domain is not protected, and nobody waits for it.
  void skip(uint64_t epoch) {
    if (epoch == epochKnown_ + 1) epochKnown_ = epoch;
  }

  struct Scan {
    bool isHeld = false;
    bool isKernelVisible = false;
  };
  // Call after marking and after the owner's fence. A domain that was granted something but whose
  // table is not here counts as holding.
  Scan scan(uint32_t ordinal, uint32_t chunk, uint32_t slot) const;

  struct Death {
    DomainName domain;
    std::vector<std::pair<uint32_t, uint32_t>> kernelVisible;  // ordinal, slot
  };
  // One system call, none while there are no tables.
  bool anyHasDied() const;
  // Domains whose process the kernel reports dead: their counts are zero from now on.
  std::vector<Death> reapDead(const std::vector<const Segment*>& segments);

  // A living domain that left in order: it holds nothing, the kernel perhaps for it.
  Death remove(DomainName domain, const std::vector<const Segment*>& segments);

  size_t size() const { return tables_.size(); }
  uint64_t epochKnown() const { return epochKnown_; }

 private:
  struct Table {
    DomainName domain;
    sys::Fd pidfd;
    const uint8_t* base;
  };
  Death bury(size_t index, const std::vector<const Segment*>& segments);

  std::vector<Table> tables_;
  std::optional<sys::PollSet> deaths_;  // The pidfds; made with the first table.
  const EpochWord* epochWord_ = nullptr;
  uint64_t epochKnown_ = 0;
};

}  // namespace iol
