#include "channel/doorbell.h"

#include <algorithm>
#include <new>

#include "base/crash_point.h"
#include "base/fence.h"
#include "base/relax.h"
#include "channel/link.h"
#include "channel/receiver.h"
#include "channel/sender.h"
#include "sys/clock.h"
#include "sys/limits.h"
#include "sys/memory.h"

namespace iol {
namespace {

constexpr uint64_t kBellTag = 0;
constexpr uint64_t kDeathsTag = 1;
constexpr int32_t kInFlightMs = 100;  // Nobody rings when a message is consumed.
constexpr uint32_t kLooksPerClock = 16;
constexpr uint32_t kSpinsSkippedMax = 63;

}  // namespace

Doorbell::Doorbell(Domain& domain, sys::Bell bell, sys::PollSet pollSet, sys::PollSet deaths)
    : domain_(domain),
      bell_(std::move(bell)),
      pollSet_(std::move(pollSet)),
      deaths_(std::move(deaths)) {}

Result<std::unique_ptr<Doorbell>> Doorbell::create(Domain& domain) {
  Result<sys::Bell> bell = sys::Bell::create();
  if (!bell.isOk()) return bell.status();
  Result<sys::PollSet> pollSet = sys::PollSet::create();
  if (!pollSet.isOk()) return pollSet.status();
  Result<sys::PollSet> deaths = sys::PollSet::create();
  if (!deaths.isOk()) return deaths.status();
  IOL_TRY(pollSet.value().add(bell.value().fd(), sys::Interest::Read, kBellTag));
  IOL_TRY(pollSet.value().add(deaths.value().fd(), sys::Interest::Read, kDeathsTag));
  std::unique_ptr<Doorbell> doorbell(
      new (std::nothrow) Doorbell(domain, bell.take(), pollSet.take(), deaths.take()));
  if (doorbell == nullptr) return Status(Code::NoMemory, "doorbell");
  Result<sys::Fd> memory = sys::createMemory("io-lite-domain", kDomainBlockBytes);
  if (!memory.isOk()) return memory.status();
  doorbell->memory_ = memory.take();
  IOL_TRY(sys::commit(doorbell->memory_, 0, kDomainBlockBytes));
  Result<uint8_t*> mapped = sys::mapWritable(doorbell->memory_, kDomainBlockBytes);
  if (!mapped.isOk()) return mapped.status();
  doorbell->block_ = reinterpret_cast<DomainBlock*>(mapped.value());
  Result<sys::Fd> readOnly = sys::reopenReadOnly(doorbell->memory_);
  if (!readOnly.isOk()) return readOnly.status();
  doorbell->readOnlyFd_ = readOnly.take();
  BlockHeader& header = doorbell->block_->header;
  header.magic = kBlockMagic;
  header.format = kFormat;
  header.byteOrder = kByteOrder;
  header.windowId = domain.window().id();
  header.domainSlot = domain.name().slot;
  header.domainEpoch = domain.name().epoch;
  return doorbell;
}

Doorbell::~Doorbell() {
  lingering_.clear();
  sys::unmap(reinterpret_cast<uint8_t*>(block_), kDomainBlockBytes);
}

// Told once of each sender: whoever does not send then, after all, may sleep.
bool Doorbell::findWork() {
  const auto receiverHas = [](const Receiver* each) { return each->hasWork(); };
  if (std::any_of(receivers_.begin(), receivers_.end(), receiverHas)) return true;
  bool isFound = false;
  for (Sender* each : senders_) isFound = each->takeWork() || isFound;
  return isFound;
}

void Doorbell::publishAll() {
  for (Sender* each : senders_) each->publish();
}

bool Doorbell::prepareToSleep() {
  if (sys::isForkedChild()) return false;
  publishAll();
  sweepLingering();
  domain_.settleInFlight();
  IOL_CRASH_POINT(SleepAnnounce);
  block_->sleep.store(++sleep_, std::memory_order_relaxed);
  fullFence();  // Pairs with the one after a publish (Sender) and after a consume (Receiver).
  if (!findWork()) {
    block_->figures.sleeps++;
    return true;
  }
  IOL_CRASH_POINT(SleepWithdraw);
  block_->sleep.store(++sleep_, std::memory_order_relaxed);
  return false;
}

int32_t Doorbell::sleepMs() const {
  int32_t timeout = -1;
  for (const Sender* sender : senders_) {
    if (!sender->isSettled()) timeout = kInFlightMs;
  }
  for (const Receiver* receiver : receivers_) {
    const int32_t retryMs = receiver->retryMs();
    if (retryMs >= 0 && (timeout < 0 || retryMs < timeout)) timeout = retryMs;
  }
  return timeout;
}

void Doorbell::withdraw() {
  if ((sleep_ & 1) == 0 || sys::isForkedChild()) return;
  IOL_CRASH_POINT(SleepWithdraw);
  block_->sleep.store(++sleep_, std::memory_order_relaxed);
  block_->figures.wakes++;
}

// Withdraw first: a press that comes after the bell was emptied is then at worst one too many.
void Doorbell::wake() {
  if (sys::isForkedChild()) return;
  withdraw();
  sys::Readiness ready[2];
  const uint32_t count = pollSet_.wait(ready);
  for (uint32_t index = 0; index < count; index++) {
    if (ready[index].tag == kBellTag) {
      bell_.clear();
    } else {
      onDeaths();
    }
  }
}

// A peer presses once for each sleep: with one peer there is nothing more to take back.
void Doorbell::onBell() {
  withdraw();
  bell_.clear(
      std::clamp<uint32_t>(static_cast<uint32_t>(links_.size()), 1, sys::Bell::kPressesAtOnce));
}

void Doorbell::onDeaths() {
  withdraw();
  sys::Readiness ready[16];
  const uint32_t count = deaths_.wait(ready);
  for (uint32_t index = 0; index < count; index++) {
    reinterpret_cast<Link*>(ready[index].tag)->checkDeath();
  }
}

// A look at the clock costs more than a look at a ring that nobody has written.
bool Doorbell::spin() {
  for (uint32_t look = 0; look < kLooksPerClock; look++) {
    if (findWork()) return true;
    relax();
  }
  return false;
}

bool Doorbell::spinForWork() {
  if (spinNs_ <= 0 || sys::isForkedChild()) return false;
  if (spinsToSkip_ > 0) {
    spinsToSkip_--;
    return false;
  }
  const int64_t start = sys::monotonicNs();
  while (sys::monotonicNs() - start < spinNs_) {
    if (!spin()) continue;
    spinsSkipped_ = 0;
    return true;
  }
  block_->figures.spinsInVain++;
  spinsSkipped_ = std::min(spinsSkipped_ * 2 + 1, kSpinsSkippedMax);
  spinsToSkip_ = spinsSkipped_;
  return false;
}

void Doorbell::wait(int64_t timeoutMs) {
  const int64_t start = sys::monotonicNs();
  if (spinForWork()) return;
  if (!prepareToSleep()) return;
  const int64_t ownMs = sleepMs();
  int64_t sleepNs = ownMs < 0 ? -1 : ownMs * 1'000'000;
  if (timeoutMs >= 0) {
    const int64_t leftNs =
        std::max<int64_t>(0, timeoutMs * 1'000'000 - (sys::monotonicNs() - start));
    sleepNs = sleepNs < 0 ? leftNs : std::min(sleepNs, leftNs);
  }
  sys::sleepUntilReadable(fd(), sleepNs);
  wake();
}

void Doorbell::linger(std::unique_ptr<Sender> sender) {
  sender->close();
  sender->settle();
  if (!sender->isSettled()) lingering_.push_back(std::move(sender));
}

size_t Doorbell::abandonLingering() {
  size_t left = 0;
  for (const std::unique_ptr<Sender>& sender : lingering_) left += sender->abandon();
  lingering_.clear();
  return left;
}

void Doorbell::sweepLingering() {
  std::erase_if(lingering_, [](std::unique_ptr<Sender>& sender) {
    sender->settle();
    return sender->isSettled();
  });
}

}  // namespace iol
