#include "node/host_thread.h"

#include <utility>

#include "sys/bell.h"
#include "window/window.h"

namespace iol::node {
namespace {

std::mutex processMutex;
// Never destroyed: other threads may look while the process ends.
ProcessWindow& process() {
  static ProcessWindow* const window = new ProcessWindow();
  return *window;
}

}  // namespace

ProcessWindow processWindow() {
  std::lock_guard<std::mutex> lock(processMutex);
  return process();
}

void setAttachedWindow(const std::string& address) {
  std::lock_guard<std::mutex> lock(processMutex);
  if (!process().isHosted) process().address = address;
}

Result<std::unique_ptr<HostThread>> HostThread::start(Host::Options options, Tell tell) {
  Result<sys::PollSet> ready = sys::PollSet::create();
  if (!ready.isOk()) return ready.status();
  Result<sys::Wakeup> wakeup = sys::Wakeup::create();
  if (!wakeup.isOk()) return wakeup.status();
  std::unique_ptr<HostThread> thread(new HostThread(std::move(tell), ready.take(), wakeup.take()));
  // Under the lock all along: of two environments that start one, the second is told.
  std::lock_guard<std::mutex> lock(processMutex);
  if (process().isHosted) return Status(Code::Busy, "window (this process hosts one already)");
  Result<std::unique_ptr<Host>> host =
      Host::create(Window::process(), std::move(options), thread.get());
  if (!host.isOk()) return host.status();
  thread->host_ = host.take();
  IOL_TRY(thread->ready_.add(thread->host_->fd(), sys::Interest::Read, 0));
  IOL_TRY(thread->ready_.add(thread->wakeup_.fd(), sys::Interest::Read, 1));
  thread->thread_ = std::thread([host = thread.get()] { host->run(); });
  process() = {thread->address().format(), true};
  return thread;
}

HostThread::HostThread(Tell tell, sys::PollSet ready, sys::Wakeup wakeup)
    : tell_(std::move(tell)), ready_(std::move(ready)), wakeup_(std::move(wakeup)) {}

HostThread::~HostThread() {
  if (!thread_.joinable()) return;
  isEnding_.store(true);
  wakeup_.signal();
  thread_.join();
  std::lock_guard<std::mutex> lock(processMutex);
  process() = {};
}

void HostThread::run() {
  while (!isEnding_.load()) {
    sys::sleepUntilReadable(ready_.fd(), -1);
    std::lock_guard<std::mutex> lock(mutex_);
    host_->onReady();
  }
}

std::vector<Host::DomainFacts> HostThread::domains() {
  std::lock_guard<std::mutex> lock(mutex_);
  return host_->domains();
}

size_t HostThread::segmentCount() {
  std::lock_guard<std::mutex> lock(mutex_);
  return host_->segmentCount();
}

void HostThread::onAttached(DomainName domain, const Credentials& who) {
  tell_({Happened::Attached, domain, who, {}});
}

void HostThread::onGone(DomainName domain, const Status& why) {
  tell_({Happened::Gone, domain, {}, why});
}

void HostThread::onTurnedAway(uint32_t pid, const Status& why) {
  Credentials who;
  who.pid = pid;
  tell_({Happened::TurnedAway, {}, who, why});
}

}  // namespace iol::node
