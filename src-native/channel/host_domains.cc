// Domains: how they get in, what they make known, how they go.
#include <algorithm>

#include "channel/host.h"
#include "sys/clock.h"
#include "sys/memory.h"
#include "sys/process.h"

namespace iol {
namespace {

constexpr uint32_t kNumbersGiven = 8192;  // Segment numbers a time: half a tebibyte of addresses.
constexpr size_t kPoolsMax = 1024;
constexpr size_t kRangesMax = 1024;
constexpr size_t kLinksMax = kDomainsMax * 4;
// Header, chunk entries and a generation for each of the smallest slots.
constexpr uint64_t kTableBytesMax =
    kGenerationsOffset + kSlotsMax * sizeof(GenerationWord) + kChunkBytes;

}  // namespace

void Host::onHello(Peer& peer, const HelloMessage& hello) {
  const Status status = admit(peer, hello);
  if (!status.isOk()) {
    refuse(peer, MessageType::Hello, status);
    return cut(peer, status);
  }
  handshakes_--;
  peer.deadlineMs = 0;
  setTimer();
  peer.attachedMs = peer.stateMs = static_cast<uint64_t>(sys::wallMs());
  facts_->counts.attached++;
  if (listener_ != nullptr) listener_->onAttached(peer.name, peer.who);
}

Status Host::admit(Peer& peer, const HelloMessage& hello) {
  if (hello.magic != kHelloMagic || hello.byteOrder != kByteOrder || hello.format != kFormat) {
    return Status(Code::Format, "handshake", hello.format, kFormat);
  }
  if (hello.layoutBytes != kLayoutBytes || hello.pageBytes != sys::kPageBytes) {
    return Status(Code::Format, "handshake's sizes", hello.layoutBytes, kLayoutBytes);
  }
  if (!sameToken(hello.token, address_.token)) return Status(Code::AccessDenied, "token");
  if (hello.windowId != 0 && hello.windowId != window_.id()) {
    return Status(Code::Closed, "window (another one listens there now)");
  }
  const auto attached = std::count_if(peers_.begin(), peers_.end(), [](const auto& entry) {
    return entry.second->isAttached() && !entry.second->hasEnded;
  });
  if (static_cast<uint32_t>(attached) >= options_.domainsMax) {
    return Status(Code::WindowFull, "domains", static_cast<uint64_t>(attached) + 1,
                  options_.domainsMax);
  }
  Result<sys::Fd> pidfd = sys::peerPidfd(peer.socket.fd(), static_cast<int32_t>(peer.who.pid));
  if (!pidfd.isOk()) return pidfd.status();

  const DomainName known{hello.slot, hello.epoch};
  const bool isLocal = known.epoch != 0;
  if (isLocal && (!sys::isThisProcess(static_cast<int32_t>(peer.who.pid)) ||
                  !window_.hasDomain(known) || find(known) != nullptr)) {
    return Status(Code::AccessDenied, "domain of the host's process");
  }
  DomainName name = known;
  uint32_t first = 0;
  if (!isLocal) {
    Result<DomainName> made = window_.takeDomain();
    if (!made.isOk()) return made.status();
    name = made.value();
    Result<uint32_t> numbers = window_.takeSegmentNumbers(kNumbersGiven);
    if (!numbers.isOk()) {
      window_.returnDomain(name);
      return numbers.status();
    }
    first = numbers.value();
  }
  ControlMessage message = makeMessage(MessageType::Welcome);
  message.welcome.windowId = window_.id();
  message.welcome.slot = name.slot;
  message.welcome.epoch = name.epoch;
  message.welcome.ownerEpoch = block_->ownerEpochs[name.slot].load(std::memory_order_relaxed);
  message.welcome.maxBytes = options_.domainBytesMax;
  message.welcome.firstNumber = first;
  message.welcome.numbers = isLocal ? 0 : kNumbersGiven;
  Status status = peer.socket.send(message, {blockFd_.get()});
  // The pidfd of a domain of our own process never gets ready while we are here to see it.
  if (status.isOk()) status = ready_.add(pidfd.value(), sys::Interest::Read, peer.id * 2 + 1);
  if (!status.isOk()) {
    if (!isLocal) window_.returnDomain(name);
    return status;
  }
  std::copy_n(hello.label, kDomainLabelBytes, peer.who.label);
  peer.pidfd = pidfd.take();
  peer.name = name;
  if (!isLocal) peer.numbers.emplace_back(first, kNumbersGiven);
  peer.isLocal = isLocal;
  return {};
}

void Host::onPool(Peer& peer, const PoolMessage& message) {
  if (peer.pools.size() >= kPoolsMax || peer.pools.contains(message.pool)) {
    return cut(peer, Status(Code::BadDescriptor, "pool", message.pool, kPoolsMax));
  }
  peer.pools[message.pool] = message.access;
}

Status Host::checkSegment(const Peer& peer, const SegmentMessage& message, const sys::Fd& memory) {
  if (!peer.pools.contains(message.pool)) {
    return Status(Code::BadDescriptor, "segment's pool", message.pool);
  }
  const uint64_t count = (message.totalBytes + kSegmentBytes - 1) / kSegmentBytes;
  const bool isGiven = std::any_of(
      peer.numbers.begin(), peer.numbers.end(), [&](const std::pair<uint32_t, uint32_t>& range) {
        return message.number >= range.first &&
               message.number + count <= uint64_t{range.first} + range.second;
      });
  // Domains of our own process take their numbers from the same window as we do.
  if (!isGiven && !peer.isLocal) {
    return Status(Code::BadDescriptor, "segment number (not given to this domain)", message.number);
  }
  if (segments_.contains(message.number)) {
    return Status(Code::BadDescriptor, "segment number (in use)", message.number);
  }
  IOL_TRY(sys::checkForeignMemory(memory, message.totalBytes));
  // Whoever reads a hole pays for the page: the tables' first pages at least are the owner's.
  Result<uint64_t> allocated = sys::allocatedBytes(memory);
  if (!allocated.isOk()) return allocated.status();
  if (allocated.value() < kGenerationsOffset) {
    return Status(Code::BadDescriptor, "segment (not committed)", allocated.value(),
                  kGenerationsOffset);
  }
  return options_.domainBytesMax == 0 ? Status() : checkQuota(peer, allocated.value());
}

// Tables are not in the quota, and cannot be told from data here: each segment may have as much
// as the largest tables take. An honest guest is always below that.
Status Host::checkQuota(const Peer& peer, uint64_t allocatedBytes) const {
  const auto dataOf = [](uint64_t bytes) { return bytes - std::min(bytes, kTableBytesMax); };
  uint64_t sum = dataOf(allocatedBytes);
  for (const auto& [number, segment] : segments_) {
    if (segment.owner != peer.name) continue;
    const Result<uint64_t> allocated = sys::allocatedBytes(segment.memory);
    if (allocated.isOk()) sum += dataOf(allocated.value());
  }
  if (sum <= options_.domainBytesMax) return {};
  return Status(Code::WindowFull, "domain's published data", sum, options_.domainBytesMax);
}

void Host::onSegment(Peer& peer, const SegmentMessage& message, sys::Fd memory) {
  const Status status = checkSegment(peer, message, memory);
  if (!status.isOk()) return cut(peer, status);
  if (peer.segments >= kOrdinalsMax) {
    return cut(peer,
               Status(Code::WindowFull, "segments of one domain", peer.segments + 1, kOrdinalsMax));
  }
  peer.segments++;
  segments_[message.number] = {peer.name, message.pool, message.totalBytes, std::move(memory), {}};
}

void Host::onRetire(Peer& peer, uint32_t number) {
  const auto found = segments_.find(number);
  if (found == segments_.end() || found->second.owner != peer.name) return;
  ControlMessage message = makeMessage(MessageType::Retire);
  message.number.number = number;
  for (const DomainName name : found->second.readers) {
    if (Peer* reader = find(name)) tell(*reader, message);
  }
  peer.segments--;
  segments_.erase(found);
}

void Host::onNumbers(Peer& peer) {
  if (peer.isLocal || peer.numbers.size() >= kRangesMax) {
    return refuse(peer, MessageType::Numbers,
                  Status(Code::WindowFull, "segment numbers", kRangesMax, kRangesMax));
  }
  Result<uint32_t> first = window_.takeSegmentNumbers(kNumbersGiven);
  if (!first.isOk()) return refuse(peer, MessageType::Numbers, first.status());
  peer.numbers.emplace_back(first.value(), kNumbersGiven);
  ControlMessage message = makeMessage(MessageType::Numbers);
  message.numbers.first = first.value();
  message.numbers.count = kNumbersGiven;
  answer(peer, message);
}

void Host::onFind(Peer& peer, const LabelMessage& wanted) {
  ControlMessage message = makeMessage(MessageType::Found);
  std::copy_n(wanted.label, kDomainLabelBytes, message.label.label);
  const Peer* oldest = nullptr;  // Of several with one label, so that all who ask find the same.
  for (const auto& [id, other] : peers_) {
    const bool isIt = other->isAttached() && other->socket.isOpen() && wanted.label[0] != 0 &&
                      sameLabel(other->who.label, wanted.label);
    if (isIt && (oldest == nullptr || other->id < oldest->id)) oldest = other.get();
  }
  if (oldest != nullptr) {
    message.label.slot = oldest->name.slot;
    message.label.epoch = oldest->name.epoch;
  }
  answer(peer, message);
}

// The receiver's own checks are what counts: nothing is known here of what is inside.
void Host::onRelay(Peer& peer, const RelayMessage& relay, const std::vector<sys::Fd>& fds) {
  const DomainName name{relay.slot, relay.epoch};
  Peer* const other = find(name);
  Status status;
  if (other == nullptr || !other->socket.isOpen()) {
    status = Status(Code::Closed, "domain", relay.slot);
  } else if (other->socket.unsent() > 0) {
    status = Status(Code::Busy, "domain's control socket");
  } else if (peer.links.size() >= kLinksMax || other->links.size() >= kLinksMax) {
    status = Status(Code::WindowFull, "links of one domain", kLinksMax + 1, kLinksMax);
  }
  if (status.isOk()) {
    ControlMessage message = makeMessage(MessageType::Relay);
    message.relay.slot = peer.name.slot;
    message.relay.epoch = peer.name.epoch;
    message.relay.pid = peer.who.pid;
    message.relay.uid = peer.who.uid;
    message.relay.gid = peer.who.gid;
    std::copy_n(peer.who.label, kDomainLabelBytes, message.relay.label);
    std::copy_n(relay.body, kRelayBodyBytes, message.relay.body);
    std::vector<int> descriptors{peer.pidfd.get()};
    for (const sys::Fd& fd : fds) descriptors.push_back(fd.get());
    status = other->socket.send(message, descriptors);
  }
  if (!status.isOk()) {
    return refuse(peer, MessageType::Relay, status, relay.slot, relay.epoch);
  }
  if (!contains(peer.links, name)) peer.links.push_back(name);
  if (!contains(other->links, peer.name)) other->links.push_back(peer.name);
  facts_->counts.relayed++;
  updateInterest(*other);
}

// A domain is no more: by the kernel's word, or by its own in order. What it owned stays for
// those who have it or may still be sent it.
void Host::onEnd(Peer& peer) {
  if (!peer.isAttached() || peer.hasEnded) return;
  peer.hasEnded = true;
  peer.stateMs = static_cast<uint64_t>(sys::wallMs());
  peer.deadlineMs = 0;
  if (peer.pidfd.isOpen()) ready_.remove(peer.pidfd);
  peer.socket.close();
  peer.wanted.clear();
  peer.tables.clear();
  const DomainName name = peer.name;
  if (!peer.isLocal) window_.returnDomain(name);

  ControlMessage message = makeMessage(MessageType::Ended);
  message.domain.slot = name.slot;
  message.domain.epoch = name.epoch;
  std::vector<DomainName> concerned = peer.owners;
  concerned.insert(concerned.end(), peer.links.begin(), peer.links.end());
  std::vector<DomainName> foreignOwners;
  for (auto& [number, segment] : segments_) {
    if (segment.owner == name) {
      concerned.insert(concerned.end(), segment.readers.begin(), segment.readers.end());
    } else if (std::erase(segment.readers, name) > 0 && !contains(foreignOwners, segment.owner)) {
      foreignOwners.push_back(segment.owner);
    }
  }
  std::vector<DomainName> told;
  for (const DomainName each : concerned) {
    if (contains(told, each)) continue;
    told.push_back(each);
    if (Peer* other = find(each)) tell(*other, message);
  }
  for (const DomainName link : peer.links) {
    if (!contains(foreignOwners, link)) foreignOwners.push_back(link);
  }
  peer.links.clear();
  if (listener_ != nullptr) listener_->onGone(name, {});
  for (const DomainName owner : foreignOwners) dropUnreachable(owner);
  dropUnreachable(name);
}

// Lets go of a dead owner's segments once nobody has one and no channel can bring a name in one.
void Host::dropUnreachable(DomainName name) {
  Peer* const owner = find(name);
  if (owner == nullptr || !owner->hasEnded) return;
  for (const auto& [id, peer] : peers_) {
    if (contains(peer->links, name)) return;
  }
  for (const auto& [number, segment] : segments_) {
    if (segment.owner == name && !segment.readers.empty()) return;
  }
  std::erase_if(segments_, [name](const auto& entry) { return entry.second.owner == name; });
  closed_.push_back(owner->id);
}

}  // namespace iol
