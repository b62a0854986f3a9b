#include "node/disk_pool.h"

#include <uv.h>

#include "base/check.h"
#include "node/call.h"
#include "node/env.h"

namespace iol::node {

struct DiskPool::Work {
  uv_work_t request;
  DiskPool* pool;
  std::unique_ptr<DiskJob> job;
};

void DiskPool::start(std::unique_ptr<DiskJob> job) {
  Work* work = new Work{{}, this, std::move(job)};
  work->request.data = work;
  state_.claim();
  ++jobsInFlight_;
  const int error = uv_queue_work(
      state_.loop(), &work->request,
      [](uv_work_t* request) { static_cast<Work*>(request->data)->job->run(); },
      [](uv_work_t* request, int) {
        std::unique_ptr<Work> done(static_cast<Work*>(request->data));
        DiskPool& pool = *done->pool;
        pool.finish(std::move(done));
      });
  IOL_CHECK(error == 0);  // Fails only without a work function.
}

void DiskPool::finish(std::unique_ptr<Work> work) {
  --jobsInFlight_;
  if (state_.isShuttingDown()) {
    work.reset();
  } else {
    LoopScope scope(state_.env());
    state_.healIfPending();
    work->job->finish();
    work.reset();
    state_.reapRetiredPools();
  }
  state_.unclaim();
}

}  // namespace iol::node
