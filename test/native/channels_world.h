// test/native/channels_world.h: members of a window that open channels to each other.
#pragma once

#include "channel/channels.h"
#include "host_world.h"

namespace iol::test {

// A member with a doorbell and channels. In a process of its own or in the host's.
struct Correspondent : Member, ChannelsListener {
  using Member::Member;
  ~Correspondent() {
    channels.reset();
    doorbell.reset();
  }
  // Once attached.
  void begin() {
    CHECK(makePool().isOk());
    doorbell = Doorbell::create(guest->domain()).take();
    doorbell->setSpinNs(0);
    channels = std::make_unique<Channels>(*guest, *doorbell, *pool, *this);
  }
  void onRelay(DomainName from, const uint8_t* body, std::vector<sys::Fd> fds) override {
    CHECK(channels->onRelay(from, body, fds));
  }
  void onRelayRefused(DomainName to, const Status& why) override {
    channels->onRelayRefused(to, why);
  }
  void onRoom() override { channels->onRoom(); }
  void onEnded(DomainName name) override {
    Member::onEnded(name);
    channels->onEnded(name);
  }
  void onHostGone(const Status& why) override {
    Member::onHostGone(why);
    if (channels != nullptr) channels->onHostGone();
  }
  Status onOpening(DomainName, const char* label) override {
    return std::string(label) == "unwanted" ? Status(Code::System, label) : Status();
  }
  void onChannel(Channel& channel) override { opened.push_back(&channel); }
  void onRefused(uint64_t, const Status& why) override { refused.push_back(why); }

  Aggregate bytes(uint32_t length, uint32_t fill) {
    Aggregate aggregate(guest->domain());
    Result<Draft> draft = pool->allocate(length);
    if (!draft.isOk()) return aggregate;
    std::memset(draft.value().bytes(), static_cast<int>(fill & 0xff), length);
    (void)aggregate.adopt(draft.value().seal());
    return aggregate;
  }
  // One turn of a loop without spinning: sleeps until there is something to do.
  void turn(Host* host = nullptr) {
    const bool canSleep = doorbell->prepareToSleep();
    std::vector<pollfd> all{{guest->fd().get(), POLLIN, 0}, {doorbell->fd().get(), POLLIN, 0}};
    if (host != nullptr) all.push_back({host->fd().get(), POLLIN, 0});
    const int32_t most = doorbell->sleepMs();
    ::poll(all.data(), all.size(), canSleep ? (most < 0 ? 1000 : most) : 0);
    doorbell->wake();
    if (host != nullptr) host->onReady();
    guest->onReady();
  }
  std::vector<Channel*> opened;
  std::vector<Status> refused;
  std::unique_ptr<Doorbell> doorbell;
  std::unique_ptr<Channels> channels;
};

inline bool allBytesAre(const Slice& slice, uint32_t fill) {
  for (uint32_t at = 0; at < slice.length; at++) {
    if (slice.data()[at] != static_cast<uint8_t>(fill)) return false;
  }
  return true;
}

inline std::span<const uint8_t> asBytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace iol::test
