// Own segments, granted segments, neighbours.
#include <algorithm>

#include "channel/guest.h"
#include "sys/limits.h"
#include "sys/process.h"

namespace iol {
namespace {

constexpr size_t kAskedMax = 4096;      // Numbers remembered as asked for or denied.
constexpr uint32_t kNumbersLow = 2048;  // So few left: ask for more.

}  // namespace

Status Guest::publish(Segment& own) {
  if (sys::isForkedChild()) return Status(Code::Forked, "window");
  if (state_ != State::Attached) return Status(Code::Closed, "host");
  const Pool& pool = Pool::of(own);
  if (std::find(poolsTold_.begin(), poolsTold_.end(), pool.number()) == poolsTold_.end()) {
    ControlMessage message = makeMessage(MessageType::Pool);
    message.pool.pool = pool.number();
    message.pool.access = pool.options().access;
    IOL_TRY(socket_.sendNow(message));
    poolsTold_.push_back(pool.number());
  }
  // In the kernel's buffer before the name leaves: from there it reaches the host even if we die.
  ControlMessage message = makeMessage(MessageType::Segment);
  message.segment.number = own.number();
  message.segment.pool = pool.number();
  message.segment.totalBytes = own.totalBytes();
  return socket_.sendNow(message, {own.readOnlyFd().get()});
}

void Guest::retire(Segment& own) {
  ControlMessage message = makeMessage(MessageType::Retire);
  message.number.number = own.number();
  (void)send(message);  // Unheard, the host keeps a descriptor until this process ends.
}

void Guest::needNumbers() {
  if (hasAskedNumbers_ || state_ != State::Attached || ownWindow_ == nullptr) return;
  if (window_->segmentNumbersLeft() > kNumbersLow) return;
  hasAskedNumbers_ = send(makeMessage(MessageType::Numbers)).isOk();
}

Status Guest::request(uint32_t number) {
  const auto found = asked_.find(number);
  if (found != asked_.end()) return found->second;
  if (asked_.size() >= kAskedMax) {
    // Rubbish from a peer must not fill our memory: the denied ones are asked again.
    std::erase_if(asked_, [](const auto& entry) { return !entry.second.isOk(); });
    if (asked_.size() >= kAskedMax) {
      return Status(Code::WindowFull, "requests", kAskedMax + 1, kAskedMax);
    }
  }
  if (number == 0 || number >= (1u << kSegmentNumberBits)) {
    return Status(Code::BadDescriptor, "segment number", number);
  }
  ControlMessage message = makeMessage(MessageType::Want);
  message.number.number = number;
  const Status status = send(message);
  if (status.code() == Code::WouldBlock) return {};  // Asked again with the next look.
  if (status.isOk()) asked_[number] = {};
  return status;
}

// The host wants to introduce us to an owner: it gets our hold table for it.
void Guest::onOwner(const OwnerMessage& message) {
  const DomainName owner{message.slot, message.epoch};
  Result<HoldTable*> table = domain_->holdsFor(owner);
  if (!table.isOk()) return deny(message.number, table.status());
  ControlMessage reply = makeMessage(MessageType::Table);
  reply.table.slot = owner.slot;
  reply.table.epoch = owner.epoch;
  const Status status = send(reply, {table.value()->readOnlyFd().get()});
  if (!status.isOk()) deny(message.number, status);
}

void Guest::onGrant(const GrantMessage& message, sys::Fd memory, sys::Fd pidfd) {
  asked_.erase(message.number);
  hasNews_ = true;
  const DomainName owner{message.slot, message.epoch};
  if (domain_->segment(message.number) != nullptr) return;
  Result<std::unique_ptr<Segment>> opened =
      Segment::open(window_->id(), std::move(memory), message.totalBytes);
  Status status = opened.status();
  if (opened.isOk() &&
      (opened.value()->number() != message.number || opened.value()->owner() != owner)) {
    status =
        Status(Code::BadDescriptor, "segment number", opened.value()->number(), message.number);
  }
  if (status.isOk()) status = domain_->adoptSegment(opened.take());
  if (!status.isOk()) return deny(message.number, status);
  granted_.push_back({message.number, owner});
  meet(owner, std::move(pidfd));
  if (listener_ != nullptr) listener_->onGranted(message.number);
}

void Guest::deny(uint32_t number, const Status& status) {
  // A shortage may pass; a refusal is for good.
  if (status.code() == Code::WouldBlock || status.code() == Code::WindowFull) {
    asked_.erase(number);
  } else {
    asked_[number] = status;
  }
  hasNews_ = true;
  domain_->noteSegmentAnswer();
  if (listener_ != nullptr) listener_->onDenied(number, status);
}

// Tables of domains that are about to be granted our segments, in the order of their epochs. One
// that is rubbish protects nobody and keeps nobody waiting; for one that we lack the means to map
// we wait, freeing nothing meanwhile.
void Guest::addTables() {
  while (!tables_.empty()) {
    WaitingTable& next = tables_.front();
    Result<sys::Fd> table = sys::duplicate(next.table);
    Result<sys::Fd> pidfd = sys::duplicate(next.pidfd);
    if (!table.isOk() || !pidfd.isOk()) return;
    PeerHolds& peers = domain_->peers();
    const Status status = peers.add(next.holder, table.take(), pidfd.take(), next.epoch);
    const bool isRubbish = status.code() == Code::Format || status.code() == Code::BadDescriptor;
    if (!status.isOk() && !isRubbish) return;
    if (isRubbish) peers.skip(next.epoch);
    tables_.pop_front();
  }
}

Status Guest::relay(DomainName to, const uint8_t (&body)[kRelayBodyBytes],
                    std::span<const int> fds) {
  if (fds.size() > kRelayFdsMax) {
    return Status(Code::TooLarge, "descriptors of one relay", fds.size(), kRelayFdsMax);
  }
  if (sys::isForkedChild()) return Status(Code::Forked, "window");
  if (state_ != State::Attached) return Status(Code::Closed, "host");
  ControlMessage message = makeMessage(MessageType::Relay);
  message.relay.slot = to.slot;
  message.relay.epoch = to.epoch;
  std::copy_n(body, kRelayBodyBytes, message.relay.body);
  const Status status = socket_.send(message, {fds.begin(), fds.end()});
  updateInterest();
  return status;
}

void Guest::onRelayMessage(const RelayMessage& message, std::vector<sys::Fd> fds) {
  const DomainName from{message.slot, message.epoch};
  // Late words of the dead: whatever they begin is never completed. The host linked us for them, if
  // it had heard before that we were done.
  if (const Neighbour* const known = neighbour(from); known != nullptr && known->hasEnded) {
    if (!known->isLinked) unlink(from);
    return;
  }
  Result<sys::Fd> pidfd = sys::duplicate(fds[0]);
  if (pidfd.isOk()) {
    Neighbour& other = meet(from, pidfd.take());
    other.isLinked = true;
    other.who.pid = message.pid;
    other.who.uid = message.uid;
    other.who.gid = message.gid;
    std::copy_n(message.label, kDomainLabelBytes, other.who.label);
  }
  if (listener_ != nullptr) listener_->onRelay(from, message.body, std::move(fds));
}

const Credentials* Guest::whoIs(DomainName domain) const {
  const Neighbour* const known = neighbour(domain);
  return known != nullptr && known->isLinked ? &known->who : nullptr;
}

void Guest::unlink(DomainName peer) {
  if (Neighbour* other = neighbour(peer)) {
    other->isLinked = false;
    hasNews_ = true;
  }
  ControlMessage message = makeMessage(MessageType::Unlink);
  message.domain.slot = peer.slot;
  message.domain.epoch = peer.epoch;
  (void)send(message);
}

const Guest::Neighbour* Guest::neighbour(DomainName name) const {
  for (const Neighbour& each : neighbours_) {
    if (each.name == name) return &each;
  }
  return nullptr;
}

Guest::Neighbour& Guest::meet(DomainName name, sys::Fd pidfd) {
  if (Neighbour* known = neighbour(name)) return *known;
  neighbours_.push_back({nextTag_++, name, std::move(pidfd)});
  Neighbour& added = neighbours_.back();
  // Without it its death is seen when it is asked for.
  (void)ready_.add(added.pidfd, sys::Interest::Read, added.tag);
  return added;
}

bool Guest::ownerHasEnded(DomainName owner) {
  Neighbour* const other = neighbour(owner);
  if (other == nullptr) return false;
  return other->hasEnded || (other->pidfd.isOpen() && sys::processHasEnded(other->pidfd));
}

void Guest::onEndedMessage(DomainName domain) {
  domain_->forgetPeer(domain);
  Neighbour* const other = neighbour(domain);
  if (other != nullptr && other->hasEnded) return;
  if (other != nullptr) {
    if (other->pidfd.isOpen()) ready_.remove(other->pidfd);
    other->hasEnded = true;
    noteLeaving();
  }
  if (listener_ != nullptr) listener_->onEnded(domain);
}

bool Guest::isOver(const Granted& segment) const {
  const Neighbour* const owner = neighbour(segment.owner);
  return segment.isRetired || (owner != nullptr && owner->hasEnded && !owner->isLinked);
}

void Guest::sweep() {
  if (!maySweep()) return;
  hasNews_ = false;
  releasesSwept_ = domain_->releasesOfLeaving();
  std::erase_if(granted_, [this](const Granted& each) {
    if (!isOver(each)) return false;
    if (domain_->forgetSegment(each.number)) return true;
    domain_->segment(each.number)->setLeaving();
    return false;
  });
  // A grant that is on its way may be of an owner that we are about to let go.
  const bool isAwaiting = std::any_of(asked_.begin(), asked_.end(),
                                      [](const auto& entry) { return entry.second.isOk(); });
  for (size_t index = 0; index < neighbours_.size() && !isAwaiting;) {
    const Neighbour& other = neighbours_[index];
    const DomainName name = other.name;
    const bool isOver = other.hasEnded && !other.isLinked &&
                        std::none_of(granted_.begin(), granted_.end(),
                                     [name](const Granted& each) { return each.owner == name; });
    if (!isOver || !domain_->forgetOwner(name)) {
      index++;
      continue;
    }
    ControlMessage message = makeMessage(MessageType::LetGo);
    message.domain.slot = name.slot;
    message.domain.epoch = name.epoch;
    (void)send(message);
    neighbours_.erase(neighbours_.begin() + static_cast<ptrdiff_t>(index));
  }
  hasToLetGo_ = std::any_of(neighbours_.begin(), neighbours_.end(),
                            [](const Neighbour& each) { return each.hasEnded; }) ||
                std::any_of(granted_.begin(), granted_.end(),
                            [](const Granted& each) { return each.isRetired; });
}

}  // namespace iol
