// test/native/channel_world.h: several domains of one process, with a control plane made by hand.
#pragma once

#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "aggregate/aggregate.h"
#include "pool/pool.h"
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
    others.all.push_back(this);
  }
  ~Participant() {
    std::erase(neighbours.all, this);
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

  // Sealed bytes with one hold, not exported.
  Slice make(uint32_t length, uint8_t fill) {
    Draft draft = pool->allocate(length).take();
    std::memset(draft.bytes(), fill, length);
    return draft.seal();
  }

  Neighbours& neighbours;
  std::unique_ptr<Domain> domain;
  std::unique_ptr<Pool> pool;
  std::vector<const Participant*> readers;
  Status publishing;
  bool isDenied = false;
  bool isSlow = false;
  bool isOwnerDead = false;
  int requests = 0;
  int published = 0;
  int retired = 0;
};

inline bool allAre(const Slice& slice, uint8_t fill) {
  for (uint32_t at = 0; at < slice.length; at++) {
    if (slice.data()[at] != fill) return false;
  }
  return true;
}

}  // namespace iol::test
