// window/window.h: what all domains of one process share: the window's identity and budget.
//
// Ownership   one per process, made at first use, never destroyed (Window::process()).
// Threads     any; counters are atomic, names are handed out under a mutex.
// Failure     WindowFull, NoMemory, Forked.
// Cost        reserve/unreserve: one atomic addition. commit checks read /proc and cgroup files.
// May include base/ sys/
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/status.h"
#include "window/segment.h"

namespace iol {

class Window {
 public:
  struct Options {
    uint64_t maxBytes = 0;  // 0: half of the memory that the machine or the cgroup grants.
  };

  explicit Window(Options options);
  // The process's own window. `configure` before first use only; later it answers Busy.
  static Window& process();
  static Status configure(Options options);

  uint64_t id() const { return id_; }
  uint64_t maxBytes() const { return maxBytes_; }
  uint64_t committedBytes() const { return committedBytes_.load(std::memory_order_relaxed); }

  // Names never used before in this window.
  Result<uint32_t> takeSegmentNumbers(uint32_t count);
  Result<DomainName> takeDomain();
  void returnDomain(DomainName domain);

  // Before committing memory: our own limit, the cgroup's and the machine's, with head-room.
  // Takes nothing when it fails. unreserve after giving memory back.
  Status reserve(uint64_t bytes);
  void unreserve(uint64_t bytes);

 private:
  uint64_t id_;
  uint64_t maxBytes_;
  std::atomic<uint64_t> committedBytes_{0};
  std::mutex mutex_;
  uint32_t nextSegment_ = 1;  // 0 is no segment, so address 0 names nothing.
  uint32_t domainEpochs_[kDomainsMax] = {};
  bool domainUsed_[kDomainsMax] = {};
};

}  // namespace iol
