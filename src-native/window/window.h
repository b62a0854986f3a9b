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
#include <vector>

#include "base/status.h"
#include "window/segment.h"

namespace iol {

class Window {
 public:
  struct Options {
    uint64_t maxBytes = 0;  // 0: half of the memory that the machine or the cgroup grants.
  };

  explicit Window(Options options);
  // A window of another process: its host gives domains' names and segment numbers.
  Window(uint64_t id, Options options);
  // The process's own window. `configure` before first use only; later it answers Busy.
  static Window& process();
  static Status configure(Options options);

  uint64_t id() const { return id_; }
  uint64_t maxBytes() const { return maxBytes_; }
  uint64_t committedBytes() const { return committedBytes_.load(std::memory_order_relaxed); }

  // Names never used before in this window.
  Result<uint32_t> takeSegmentNumbers(uint32_t count);
  void addSegmentNumbers(uint32_t first, uint32_t count);
  uint32_t segmentNumbersLeft() const;
  // Domains are named where the window was made, and nowhere else.
  Result<DomainName> takeDomain();
  void returnDomain(DomainName domain);
  bool hasDomain(DomainName domain) const;

  // Before committing memory: our own limit, the cgroup's and the machine's, with head-room.
  // Takes nothing when it fails. unreserve after giving memory back.
  Status reserve(uint64_t bytes);
  void unreserve(uint64_t bytes);

 private:
  uint64_t id_;
  uint64_t maxBytes_;
  std::atomic<uint64_t> committedBytes_{0};
  mutable std::mutex mutex_;
  struct Range {
    uint32_t next;
    uint32_t end;
  };
  std::vector<Range> numbers_;
  uint32_t domainEpochs_[kDomainsMax] = {};
  bool domainUsed_[kDomainsMax] = {};
};

}  // namespace iol
