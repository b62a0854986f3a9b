// What observers are told: a domain's pools, since when something is held, who misbehaved.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "channel/host_facts_layout.h"
#include "channel_world.h"
#include "host_world.h"
#include "pool/holds.h"
#include "sys/clock.h"

using namespace iol;
using namespace iol::test;

namespace {

// A copy of what is there, also of a struct with atomics in it.
template <typename T>
class CopyOf {
 public:
  CopyOf(const sys::Fd& memory, uint64_t offset) {
    CHECK(::pread(memory.get(), bytes_, sizeof bytes_, static_cast<off_t>(offset)) ==
          sizeof bytes_);
  }
  const T* operator->() const { return reinterpret_cast<const T*>(bytes_); }
  const T& operator*() const { return *reinterpret_cast<const T*>(bytes_); }

 private:
  alignas(T) char bytes_[sizeof(T)];
};

// As an observer does it: through /proc, by the memfd's name and the first words in it.
template <typename Header>
sys::Fd findMemory(const char* name, uint64_t windowId,
                   bool (*isIt)(const Header&, DomainName) = nullptr, DomainName who = {}) {
  DIR* const folder = ::opendir("/proc/self/fd");
  sys::Fd found;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string path = std::string("/proc/self/fd/") + entry->d_name;
    char target[64] = {};
    if (::readlink(path.c_str(), target, sizeof target - 1) < 0) continue;
    if (std::string(target) != std::string("/memfd:") + name + " (deleted)") continue;
    sys::Fd memory(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const CopyOf<Header> header(memory, 0);
    if (header->windowId != windowId || (isIt != nullptr && !isIt(*header, who))) continue;
    found = std::move(memory);
    break;
  }
  ::closedir(folder);
  return found;
}

bool isOf(const DomainFacts& facts, DomainName who) {
  return facts.domainSlot == who.slot && facts.domainEpoch == who.epoch;
}

uint32_t chunkWordIn(const HoldTable& table, uint32_t ordinal, uint32_t chunk) {
  return *CopyOf<uint32_t>(table.readOnlyFd(),
                           kHoldRegionsOffset + ordinal * kHoldRegionBytes + chunk * 4);
}

}  // namespace

TEST(aPoolAndItsFiguresAreSeenFromOutside) {
  Window window({1ull << 30});
  std::unique_ptr<Domain> domain = Domain::create(window).take();
  const sys::Fd memory =
      findMemory<DomainFacts>("io-lite-facts", window.id(), isOf, domain->name());
  REQUIRE(memory.isOpen());
  const CopyOf<DomainFacts> facts(memory, 0);
  CHECK_EQ(facts->magic, kFactsMagic);
  CHECK_EQ(facts->format, kFormat);
  CHECK_EQ(facts->pid, static_cast<uint32_t>(::getpid()));
  CHECK_EQ(facts->windowMaxBytes, 1ull << 30);

  Pool::Options options;
  options.name = "photographs";
  options.maxBytes = 32 << 20;
  CHECK(options.access.addLabel("viewer"));
  const auto poolAt = [&](uint32_t index) {
    return CopyOf<PoolFacts>(memory, kFactsPoolsOffset + index * sizeof(PoolFacts));
  };
  const auto numberAt = [&](uint32_t index) { return poolAt(index)->number.load(); };
  const auto figures = [&] { return poolAt(0)->figures; };
  CHECK_EQ(numberAt(0), 0u);
  std::unique_ptr<Pool> pool = Pool::create(*domain, options).take();
  std::unique_ptr<Pool> other = Pool::create(*domain, {}).take();
  CHECK_EQ(numberAt(0), pool->number());
  CHECK_EQ(numberAt(1), other->number());
  CHECK_EQ(std::string(poolAt(0)->name), "photographs");
  CHECK_EQ(poolAt(0)->maxBytes, 32ull << 20);
  CHECK_EQ(poolAt(0)->access.count, 1u);

  {
    const Draft draft = pool->allocate(5000).take();
    CHECK_EQ(figures().buffers, 1u);
    CHECK_EQ(figures().drafts, 1u);
    CHECK_EQ(figures().requestedTotal, 5000u);
    CHECK_EQ(figures().bytesInUse, pool->stats().bytesInUse);
    const SegmentHeader header =
        *reinterpret_cast<const SegmentHeader*>(pool->segments()[0]->readOnly());
    CHECK_EQ(header.pool, pool->number());
  }
  CHECK_EQ(figures().buffers, 0u);
  pool.reset();
  CHECK_EQ(numberAt(0), 0u);
  pool = Pool::create(*domain, {}).take();  // Gets the place, and figures of its own.
  CHECK_EQ(numberAt(0), pool->number());
  CHECK_EQ(figures().allocations, 0u);
}

TEST(morePoolsThanPlacesWorkUnseen) {
  Window window({1ull << 30});
  std::unique_ptr<Domain> domain = Domain::create(window).take();
  std::vector<std::unique_ptr<Pool>> pools;
  for (uint32_t count = 0; count < kPoolFactsMax + 2; count++) {
    pools.push_back(Pool::create(*domain, {}).take());
  }
  CHECK(pools.back()->allocate(100).isOk());
  CHECK_EQ(pools.back()->stats().allocations, 1u);
  CHECK_EQ(pools.front()->stats().allocations, 0u);
}

TEST(aForeignChunkSaysSinceWhenItIsHeld) {
  std::unique_ptr<HoldTable> table = HoldTable::create(7, {1, 1}, {0, 1}).take();
  const auto before = static_cast<uint32_t>(sys::monotonicSeconds());
  table->take(3, 5, 5 * 1024);
  table->take(3, 5, 5 * 1024 + 1);
  table->take(3, 5, 5 * 1024);
  const auto after = static_cast<uint32_t>(sys::monotonicSeconds());
  const uint32_t word = chunkWordIn(*table, 3, 5);
  CHECK_EQ(word & kHoldChunkCountMask, 2u);
  CHECK_EQ(table->heldInChunk(3, 5), 2u);
  const uint32_t since = word >> kHoldChunkCountBits;
  const uint32_t bits = (1u << (32 - kHoldChunkCountBits)) - 1;
  CHECK(since == (before & bits) || since == (after & bits));
  table->drop(3, 5, 5 * 1024);
  table->drop(3, 5, 5 * 1024 + 1);
  CHECK_EQ(table->heldInChunk(3, 5), 1u);
  table->drop(3, 5, 5 * 1024);
  CHECK_EQ(chunkWordIn(*table, 3, 5), 0u);  // An owner's scan asks for nothing else.
}

TEST(anOwnChunkOnlyCounts) {
  std::unique_ptr<HoldTable> table = HoldTable::create(7, {1, 1}, {1, 1}).take();
  for (uint32_t slot = 0; slot < 1024; slot++) table->take(0, 0, slot);
  CHECK_EQ(chunkWordIn(*table, 0, 0), 1024u);
  for (uint32_t slot = 0; slot < 1024; slot++) table->drop(0, 0, slot);
  CHECK_EQ(chunkWordIn(*table, 0, 0), 0u);
}

TEST(theHostTellsWhoIsInAndWhoWasTurnedAwayOrCut) {
  HostWorld world;
  const sys::Fd memory = findMemory<HostFacts>("io-lite-host-facts", world.window.id());
  REQUIRE(memory.isOpen());
  const auto facts = [&] { return CopyOf<HostFacts>(memory, 0); };
  const auto incident = [&](uint32_t index) {
    return CopyOf<Incident>(memory, kHostFactsIncidentsOffset + index * sizeof(Incident));
  };
  CHECK_EQ(std::string(facts()->address), world.host->address().socket);
  CHECK_EQ(facts()->domains, 0u);
  {
    Member member(world.host->address(), "reader");
    REQUIRE(world.attach(member));
    CHECK_EQ(facts()->domains, 1u);
    CHECK_EQ(facts()->counts.attached, 1u);
    CHECK_EQ(facts()->sequence.load() % 2, 0u);
    const CopyOf<HostDomainFacts> domain(memory, kHostFactsDomainsOffset);
    CHECK_EQ(std::string(domain->label), "reader");
    CHECK_EQ(domain->pid, static_cast<uint32_t>(::getpid()));
    CHECK_EQ(domain->state, static_cast<uint32_t>(DomainState::Attached));
    CHECK(domain->attachedMs > 1'600'000'000'000);
    // The domain knows where it is, too.
    const sys::Fd own = findMemory<DomainFacts>("io-lite-facts", world.window.id(), isOf,
                                                member.guest->domain().name());
    REQUIRE(own.isOpen());
    const CopyOf<DomainFacts> ofIt(own, 0);
    CHECK_EQ(std::string(ofIt->label), "reader");
    CHECK_EQ(std::string(ofIt->address), world.host->address().socket);
    REQUIRE(member.guest->detach().isOk());
    REQUIRE(world.until({}, [&] { return facts()->counts.detached == 1; }));
  }
  HostAddress wrong = world.host->address();
  wrong.token[0]++;
  Member stranger(wrong, "stranger");
  CHECK(!world.attach(stranger));
  CHECK_EQ(facts()->counts.turnedAway, 1u);
  CHECK_EQ(incident(0)->number.load(), 1u);
  CHECK_EQ(incident(0)->kind, static_cast<uint32_t>(IncidentKind::TurnedAway));
  CHECK_EQ(incident(0)->code, static_cast<uint32_t>(Code::AccessDenied));
  CHECK_EQ(std::string(incident(0)->subject), "token");
  CHECK_EQ(incident(0)->pid, static_cast<uint32_t>(::getpid()));

  // The ring has the last ones: the first is gone once there are more than its places.
  for (uint32_t count = 0; count < kIncidentsMax; count++) {
    Member again(wrong);
    CHECK(!world.attach(again));
  }
  CHECK_EQ(facts()->counts.turnedAway, kIncidentsMax + 1u);
  CHECK_EQ(incident(0)->number.load(), kIncidentsMax + 1u);
  CHECK_EQ(incident(1)->number.load(), 2u);
}

TEST(whoSendsRubbishIsRememberedByTheReceiver) {
  Neighbours neighbours;
  Participant attacker(neighbours);
  Participant victim(neighbours);
  const ChannelName name{neighbours.window.id(), 7,       kRingBytesMin, attacker.domain->name(),
                         victim.domain->name(),  "orders"};
  const RingMemory ring = RingMemory::create(name, RingMemory::Side::Sender).take();
  CHECK_EQ(std::string(ring.sender().label), "orders");
  std::unique_ptr<Link> link = Link::open(*victim.doorbell, attacker.handles()).take();
  std::unique_ptr<Receiver> receiver =
      Receiver::create(*victim.doorbell, *link, name, sys::duplicate(ring.readOnlyFd()).take())
          .take();
  ring.sender().published.store(1);  // No whole cell.
  Message message(*victim.domain);
  CHECK(receiver->tryReceive(message) == ReceiveOutcome::Corrupt);

  const sys::Fd memory =
      findMemory<DomainFacts>("io-lite-facts", neighbours.window.id(), isOf, victim.domain->name());
  REQUIRE(memory.isOpen());
  const CopyOf<Incident> incident(memory, kFactsIncidentsOffset);
  CHECK_EQ(incident->number.load(), 1u);
  CHECK_EQ(incident->kind, static_cast<uint32_t>(IncidentKind::Corrupt));
  CHECK_EQ(incident->code, static_cast<uint32_t>(Code::BadDescriptor));
  CHECK_EQ(incident->slot, attacker.domain->name().slot);
  CHECK_EQ(incident->epoch, attacker.domain->name().epoch);
  CHECK_EQ(incident->value, 1u);
  CHECK_EQ(std::string(incident->subject), "published index");
}
