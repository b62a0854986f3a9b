// Attaching, what the host says, and what is sent to it.
#include "channel/guest.h"

#include <algorithm>
#include <new>

#include "sys/limits.h"
#include "sys/memory.h"
#include "sys/process.h"
#include "sys/timer.h"
#include "sys/unix_socket.h"

namespace iol {
namespace {

constexpr uint64_t kHostTag = 0;
constexpr int kMessagesPerTurn = 256;

// The Status of the host's refusal; `subject` says of what.
Status statusOf(const RefusedMessage& refused, const char* subject) {
  switch (static_cast<Refusal>(refused.refusal)) {
    case Refusal::Format: return Status(Code::Format, subject, refused.value, refused.limit);
    case Refusal::Token:
    case Refusal::Denied: return Status(Code::AccessDenied, subject, refused.value, refused.limit);
    case Refusal::Full: return Status(Code::WindowFull, subject, refused.value, refused.limit);
    case Refusal::Busy: return Status(Code::WouldBlock, subject, refused.value, refused.limit);
    case Refusal::Closed: return Status(Code::Closed, subject);
    case Refusal::System: return Status::system(subject, static_cast<int>(refused.value));
    case Refusal::Unknown: break;
  }
  return Status(Code::BadDescriptor, subject, refused.value, refused.limit);
}

}  // namespace

Result<std::unique_ptr<Guest>> Guest::connect(const HostAddress& address, Options options,
                                              GuestListener* listener) {
  if (sys::isForkedChild()) return Status(Code::Forked, "window");
  Result<sys::PollSet> ready = sys::PollSet::create();
  if (!ready.isOk()) return ready.status();
  Result<sys::Fd> socket = sys::connectUnix(address.socket);
  if (!socket.isOk()) return socket.status();
  IOL_TRY(ready.value().add(socket.value(), sys::Interest::Read, kHostTag));
  std::unique_ptr<Guest> guest(new (std::nothrow)
                                   Guest(ready.take(), socket.take(), options, listener));
  if (guest == nullptr) return Status(Code::NoMemory, "guest");
  IOL_TRY(guest->sayHello(address));
  return guest;
}

Guest::Guest(sys::PollSet ready, sys::Fd socket, Options options, GuestListener* listener)
    : ready_(std::move(ready)),
      socket_(std::move(socket)),
      options_(options),
      listener_(listener) {}

Guest::~Guest() {
  if (domain_ != nullptr) {
    domain_->setSegmentSource(nullptr);
    domain_->peers().follow(nullptr, 0);
  }
  ownDomain_.reset();
  sys::unmap(reinterpret_cast<uint8_t*>(const_cast<HostBlock*>(block_)), sizeof(HostBlock));
}

Status Guest::sayHello(const HostAddress& address) {
  ControlMessage message = makeMessage(MessageType::Hello);
  message.hello.magic = kHelloMagic;
  message.hello.format = kFormat;
  message.hello.byteOrder = kByteOrder;
  message.hello.pageBytes = sys::kPageBytes;
  message.hello.layoutBytes = kLayoutBytes;
  message.hello.token[0] = address.token[0];
  message.hello.token[1] = address.token[1];
  message.hello.windowId = options_.windowId;
  if (options_.existing != nullptr) {
    message.hello.slot = options_.existing->name().slot;
    message.hello.epoch = options_.existing->name().epoch;
  }
  if (!setLabel(message.hello.label, options_.label)) {
    return Status(Code::TooLarge, "domain's label", 0, kDomainLabelBytes - 1);
  }
  std::copy_n(message.hello.label, kDomainLabelBytes, label_);
  address_ = address.socket;
  return socket_.send(message);
}

void Guest::onReady() {
  if (sys::isForkedChild()) return;
  // Before anything is read: what this turn grants has until the next one to be held.
  if (domain_ != nullptr) sweep();
  sys::Readiness ready[32];
  const uint32_t count = ready_.wait(ready);
  for (uint32_t index = 0; index < count; index++) {
    if (ready[index].tag == kHostTag) {
      if (ready[index].isWritable) {
        socket_.flushOrForget();
        if (socket_.unsent() == 0 && listener_ != nullptr) listener_->onRoom();
      }
      readHost();
      continue;
    }
    for (Neighbour& other : neighbours_) {
      if (other.tag != ready[index].tag || other.hasEnded) continue;
      if (other.pidfd.isOpen()) ready_.remove(other.pidfd);
      const DomainName name = other.name;
      other.hasEnded = true;
      noteLeaving();
      if (domain_ != nullptr) domain_->reapDeadPeers();
      if (listener_ != nullptr) listener_->onEnded(name);
      break;
    }
  }
  if (domain_ == nullptr) return;
  addTables();
  updateInterest();
}

Status Guest::awaitAttached(int64_t timeoutMs) {
  while (state_ == State::Attaching) {
    if (!sys::awaitReadable(fd(), timeoutMs)) {
      return Status(Code::TimedOut, "host", static_cast<uint64_t>(timeoutMs));
    }
    onReady();
  }
  return state_ == State::Attached ? Status() : failure_;
}

void Guest::readHost() {
  ControlSocket::Received received;
  for (int count = 0; count < kMessagesPerTurn && socket_.isOpen(); count++) {
    const Status status = socket_.receive(received);
    if (status.code() == Code::WouldBlock) return;
    if (!status.isOk()) return lose(status.code() == Code::Closed ? Status() : status);
    const bool isAttaching = state_ == State::Attaching;
    takeMessage(received);
    // Why: who has just been let in gets ready before anybody else has a word with it.
    if (isAttaching) return;
  }
}

void Guest::takeMessage(ControlSocket::Received& received) {
  const ControlMessage& message = received.message;
  const MessageType type = static_cast<MessageType>(message.header.type);
  Status status =
      checkMessage(message, received.length, received.descriptors.size(), Toward::Domain);
  if (received.lacksSome) {
    status = Status(Code::NoMemory, "descriptors of this process");
  }
  const bool isGreeting = type == MessageType::Welcome ||
                          (type == MessageType::Refused &&
                           message.refused.request == static_cast<uint32_t>(MessageType::Hello));
  if (status.isOk() && isGreeting != (state_ == State::Attaching)) {
    status = Status(Code::BadDescriptor, "control message's order", message.header.type);
  }
  if (!status.isOk()) return lose(status);
  std::vector<sys::Fd>& fds = received.descriptors;
  switch (type) {
    case MessageType::Welcome: return onWelcome(message.welcome, std::move(fds[0]));
    case MessageType::Refused: return onRefusedMessage(message.refused);
    case MessageType::Retire:
      for (Granted& each : granted_) {
        if (each.number == message.number.number) each.isRetired = true;
      }
      noteLeaving();
      return;
    case MessageType::Numbers:
      hasAskedNumbers_ = false;
      return window_->addSegmentNumbers(message.numbers.first, message.numbers.count);
    case MessageType::Owner: return onOwner(message.owner);
    case MessageType::Table:
      tables_.push_back({{message.table.slot, message.table.epoch},
                         message.table.ownerEpoch,
                         std::move(fds[0]),
                         std::move(fds[1])});
      return addTables();
    case MessageType::Grant: return onGrant(message.grant, std::move(fds[0]), std::move(fds[1]));
    case MessageType::Ended: return onEndedMessage({message.domain.slot, message.domain.epoch});
    case MessageType::Found:
      if (listener_ != nullptr) {
        listener_->onFound(message.label.label, {message.label.slot, message.label.epoch});
      }
      return;
    case MessageType::Relay: return onRelayMessage(message.relay, std::move(fds));
    default: return;
  }
}

void Guest::onWelcome(const WelcomeMessage& welcome, sys::Fd block) {
  const Status status = settleIn(welcome, std::move(block));
  if (!status.isOk()) return lose(status);
  state_ = State::Attached;
  if (listener_ != nullptr) listener_->onAttached();
}

Status Guest::settleIn(const WelcomeMessage& welcome, sys::Fd block) {
  const DomainName name{welcome.slot, welcome.epoch};
  IOL_TRY(sys::checkForeignMemory(block, sizeof(HostBlock)));
  Result<uint8_t*> mapped = sys::mapReadOnly(block, sizeof(HostBlock));
  if (!mapped.isOk()) return mapped.status();
  block_ = reinterpret_cast<const HostBlock*>(mapped.value());
  if (block_->magic != kHostMagic || block_->format != kFormat ||
      block_->windowId != welcome.windowId) {
    return Status(Code::Format, "host block", block_->format, kFormat);
  }
  if (options_.existing != nullptr) {
    domain_ = options_.existing;
    window_ = &domain_->window();
    if (welcome.windowId != window_->id() || name != domain_->name()) {
      return Status(Code::BadDescriptor, "domain's name", name.slot, domain_->name().slot);
    }
  } else {
    ownWindow_.reset(new (std::nothrow) Window(welcome.windowId, options_.window));
    if (ownWindow_ == nullptr) return Status(Code::NoMemory, "window");
    window_ = ownWindow_.get();
    window_->addSegmentNumbers(welcome.firstNumber, welcome.numbers);
    Result<std::unique_ptr<Domain>> domain = Domain::create(*window_, name);
    if (!domain.isOk()) return domain.status();
    ownDomain_ = domain.take();
    domain_ = ownDomain_.get();
  }
  if (welcome.maxBytes != 0) domain_->setMaxBytes(welcome.maxBytes);
  domain_->facts().setAttached(label_, address_, welcome.maxBytes);
  domain_->peers().follow(&block_->ownerEpochs[name.slot], welcome.ownerEpoch);
  domain_->setSegmentSource(this);
  return {};
}

void Guest::onRefusedMessage(const RefusedMessage& refused) {
  switch (static_cast<MessageType>(refused.request)) {
    case MessageType::Hello: {
      failure_ = statusOf(refused, "host");
      state_ = State::Refused;
      socket_.close();
      if (listener_ != nullptr) listener_->onRefused(failure_);
      return;
    }
    case MessageType::Want: return deny(refused.subject, statusOf(refused, "segment"));
    case MessageType::Relay:
      if (listener_ != nullptr) {
        listener_->onRelayRefused({refused.subject, refused.epoch}, statusOf(refused, "domain"));
      }
      return;
    case MessageType::Numbers: hasAskedNumbers_ = false; return;
    default: return;  // A shortage of the host's; what was asked may be asked again.
  }
}

// No more from the host. The domain goes on with what it has; its epoch word stays as it is, and
// every table that it speaks of has arrived before the end of file.
void Guest::lose(const Status& why) {
  socket_.close();
  failure_ = why.isOk() ? Status(Code::Closed, "host") : why;
  const bool isAttached = state_ == State::Attached;
  state_ = isAttached ? State::Alone : State::Refused;
  for (const auto& [number, status] : std::exchange(asked_, {})) {
    if (status.isOk()) deny(number, failure_);
  }
  if (listener_ == nullptr) return;
  if (isAttached) {
    listener_->onHostGone(why);
  } else {
    listener_->onRefused(failure_);
  }
}

Status Guest::send(const ControlMessage& message, std::initializer_list<int> fds) {
  if (sys::isForkedChild()) return Status(Code::Forked, "window");
  if (state_ != State::Attached) return Status(Code::Closed, "host");
  const Status status = socket_.send(message, std::vector<int>(fds));
  updateInterest();
  return status;
}

void Guest::updateInterest() {
  if (!socket_.isOpen()) return;
  const sys::Interest wanted = socket_.unsent() > 0 ? sys::Interest::Both : sys::Interest::Read;
  if (wanted == interest_) return;
  if (ready_.change(socket_.fd(), wanted, kHostTag).isOk()) interest_ = wanted;
}

Status Guest::find(const char* label) {
  ControlMessage message = makeMessage(MessageType::Find);
  if (!setLabel(message.label.label, label)) {
    return Status(Code::TooLarge, "domain's label", 0, kDomainLabelBytes - 1);
  }
  return send(message);
}

Status Guest::detach() {
  if (state_ != State::Attached) return Status(Code::Closed, "host");
  if (domain_->liveHolds() > 0 || !domain_->pools().empty()) {
    return Status(Code::Busy, "domain", domain_->liveHolds());
  }
  return leave();
}

Status Guest::leave() {
  IOL_TRY(send(makeMessage(MessageType::Detach)));
  state_ = State::Detached;
  domain_->setSegmentSource(nullptr);
  if (socket_.unsent() == 0) socket_.close();
  return {};
}

}  // namespace iol
