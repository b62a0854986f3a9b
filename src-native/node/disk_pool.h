// node/disk_pool.h: runs disk jobs on libuv's thread pool and finishes them on the loop.
//
// Ownership   as DiskQueue says. Jobs in flight when the environment ends are waited for, then
//             destroyed unfinished: nobody is left to be told.
// Threads     start() and finish() on the environment's.
// Cost        two thread switches a job.
// May include everything below node/
#pragma once

#include <cstdint>
#include <memory>

#include "cache/disk_job.h"

namespace iol::node {

class EnvState;

class DiskPool final : public DiskQueue {
 public:
  explicit DiskPool(EnvState& state) : state_(state) {}
  void start(std::unique_ptr<DiskJob> job) override;
  uint32_t jobsInFlight() const { return jobsInFlight_; }

 private:
  struct Work;
  void finish(std::unique_ptr<Work> work);

  EnvState& state_;
  uint32_t jobsInFlight_ = 0;
};

}  // namespace iol::node
