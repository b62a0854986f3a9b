#include "controller.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "sys/clock.h"

namespace iol::torture {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kArmedMsMax = 500;  // Then it is killed wherever it is.
constexpr int64_t kQuietEveryMs = 3000;
constexpr int64_t kQuietMsMax = 15'000;

// The host's, and the one that nobody passes here.
bool isPointFor(bool isHost, const char* name) {
  const bool isHosts = std::strncmp(name, "Epoch", 5) == 0;
  return isHost == isHosts && std::strcmp(name, "HoldKernelVisible") != 0;
}

constexpr Role kRoles[] = {Role::Producer,  Role::Forwarder, Role::Consumer, Role::Hasty,
                           Role::Forwarder, Role::Churner,   Role::Producer, Role::Consumer,
                           Role::Forwarder, Role::Producer};

}  // namespace

Controller::Controller(const Options& options)
    : options_(options), shared_(makeScoreboard()), board_(*shared_.board), random_(options.seed) {
  char folder[] = "/tmp/torture-XXXXXX";
  if (::mkdtemp(folder) != nullptr) folder_ = folder;
  ::setenv("TMPDIR", folder, 1);
  filesBefore_ = filesThatStay(folder_);
}

Controller::~Controller() {
  killEverybody();
  ::rmdir(folder_.c_str());
}

void Controller::start(uint32_t number) {
  Seat& seat = board_.seats[number];
  const Role role = number == kHostSeat ? Role::Host
                    : isNode(number)    ? Role::Node
                                        : kRoles[(number - 1) % std::size(kRoles)];
  seat.role.store(static_cast<uint32_t>(role));
  seat.uid.store(++uids_);
  seat.armed.store(0);
  seat.round.store(0);
  for (auto* count : {&seat.channels, &seat.held, &seat.descriptors, &seat.mappings}) {
    count->store(0);
  }
  seat.isStopped.store(0);
  seat.domain.store(0);
  seat.turnBeganNs.store(0);
  seat.complaint[0] = 0;
  seat.doing[0] = 0;
  seat.state.store(static_cast<uint32_t>(State::Starting));
  plans_[number] = {};
  const std::string seed = std::to_string(options_.seed * 1'000'003 + uids_);
  const std::string place = std::to_string(number);
  const char* argv[] = {"torture", "--seat", place.c_str(), "--seed", seed.c_str(), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, shared_.memory.get(), 3);
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr,
                                  const_cast<char* const*>(argv), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    fail(std::string("cannot start a participant: ") + std::strerror(error));
    return;
  }
  seat.pid.store(pid);
}

// When even this takes long, it is the machine that stands still, and nobody else is blamed.
void Controller::sleepMs(int64_t ms) {
  const int64_t beganNs = sys::monotonicNs();
  const timespec pause{ms / 1000, ms % 1000 * kMs};
  ::nanosleep(&pause, nullptr);
  const int64_t now = sys::monotonicNs();
  lateMostNs_ = std::max(lateMostNs_, now - beganNs - ms * kMs);
  if (now - beganNs - ms * kMs > options_.stallMsMax * kMs / 4) excusedUntilNs_ = now + 2000 * kMs;
}

bool Controller::fail(const std::string& why) {
  if (failure_.empty()) failure_ = why;
  return false;
}

// Everybody whose end was not ours to see gets a new one in its seat.
bool Controller::reap() {
  int status = 0;
  for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
    for (uint32_t seat = 0; seat < kSeatsMax; seat++) {
      if (board_.seats[seat].pid.load() != pid) continue;
      if (!onExit(seat, status)) return false;
      break;
    }
  }
  return failure_.empty();
}

bool Controller::onExit(uint32_t number, int status) {
  Seat& seat = board_.seats[number];
  const Plan plan = plans_[number];
  const bool isFailed = seat.state.load() == static_cast<uint32_t>(State::Failed);
  const bool isKill = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  const std::string who = "seat " + std::to_string(number) + " (" +
                          nameOf(static_cast<Role>(seat.role.load())) + ", process " +
                          std::to_string(seat.pid.load()) + ")";
  seat.pid.store(0);
  seat.domain.store(0);
  seat.turnBeganNs.store(0);
  if (isFailed) return fail(who + ": " + seat.complaint);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    if (number == kHostSeat && phaseOf() != Phase::Leave) return fail("the host went by itself");
    exits_++;
  } else if (isKill && plan.isKilled) {
    (number == kHostSeat ? hostKills_ : killsAtRandom_)++;
    if (isNode(number)) nodeKills_++;
  } else if (isKill && plan.armedPoint > 0) {
    (number == kHostSeat ? hostKills_ : killsAtPoints_)++;
    killsAt_[plan.armedPoint - 1]++;
  } else {
    return fail(who + " ended by itself, wait status " + std::to_string(status));
  }
  if (number == kHostSeat) {
    board_.isHostAlive.store(0);
  } else if (phaseOf() == Phase::Leave) {
    seat.state.store(static_cast<uint32_t>(State::Left));
  } else {
    start(number);
  }
  return true;
}

uint32_t Controller::anySeat() { return 1 + random_.below(options_.seats()); }

void Controller::killAtRandom(uint32_t seat) {
  const int pid = board_.seats[seat].pid.load();
  if (pid <= 0 || plans_[seat].isKilled) return;
  plans_[seat].isKilled = true;
  ::kill(pid, SIGKILL);
}

// The addon has no crash points.
void Controller::armOne(uint32_t seat) {
  if (isNode(seat)) return killAtRandom(seat);
  uint32_t point = 0;
  do {
    point = random_.below(kPoints);
  } while (!isPointFor(seat == kHostSeat, kCrashPointNames[point]));
  plans_[seat].armedPoint = point + 1;
  plans_[seat].armedNs = sys::monotonicNs();
  const uint32_t passage = random_.oneIn(3) ? 1 + random_.below(30) : 1;
  board_.seats[seat].armed.store(point << 16 | passage);
  ::kill(board_.seats[seat].pid.load(), SIGUSR1);
}

void Controller::killOne() {
  for (uint32_t attempt = 0; attempt < 20; attempt++) {
    const uint32_t seat = anySeat();
    if (board_.seats[seat].pid.load() <= 0) continue;
    if (plans_[seat].isKilled || plans_[seat].armedPoint > 0) continue;
    // Those that run are armed; who is just starting only gets killed.
    const bool isRunning =
        board_.seats[seat].state.load() != static_cast<uint32_t>(State::Starting);
    // Node is long in starting, and has nothing of ours by then.
    if (isNode(seat) && !isRunning && !random_.oneIn(8)) continue;
    // Not all that are armed come to their point: so that it is half of all in the end.
    if (random_.below(10) < 7 && isRunning) {
      armOne(seat);
    } else {
      killAtRandom(seat);
    }
    return;
  }
}

void Controller::stopOne() {
  const uint32_t number = random_.oneIn(8) ? kHostSeat : anySeat();
  Seat& seat = board_.seats[number];
  if (seat.pid.load() <= 0 || plans_[number].continueNs != 0 || plans_[number].isKilled) return;
  seat.isStopped.store(1);
  ::kill(seat.pid.load(), SIGSTOP);
  plans_[number].continueNs = sys::monotonicNs() + (1 + random_.below(250)) * kMs;
  stops_++;
}

// Those whose time has come go on, or are killed because they did not pass their point.
void Controller::keepPlans() {
  const int64_t now = sys::monotonicNs();
  for (uint32_t number = 0; number < kSeatsMax; number++) {
    Plan& plan = plans_[number];
    Seat& seat = board_.seats[number];
    if (seat.pid.load() <= 0) continue;
    if (plan.continueNs != 0 && now >= plan.continueNs) {
      plan.continueNs = 0;
      // Before it runs: what it then measures is told apart by the time.
      const int64_t wokenNs = now + 20 * kMs;
      seat.turnBeganNs.store(0);
      seat.wokenAtNs.store(wokenNs);
      board_.anyWokenAtNs.store(wokenNs);
      ::kill(seat.pid.load(), SIGCONT);
      seat.isStopped.store(0);
    }
    const bool isLate = plan.armedPoint > 0 && now - plan.armedNs > kArmedMsMax * kMs;
    if (isLate && plan.continueNs == 0) killAtRandom(number);
  }
}

void Controller::continueAll() {
  for (uint32_t number = 0; number < kSeatsMax; number++) {
    if (plans_[number].continueNs != 0) plans_[number].continueNs = 1;
  }
  keepPlans();
}

bool Controller::turnsAreShort() {
  const int64_t now = sys::monotonicNs();
  const double mostMs = board_.stalls.maxMs();
  if (now < excusedUntilNs_) {
    excusedMs_ = mostMs;
    return true;
  }
  for (uint32_t number = 0; number < kSeatsMax; number++) {
    const Seat& seat = board_.seats[number];
    const int64_t beganNs = seat.turnBeganNs.load();
    if (seat.pid.load() <= 0 || beganNs == 0 || seat.isStopped.load() != 0) continue;
    const int64_t since = std::max(beganNs, seat.wokenAtNs.load());
    // Twice: it, too, may have waited for a processor.
    if (now - since < 2 * options_.stallMsMax * kMs || plans_[number].isKilled) continue;
    if (seat.turnBeganNs.load() != beganNs) continue;
    return fail("seat " + std::to_string(number) + " stands still for " +
                std::to_string((now - since) / kMs) + " ms");
  }
  if (mostMs < static_cast<double>(options_.stallMsMax) || mostMs <= excusedMs_) return true;
  return fail(
      "a message took " + std::to_string(mostMs) +
      " ms, both its ends running and not counted what its receiver waited for a processor");
}

void Controller::setPhase(Phase phase) {
  board_.phase.store(static_cast<uint32_t>(phase));
  for (uint32_t number = 0; number <= options_.seats(); number++) {
    const Seat& seat = board_.seats[number];
    // Node looks by itself, and would open its debugger.
    if (seat.pid.load() > 0 && !isNode(number)) ::kill(seat.pid.load(), SIGUSR1);
  }
}

bool Controller::waitFor(const char* what, int64_t timeoutMs, bool mayFail,
                         bool (Controller::*isTrue)()) {
  const int64_t deadline = sys::monotonicNs() + timeoutMs * kMs;
  while (!(this->*isTrue)()) {
    if (!reap() || (!mayFail && !turnsAreShort())) return false;
    keepPlans();
    if (sys::monotonicNs() > deadline) return fail(std::string(what) + " never came");
    sleepMs(5);
  }
  return true;
}

bool Controller::allAreQuiet() {
  const bool isHostAlive = board_.isHostAlive.load() != 0;
  const uint32_t round = board_.round.load();
  for (uint32_t number = 1; number <= options_.seats(); number++) {
    const Seat& seat = board_.seats[number];
    const bool isWaiting =
        !isHostAlive && seat.state.load() == static_cast<uint32_t>(State::Starting);
    if (isWaiting) continue;
    if (seat.pid.load() <= 0 || seat.round.load() != round) return false;
  }
  return true;
}

bool Controller::noGhosts() { return board_.hostGhosts.load() == 0; }

// What does not depend on how many have died: descriptors and mappings of the living.
bool Controller::checkCounts() {
  const uint32_t living = options_.seats();
  for (uint32_t number = 1; number <= living; number++) {
    const Seat& seat = board_.seats[number];
    if (seat.state.load() != static_cast<uint32_t>(State::Quiet)) continue;
    const uint32_t most = 40 + 12 * living + 8 * seat.channels.load();
    descriptorsMost_ = std::max(descriptorsMost_, seat.descriptors.load());
    mappingsMost_ = std::max(mappingsMost_, seat.mappings.load());
    if (seat.descriptors.load() > most) {
      return fail("seat " + std::to_string(number) + " has " +
                  std::to_string(seat.descriptors.load()) + " descriptors, at most " +
                  std::to_string(most) + " are due");
    }
    if (seat.mappings.load() > 2 * most + 200) {
      return fail("seat " + std::to_string(number) + " has " +
                  std::to_string(seat.mappings.load()) + " mappings");
    }
  }
  return true;
}

// Nobody sends: every buffer and every hold must come back to nothing.
bool Controller::quiet() {
  rounds_++;
  // Some are on their way to their crash point: they may pass it while all is counted.
  if (random_.oneIn(2)) armOne(anySeat());
  board_.round++;
  setPhase(Phase::Quiet);
  continueAll();
  if (!waitFor("everything back", kQuietMsMax, false, &Controller::allAreQuiet)) return false;
  if (!checkCounts()) return false;
  if (board_.isHostAlive.load() != 0 &&
      !waitFor("the host's letting go of the dead", kQuietMsMax, false, &Controller::noGhosts)) {
    return false;
  }
  setPhase(Phase::Run);
  return true;
}

// What was granted goes on without a host, and is accounted for; then there is a new window.
bool Controller::killHost() {
  hostDiesNs_ = 0;
  const bool isArmed = random_.oneIn(2);
  if (isArmed) {
    armOne(kHostSeat);
  } else {
    killAtRandom(kHostSeat);
  }
  const int64_t untilNs = sys::monotonicNs() + 1000 * kMs;
  while (board_.isHostAlive.load() != 0) {
    if (!reap()) return false;
    keepPlans();
    sleepMs(2);
    if (sys::monotonicNs() > untilNs) return fail("the host does not die");
  }
  for (uint32_t kills = random_.below(4); kills > 0; kills--) {
    sleepMs(options_.everyMs);
    killOne();
    if (!reap()) return false;
  }
  if (!quiet()) return false;
  start(kHostSeat);
  return true;
}

bool Controller::nodesHaveWorked() {
  const NodeSums sums = nodeSums();
  if (options_.nodes == 0 || (sums.sent > 0 && sums.received > 0)) return true;
  return fail("the Node participants have sent " + std::to_string(sums.sent) +
              " messages and got " + std::to_string(sums.received));
}

bool Controller::allHaveLeft() {
  return std::all_of(board_.seats, board_.seats + kSeatsMax,
                     [](const Seat& seat) { return seat.pid.load() <= 0; });
}

bool Controller::leave() {
  setPhase(Phase::Leave);
  continueAll();
  if (!waitFor("everybody's leaving", 20'000, true, &Controller::allHaveLeft)) return false;
  if (board_.hostDomains.load() + board_.hostGhosts.load() + board_.hostSegments.load() > 0) {
    return fail("the host still knows " + std::to_string(board_.hostDomains.load()) + " domains, " +
                std::to_string(board_.hostGhosts.load()) + " ghosts and " +
                std::to_string(board_.hostSegments.load()) + " segments");
  }
  return nothingIsLeftBehind();
}

void Controller::killEverybody() {
  for (Seat& seat : board_.seats) {
    const int pid = seat.pid.exchange(0);
    if (pid <= 0) continue;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
}

int Controller::run() {
  beganNs_ = sys::monotonicNs();
  start(kHostSeat);
  for (uint32_t seat = 1; seat <= options_.seats(); seat++) start(seat);
  int64_t nextNs = beganNs_ + 300 * kMs;
  int64_t nextQuietNs = beganNs_ + kQuietEveryMs * kMs;
  int64_t nextLineNs = beganNs_ + 5000 * kMs;
  bool isRight = true;
  while (isRight) {
    const int64_t now = sys::monotonicNs();
    const bool isOver = options_.kills > 0
                            ? killsAtRandom_ + killsAtPoints_ + hostKills_ >= options_.kills
                            : static_cast<double>(now - beganNs_) >= options_.seconds * 1e9;
    if (isOver) break;
    if (hostDiesNs_ == 0 && options_.hostDeathMs > 0) {
      hostDiesNs_ = now + (options_.hostDeathMs / 2 + random_.below(options_.hostDeathMs)) * kMs;
    }
    isRight = reap() && turnsAreShort();
    keepPlans();
    if (isRight && now >= nextNs) {
      nextNs = std::max(nextNs + options_.everyMs * kMs, now);
      killOne();
      if (random_.oneIn(5)) stopOne();
    }
    const bool hostDies = hostDiesNs_ != 0 && now >= hostDiesNs_;
    if (isRight && hostDies) isRight = killHost();
    if (isRight && now >= nextQuietNs) {
      isRight = quiet();
      nextQuietNs = sys::monotonicNs() + kQuietEveryMs * kMs;
    }
    if (now >= nextLineNs && !options_.json) {
      nextLineNs = now + 5000 * kMs;
      std::printf("%s\n", progress().c_str());
      std::fflush(stdout);
    }
    sleepMs(2);
  }
  isRight = isRight && quiet() && leave() && nodesHaveWorked();
  if (options_.json) {
    reportJson(isRight);
  } else {
    report(isRight);
  }
  return isRight ? 0 : 1;
}

}  // namespace iol::torture
