// The window's host: says in the scoreboard where it listens, and who broke a rule.
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "base/crash_point.h"
#include "channel/host.h"
#include "participant.h"
#include "sys/clock.h"

namespace iol::torture {
namespace {

struct Watcher final : HostListener {
  explicit Watcher(Seat& watched) : seat(watched) {}
  void complain(const char* what, const Status& why) {
    std::snprintf(seat.complaint, sizeof seat.complaint, "%s: %s of %s, %llu against %llu", what,
                  codeName(why.code()), why.subject(), static_cast<unsigned long long>(why.value()),
                  static_cast<unsigned long long>(why.limit()));
    seat.state.store(static_cast<uint32_t>(State::Failed));
    ::_exit(3);
  }
  void onAttached(DomainName, const Credentials&) override { seat.received++; }
  void onGone(DomainName, const Status& why) override {
    if (!why.isOk()) complain("a domain was cut", why);
    seat.deaths++;
  }
  void onTurnedAway(uint32_t, const Status& why) override {
    // Killed while shaking hands.
    if (why.code() != Code::Closed) complain("somebody was turned away", why);
    seat.refused++;
  }
  Seat& seat;
};

void publishFacts(Scoreboard& board, const Host& host) {
  uint32_t living = 0;
  uint32_t ghosts = 0;
  std::string names;
  for (const Host::DomainFacts& each : host.domains()) {
    (each.hasEnded ? ghosts : living)++;
    if (!each.hasEnded) continue;
    names += std::to_string(each.name.slot) + "." + std::to_string(each.name.epoch) + " ";
  }
  if (Seat& seat = board.seats[kHostSeat]; ghosts > 0) {
    std::snprintf(seat.doing, sizeof seat.doing, "ghosts %.56s", names.c_str());
  } else {
    seat.doing[0] = 0;
  }
  board.hostDomains.store(living);
  board.hostGhosts.store(ghosts);
  board.hostSegments.store(static_cast<uint32_t>(host.segmentCount()));
}

}  // namespace

int runHost(Scoreboard& board) {
  Seat& seat = board.seats[kHostSeat];
  Watcher watcher(seat);
  Window window({1ull << 30});
  Result<std::unique_ptr<Host>> made = Host::create(window, {}, &watcher);
  if (!made.isOk()) watcher.complain("no host", made.status());
  Host& host = *made.value();
  std::snprintf(board.address, sizeof board.address, "%s", host.address().format().c_str());
  board.isHostAlive.store(1);
  board.windowsMade++;
  seat.state.store(static_cast<uint32_t>(State::Attached));
  while (true) {
    const bool isLast = static_cast<Phase>(board.phase.load()) == Phase::Leave;
    pollfd ready{host.fd().get(), POLLIN, 0};
    seat.turnBeganNs.store(0);
    ::poll(&ready, 1, board.phase.load() == 0 ? 2000 : 10);
    seat.turnBeganNs.store(sys::monotonicNs());
    if (const uint32_t armed = seat.armed.exchange(0); armed != 0) {
      const std::string name = kCrashPointNames[armed >> 16];
      (void)armCrashPoint((name + ":" + std::to_string(armed & 0xffff)).c_str());
    }
    host.onReady();
    publishFacts(board, host);
    if (isLast && board.hostDomains.load() == 0) break;
  }
  publishFacts(board, host);
  seat.state.store(static_cast<uint32_t>(State::Left));
  return 0;
}

}  // namespace iol::torture
