#include "pool/committer.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "sys/memory.h"

namespace iol {
namespace {

// Process-wide and never destroyed: the thread may outlive every static destructor.
struct Queue {
  std::mutex mutex;
  std::condition_variable arrived;
  std::condition_variable finished;
  std::deque<std::shared_ptr<CommitJob>> jobs;
  bool isRunning = false;
};

Queue& queue() {
  static Queue* instance = new Queue();
  return *instance;
}

Status runPunch(CommitJob& job) {
  IOL_TRY(sys::punchHole(job.memory, job.dataOffset, job.dataBytes));
  job.window->unreserve(job.budgetBytes);
  return {};
}

void serve() {
  Queue& jobs = queue();
  while (true) {
    std::shared_ptr<CommitJob> job;
    {
      std::unique_lock<std::mutex> lock(jobs.mutex);
      jobs.arrived.wait(lock, [&] { return !jobs.jobs.empty(); });
      job = std::move(jobs.jobs.front());
      jobs.jobs.pop_front();
    }
    const Status status = job->isPunch ? runPunch(*job) : runCommit(*job);
    job->memory.reset();
    {
      std::lock_guard<std::mutex> lock(jobs.mutex);
      job->state.store(status.isOk() ? CommitJob::State::Done : CommitJob::State::Failed,
                       std::memory_order_release);
    }
    jobs.finished.notify_all();
  }
}

}  // namespace

Status runCommit(CommitJob& job) {
  IOL_TRY(job.window->reserve(job.budgetBytes));
  Status status = sys::commit(job.memory, job.dataOffset, job.dataBytes);
  if (status.isOk() && job.generationsBytes > 0) {
    status = sys::commit(job.memory, job.generationsOffset, job.generationsBytes);
  }
  if (!status.isOk()) {
    // What was allocated before the failure counts nowhere: back to the system with it. A range
    // that had pages already keeps its budget elsewhere, so those of a partly used one stay.
    if (job.budgetBytes == job.dataBytes) {
      (void)sys::punchHole(job.memory, job.dataOffset, job.dataBytes).isOk();
    }
    job.window->unreserve(job.budgetBytes);
  }
  return status;
}

void submitCommitJob(std::shared_ptr<CommitJob> job) {
  Queue& jobs = queue();
  {
    std::lock_guard<std::mutex> lock(jobs.mutex);
    jobs.jobs.push_back(std::move(job));
    if (!jobs.isRunning) {
      jobs.isRunning = true;
      std::thread(serve).detach();
    }
  }
  jobs.arrived.notify_one();
}

void awaitCommitJob(const CommitJob& job) {
  Queue& jobs = queue();
  std::unique_lock<std::mutex> lock(jobs.mutex);
  jobs.finished.wait(
      lock, [&] { return job.state.load(std::memory_order_acquire) != CommitJob::State::Waiting; });
}

}  // namespace iol
