// pool/domain.h: one participant: a JavaScript environment or a native program's thread.
//
// A domain takes and drops holds on buffers, whoever owns them, and owns pools. Everything in
// this library that is called with a Domain& runs on that domain's thread.
//
// Ownership   a domain owns its hold tables; pools belong to it and end with it.
// Threads     one: the thread that made it. Helper threads read bytes, never holds.
// Failure     Forked, WindowFull (no free domain slot), System.
// Cost        retain/release of an own buffer: some ten instructions, no atomics with a lock.
// May include base/ sys/ window/
#pragma once

#include <memory>
#include <vector>

#include "base/status.h"
#include "pool/holds.h"
#include "window/segment.h"
#include "window/window.h"

namespace iol {

class Pool;
struct Slice;

// Told when this domain holds nothing more in a chunk of which JavaScript has a view.
class ViewListener {
 public:
  virtual void onViewIdle(Segment& segment, uint32_t firstChunk) = 0;
  virtual void onSegmentRetired(Segment& segment) = 0;

 protected:
  ~ViewListener() = default;
};

class Domain {
 public:
  static Result<std::unique_ptr<Domain>> create(Window& window);
  ~Domain();
  Domain(const Domain&) = delete;
  Domain& operator=(const Domain&) = delete;

  Window& window() { return window_; }
  DomainName name() const { return name_; }

  // One hold more on the buffer of a slice that is already held. No check is needed.
  void retain(const Slice& slice);
  // The last hold of an own buffer frees it.
  void release(const Slice& slice);

  HoldTable& ownHolds() { return *ownHolds_; }
  uint64_t liveHolds() const { return ownHolds_->liveHolds(); }
  void setViewListener(ViewListener* listener) { viewListener_ = listener; }
  ViewListener* viewListener() const { return viewListener_; }

  const std::vector<Pool*>& pools() const { return pools_; }

 private:
  friend class Pool;
  Domain(Window& window, DomainName name);

  Window& window_;
  DomainName name_;
  std::unique_ptr<HoldTable> ownHolds_;
  ViewListener* viewListener_ = nullptr;
  std::vector<Pool*> pools_;
  std::vector<bool> ordinalsUsed_;
};

}  // namespace iol
