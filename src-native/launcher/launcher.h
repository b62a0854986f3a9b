// launcher/launcher.h: the small process that starts programs for a server.
//
//   server --start, descriptors--> launcher --vfork, exec--> program, program ...
//          <--started, ended-----           <--SIGCHLD-----
//
// A server of gigabytes with thousands of descriptors should not fork; this one has a few pages.
// It lives as long as the socket's other end. Then it ends its programs, with their groups.
//
// Ownership   owns the socket; knows programs by number until it has seen them end.
// Threads     one.
// Failure     a program that cannot be started is a report. A socket that fails ends the launcher.
// Cost        one message, one vfork and one exec a program; two messages back.
// May include base/ sys/
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "launcher/launch_message.h"
#include "sys/fd.h"
#include "sys/handover.h"

namespace iol::launcher {

class Launcher {
 public:
  Launcher(sys::Fd socket, sys::Fd children);
  // Until the server is gone; then ends what runs and returns.
  void run();

 private:
  struct Running {
    uint32_t id;
    int32_t pid;
  };
  bool takeOrders();
  void carryOut(std::span<char> message, std::vector<sys::Fd>& descriptors);
  void start(const LaunchHead& head, std::span<char> texts, std::vector<sys::Fd>& descriptors);
  void signal(uint32_t id, bool isKill);
  void takeEnded();
  void report(Event event, uint32_t id, int32_t value, int32_t signal = 0);
  void endAll();

  sys::Fd socket_;
  sys::Fd children_;
  std::vector<Running> running_;
  std::vector<char> message_;
};

}  // namespace iol::launcher
