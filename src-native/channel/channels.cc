#include "channel/channels.h"

#include <algorithm>
#include <cstring>

namespace iol {
namespace {

constexpr uint32_t kindOf(OpeningKind kind) { return static_cast<uint32_t>(kind); }
constexpr uint32_t kLink = kindOf(OpeningKind::Link);
constexpr uint32_t kOpen = kindOf(OpeningKind::Open);
constexpr uint32_t kAccept = kindOf(OpeningKind::Accept);
constexpr uint32_t kConnect = kindOf(OpeningKind::Connect);
constexpr uint32_t kRefuse = kindOf(OpeningKind::Refuse);

// Why, as the peer says; of its word only what it may mean.
Status refusalOf(uint32_t code) {
  switch (static_cast<Code>(code)) {
    case Code::Busy: return Status(Code::Busy, "channels of the other side");
    case Code::TooLarge: return Status(Code::TooLarge, "ring", 0, Channels::kPeersRingBytesMax);
    case Code::NoMemory: return Status(Code::NoMemory, "other side");
    default: return Status(Code::Refused, "channel");
  }
}

}  // namespace

Channels::~Channels() {
  while (!channels_.empty()) close(*channels_.back());
}

Result<uint64_t> Channels::open(DomainName to, const char* label, uint64_t ringBytes) {
  const size_t length = std::strlen(label);
  if (length > kLabelBytesMax) {
    return Status(Code::TooLarge, "channel label", length, kLabelBytesMax);
  }
  auto channel = std::make_unique<Channel>();
  channel->id = nextId_++;
  channel->peer = to;
  channel->isOurs = true;
  channel->label = label;
  channel->ringBytes = ringBytes;
  Result<std::unique_ptr<Sender>> sender =
      Sender::create(doorbell_, lists_, nameOf(*channel, true));
  if (!sender.isOk()) return sender.status();
  channel->sender = sender.take();
  IOL_TRY(introduce(to));
  IOL_TRY(send(to, kOpen, *channel, {channel->sender->fd().get()}));
  channels_.push_back(std::move(channel));
  return channels_.back()->id;
}

void Channels::close(Channel& channel) {
  const DomainName peer = channel.peer;
  channel.receiver.reset();
  if (channel.sender != nullptr) doorbell_.linger(std::move(channel.sender));
  remove(channel);
  dropLink(peer);
}

size_t Channels::abandon() {
  size_t left = doorbell_.abandonLingering();
  for (const std::unique_ptr<Channel>& channel : channels_) {
    if (channel->sender != nullptr) left += channel->sender->abandon();
    if (channel->receiver != nullptr) channel->receiver->abandon();
  }
  channels_.clear();
  return left;
}

ChannelName Channels::nameOf(const Channel& channel, bool outwards) const {
  const DomainName us = doorbell_.domain().name();
  // Either domain numbers its own: the low bit tells whose number it is in either direction.
  const bool isSendersNumber = channel.isOurs == outwards;
  return {doorbell_.domain().window().id(),
          channel.id * 2 + (isSendersNumber ? 0 : 1),
          channel.ringBytes,
          outwards ? us : channel.peer,
          outwards ? channel.peer : us,
          channel.label.c_str()};
}

Status Channels::introduce(DomainName to) {
  if (std::find(introducedTo_.begin(), introducedTo_.end(), to) != introducedTo_.end()) return {};
  Result<sys::Fd> button = doorbell_.makeButton();
  if (!button.isOk()) return button.status();
  IOL_TRY(send(to, kLink, {}, {doorbell_.blockFd().get(), button.value().get()}));
  introducedTo_.push_back(to);
  return {};
}

Status Channels::send(DomainName to, uint32_t kind, const Channel& channel,
                      const std::vector<int>& fds) {
  OpeningMessage body{};
  body.magic = kOpeningMagic;
  body.kind = kind;
  body.id = channel.id;
  body.ringBytes = channel.ringBytes;
  body.isOpeners = channel.isOurs ? 1 : 0;
  std::copy_n(channel.label.begin(), std::min(channel.label.size(), kLabelBytesMax), body.label);
  return tell(to, body, fds);
}

Status Channels::tell(DomainName to, const OpeningMessage& message, const std::vector<int>& fds) {
  return guest_.relay(to, reinterpret_cast<const uint8_t(&)[kRelayBodyBytes]>(message), fds);
}

bool Channels::onRelay(DomainName from, const uint8_t* bytes, std::vector<sys::Fd>& fds) {
  OpeningMessage body;
  std::copy_n(bytes, sizeof body, reinterpret_cast<uint8_t*>(&body));
  if (body.magic != kOpeningMagic) return false;
  body.label[kLabelBytesMax] = 0;
  Channel* const known = find(from, body.id, body.isOpeners == 0);
  Status status(Code::BadDescriptor, "channel message", body.kind, kRefuse);
  if (body.kind == kLink) {
    (void)takeLink(from, fds);  // Without a link every channel of this peer is refused.
    return true;
  }
  if (known != nullptr && known->isConnected) return true;  // What was opened stays.
  if (body.kind == kOpen && known == nullptr && body.isOpeners == 1) {
    status = takeOpen(from, body, fds);
  } else if (body.kind == kAccept && known != nullptr) {
    status = takeAccept(*known, fds);
  } else if (body.kind == kConnect && known != nullptr) {
    status = takeConnect(*known, fds);
  } else if (body.kind == kRefuse && known != nullptr) {
    if (known->isOurs) listener_.onRefused(known->id, refusalOf(body.code));
    close(*known);
    return true;
  }
  if (status.isOk()) return true;
  if (body.kind != kRefuse) refuse(from, body, status);
  if (Channel* half = find(from, body.id, body.isOpeners == 0); half != nullptr) {
    if (half->isOurs) listener_.onRefused(half->id, status);
    close(*half);
  }
  return true;
}

void Channels::refuse(DomainName to, const OpeningMessage& refused, const Status& why) {
  OpeningMessage message{};
  message.magic = kOpeningMagic;
  message.kind = kRefuse;
  message.id = refused.id;
  message.isOpeners = refused.isOpeners == 0 ? 1 : 0;
  // What there is no room for here may be asked for again, as what is too much.
  const bool isBusy = why.code() == Code::WouldBlock;
  message.code = static_cast<uint32_t>(isBusy ? Code::Busy : why.code());
  if (tell(to, message).code() != Code::WouldBlock) return;
  const auto owed =
      std::count_if(owed_.begin(), owed_.end(), [to](const Owed& each) { return each.to == to; });
  if (static_cast<size_t>(owed) < kOwedPerPeerMax) owed_.push_back({to, message});
}

void Channels::onRoom() {
  for (; !owed_.empty(); owed_.pop_front()) {
    const Owed& next = owed_.front();
    if (tell(next.to, next.message).code() == Code::WouldBlock) return;
  }
}

// descriptors[0] is always the peer's pidfd, from the host.
Status Channels::takeLink(DomainName from, std::vector<sys::Fd>& fds) {
  if (fds.size() != 3 || linkTo(from) != nullptr) {
    return Status(Code::BadDescriptor, "link", fds.size(), 3);
  }
  Result<std::unique_ptr<Link>> link =
      Link::open(doorbell_, {from, std::move(fds[1]), std::move(fds[2]), std::move(fds[0])});
  if (!link.isOk()) return link.status();
  links_.push_back(link.take());
  return {};
}

Status Channels::takeOpen(DomainName from, const OpeningMessage& body, std::vector<sys::Fd>& fds) {
  Link* const link = linkTo(from);
  if (link == nullptr || fds.size() != 2) {
    return Status(Code::BadDescriptor, "opening", fds.size(), 2);
  }
  if (countWith(from) >= kChannelsPerPeerMax) {
    return Status(Code::Busy, "channels with one domain", kChannelsPerPeerMax + 1,
                  kChannelsPerPeerMax);
  }
  if (body.ringBytes > kPeersRingBytesMax) {
    return Status(Code::TooLarge, "ring", body.ringBytes, kPeersRingBytesMax);
  }
  IOL_TRY(listener_.onOpening(from, body.label));
  auto channel = std::make_unique<Channel>();
  channel->id = body.id;
  channel->peer = from;
  channel->label = body.label;
  channel->ringBytes = body.ringBytes;
  Result<std::unique_ptr<Receiver>> receiver =
      Receiver::create(doorbell_, *link, nameOf(*channel, false), std::move(fds[1]));
  if (!receiver.isOk()) return receiver.status();
  channel->receiver = receiver.take();
  channel->receiver->pause();  // It may send before we are told that it has connected.
  Result<std::unique_ptr<Sender>> sender =
      Sender::create(doorbell_, lists_, nameOf(*channel, true));
  if (!sender.isOk()) return sender.status();
  channel->sender = sender.take();
  IOL_TRY(introduce(from));
  IOL_TRY(
      send(from, kAccept, *channel, {channel->receiver->fd().get(), channel->sender->fd().get()}));
  channels_.push_back(std::move(channel));
  return {};
}

Status Channels::takeAccept(Channel& channel, std::vector<sys::Fd>& fds) {
  Link* const link = linkTo(channel.peer);
  if (!channel.isOurs || link == nullptr || fds.size() != 3) {
    return Status(Code::BadDescriptor, "accepting", fds.size(), 3);
  }
  IOL_TRY(channel.sender->connect(*link, std::move(fds[1])));
  Result<std::unique_ptr<Receiver>> receiver =
      Receiver::create(doorbell_, *link, nameOf(channel, false), std::move(fds[2]));
  if (!receiver.isOk()) return receiver.status();
  channel.receiver = receiver.take();
  IOL_TRY(send(channel.peer, kConnect, channel, {channel.receiver->fd().get()}));
  channel.isConnected = true;
  listener_.onChannel(channel);
  return {};
}

Status Channels::takeConnect(Channel& channel, std::vector<sys::Fd>& fds) {
  Link* const link = linkTo(channel.peer);
  if (channel.isOurs || link == nullptr || fds.size() != 2) {
    return Status(Code::BadDescriptor, "connecting", fds.size(), 2);
  }
  IOL_TRY(channel.sender->connect(*link, std::move(fds[1])));
  channel.receiver->resume();
  channel.isConnected = true;
  listener_.onChannel(channel);
  return {};
}

void Channels::onRelayRefused(DomainName to, const Status& why) {
  if (Link* link = linkTo(to); link != nullptr) link->checkDeath();
  std::erase(introducedTo_, to);  // It may have been that which was refused.
  refuseHalfOpen(why, [to](const Channel& channel) { return channel.peer == to; });
}

void Channels::onHostGone() {
  owed_.clear();
  refuseHalfOpen(Status(Code::HostGone, "channel"), [](const Channel&) { return true; });
}

void Channels::refuseHalfOpen(const Status& why,
                              const std::function<bool(const Channel&)>& isMeant) {
  for (size_t index = channels_.size(); index > 0; index--) {
    if (index > channels_.size()) continue;
    Channel& channel = *channels_[index - 1];
    if (channel.isConnected || !isMeant(channel)) continue;
    const bool isOurs = channel.isOurs;
    const uint64_t id = channel.id;
    close(channel);
    if (isOurs) listener_.onRefused(id, why);
  }
}

void Channels::onEnded(DomainName domain) {
  if (Link* link = linkTo(domain); link != nullptr) link->markDead();
  // It may have connected, sent and died before we read that it connected: to be drained.
  for (size_t index = channels_.size(); index > 0; index--) {
    if (index > channels_.size()) continue;
    Channel& channel = *channels_[index - 1];
    if (!(channel.peer == domain) || channel.isConnected || channel.isOurs) continue;
    channel.isConnected = true;
    channel.receiver->resume();
    channel.sender->close();
    listener_.onChannel(channel);
  }
  onRelayRefused(domain, Status(Code::Closed, "domain"));
  forgetPeer(domain);
}

size_t Channels::countWith(DomainName peer) const {
  return static_cast<size_t>(
      std::count_if(channels_.begin(), channels_.end(),
                    [&](const std::unique_ptr<Channel>& each) { return each->peer == peer; }));
}

Link* Channels::linkTo(DomainName peer) const {
  for (const std::unique_ptr<Link>& link : links_) {
    if (link->name() == peer) return link.get();
  }
  return nullptr;
}

Channel* Channels::find(DomainName peer, uint64_t id, bool isOurs) const {
  for (const std::unique_ptr<Channel>& each : channels_) {
    if (each->peer == peer && each->id == id && each->isOurs == isOurs) return each.get();
  }
  return nullptr;
}

void Channels::remove(Channel& channel) {
  std::erase_if(channels_,
                [&](const std::unique_ptr<Channel>& each) { return each.get() == &channel; });
}

// A dead peer's link goes with its last channel: only then may the host forget what it owned.
void Channels::dropLink(DomainName peer) {
  Link* const link = linkTo(peer);
  if (link != nullptr && link->isDead()) forgetPeer(peer);
}

// Also of one that died before it said a word: the host links us from our first one on.
void Channels::forgetPeer(DomainName peer) {
  if (countWith(peer) > 0) return;
  doorbell_.sweepLingering();
  std::erase_if(links_, [peer](const std::unique_ptr<Link>& each) { return each->name() == peer; });
  std::erase(introducedTo_, peer);
  std::erase_if(owed_, [peer](const Owed& each) { return each.to == peer; });
  guest_.unlink(peer);
}

}  // namespace iol
