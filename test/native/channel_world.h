// test/native/channel_world.h: several domains of one process, with a control plane made by hand.
#pragma once

#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "aggregate/aggregate.h"
#include "channel/receiver.h"
#include "channel/sender.h"
#include "pool/pool.h"
#include "sys/handover.h"
#include "sys/memory.h"
#include "sys/process.h"
#include "test.h"

namespace iol::test {

struct Participant;

// What the host knows.
struct Neighbours {
  Neighbours() : window({1ull << 30}) {}
  Window window;
  std::vector<Participant*> all;
};

struct Participant final : SegmentSource {
  explicit Participant(Neighbours& others) : neighbours(others) {
    domain = Domain::create(others.window).take();
    pool = Pool::create(*domain, {}).take();
    domain->setSegmentSource(this);
    doorbell = Doorbell::create(*domain).take();
    doorbell->setSpinNs(0);
    others.all.push_back(this);
  }
  ~Participant() {
    std::erase(neighbours.all, this);
    doorbell.reset();
    pool.reset();
    domain.reset();
  }

  Status request(uint32_t number) override {
    requests++;
    if (isDenied) return Status(Code::AccessDenied, "segment", number);
    if (isSlow) return {};
    for (Participant* other : neighbours.all) {
      Segment* segment = other->domain->segment(number);
      if (segment == nullptr || !segment->isOwn()) continue;
      grant(*other, *segment);
      return {};
    }
    return Status(Code::BadDescriptor, "segment", number);
  }
  Status publish(Segment&) override {
    published++;
    return publishing;
  }
  void retire(Segment&) override { retired++; }
  bool ownerHasEnded(DomainName) override { return isOwnerDead; }

  // The owner gets our table, then we get its segment.
  void grant(Participant& owner, const Segment& segment) {
    HoldTable& table = *domain->holdsFor(owner.domain->name()).take();
    bool isKnown = false;
    for (const Participant* each : owner.readers) isKnown = isKnown || each == this;
    if (!isKnown) {
      owner.readers.push_back(this);
      CHECK(owner.domain->peers()
                .add(domain->name(), sys::duplicate(table.readOnlyFd()).take(),
                     sys::openPidfd(::getpid()).take(), owner.readers.size())
                .isOk());
    }
    CHECK(domain
              ->adoptSegment(Segment::open(neighbours.window.id(),
                                           sys::duplicate(segment.readOnlyFd()).take(),
                                           segment.totalBytes())
                                 .take())
              .isOk());
  }

  // What a peer gets to open a link with us. `pid`: whose death counts as ours.
  PeerHandles handles(int pid = ::getpid()) {
    return {domain->name(), sys::duplicate(doorbell->blockFd()).take(),
            doorbell->makeButton().take(), sys::openPidfd(pid).take()};
  }

  // An aggregate of one new buffer of `length` bytes, all `fill`.
  Aggregate bytes(uint32_t length, uint8_t fill) {
    Aggregate aggregate(*domain);
    CHECK(aggregate.adopt(make(length, fill)).isOk());
    return aggregate;
  }

  // Sealed bytes with one hold, not exported.
  Slice make(uint32_t length, uint8_t fill) {
    Draft draft = pool->allocate(length).take();
    std::memset(draft.bytes(), fill, length);
    return draft.seal();
  }

  Neighbours& neighbours;
  std::unique_ptr<Domain> domain;
  std::unique_ptr<Pool> pool;
  std::unique_ptr<Doorbell> doorbell;
  std::vector<const Participant*> readers;
  Status publishing;
  bool isDenied = false;
  bool isSlow = false;
  bool isOwnerDead = false;
  int requests = 0;
  int published = 0;
  int retired = 0;
};

// A channel between two participants.
struct Pipe {
  Pipe(Participant& from, Participant& to, uint64_t ringBytes = kRingBytesMin) {
    static uint64_t channels = 0;
    const ChannelName name{from.neighbours.window.id(), ++channels, ringBytes, from.domain->name(),
                           to.domain->name()};
    toReceiver = Link::open(*from.doorbell, to.handles()).take();
    toSender = Link::open(*to.doorbell, from.handles()).take();
    sender = Sender::create(*from.doorbell, *from.pool, name).take();
    receiver =
        Receiver::create(*to.doorbell, *toSender, name, sys::duplicate(sender->fd()).take()).take();
    CHECK(sender->connect(*toReceiver, sys::duplicate(receiver->fd()).take()).isOk());
  }
  SendOutcome send(const Aggregate& aggregate, const std::string& metadata = "") {
    Result<SendOutcome> sent = sender->trySend(
        aggregate, {reinterpret_cast<const uint8_t*>(metadata.data()), metadata.size()});
    CHECK(sent.isOk());
    return sent.isOk() ? sent.value() : SendOutcome::Closed;
  }
  std::unique_ptr<Link> toReceiver;
  std::unique_ptr<Link> toSender;
  std::unique_ptr<Sender> sender;
  std::unique_ptr<Receiver> receiver;
};

inline std::string textOf(const std::vector<uint8_t>& bytes) {
  return std::string(bytes.begin(), bytes.end());
}

inline bool allAre(const Slice& slice, uint8_t fill) {
  for (uint32_t at = 0; at < slice.length; at++) {
    if (slice.data()[at] != fill) return false;
  }
  return true;
}

}  // namespace iol::test
