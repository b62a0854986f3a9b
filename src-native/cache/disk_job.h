// cache/disk_job.h: one piece of disk work that must not run on a domain's thread.
//
//   domain's thread     plan ──> DiskQueue::start(job)                finish() ──> callbacks
//   any other thread                            └──> job->run() ──────┘
//
// Ownership   the queue owns a started job until finish() has returned, then destroys it.
// Threads     run() on any thread, once; finish() and the destructor on the domain's thread.
// Failure     a job that is destroyed unfinished gives everything back and calls nobody.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <memory>

namespace iol {

class DiskJob {
 public:
  virtual ~DiskJob() = default;
  // The system calls. Touches the job's own memory and descriptors, nothing else.
  virtual void run() = 0;
  // Seals, inserts, calls back. Also to be called when the queue gave up before run().
  virtual void finish() = 0;
};

// Who runs jobs: libuv's thread pool in the addon, a thread in native programs and tests.
// The domain, its pools and the queue must outlive every started job.
class DiskQueue {
 public:
  // May not run `job` before returning, nor finish it: callers are in the middle of something.
  virtual void start(std::unique_ptr<DiskJob> job) = 0;

 protected:
  ~DiskQueue() = default;
};

}  // namespace iol
