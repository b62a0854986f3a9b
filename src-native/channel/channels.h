// channel/channels.h: opening channels between any two domains of a window, over the control plane.
//
//   X: open()  --LINK [block, button]--> Y     once per pair and direction
//              --OPEN [X's ring]------->       Y: a receiver, and a sender of its own
//              <--LINK [block, button]--
//              <-ACCEPT [consumed, ring]-      X: connects both: onChannel
//              --CONNECT [consumed]---->       Y: connects: onChannel
//
// A channel here has both directions: two rings. What arrives is checked like all that peers send;
// a peer that breaks the order gets its channel refused.
//
// Ownership   owns links and channels until close(). Ends before doorbell, pools and guest.
// Threads     the domain's. The guest's listener passes on onRelay, onRelayRefused, onRoom,
//             onEnded.
// Failure     of open(): what Guest::relay says. Later: onRefused.
// Cost        five messages per channel; nothing afterwards.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "channel/doorbell.h"
#include "channel/guest.h"
#include "channel/link.h"
#include "channel/opening_message.h"
#include "channel/receiver.h"
#include "channel/sender.h"

namespace iol {

struct Channel {
  uint64_t id = 0;
  DomainName peer;
  bool isOurs = false;  // Opened here.
  std::string label;
  std::unique_ptr<Sender> sender;
  std::unique_ptr<Receiver> receiver;
  uint64_t ringBytes = kRingBytesDefault;  // In either direction.
  bool isConnected = false;
};

class ChannelsListener {
 public:
  // Asked for a channel that a peer opens: Ok, or why not.
  virtual Status onOpening(DomainName /*from*/, const char* /*label*/) { return {}; }
  // Both ends are there, whoever opened it; or its opener has died, and what it sent is there.
  virtual void onChannel(Channel& channel) = 0;
  virtual void onRefused(uint64_t /*id*/, const Status&) {}

 protected:
  ~ChannelsListener() = default;
};

class Channels {
 public:
  static constexpr size_t kLabelBytesMax = kChannelLabelBytes - 1;
  // What a peer may make us commit: channels at a time, and the ring of each.
  static constexpr size_t kChannelsPerPeerMax = 256;
  static constexpr uint64_t kPeersRingBytesMax = 256ull << 10;
  // Refusals that a peer is still to be told: of more than that it hears nothing.
  static constexpr size_t kOwedPerPeerMax = 1024;
  // `lists`: see Sender.
  Channels(Guest& guest, Doorbell& doorbell, Pool& lists, ChannelsListener& listener)
      : guest_(guest), doorbell_(doorbell), lists_(lists), listener_(listener) {}
  ~Channels();
  Channels(const Channels&) = delete;
  Channels& operator=(const Channels&) = delete;

  // Returns the id under which onChannel or onRefused follows.
  Result<uint64_t> open(DomainName to, const char* label, uint64_t ringBytes = kRingBytesDefault);
  // Sends what is queued, receives no more.
  void close(Channel& channel);
  // The domain ends, in order or not: what was sent stays there for whom it was sent to, and peers
  // hear of the end as of a death. Returns the holds that are left in flight.
  size_t abandon();
  const std::vector<std::unique_ptr<Channel>>& all() const { return channels_; }

  // False: not about channels.
  bool onRelay(DomainName from, const uint8_t* body, std::vector<sys::Fd>& descriptors);
  void onRelayRefused(DomainName to, const Status& why);
  void onRoom();
  void onEnded(DomainName domain);
  // Nobody answers what was not yet answered: half-open channels are refused.
  void onHostGone();

 private:
  // A refusal that the control socket had no room for: told as soon as it has.
  struct Owed {
    DomainName to;
    OpeningMessage message;
  };
  Status introduce(DomainName to);
  void refuse(DomainName to, const OpeningMessage& refused, const Status& why);
  Status send(DomainName to, uint32_t kind, const Channel& channel, const std::vector<int>& fds);
  Status tell(DomainName to, const OpeningMessage& message, const std::vector<int>& fds = {});
  Status takeLink(DomainName from, std::vector<sys::Fd>& fds);
  Status takeOpen(DomainName from, const OpeningMessage& body, std::vector<sys::Fd>& fds);
  Status takeAccept(Channel& channel, std::vector<sys::Fd>& fds);
  Status takeConnect(Channel& channel, std::vector<sys::Fd>& fds);
  ChannelName nameOf(const Channel& channel, bool outwards) const;
  size_t countWith(DomainName peer) const;
  Link* linkTo(DomainName peer) const;
  Channel* find(DomainName peer, uint64_t id, bool isOurs) const;
  void remove(Channel& channel);
  void dropLink(DomainName peer);
  void forgetPeer(DomainName peer);
  void refuseHalfOpen(const Status& why, const std::function<bool(const Channel&)>& isMeant);

  Guest& guest_;
  Doorbell& doorbell_;
  Pool& lists_;
  ChannelsListener& listener_;
  uint64_t nextId_ = 1;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<DomainName> introducedTo_;
  std::vector<std::unique_ptr<Channel>> channels_;
  std::deque<Owed> owed_;
};

}  // namespace iol
