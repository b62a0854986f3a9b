// node/host_thread.h: the host on a thread of its own, and which window this process is in.
//
// Why a thread: attaching and granting never wait for anybody's JavaScript, a busy or stopped
// debugger included. The host uses of Window only what any thread may use.
//
// Ownership   owns the host. Events are told on the thread; the environment posts them to its own.
// Threads     start, end, domains: the environment's that made it.
// Failure     Busy when this process has a host already; what Host::create says.
// Cost        a thread that sleeps until somebody asks.
// May include everything below node/
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "channel/host.h"
#include "sys/poll_set.h"

namespace iol::node {

class HostThread final : HostListener {
 public:
  enum class Happened : uint8_t { Attached, Gone, TurnedAway };
  struct Event {
    Happened what;
    DomainName domain;
    Credentials who;
    Status why;
  };
  using Tell = std::function<void(Event)>;

  static Result<std::unique_ptr<HostThread>> start(Host::Options options, Tell tell);
  ~HostThread();
  HostThread(const HostThread&) = delete;
  HostThread& operator=(const HostThread&) = delete;

  const HostAddress& address() const { return host_->address(); }
  std::vector<Host::DomainFacts> domains();
  size_t segmentCount();

 private:
  HostThread(Tell tell, sys::PollSet ready, sys::Wakeup wakeup);
  void run();
  void onAttached(DomainName domain, const Credentials& who) override;
  void onGone(DomainName domain, const Status& why) override;
  void onTurnedAway(uint32_t pid, const Status& why) override;

  Tell tell_;
  sys::PollSet ready_;
  sys::Wakeup wakeup_;
  std::atomic<bool> isEnding_{false};
  std::mutex mutex_;  // Of host_.
  std::unique_ptr<Host> host_;
  std::thread thread_;
};

// Which window the environments of this process belong to: the one that it hosts, or the one that
// it attached to last. Any thread.
struct ProcessWindow {
  std::string address;  // Empty: neither.
  bool isHosted = false;
};
ProcessWindow processWindow();
void setAttachedWindow(const std::string& address);

}  // namespace iol::node
