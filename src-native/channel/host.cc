// Connections: who comes, what arrives, who is cut.
#include "channel/host.h"

#include <algorithm>
#include <new>

#include "sys/clock.h"
#include "sys/limits.h"
#include "sys/memory.h"
#include "sys/process.h"

namespace iol {
namespace {

constexpr uint64_t kListenerTag = 0;
constexpr uint64_t kTimerTag = 1;
constexpr uint64_t socketTag(uint64_t id) { return id * 2; }
constexpr uint64_t deathTag(uint64_t id) { return id * 2 + 1; }

constexpr size_t kHandshakesMax = 64;    // At a time.
constexpr int kMessagesPerTurn = 64;     // Of one peer, before the others have their turn.
constexpr size_t kUnsentPause = 16;      // With so many unread answers its requests wait.
constexpr int64_t kDeathGraceMs = 1000;  // Between end of file and death.
constexpr size_t kUnsentTold = 48;       // With so many it is told nothing it did not ask for.

Refusal refusalOf(const Status& status) {
  switch (status.code()) {
    case Code::Format: return Refusal::Format;
    case Code::AccessDenied: return Refusal::Denied;
    case Code::WindowFull:
    case Code::PoolFull: return Refusal::Full;
    case Code::WouldBlock:
    case Code::Busy: return Refusal::Busy;
    case Code::Closed: return Refusal::Closed;
    case Code::System: return Refusal::System;
    default: return Refusal::Unknown;
  }
}

}  // namespace

Result<std::unique_ptr<Host>> Host::create(Window& window, Options options,
                                           HostListener* listener) {
  if (sys::isForkedChild()) return Status(Code::Forked, "window");
  HostAddress address;
  address.token[0] = sys::randomId();
  address.token[1] = sys::randomId();
  address.socket = options.socket;
  if (address.socket.empty()) {
    const HostAddress name{"", {sys::randomId(), 0}};
    address.socket = "@io-lite-" + name.format().substr(1, 16);
  }
  Result<sys::PollSet> ready = sys::PollSet::create();
  if (!ready.isOk()) return ready.status();
  Result<sys::Timer> timer = sys::Timer::create();
  if (!timer.isOk()) return timer.status();
  Result<sys::UnixListener> socket = sys::UnixListener::open(address.socket, options.pathMode);
  if (!socket.isOk()) return socket.status();
  std::unique_ptr<Host> host(new (std::nothrow) Host(window, std::move(options), listener,
                                                     ready.take(), timer.take(), socket.take()));
  if (host == nullptr) return Status(Code::NoMemory, "host");
  host->address_ = std::move(address);
  IOL_TRY(host->makeBlock());
  Result<std::unique_ptr<HostFactsPage>> facts = HostFactsPage::create(
      window, host->address_.socket, {host->options_.domainBytesMax, host->options_.domainsMax});
  if (!facts.isOk()) return facts.status();
  host->facts_ = facts.take();
  host->publishFacts();
  IOL_TRY(host->ready_.add(host->socket_.fd(), sys::Interest::Read, kListenerTag));
  IOL_TRY(host->ready_.add(host->timer_.fd(), sys::Interest::Read, kTimerTag));
  return host;
}

Host::Host(Window& window, Options options, HostListener* listener, sys::PollSet ready,
           sys::Timer timer, sys::UnixListener socket)
    : window_(window),
      options_(std::move(options)),
      listener_(listener),
      ready_(std::move(ready)),
      timer_(std::move(timer)),
      socket_(std::move(socket)) {}

Host::~Host() { sys::unmap(reinterpret_cast<uint8_t*>(block_), sizeof(HostBlock)); }

Status Host::makeBlock() {
  Result<sys::Fd> memory = sys::createMemory("io-lite-host", sizeof(HostBlock));
  if (!memory.isOk()) return memory.status();
  IOL_TRY(sys::commit(memory.value(), 0, sizeof(HostBlock)));
  Result<uint8_t*> mapped = sys::mapWritable(memory.value(), sizeof(HostBlock));
  if (!mapped.isOk()) return mapped.status();
  block_ = new (mapped.value()) HostBlock();
  block_->magic = kHostMagic;
  block_->format = kFormat;
  block_->byteOrder = kByteOrder;
  block_->windowId = window_.id();
  Result<sys::Fd> readOnly = sys::reopenReadOnly(memory.value());
  if (!readOnly.isOk()) return readOnly.status();
  blockFd_ = readOnly.take();
  return {};
}

void Host::onReady() {
  if (sys::isForkedChild()) return;
  sys::Readiness ready[64];
  const uint32_t count = ready_.wait(ready);
  for (uint32_t index = 0; index < count; index++) {
    const sys::Readiness& event = ready[index];
    if (event.tag == kListenerTag) {
      acceptAll();
      continue;
    }
    if (event.tag == kTimerTag) {
      timer_.clear();
      sweepDeadlines();
      continue;
    }
    const auto found = peers_.find(event.tag / 2);
    if (found == peers_.end()) continue;
    Peer& peer = *found->second;
    if (event.tag == deathTag(peer.id)) {
      hearOut(peer);
      continue;
    }
    if (event.isWritable) peer.socket.flushOrForget();
    if (peer.socket.isOpen() && (event.isReadable || event.isBroken)) readPeer(peer);
    updateInterest(peer);
  }
  settleAllWants();
  buryClosed();
  publishFacts();
}

// The kernel says that its process has ended. Its last words first: what it made known may have
// been named to others.
void Host::hearOut(Peer& peer) {
  peer.socket.forgetUnsent();
  while (readPeer(peer)) continue;
  if (peer.isAttached() && !peer.hasEnded) {
    facts_->counts.died++;
    facts_->incidents.note(IncidentKind::Died, peer.name, peer.who, {});
  }
  onEnd(peer);
}

void Host::acceptAll() {
  while (acceptOne()) continue;
  setTimer();
}

bool Host::acceptOne() {
  Result<sys::Fd> accepted = socket_.accept();
  if (!accepted.isOk()) {
    if (accepted.status().code() != Code::WouldBlock) turnAway({}, accepted.status());
    return false;
  }
  Result<sys::PeerFacts> facts = sys::peerFacts(accepted.value());
  const uint32_t pid = facts.isOk() ? static_cast<uint32_t>(facts.value().pid) : 0;
  Status status = facts.status();
  std::unique_ptr<Peer> peer(new (std::nothrow) Peer());
  if (peer == nullptr) status = Status(Code::NoMemory, "host");
  if (status.isOk() && handshakes_ >= kHandshakesMax) {
    status = Status(Code::Busy, "handshakes", handshakes_ + 1, kHandshakesMax);
  }
  if (status.isOk()) {
    peer->id = nextId_++;
    status = ready_.add(accepted.value(), sys::Interest::Read, socketTag(peer->id));
  }
  if (!status.isOk()) {
    Credentials who;
    who.pid = pid;
    if (facts.isOk()) who.uid = facts.value().uid;
    turnAway(who, status);
    return true;
  }
  peer->socket = ControlSocket(accepted.take());
  peer->who.uid = facts.value().uid;
  peer->who.gid = facts.value().gid;
  peer->who.pid = pid;
  peer->who.groups = std::move(facts.value().groups);
  peer->deadlineMs = sys::systemClock().monotonicMs() + options_.handshakeTimeoutMs;
  handshakes_++;
  peers_[peer->id] = std::move(peer);
  return true;
}

// Who connects and says nothing must not keep a place; who closed its socket and did not die is
// cut.
void Host::sweepDeadlines() {
  const int64_t now = sys::systemClock().monotonicMs();
  for (const auto& [id, peer] : peers_) {
    if (peer->deadlineMs == 0 || peer->deadlineMs > now) continue;
    peer->deadlineMs = 0;
    if (!peer->isAttached()) {
      cut(*peer,
          Status(Code::TimedOut, "handshake", static_cast<uint64_t>(options_.handshakeTimeoutMs)));
    } else if (!peer->hasEnded && listener_ != nullptr) {
      listener_->onGone(peer->name, Status(Code::Closed, "control socket"));
    }
  }
  setTimer();
}

void Host::setTimer() {
  int64_t next = 0;
  for (const auto& [id, peer] : peers_) {
    if (peer->deadlineMs == 0) continue;
    if (next == 0 || peer->deadlineMs < next) next = peer->deadlineMs;
  }
  if (next == 0) return timer_.set(0);
  timer_.set(std::max<int64_t>(next - sys::systemClock().monotonicMs(), 1));
}

bool Host::readPeer(Peer& peer) {
  ControlSocket::Received received;
  for (int count = 0; count < kMessagesPerTurn; count++) {
    const Status status = peer.socket.receive(received);
    if (status.code() == Code::WouldBlock) return false;
    if (!status.isOk()) {
      onSocketClosed(peer);
      return false;
    }
    takeMessage(peer, received);
    if (!peer.socket.isOpen()) return false;
    if (peer.socket.unsent() > kUnsentPause) return false;
  }
  return true;
}

void Host::takeMessage(Peer& peer, ControlSocket::Received& received) {
  const ControlMessage& message = received.message;
  if (received.lacksSome) {
    // Our own shortage of descriptors, not its fault.
    return refuse(peer, static_cast<MessageType>(message.header.type),
                  Status(Code::Busy, "host's descriptors"));
  }
  Status status = checkMessage(message, received.length, received.descriptors.size(), Toward::Host);
  if (received.isCut) status = Status(Code::BadDescriptor, "control message's length");
  const MessageType type = static_cast<MessageType>(message.header.type);
  if (status.isOk() && (type == MessageType::Hello) == peer.isAttached()) {
    status = Status(Code::BadDescriptor, "control message's order", message.header.type);
  }
  if (!status.isOk()) return cut(peer, status);
  const DomainName named{message.domain.slot, message.domain.epoch};
  switch (type) {
    case MessageType::Hello: return onHello(peer, message.hello);
    case MessageType::Pool: return onPool(peer, message.pool);
    case MessageType::Segment:
      return onSegment(peer, message.segment, std::move(received.descriptors[0]));
    case MessageType::Retire: return onRetire(peer, message.number.number);
    case MessageType::Want: return onWant(peer, message.number.number);
    case MessageType::Numbers: return onNumbers(peer);
    case MessageType::Table: return onTable(peer, named, std::move(received.descriptors[0]));
    case MessageType::LetGo: return onLetGo(peer, named);
    case MessageType::Unlink: std::erase(peer.links, named); return dropUnreachable(named);
    case MessageType::Detach: facts_->counts.detached++; return onEnd(peer);
    case MessageType::Find: return onFind(peer, message.label);
    case MessageType::Relay: return onRelay(peer, message.relay, received.descriptors);
    default: return;
  }
}

void Host::answer(Peer& peer, const ControlMessage& message, const std::vector<int>& fds) {
  const Status status = peer.socket.send(message, fds);
  if (status.code() == Code::WouldBlock) {
    cut(peer, Status(Code::WouldBlock, "answers left unread", ControlSocket::kUnsentMax));
  }
  // Closed is found by reading, after what it said last.
  updateInterest(peer);
}

void Host::tell(Peer& peer, const ControlMessage& message, const std::vector<int>& fds) {
  if (!peer.socket.isOpen() || peer.socket.unsent() >= kUnsentTold) return;
  answer(peer, message, fds);
}

void Host::refuse(Peer& peer, MessageType request, const Status& status, uint32_t subject,
                  uint32_t epoch) {
  ControlMessage message = makeMessage(MessageType::Refused);
  message.refused.request = static_cast<uint32_t>(request);
  message.refused.refusal = static_cast<uint32_t>(refusalOf(status));
  message.refused.subject = subject;
  message.refused.epoch = epoch;
  message.refused.value =
      status.code() == Code::System ? static_cast<uint64_t>(status.systemErrno()) : status.value();
  message.refused.limit = status.limit();
  answer(peer, message);
}

void Host::updateInterest(Peer& peer) {
  if (!peer.socket.isOpen()) return;
  sys::Interest wanted = sys::Interest::Read;
  if (peer.socket.unsent() > kUnsentPause)
    wanted = sys::Interest::Write;
  else if (peer.socket.unsent() > 0)
    wanted = sys::Interest::Both;
  if (wanted == peer.interest) return;
  if (ready_.change(peer.socket.fd(), wanted, socketTag(peer.id)).isOk()) peer.interest = wanted;
}

// A rule was broken: its control connection ends here. Its process may live, so what it holds
// stays held, and what it owns stays with those who have it.
void Host::cut(Peer& peer, const Status& why) {
  if (!peer.socket.isOpen()) return;
  peer.socket.close();
  peer.wanted.clear();
  peer.tables.clear();
  peer.deadlineMs = 0;
  if (!peer.isAttached()) {
    handshakes_--;
    closed_.push_back(peer.id);
    turnAway(peer.who, why);
    return;
  }
  peer.stateMs = static_cast<uint64_t>(sys::wallMs());
  facts_->counts.cut++;
  facts_->incidents.note(IncidentKind::Cut, peer.name, peer.who, why);
  if (listener_ != nullptr) listener_->onGone(peer.name, why);
}

void Host::turnAway(const Credentials& who, const Status& why) {
  facts_->counts.turnedAway++;
  facts_->incidents.note(IncidentKind::TurnedAway, {}, who, why);
  if (listener_ != nullptr) listener_->onTurnedAway(who.pid, why);
}

void Host::onSocketClosed(Peer& peer) {
  if (!peer.socket.isOpen()) return;
  if (!peer.isAttached()) return cut(peer, Status(Code::Closed, "control socket"));
  // A process closes its sockets a little before it is dead: that is the usual case.
  peer.socket.close();
  peer.wanted.clear();
  peer.tables.clear();
  peer.deadlineMs = sys::systemClock().monotonicMs() + kDeathGraceMs;
  peer.stateMs = static_cast<uint64_t>(sys::wallMs());
  setTimer();
}

void Host::buryClosed() {
  for (const uint64_t id : closed_) peers_.erase(id);
  closed_.clear();
}

Host::Peer* Host::find(DomainName name) {
  for (const auto& [id, peer] : peers_) {
    if (peer->isAttached() && peer->name == name) return peer.get();
  }
  return nullptr;
}

void Host::publishFacts() {
  std::vector<HostDomainFacts> table;
  for (const auto& [id, peer] : peers_) {
    if (!peer->isAttached()) continue;
    HostDomainFacts& facts = table.emplace_back();
    facts.slot = peer->name.slot;
    facts.epoch = peer->name.epoch;
    DomainState state = peer->socket.isOpen() ? DomainState::Attached : DomainState::Silent;
    if (peer->hasEnded) state = DomainState::Ended;
    facts.state = static_cast<uint32_t>(state);
    facts.isLocal = peer->isLocal ? 1 : 0;
    facts.pid = peer->who.pid;
    facts.uid = peer->who.uid;
    facts.gid = peer->who.gid;
    facts.pools = static_cast<uint32_t>(peer->pools.size());
    facts.segments = peer->segments;
    facts.links = static_cast<uint32_t>(peer->links.size());
    facts.owners = static_cast<uint32_t>(peer->owners.size());
    facts.unsent = static_cast<uint32_t>(peer->socket.unsent());
    facts.attachedMs = peer->attachedMs;
    facts.stateMs = peer->stateMs;
    std::copy_n(peer->who.label, kDomainLabelBytes, facts.label);
  }
  facts_->publish(table, static_cast<uint32_t>(handshakes_), segments_.size());
}

std::vector<Host::DomainFacts> Host::domains() const {
  std::vector<DomainFacts> facts;
  for (const auto& [id, peer] : peers_) {
    if (!peer->isAttached()) continue;
    facts.push_back({peer->name, peer->who, peer->socket.isOpen(), peer->hasEnded, peer->segments,
                     peer->socket.unsent()});
  }
  return facts;
}

}  // namespace iol
