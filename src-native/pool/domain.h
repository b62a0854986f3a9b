// pool/domain.h: one participant: a JavaScript environment or a native program's thread.
//
//   domain -> pools -> own segments        written here, read by whoever was granted them
//          -> foreign segments             granted, mapped read-only
//          -> hold tables, one per owner   written here, read by that owner
//
// A domain takes and drops holds on buffers, whoever owns them. Everything in this library that is
// called with a Domain& runs on that domain's thread.
//
// Ownership   a domain owns its hold tables and its mappings of foreign segments; pools belong to
//             it and end with it.
// Threads     one: the thread that made it. Helper threads read bytes, never holds.
// Failure     Forked, WindowFull (no free domain slot), System.
// Cost        retain/release of a buffer: some ten instructions, no atomics with a lock.
// May include base/ sys/ window/
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "pool/facts.h"
#include "pool/holds.h"
#include "window/segment.h"
#include "window/window.h"

namespace iol {

class Pool;
struct Slice;

// What an ArrayBuffer covers of a segment, so that whoever has it can be told when to give it up.
struct ViewSpan {
  uint64_t offset = 0;  // In the segment.
  uint64_t bytes = 0;
  uint32_t firstChunk = 0;  // Its name: buffers with the same one share the ArrayBuffer.
};

// Told when this domain holds nothing more in a span of which JavaScript has a view.
class ViewListener {
 public:
  virtual void onViewIdle(Segment& segment, uint32_t firstChunk) = 0;
  // The segment, own or foreign, is about to be unmapped.
  virtual void onSegmentRetired(Segment& segment) = 0;

 protected:
  ~ViewListener() = default;
};

// Told when this domain's last hold goes of a buffer that it asked about (watchLastHold).
class ReleaseListener {
 public:
  virtual void onLastHold(const Slice& slice) = 0;

 protected:
  ~ReleaseListener() = default;
};

// Where foreign segments come from and own ones are made known: the control plane.
class SegmentSource {
 public:
  // Asks for a segment; adoptSegment() follows some time later. Ok also when it was asked before;
  // AccessDenied or BadDescriptor when it will never come.
  virtual Status request(uint32_t number) = 0;
  // Once, before the first name in the segment leaves this domain. WouldBlock: try again later.
  virtual Status publish(Segment& own) = 0;
  // A published segment is about to be unmapped; nobody holds anything in it.
  virtual void retire(Segment& own) = 0;
  // The kernel's word on the owner's process.
  virtual bool ownerHasEnded(DomainName owner) = 0;
  // A segment was made: are there segment numbers for more?
  virtual void needNumbers() {}

 protected:
  ~SegmentSource() = default;
};

// Something that keeps holds for messages that may have been consumed meanwhile.
class InFlightHolds {
 public:
  virtual void settle() = 0;

 protected:
  ~InFlightHolds() = default;
};

class Domain {
 public:
  static Result<std::unique_ptr<Domain>> create(Window& window);
  // A domain that the window's host has named.
  static Result<std::unique_ptr<Domain>> create(Window& window, DomainName name);
  ~Domain();
  Domain(const Domain&) = delete;
  Domain& operator=(const Domain&) = delete;

  Window& window() { return window_; }
  DomainName name() const { return name_; }

  // One hold more on the buffer of a slice that is already held. No check is needed.
  void retain(const Slice& slice);
  // The last hold of an own buffer frees it.
  void release(const Slice& slice);
  // Of a buffer that is held: the kernel is about to be given its pages (I4). Its storage is never
  // filled again in place, whoever owns it and whatever becomes of this domain.
  void markKernelVisible(const Slice& slice);

  // The taker's discipline for a name that came from somebody else; the segment is segment()'s.
  // Counts one hold. BadDescriptor: no such slot. Stale: an own buffer that nobody was told of.
  // Nothing is held after a failure.
  Status takeNamed(Segment& segment, uint32_t slot);
  // After fenceAfterTake(). Unless Taken or Revoking, release() it.
  TakeOutcome checkNamed(const Segment& segment, uint32_t slot, uint64_t generation);
  // Call before a name leaves. The failures are SegmentSource::publish's.
  Status exportSlice(const Slice& slice);

  // Of an own buffer: some other domain holds it, or may be about to.
  bool isHeldElsewhere(const Slice& slice) const;

  // The segment of that number, own or granted; null while there is none.
  Segment* segment(uint32_t number) const;
  // A granted segment; the hold table for its owner exists from here on.
  Status adoptSegment(std::unique_ptr<Segment> segment);
  // How often something asked for came or was refused: who waits looks again when it changes.
  uint64_t segmentAnswers() const { return segmentAnswers_; }
  void noteSegmentAnswer() { segmentAnswers_++; }
  // Last holds that went in foreign segments that are kept only for those (Segment::setLeaving).
  uint64_t releasesOfLeaving() const { return releasesOfLeaving_; }
  // Unmaps a foreign segment; false while anything in it is held.
  bool forgetSegment(uint32_t number);
  // Unmaps all of them, held or not: the domain ends.
  void forgetSegments();
  // Gives up the hold table for an owner that is dead; false while anything of it is held.
  bool forgetOwner(DomainName owner);
  // A new source knows none of the segments.
  void setSegmentSource(SegmentSource* source);
  SegmentSource* segmentSource() const { return source_; }

  // What other domains hold of this one's buffers.
  PeerHolds& peers() { return peers_; }
  // The counts of domains that have died are zero from now on.
  void reapDeadPeers();
  // The same for one that left in order while its process lives on.
  void forgetPeer(DomainName peer);

  // Of data committed in all its pools together; 0: as much as the window.
  void setMaxBytes(uint64_t maxBytes) { maxBytes_ = maxBytes; }
  uint64_t maxBytes() const { return maxBytes_; }

  // What observers see of it.
  Facts& facts() { return *facts_; }

  HoldTable& ownHolds() { return *ownHolds_; }
  // This domain's holds on the owner's buffers; the table is made at the first call.
  Result<HoldTable*> holdsFor(DomainName owner);
  HoldTable& holdsOf(const Segment& segment) const {
    return segment.isOwn() ? *ownHolds_ : *static_cast<HoldTable*>(segment.keeper());
  }
  uint64_t liveHolds() const;

  // Senders, so that a pool short of memory first takes back what receivers have consumed.
  void addInFlight(InFlightHolds* holds) { inFlight_.push_back(holds); }
  void removeInFlight(InFlightHolds* holds) { std::erase(inFlight_, holds); }
  void settleInFlight();
  bool hasInFlight() const { return !inFlight_.empty(); }

  // What a view of the slice covers: of an own buffer the span that it is carved from; of a foreign
  // one, of which only start and size are known, the chunks that a buffer that starts in its
  // chunk reaches. A foreign owner that rewrites its tables changes the answer: the segment's end
  // bounds it, the caller compares.
  ViewSpan viewSpan(const Slice& slice) const;
  // From now on the view listener hears when the last hold in that span goes.
  void markViewed(const Slice& slice);
  void setViewListener(ViewListener* listener) { viewListener_ = listener; }
  ViewListener* viewListener() const { return viewListener_; }

  // Of an own buffer that is held: the release listener hears when the last hold goes, once.
  void watchLastHold(const Slice& slice);
  void setReleaseListener(ReleaseListener* listener) { releaseListener_ = listener; }
  ReleaseListener* releaseListener() const { return releaseListener_; }

  const std::vector<Pool*>& pools() const { return pools_; }
  // The pool of this domain that the slice's buffer is in; null when it is another domain's.
  Pool* poolOf(const Slice& slice) const;

 private:
  friend class Pool;
  Domain(Window& window, DomainName name);

  std::vector<const Segment*> ownSegments() const;
  void noteDeath(const PeerHolds::Death& death);
  void tellViews(Segment& segment, uint32_t chunk);

  struct ForeignHolds {
    DomainName owner;
    std::unique_ptr<HoldTable> table;
  };

  Window& window_;
  DomainName name_;
  uint64_t maxBytes_ = 0;
  uint32_t poolsMade_ = 0;
  std::unique_ptr<HoldTable> ownHolds_;
  std::unique_ptr<Facts> facts_;
  PeerHolds peers_;
  std::vector<ForeignHolds> foreignHolds_;
  std::vector<std::unique_ptr<Segment>> foreignSegments_;
  std::unordered_map<uint32_t, Segment*> segments_;  // By first number, own and foreign.
  uint64_t segmentAnswers_ = 0;
  uint64_t releasesOfLeaving_ = 0;
  SegmentSource* source_ = nullptr;
  std::vector<InFlightHolds*> inFlight_;
  ViewListener* viewListener_ = nullptr;
  ReleaseListener* releaseListener_ = nullptr;
  std::vector<Pool*> pools_;
  std::vector<bool> ordinalsUsed_;
};

}  // namespace iol
