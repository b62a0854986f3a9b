#include "node/participant.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "node/call.h"
#include "node/env.h"

namespace iol::node {

namespace {
constexpr int32_t kRetryMs = 1;

WindowEvent eventOf(Participant::Event what, double number, const Status& why = {}) {
  WindowEvent event{static_cast<int32_t>(what), {}, why};
  event.numbers[0] = number;
  return event;
}
}  // namespace

Result<std::unique_ptr<Participant>> Participant::join(const HostAddress& address,
                                                       const Guest::Options& options,
                                                       int64_t timeoutMs) {
  std::unique_ptr<Participant> participant(new Participant());
  participant->isLocal_ = options.existing != nullptr;
  participant->label_ = options.label;
  Result<std::unique_ptr<Guest>> guest = Guest::connect(address, options, participant.get());
  if (!guest.isOk()) return guest.status();
  participant->guest_ = guest.take();
  IOL_TRY(participant->guest_->awaitAttached(timeoutMs));
  return participant;
}

Participant::~Participant() { shut(false); }

Status Participant::open(EnvState& state, Pool& lists) {
  state_ = &state;
  Result<std::unique_ptr<Doorbell>> doorbell = Doorbell::create(guest_->domain());
  if (!doorbell.isOk()) return doorbell.status();
  Result<LoopWatch*> watch = LoopWatch::start(
      state, *this, guest_->fd(), doorbell.value()->bellFd(), doorbell.value()->deathsFd());
  if (!watch.isOk()) return watch.status();
  doorbell_ = doorbell.take();
  watch_ = watch.value();
  channels_.reset(new Channels(*guest_, *doorbell_, lists, *this));
  return {};
}

size_t Participant::shut(bool inOrder) {
  if (channels_ == nullptr) return 0;
  std::exchange(watch_, nullptr)->stop();
  isWatchingSleep_ = false;
  keptAlive_ = 0;
  isReferenced_ = false;
  entries_.clear();
  awaited_.clear();
  requests_.clear();
  reports_.clear();
  batch_.clear();
  while (inOrder && !channels_->all().empty()) channels_->close(*channels_->all().back());
  const size_t left = channels_->abandon();
  channels_.reset();
  doorbell_.reset();
  return left;
}

void Participant::leave() { (void)guest_->leave(); }

Result<uint64_t> Participant::connect(const std::string& label, DomainName to,
                                      const std::string& name, uint64_t ringBytes) {
  if (guest_->state() != Guest::State::Attached) return Status(Code::HostGone, "channel");
  Request request{nextRequest_, label, 0, name, ringBytes};
  if (!label.empty()) {
    IOL_TRY(guest_->find(label.c_str()));
  } else {
    Result<uint64_t> channel = channels_->open(to, name.c_str(), ringBytes);
    if (!channel.isOk()) return channel.status();
    request.channel = channel.value();
  }
  requests_.push_back(std::move(request));
  return nextRequest_++;
}

std::span<Message> Participant::batch() {
  while (batch_.size() < EnvState::ChannelMemory::kBatchMax) batch_.emplace_back(domain());
  return batch_;
}

void Participant::setSpinNs(int64_t spinNs) { doorbell_->setSpinNs(spinNs); }

void Participant::setReferenced(bool isReferenced) {
  isReferenced_ = isReferenced;
  updateWatch();
}

void Participant::updateWatch() {
  watch_->setReferenced(isReferenced_ || keptAlive_ > 0);
  const bool isWanted = !channels_->all().empty() || !doorbell_->isIdle() || guest_->hasToLetGo();
  if (isWanted == isWatchingSleep_) return;
  isWatchingSleep_ = isWanted;
  watch_->watchSleep(isWanted);
}

void Participant::await(int32_t handle, uint32_t awaited) {
  ChannelEntry* const entry = entries_.get(handle);
  if (entry == nullptr || entry->awaited == awaited) return;
  const bool wasAwaited = entry->awaited != 0;
  // What is due stays so: the doorbell tells of room once, perhaps before this turn's poll phase.
  entry->isTurnDue = awaited != 0 && (entry->isTurnDue || (awaited & kAwaitTurn) != 0);
  const bool keptAlive = (entry->awaited & kAwaitKeepsAlive) != 0;
  const bool keepsAlive = (awaited & kAwaitKeepsAlive) != 0;
  entry->awaited = awaited;
  Receiver& receiver = *entry->channel->receiver;
  (awaited & kAwaitMessage) != 0 ? receiver.resume() : receiver.pause();
  entry->channel->sender->setAwaited((awaited & kAwaitRoom) != 0);
  if (wasAwaited && awaited == 0) std::erase(awaited_, handle);
  if (!wasAwaited && awaited != 0) awaited_.push_back(handle);
  if (keptAlive == keepsAlive) return;
  keptAlive_ += keepsAlive ? 1 : -1;
  updateWatch();
}

void Participant::close(int32_t handle) {
  await(handle, 0);
  if (ChannelEntry* const entry = entries_.get(handle)) {
    Channel& channel = *entry->channel;
    entries_.remove(handle);
    channels_->close(channel);
    updateWatch();
  }
}

bool Participant::isReady(const ChannelEntry& entry) const {
  const Receiver& receiver = *entry.channel->receiver;
  return entry.mustRetry || entry.isTurnDue || receiver.hasWork() || receiver.retryMs() >= 0 ||
         entry.channel->sender->hasWork();
}

// What was held of the dead until this turn: the host keeps their memory until we tell, and may
// have nothing to say to us for long. Not while a message waits for a grant, which this might undo.
void Participant::letGo() {
  if (!guest_->maySweep()) return;
  const auto isAwaiting = [](const std::unique_ptr<Channel>& each) {
    return each->receiver != nullptr && each->receiver->isAwaitingGrant();
  };
  const auto& all = channels_->all();
  if (std::none_of(all.begin(), all.end(), isAwaiting)) guest_->sweep();
}

LoopClient::Sleep Participant::beforeSleep(bool willSleep) {
  doorbell_->publishAll();
  doorbell_->domain().settleInFlight();
  doorbell_->sweepLingering();
  letGo();
  updateWatch();
  if (!willSleep) return {};
  // Nothing that a peer could ring for: only what was sent is to be settled now and then.
  if (awaited_.empty()) return {true, doorbell_->sleepMs()};
  bool mustRetry = false;
  for (const int32_t handle : awaited_) {
    const ChannelEntry& entry = *entries_.get(handle);
    if (entry.isTurnDue) return {false, -1};
    mustRetry = mustRetry || entry.mustRetry;
  }
  if (doorbell_->spinForWork() || !doorbell_->prepareToSleep()) {
    // The doorbell tells of room once: who waits for it tries in this turn.
    for (const int32_t handle : awaited_) {
      ChannelEntry& entry = *entries_.get(handle);
      entry.isTurnDue = (entry.awaited & kAwaitRoom) != 0;
    }
    return {false, -1};
  }
  return {true, mustRetry ? kRetryMs : doorbell_->sleepMs()};
}

void Participant::afterSleep() {
  doorbell_->withdraw();
  tellReady();
}

void Participant::onBell() {
  doorbell_->onBell();
  tellReady();
}

void Participant::onDeaths() {
  doorbell_->onDeaths();
  tellReady();
}

void Participant::onGuestReady() {
  guest_->onReady();
  updateWatch();
  // First what waited for a grant: a dead owner's is gone again at the next onReady().
  EnvState& state = *state_;
  tellReady();
  if (state.participant() == this && isOpen()) tellReports();
}

// Ends with the call into JavaScript, which may end this participant.
void Participant::tellReady() {
  double* const out = state_->scratch();
  uint32_t count = 0;
  for (const int32_t handle : awaited_) {
    ChannelEntry& entry = *entries_.get(handle);
    if (!isReady(entry)) continue;
    if (count == EnvState::kCopiedAt) break;  // The others in the next turn.
    entry.mustRetry = entry.isTurnDue = false;
    out[count++] = handle;
  }
  if (count > 0) state_->tellChannelsReady(count);
}

void Participant::tellReports() {
  EnvState& state = *state_;
  while (!reports_.empty()) {
    const WindowEvent report = std::move(reports_.front());
    reports_.erase(reports_.begin());
    state.tellWindowEvent(report);
    if (state.participant() != this || !isOpen()) return;
  }
}

void Participant::onHostGone(const Status& why) {
  refuseAll(Status(Code::HostGone, "channel"));
  if (isOpen()) channels_->onHostGone();
  reports_.push_back(eventOf(Event::HostGone, 0, why));
}

void Participant::onDenied(uint32_t number, const Status& why) {
  reports_.push_back(eventOf(Event::Denied, number, why));
}

void Participant::onFound(const char* label, DomainName name) {
  const auto found = std::find_if(requests_.begin(), requests_.end(), [&](const Request& each) {
    return each.channel == 0 && each.label == label;
  });
  if (found == requests_.end()) return;
  if (name.epoch == 0) return refuse(*found, Status(Code::NoDomain, "channel"));
  Result<uint64_t> channel = channels_->open(name, found->name.c_str(), found->ringBytes);
  if (!channel.isOk()) return refuse(*found, channel.status());
  found->channel = channel.value();
}

void Participant::onRelay(DomainName from, const uint8_t* body, std::vector<sys::Fd> fds) {
  if (isOpen()) (void)channels_->onRelay(from, body, fds);
}

void Participant::onRelayRefused(DomainName to, const Status& why) {
  if (!isOpen()) return;
  const bool isGone = why.code() == Code::Closed;
  channels_->onRelayRefused(to, isGone ? Status(Code::NoDomain, "channel") : why);
}

void Participant::onRoom() {
  if (isOpen()) channels_->onRoom();
}

void Participant::onEnded(DomainName name) {
  if (isOpen()) channels_->onEnded(name);
}

Status Participant::onOpening(DomainName, const char*) {
  return acceptsChannels_ ? Status() : Status(Code::Refused, "channel");
}

void Participant::onChannel(Channel& channel) {
  channel.receiver->pause();
  channel.sender->setAwaited(false);
  const int32_t handle = entries_.insert(ChannelEntry{&channel, 0, false});
  IOL_CHECK(handle != 0);  // There are fewer channels than handles.
  double request = 0;
  for (const Request& each : requests_) {
    if (channel.isOurs && each.channel == channel.id) request = static_cast<double>(each.id);
  }
  std::erase_if(requests_,
                [&](const Request& each) { return static_cast<double>(each.id) == request; });
  const Credentials nobody;
  const Credentials* const known = guest_->whoIs(channel.peer);
  const Credentials& peer = known != nullptr ? *known : nobody;
  WindowEvent& event = reports_.emplace_back(eventOf(Event::Opened, request));
  event.text = channel.label;
  event.label = peer.label;
  event.numbers[1] = handle;
  event.numbers[2] = channel.peer.slot;
  event.numbers[3] = channel.peer.epoch;
  event.numbers[4] = peer.pid;
  event.numbers[5] = peer.uid;
  event.numbers[6] = peer.gid;
  updateWatch();
}

void Participant::onRefused(uint64_t id, const Status& why) {
  for (Request& each : requests_) {
    if (each.channel == id) return refuse(each, why);
  }
}

void Participant::refuse(const Request& request, const Status& why) {
  const uint64_t id = request.id;
  reports_.push_back(eventOf(Event::Refused, static_cast<double>(id), why));
  std::erase_if(requests_, [id](const Request& each) { return each.id == id; });
}

void Participant::refuseAll(const Status& why) {
  while (!requests_.empty()) refuse(requests_.front(), why);
}

}  // namespace iol::node
