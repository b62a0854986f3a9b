// Peers that break every rule: they are cut or refused, and a well-behaved pair notices nothing.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <random>
#include <set>

#include "host_world.h"
#include "sys/memory.h"
#include "sys/unix_socket.h"

namespace iol {
namespace {

using namespace test;

// A peer that says what the test wants.
struct RawPeer {
  explicit RawPeer(const HostAddress& address)
      : address(address), socket(sys::connectUnix(address.socket).take()) {}

  ControlMessage hello() const {
    ControlMessage message = makeMessage(MessageType::Hello);
    message.hello.magic = kHelloMagic;
    message.hello.format = kFormat;
    message.hello.byteOrder = kByteOrder;
    message.hello.pageBytes = sys::kPageBytes;
    message.hello.layoutBytes = kLayoutBytes;
    message.hello.token[0] = address.token[0];
    message.hello.token[1] = address.token[1];
    return message;
  }
  Status send(const ControlMessage& message, const std::vector<int>& fds = {}) {
    return sys::trySendMessage(socket, &message, message.header.bytes, fds);
  }
  // The next message for us; type 0 when the host has hung up.
  ControlMessage receive(HostWorld& world, std::vector<sys::Fd>* fds = nullptr,
                         const std::vector<Member*>& members = {}) {
    ControlMessage message;
    world.until(members, [&] {
      Result<sys::Message> got = sys::tryReceiveMessage(socket, &message, sizeof message);
      if (got.isOk() && fds != nullptr) *fds = std::move(got.value().descriptors);
      if (!got.isOk() && got.status().code() == Code::Closed) message = ControlMessage();
      return got.isOk() || got.status().code() == Code::Closed;
    });
    return message;
  }
  MessageType receiveType(HostWorld& world) {
    return static_cast<MessageType>(receive(world).header.type);
  }
  WelcomeMessage attach(HostWorld& world) {
    CHECK(send(hello()).isOk());
    const ControlMessage message = receive(world);
    CHECK_EQ(message.header.type, static_cast<uint32_t>(MessageType::Welcome));
    return message.welcome;
  }
  bool isCut(HostWorld& world) {
    while (true) {
      const uint32_t type = receive(world).header.type;
      if (type == 0) return true;
      if (test::hasFailed()) return false;
    }
  }

  HostAddress address;
  sys::Fd socket;
};

// An owner and a reader that must go on as if nobody else were there.
struct Innocents {
  explicit Innocents(HostWorld& world)
      : world(world), owner(world.host->address()), reader(world.host->address()) {
    CHECK(world.attach(owner) && world.attach(reader));
    CHECK(owner.makePool().isOk());
  }
  void check() {
    BufferName name;
    CHECK(owner.make(64, 0x5a, &name).isOk());
    CHECK(world.take(reader, {&owner}, name).isOk());
    CHECK(reader.isRight(name));
    reader.drop(name);
    owner.drop(name);
    CHECK_EQ(owner.pool->stats().pending, 0u);
  }
  HostWorld& world;
  Member owner;
  Member reader;
};

TEST(randomBytesAreNoHandshake) {
  HostWorld world;
  Innocents innocents(world);
  std::mt19937 random(7);
  for (int round = 0; round < 200; round++) {
    RawPeer peer(world.host->address());
    std::vector<uint32_t> bytes(1 + random() % 200);
    for (uint32_t& each : bytes) each = random();
    if (round % 2 == 0) bytes[0] = 1 + random() % 20;  // A type, at least.
    if (round % 4 == 0 && bytes.size() > 1) bytes[1] = static_cast<uint32_t>(bytes.size() * 4);
    const Status sent = sys::trySendMessage(peer.socket, bytes.data(), bytes.size() * 4);
    CHECK(sent.isOk());
    CHECK(peer.isCut(world));
  }
  CHECK_EQ(world.turnedAway.size(), 200u);
  innocents.check();
}

TEST(whoSaysNothingIsTurnedAwayInTime) {
  Host::Options options;
  options.handshakeTimeoutMs = 50;
  HostWorld world(options);
  Innocents innocents(world);
  RawPeer silent(world.host->address());
  CHECK(silent.isCut(world));
  REQUIRE(world.turnedAway.size() == 1);
  CHECK(world.turnedAway[0].code() == Code::TimedOut);
  innocents.check();
}

TEST(handshakesThatWaitAreBounded) {
  HostWorld world;
  Innocents innocents(world);
  std::vector<std::unique_ptr<RawPeer>> silent;
  for (int count = 0; count < 100; count++) {
    silent.push_back(std::make_unique<RawPeer>(world.host->address()));
  }
  world.until({}, [&] { return world.turnedAway.size() == 36; });
  CHECK_EQ(world.host->waitingForHandshake(), 64u);
  CHECK(world.turnedAway[0].code() == Code::Busy);
  innocents.check();
}

TEST(anotherFormatIsRefusedWithBothVersions) {
  HostWorld world;
  RawPeer peer(world.host->address());
  ControlMessage message = peer.hello();
  message.hello.format = kFormat + 5;
  CHECK(peer.send(message).isOk());
  const ControlMessage refused = peer.receive(world);
  CHECK_EQ(refused.header.type, static_cast<uint32_t>(MessageType::Refused));
  CHECK_EQ(refused.refused.refusal, static_cast<uint32_t>(Refusal::Format));
  CHECK_EQ(refused.refused.value, kFormat + 5);
  CHECK_EQ(refused.refused.limit, kFormat);
  CHECK(peer.isCut(world));
  REQUIRE(world.turnedAway.size() == 1);
  CHECK(world.turnedAway[0].code() == Code::Format);
}

TEST(aWrongTokenOrSizeIsRefused) {
  HostWorld world;
  RawPeer first(world.host->address());
  ControlMessage message = first.hello();
  message.hello.token[1] ^= 1;
  CHECK(first.send(message).isOk());
  CHECK_EQ(first.receive(world).refused.refusal, static_cast<uint32_t>(Refusal::Denied));
  RawPeer second(world.host->address());
  message = second.hello();
  message.hello.layoutBytes++;
  CHECK(second.send(message).isOk());
  CHECK_EQ(second.receive(world).refused.refusal, static_cast<uint32_t>(Refusal::Format));
  RawPeer third(world.host->address());  // Says that it is a domain of the host's process.
  message = third.hello();
  message.hello.slot = 3;
  message.hello.epoch = 1;
  CHECK(third.send(message).isOk());
  CHECK_EQ(third.receive(world).refused.refusal, static_cast<uint32_t>(Refusal::Denied));
  CHECK_EQ(world.attached.size(), 0u);
  HostAddress wrong = world.host->address();
  wrong.token[0]++;
  Member guest(wrong);
  world.until({&guest}, [&] { return guest.guest->state() == Guest::State::Refused; });
  CHECK(guest.guest->failure().code() == Code::AccessDenied);
}

sys::Fd memfd(uint64_t bytes, unsigned seals) {
  sys::Fd fd(::memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  CHECK_EQ(::ftruncate(fd.get(), static_cast<off_t>(bytes)), 0);
  CHECK_EQ(::fchmod(fd.get(), 0400), 0);
  CHECK_EQ(::fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  return fd;
}

TEST(descriptorsThatAreNoSegmentsAreRefused) {
  HostWorld world;
  Innocents innocents(world);
  int pipes[2];
  REQUIRE(::pipe2(pipes, O_CLOEXEC) == 0);
  const sys::Fd readEnd(pipes[0]);
  const sys::Fd writeEnd(pipes[1]);
  const sys::Fd unsealed = memfd(kSegmentBytes, 0);
  const sys::Fd growing = memfd(kSegmentBytes, F_SEAL_SHRINK);
  const sys::Fd small = memfd(kChunkBytes * 2, F_SEAL_SHRINK | F_SEAL_GROW);
  const sys::Fd hollow = memfd(kSegmentBytes, F_SEAL_SHRINK | F_SEAL_GROW);
  const sys::Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  const sys::Fd device(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  for (const sys::Fd* fd : {&readEnd, &unsealed, &growing, &small, &hollow, &file, &device}) {
    RawPeer peer(world.host->address());
    const WelcomeMessage welcome = peer.attach(world);
    ControlMessage pool = makeMessage(MessageType::Pool);
    pool.pool.pool = 1;
    CHECK(peer.send(pool).isOk());
    ControlMessage segment = makeMessage(MessageType::Segment);
    segment.segment.number = welcome.firstNumber;
    segment.segment.pool = 1;
    segment.segment.totalBytes = kSegmentBytes;
    CHECK(peer.send(segment, {fd->get()}).isOk());
    CHECK(peer.isCut(world));
    REQUIRE(!world.gone.empty());
    CHECK(world.gone.back().second.code() == Code::BadDescriptor);
  }
  CHECK_EQ(world.gone.size(), 7u);
  innocents.check();
}

TEST(numbersOfOthersAndUnknownPoolsAreRefused) {
  HostWorld world;
  Innocents innocents(world);
  const sys::Fd memory = sys::createMemory("hostile", kSegmentBytes).take();
  CHECK(sys::commit(memory, 0, 1 << 20).isOk());
  for (const bool hasPool : {true, false}) {
    RawPeer peer(world.host->address());
    const WelcomeMessage welcome = peer.attach(world);
    ControlMessage pool = makeMessage(MessageType::Pool);
    pool.pool.pool = 1;
    if (hasPool) CHECK(peer.send(pool).isOk());
    ControlMessage segment = makeMessage(MessageType::Segment);
    segment.segment.number = hasPool ? welcome.firstNumber - 1 : welcome.firstNumber;
    segment.segment.pool = 1;
    segment.segment.totalBytes = kSegmentBytes;
    CHECK(peer.send(segment, {memory.get()}).isOk());
    CHECK(peer.isCut(world));
  }
  innocents.check();
}

TEST(aMessageOutOfPlaceCutsItsSender) {
  HostWorld world;
  Innocents innocents(world);
  std::vector<ControlMessage> wrong;
  wrong.push_back(makeMessage(MessageType::Welcome));  // Only a host says that.
  wrong.push_back(makeMessage(MessageType::Segment));  // Without its descriptor.
  wrong.push_back(makeMessage(MessageType::Hello));    // A second time.
  wrong.push_back(makeMessage(MessageType::Want));     // Number 0.
  wrong.push_back(makeMessage(MessageType::Pool));
  wrong.back().pool.access.count = 99;
  wrong.push_back(makeMessage(MessageType::Find));
  wrong.back().label.label[31] = 'x';  // Does not end.
  for (const ControlMessage& message : wrong) {
    RawPeer peer(world.host->address());
    peer.attach(world);
    CHECK(peer.send(message).isOk());
    CHECK(peer.isCut(world));
  }
  RawPeer many(world.host->address());  // More descriptors than any message has.
  many.attach(world);
  ControlMessage relay = makeMessage(MessageType::Relay);
  relay.relay.epoch = 1;
  CHECK(many.send(relay, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0}).isOk());
  CHECK(many.isCut(world));
  CHECK_EQ(world.gone.size(), wrong.size() + 1);
  innocents.check();
}

TEST(thousandsOfRequestsWithoutReadingTheAnswersAreOnePeersTrouble) {
  HostWorld world;
  Innocents innocents(world);
  RawPeer peer(world.host->address());
  peer.attach(world);
  ControlMessage want = makeMessage(MessageType::Want);
  int sent = 0;
  for (int count = 0; count < 20'000; count++) {
    want.number.number = 1'000'000 + static_cast<uint32_t>(count);
    if (peer.send(want).isOk()) sent++;
    if (count % 100 != 0) continue;
    world.host->onReady();
    for (const Host::DomainFacts& facts : world.host->domains()) {
      CHECK(facts.unsent <= ControlSocket::kUnsentMax);
    }
  }
  CHECK(sent > 100);
  innocents.check();
}

TEST(whoSentARelayIsTheHostsWordNotTheSenders) {
  HostWorld world;
  Member two(world.host->address(), "two");
  REQUIRE(world.attach(two));
  RawPeer liar(world.host->address());
  liar.attach(world);
  ControlMessage relay = makeMessage(MessageType::Relay);
  relay.relay.slot = two.guest->domain().name().slot;
  relay.relay.epoch = two.guest->domain().name().epoch;
  relay.relay.pid = 1;
  relay.relay.uid = relay.relay.gid = ::getuid() + 1;
  CHECK(setLabel(relay.relay.label, "somebody-else"));
  CHECK(liar.send(relay).isOk());
  world.until({&two}, [&] { return !two.relays.empty(); });
  const Credentials* const who = two.guest->whoIs(two.relays[0].from);
  REQUIRE(who != nullptr);
  CHECK_EQ(who->pid, static_cast<uint32_t>(::getpid()));
  CHECK_EQ(who->uid, ::geteuid());
  CHECK_EQ(who->gid, ::getegid());
  CHECK_EQ(std::string(who->label), std::string());
  CHECK(two.guest->whoIs({5, 5}) == nullptr);
}

TEST(aStoppedReceiverOfRelaysIsTheSendersTrouble) {
  HostWorld world;
  Innocents innocents(world);
  Member sender(world.host->address());
  MemberProcess stopped(world.host->address(), "stopped");
  REQUIRE(world.attach(sender));
  stopped.ask(world, Deed::Collect);
  CHECK(sender.guest->find("stopped").isOk());
  world.until({&sender}, [&] { return !sender.found.empty(); });
  ::kill(stopped.pid, SIGSTOP);
  int refused = 0;
  for (int count = 0; count < 5000 && sender.relaysRefused.empty(); count++) {
    if (!sender.guest->relay(sender.found[0], {}, {}).isOk()) refused++;
    world.host->onReady();
    sender.guest->onReady();
  }
  CHECK(refused == 0);
  CHECK(!sender.relaysRefused.empty());
  CHECK(sender.relaysRefused[0].code() == Code::WouldBlock);
  innocents.check();
  ::kill(stopped.pid, SIGCONT);
  CHECK_EQ(stopped.ask(world, Deed::Collect).code, 255u);
}

TEST(aTableOfRubbishProtectsNobodyAndStopsNobody) {
  HostWorld world;
  Innocents innocents(world);
  BufferName name;
  REQUIRE(innocents.owner.make(64, 1, &name).isOk());
  RawPeer peer(world.host->address());
  peer.attach(world);
  ControlMessage want = makeMessage(MessageType::Want);
  want.number.number = name.number;
  CHECK(peer.send(want).isOk());
  const ControlMessage asked = peer.receive(world, nullptr, {&innocents.owner});
  REQUIRE(asked.header.type == static_cast<uint32_t>(MessageType::Owner));
  const sys::Fd memory = sys::createMemory("hostile", kHoldTableBytes).take();
  ControlMessage table = makeMessage(MessageType::Table);
  table.table.slot = asked.owner.slot;
  table.table.epoch = asked.owner.epoch;
  CHECK(peer.send(table, {memory.get()}).isOk());
  std::vector<sys::Fd> fds;
  CHECK_EQ(peer.receive(world, &fds, {&innocents.owner}).header.type,
           static_cast<uint32_t>(MessageType::Grant));
  // What it was given cannot be written, nor re-opened for writing by another user.
  REQUIRE(fds.size() == 2);
#ifndef IOL_ONE_MAPPING  // There all mappings of a memfd are one.
  CHECK(!sys::mapWritable(fds[0], kSegmentBytes).isOk());
#endif
  innocents.owner.guest->onReady();
  innocents.owner.drop(name);
  CHECK_EQ(innocents.owner.pool->stats().pending, 0u);
  innocents.check();
}

TEST(aShortageOfDescriptorsTurnsNewcomersAwayAndPasses) {
  HostWorld world;
  Innocents innocents(world);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const int probe = ::dup(0);
  RawPeer first(world.host->address());
  RawPeer second(world.host->address());
  rlimit low = before;
  low.rlim_cur = static_cast<rlim_t>(probe) + 1;  // Everything up to here is in use.
  ::close(probe);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  for (int turn = 0; turn < 20 && world.turnedAway.size() < 2; turn++) world.host->onReady();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(!world.turnedAway.empty());
  innocents.check();
  Member late(world.host->address());
  CHECK(world.attach(late));
}

TEST(aPathIsTakenOverFromTheDeadAndOnlyFromThem) {
  char folder[] = "/tmp/iol-host-XXXXXX";
  REQUIRE(::mkdtemp(folder) != nullptr);
  Host::Options options;
  options.socket = std::string(folder) + "/window";
  Window window({1ull << 30});
  {
    HostWorld world(options);
    CHECK(Host::create(window, options).status().code() == Code::Busy);
    Member guest(world.host->address());
    CHECK(world.attach(guest));
  }
  CHECK(::access(options.socket.c_str(), F_OK) != 0);
  {
    // What kill -9 leaves: a socket at which nobody listens.
    const sys::Fd stale(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::copy(options.socket.begin(), options.socket.end(), name.sun_path);
    REQUIRE(::bind(stale.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
  }
  { HostWorld world(options); }
  const sys::Fd file(::open(options.socket.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  CHECK(Host::create(window, options).status().code() == Code::Busy);  // Not ours to remove.
  CHECK_EQ(::unlink(options.socket.c_str()), 0);
  ::unlink((options.socket + ".lock").c_str());
  CHECK_EQ(::rmdir(folder), 0);
}

TEST(aGuestThatPublishesMoreThanItsQuotaIsCut) {
  constexpr uint64_t kQuota = 24ull << 20;
  Host::Options options;
  options.domainBytesMax = kQuota;
  HostWorld world(options);
  Innocents innocents(world);
  RawPeer peer(world.host->address());
  const WelcomeMessage welcome = peer.attach(world);
  CHECK_EQ(welcome.maxBytes, kQuota);
  ControlMessage pool = makeMessage(MessageType::Pool);
  pool.pool.pool = 1;
  CHECK(peer.send(pool).isOk());
  // Each alone is within it; the first one grows after it was published.
  std::vector<sys::Fd> memories;
  for (uint32_t count = 0; count < 3; count++) {
    memories.push_back(sys::createMemory("hostile", kSegmentBytes).take());
    CHECK(sys::commit(memories.back(), 0, 10ull << 20).isOk());
    ControlMessage segment = makeMessage(MessageType::Segment);
    segment.segment.number = welcome.firstNumber + count;
    segment.segment.pool = 1;
    segment.segment.totalBytes = kSegmentBytes;
    CHECK(peer.send(segment, {memories.back().get()}).isOk());
    world.until({}, [&] { return world.host->segmentCount() > count || !world.gone.empty(); });
    if (count == 0) CHECK(sys::commit(memories[0], 0, 30ull << 20).isOk());
    if (count == 1) CHECK(sys::commit(memories[1], 0, 20ull << 20).isOk());
  }
  CHECK(peer.isCut(world));
  REQUIRE(world.gone.size() == 1);
  CHECK(world.gone[0].second.code() == Code::WindowFull);
  CHECK_EQ(world.gone[0].second.limit(), kQuota);
  innocents.check();
}

TEST(aGuestThatFillsItsQuotaWithManySmallBuffersIsNotCut) {
  constexpr uint64_t kQuota = 8ull << 20;
  Host::Options options;
  options.domainBytesMax = kQuota;
  HostWorld world(options);
  Innocents innocents(world);
  Member member(world.host->address());
  REQUIRE(world.attach(member));
  std::vector<std::unique_ptr<Pool>> pools;
  std::vector<Slice> slices;
  for (uint32_t length : {64u, 5000u, 200'000u, 64u, 5000u}) {
    pools.push_back(Pool::create(member.guest->domain(), {}).take());
    for (int count = 0; count < 20; count++) {
      Result<Draft> draft = pools.back()->allocate(length);
      if (!draft.isOk()) continue;
      slices.push_back(draft.value().seal());
      CHECK(member.guest->domain().exportSlice(slices.back()).isOk());
    }
    world.host->onReady();
  }
  CHECK(slices.size() > 60);
  std::set<uint32_t> numbers;
  for (const Slice& slice : slices) numbers.insert(slice.segment->number());
  world.until({&member}, [&] { return world.host->segmentCount() >= numbers.size(); });
  CHECK_EQ(world.gone.size(), 0u);
  for (const Slice& slice : slices) member.guest->domain().release(slice);
  pools.clear();
  innocents.check();
}

}  // namespace
}  // namespace iol
