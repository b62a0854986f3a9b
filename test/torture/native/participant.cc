// Attaching, turns, accounting, leaving.
#include "participant.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/crash_point.h"
#include "sys/clock.h"

namespace iol::torture {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSleepMsMax = 2000;  // The controller wakes us; a lost wake-up is to be seen.
constexpr uint32_t kSleeplessMax = 50'000;  // Turns, one after the other.
constexpr uint64_t kWindowBytes = 256ull << 20;

uint32_t countLines(const char* path) {
  FILE* file = std::fopen(path, "r");
  uint32_t lines = 0;
  for (int c = 0; file != nullptr && (c = std::fgetc(file)) != EOF;) lines += c == '\n';
  if (file != nullptr) std::fclose(file);
  return lines;
}

uint32_t countDescriptors() {
  DIR* folder = ::opendir("/proc/self/fd");
  uint32_t entries = 0;
  while (folder != nullptr && ::readdir(folder) != nullptr) entries++;
  if (folder != nullptr) ::closedir(folder);
  return entries - 3;  // ".", ".." and the folder itself.
}

}  // namespace

Participant::Participant(Scoreboard& board, uint32_t seat, uint64_t seed)
    : board_(board),
      number_(seat),
      seat_(board.seats[seat]),
      role_(static_cast<Role>(seat_.role.load())),
      random_(seed),
      serials_(uint64_t{seat_.uid.load()} << 32) {}

Participant::~Participant() { standUp(); }

void Participant::complain(const std::string& what) {
  std::snprintf(seat_.complaint, sizeof seat_.complaint, "%s", what.c_str());
  setState(State::Failed);
  ::_exit(3);
}

void Participant::mustBeOk(const char* what, const Status& status) {
  if (status.isOk()) return;
  complain(std::string(what) + ": " + codeName(status.code()) + " of " + status.subject() + ", " +
           std::to_string(status.value()) + " against " + std::to_string(status.limit()) +
           ", errno " + std::to_string(status.systemErrno()));
}

int Participant::run() {
  setState(State::Starting);
  while (true) {
    if (!attach()) return 0;
    while (true) {
      turn();
      if (phase() == Phase::Leave) {
        const bool isAlone = guest_->state() == Guest::State::Alone;
        if (!leave(sys::monotonicNs() + 8000 * kMs)) complain("cannot leave: " + whatIsLeft());
        if (!isAlone) board_.totals.left++;
        setState(State::Left);
        return 0;
      }
      const bool isNewWindow = board_.windowsMade.load() != windowSeen_;
      if (isNewWindow && guest_->state() == Guest::State::Alone) {
        if (!leave(sys::monotonicNs() + 8000 * kMs)) complain("cannot stand up: " + whatIsLeft());
        break;
      }
      if (leaveNs_ != 0 && sys::monotonicNs() > leaveNs_ && phase() == Phase::Run) {
        // Others may be stopped with what is ours: then we leave as the dead do.
        if (!leave(sys::monotonicNs() + 2000 * kMs)) ::_exit(0);
        board_.totals.left++;
        break;
      }
    }
  }
}

// False when there is nothing more to attach to.
bool Participant::attach() {
  while (true) {
    takeOrders();
    if (phase() == Phase::Leave) return false;
    const uint32_t windows = board_.windowsMade.load();
    const bool isAlive = board_.isHostAlive.load() != 0;
    const std::string address = board_.address;
    const bool isSame = board_.windowsMade.load() == windows;
    if (windows > 0 && isSame && isAlive) {
      windowSeen_ = windows;
      if (tryAttach(address)) return true;
    } else if (windows > 0 && isSame && random_.oneIn(20)) {
      const Result<HostAddress> parsed = HostAddress::parse(address);
      const bool isStillDead = parsed.isOk() && board_.isHostAlive.load() == 0;
      if (isStillDead && Guest::connect(HostAddress::parse(address).value(), {}).isOk() &&
          board_.isHostAlive.load() == 0) {
        complain("attached to a dead host");
      }
    }
    const timespec pause{0, 3'000'000};
    ::nanosleep(&pause, nullptr);
  }
}

bool Participant::tryAttach(const std::string& address) {
  std::snprintf(seat_.doing, sizeof seat_.doing, "attaching");
  Guest::Options options;
  options.label = nameOf(role_);
  options.window.maxBytes = kWindowBytes;
  const HostAddress parsed = HostAddress::parse(address).take();
  Result<std::unique_ptr<Guest>> made = Guest::connect(parsed, options, this);
  Status status = made.status();
  if (status.isOk()) {
    guest_ = made.take();
    status = guest_->awaitAttached(10'000);
  }
  if (!status.isOk()) {
    guest_.reset();
    setState(State::Starting);
    // The host may have been killed meanwhile, and the controller not yet know it.
    const timespec pause{0, 20'000'000};
    for (int wait = 0; wait < 100 && board_.isHostAlive.load() != 0; wait++) {
      ::nanosleep(&pause, nullptr);
    }
    if (board_.isHostAlive.load() != 0 && board_.windowsMade.load() == windowSeen_) {
      mustBeOk("attaching", status);
    }
    return false;
  }
  Domain& domain = guest_->domain();
  Pool::Options pool;
  pool.maxBytes = 24ull << 20;
  pool.idleBytesMax = 2ull << 20;
  pool_ = Pool::create(domain, pool).take();
  pool.maxBytes = 16ull << 20;
  pool.sealed = true;
  sealedPool_ = Pool::create(domain, pool).take();
  Result<std::unique_ptr<Doorbell>> doorbell = Doorbell::create(domain);
  mustBeOk("a doorbell", doorbell.status());
  doorbell_ = doorbell.take();
  ChannelsListener& listener = *this;
  channels_ = std::make_unique<Channels>(*guest_, *doorbell_, *pool_, listener);
  message_ = std::make_unique<Message>(domain);
  isLeaving_ = false;
  attachedNs_ = sys::monotonicNs();
  leaveNs_ = isRole(Role::Churner) ? attachedNs_ + (50 + random_.below(500)) * kMs : 0;
  seat_.windowId.store(guest_->window().id());
  seat_.domain.store(uint64_t{domain.name().epoch} << 32 | domain.name().slot);
  setState(State::Attached);
  board_.totals.attached++;
  return true;
}

void Participant::noteWait() {
  char text[80] = {};
  if (schedule_ < 0) schedule_ = ::open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
  if (::pread(schedule_, text, sizeof text - 1, 0) <= 0) return;
  const char* const second = std::strchr(text, ' ');
  if (second == nullptr) return;
  waited_[turns_++ % kTurnsKept] = {sys::monotonicNs(), std::strtoll(second, nullptr, 10)};
}

// At least: counted from the beginning of the turn that was the last one then.
int64_t Participant::waitedSince(int64_t ns) const {
  if (turns_ == 0) return 0;
  const Waited& now = waited_[(turns_ - 1) % kTurnsKept];
  int64_t waitedNs = 0;
  for (uint32_t back = 0; back < turns_ && back < kTurnsKept; back++) {
    const Waited& then = waited_[(turns_ - 1 - back) % kTurnsKept];
    waitedNs = now.waitedNs - then.waitedNs;
    if (then.atNs <= ns) break;
  }
  return waitedNs;
}

void Participant::takeOrders() {
  const uint32_t armed = seat_.armed.exchange(0);
  if (armed == 0) return;
  const std::string order =
      std::string(kCrashPointNames[armed >> 16]) + ":" + std::to_string(armed & 0xffff);
  if (!armCrashPoint(order.c_str())) complain("no such crash point: " + order);
}

void Participant::sleep(int64_t untilNs) {
  const bool canSleep = doorbell_->prepareToSleep();
  int64_t timeoutMs = kSleepMsMax;
  if (untilNs != 0) {
    timeoutMs = std::clamp<int64_t>((untilNs - sys::monotonicNs() + kMs - 1) / kMs, 0, timeoutMs);
  }
  const int32_t own = doorbell_->sleepMs();
  if (own >= 0) timeoutMs = std::min<int64_t>(timeoutMs, own);
  pollfd all[] = {{guest_->fd().get(), POLLIN, 0}, {doorbell_->fd().get(), POLLIN, 0}};
  seat_.turnBeganNs.store(0);
  ::poll(all, 2, canSleep ? static_cast<int>(timeoutMs) : 0);
  sleepless_ = canSleep ? 0 : sleepless_ + 1;
  if (sleepless_ > kSleeplessMax) complain("awake for nothing: " + whatIsLeft());
  seat_.turnBeganNs.store(sys::monotonicNs());
}

void Participant::turn() {
  int64_t untilNs = 0;
  const auto consider = [&](int64_t ns) {
    if (ns != 0 && (untilNs == 0 || ns < untilNs)) untilNs = ns;
  };
  if (phase() == Phase::Quiet) {
    consider(sys::monotonicNs() + 5 * kMs);
  } else {
    consider(nextSendNs_);
    consider(nextOpenNs_);
    consider(leaveNs_);
    for (const Held& each : held_) consider(each.untilNs);
  }
  sleep(untilNs);
  const int64_t beganNs = seat_.turnBeganNs.load();
  noteWait();
  doorbell_->wake();
  guest_->onReady();
  if (!suspicion_.empty() && guest_->state() == Guest::State::Attached) complain(suspicion_);
  suspicion_.clear();
  takeOrders();
  work();
  if (phase() == Phase::Quiet) {
    accountFor();
  } else if (seat_.state.load() == static_cast<uint32_t>(State::Quiet)) {
    const bool isAlone = guest_->state() == Guest::State::Alone;
    setState(isAlone ? State::Alone : State::Attached);
  }
  seat_.channels.store(static_cast<uint32_t>(lines_.size()));
  seat_.held.store(static_cast<uint32_t>(held_.size()));
  if (seat_.wokenAtNs.load() < beganNs && seat_.isStopped.load() == 0) {
    board_.turns.add(sys::monotonicNs() - beganNs);
  }
}

bool Participant::isAllBack() {
  doorbell_->sweepLingering();
  guest_->domain().settleInFlight();
  pool_->collect();
  sealedPool_->collect();
  const Pool::Stats open = pool_->stats();
  const Pool::Stats sealed = sealedPool_->stats();
  return guest_->domain().liveHolds() == 0 && open.buffers + sealed.buffers == 0 &&
         open.pending + sealed.pending == 0 && open.bytesInUse + sealed.bytesInUse == 0 &&
         doorbell_->lingering() == 0;
}

std::string Participant::whatIsLeft() {
  const Pool::Stats open = pool_->stats();
  const Pool::Stats sealed = sealedPool_->stats();
  std::string text = std::to_string(guest_->domain().liveHolds()) + " holds, " +
                     std::to_string(open.buffers) + "+" + std::to_string(sealed.buffers) +
                     " buffers, " + std::to_string(open.pending + sealed.pending) + " pending, " +
                     std::to_string(doorbell_->lingering()) + " lingering, " +
                     std::to_string(openings_.size()) + " openings, peers " +
                     std::to_string(guest_->domain().peers().size()) + ", epoch " +
                     std::to_string(guest_->domain().peers().epochKnown());
  for (const std::unique_ptr<Channel>& channel : channels_->all()) {
    text += channel->isConnected ? "; line " : "; half-open ";
    text += channel->label + (channel->isOurs ? "<" : ">") + " with " +
            std::to_string(channel->peer.slot) + "." + std::to_string(channel->peer.epoch);
    if (channel->sender != nullptr && !channel->sender->isSettled()) {
      text += " unsettled " + std::to_string(channel->sender->bytesQueued());
    }
    if (channel->sender != nullptr && channel->sender->hasWork()) text += " to send";
    if (channel->receiver != nullptr && channel->receiver->hasWork()) text += " to receive";
  }
  return text;
}

// In a Quiet round: says so once nothing of anybody is held, and nothing of ours.
void Participant::accountFor() {
  const bool isHalf =
      std::any_of(channels_->all().begin(), channels_->all().end(),
                  [](const std::unique_ptr<Channel>& each) { return !each->isConnected; });
  if (!isAllBack() || isHalf) {
    std::snprintf(seat_.doing, sizeof seat_.doing, "%.60s", whatIsLeft().c_str());
    std::snprintf(seat_.complaint, sizeof seat_.complaint, "%s", whatIsLeft().c_str());
    return;
  }
  const uint32_t round = board_.round.load();
  seat_.complaint[0] = 0;
  if (seat_.round.load() == round) return;
  seat_.descriptors.store(countDescriptors());
  seat_.mappings.store(countLines("/proc/self/maps"));
  seat_.grants.store(static_cast<uint32_t>(guest_->grantedSegments()));
  setState(State::Quiet);
  seat_.round.store(round);
}

// In order: everything sent is received, nothing is held, every pool is gone. False: others still
// hold what is ours.
bool Participant::leave(int64_t deadlineNs) {
  isLeaving_ = true;
  seat_.domain.store(0);
  dropHeld(true);
  while (!lines_.empty()) closeLine(lines_.size() - 1);
  while (!channels_->all().empty()) channels_->close(*channels_->all().back());
  openings_.clear();
  std::snprintf(seat_.doing, sizeof seat_.doing, "leaving");
  while (!isAllBack()) {
    if (sys::monotonicNs() > deadlineNs) return false;
    sleep(sys::monotonicNs() + 2 * kMs);
    doorbell_->wake();
    guest_->onReady();
    takeOrders();
    while (!channels_->all().empty()) channels_->close(*channels_->all().back());
  }
  const bool isAttached = guest_->state() == Guest::State::Attached;
  channels_.reset();
  doorbell_.reset();
  message_.reset();
  sealedPool_.reset();
  pool_.reset();
  if (isAttached) {
    const Status status = guest_->detach();
    if (status.code() != Code::Closed) mustBeOk("detaching", status);
  }
  standUp();
  return true;
}

void Participant::standUp() {
  suspicion_.clear();
  held_.clear();
  lines_.clear();
  openings_.clear();
  message_.reset();
  channels_.reset();
  doorbell_.reset();
  sealedPool_.reset();
  pool_.reset();
  guest_.reset();
  seat_.domain.store(0);
  if (seat_.state.load() != static_cast<uint32_t>(State::Failed)) setState(State::Starting);
}

}  // namespace iol::torture
