// test/native/host_world.h: a window's host, members of this process, and members in processes of
// their own that do what they are told over descriptor 3.
#pragma once

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/crash_point.h"
#include "channel/guest.h"
#include "channel/host.h"
#include "pool/pool.h"
#include "sys/clock.h"
#include "sys/handover.h"
#include "sys/process.h"
#include "test.h"

namespace iol::test {

// A name as it goes from member to member.
struct BufferName {
  uint32_t number = 0;
  uint32_t slot = 0;
  uint32_t length = 0;
  uint32_t fill = 0;
  uint64_t generation = 0;
};

// One domain with a pool, driven by hand.
struct Member : GuestListener {
  explicit Member(const HostAddress& address, const char* label = "", Domain* existing = nullptr) {
    Guest::Options options;
    options.label = label;
    options.existing = existing;
    options.window.maxBytes = 1ull << 30;
    Result<std::unique_ptr<Guest>> made = Guest::connect(address, options, this);
    status = made.status();
    if (made.isOk()) guest = made.take();
  }
  ~Member() { pool.reset(); }

  Status makePool(AccessList access = {}) {
    Pool::Options options;
    options.access = access;
    Result<std::unique_ptr<Pool>> made = Pool::create(guest->domain(), options);
    if (made.isOk()) pool = made.take();
    return made.status();
  }
  // Sealed, exported bytes with one hold of ours.
  Status make(uint32_t length, uint8_t fill, BufferName* name) {
    Result<Draft> draft = pool->allocate(length);
    if (!draft.isOk()) return draft.status();
    std::memset(draft.value().bytes(), fill, length);
    const Slice slice = draft.value().seal();
    *name = {slice.segment->number(), slice.slot, length, fill, slice.generation};
    return guest->domain().exportSlice(slice);
  }
  // WouldBlock: the segment was asked for, or its owner is revoking; look again later.
  Status take(const BufferName& name) {
    Domain& domain = guest->domain();
    Segment* const segment = domain.segment(name.number);
    if (segment == nullptr) {
      const Status asked = guest->request(name.number);
      return asked.isOk() ? Status(Code::WouldBlock, "segment") : asked;
    }
    IOL_TRY(domain.takeNamed(*segment, name.slot));
    fenceAfterTake();
    const TakeOutcome outcome = domain.checkNamed(*segment, name.slot, name.generation);
    if (outcome == TakeOutcome::Taken) return {};
    drop(name);
    return Status(outcome == TakeOutcome::Revoking ? Code::WouldBlock : Code::Stale, "name");
  }
  void drop(const BufferName& name) {
    Slice slice;
    slice.segment = guest->domain().segment(name.number);
    slice.slot = name.slot;
    guest->domain().release(slice);
  }
  bool isRight(const BufferName& name) const {
    const Segment& segment = *guest->domain().segment(name.number);
    const uint8_t* bytes = segment.readOnly() + segment.slotOffset(name.slot);
    for (uint32_t at = 0; at < name.length; at++) {
      if (bytes[at] != static_cast<uint8_t>(name.fill)) return false;
    }
    return true;
  }

  void onHostGone(const Status& why) override { hostGone.push_back(why); }
  void onDenied(uint32_t number, const Status& why) override { denied.emplace_back(number, why); }
  void onGranted(uint32_t number) override { granted.push_back(number); }
  void onFound(const char*, DomainName name) override { found.push_back(name); }
  void onRelay(DomainName from, const uint8_t* body, std::vector<sys::Fd> fds) override {
    relays.push_back({from, std::string(reinterpret_cast<const char*>(body)), std::move(fds)});
  }
  void onRelayRefused(DomainName, const Status& why) override { relaysRefused.push_back(why); }
  void onEnded(DomainName name) override { ended.push_back(name); }

  struct Relayed {
    DomainName from;
    std::string body;
    std::vector<sys::Fd> fds;
  };
  Status status;
  std::unique_ptr<Guest> guest;
  std::unique_ptr<Pool> pool;
  std::vector<Status> hostGone;
  std::vector<std::pair<uint32_t, Status>> denied;
  std::vector<uint32_t> granted;
  std::vector<DomainName> found;
  std::vector<Relayed> relays;
  std::vector<Status> relaysRefused;
  std::vector<DomainName> ended;
};

// Turns of everybody until `isTrue`; fails the test after ten seconds. Without `host` it is in
// another process, or dead.
inline bool until(Host* host, const std::vector<Member*>& members,
                  const std::function<bool()>& isTrue) {
  const int64_t deadline = sys::systemClock().monotonicMs() + 10'000;
  while (!isTrue()) {
    std::vector<pollfd> all;
    if (host != nullptr) all.push_back({host->fd().get(), POLLIN, 0});
    for (Member* member : members) all.push_back({member->guest->fd().get(), POLLIN, 0});
    ::poll(all.data(), all.size(), 20);
    if (host != nullptr) host->onReady();
    for (Member* member : members) member->guest->onReady();
    if (sys::systemClock().monotonicMs() > deadline) {
      test::fail(__FILE__, __LINE__, "waited for ten seconds");
      return false;
    }
  }
  return true;
}

// The end of the taking: Ok, or why it will never be.
inline Status takeNow(Host* host, Member& reader, std::vector<Member*> members,
                      const BufferName& name) {
  Status status;
  members.push_back(&reader);
  until(host, members, [&] {
    status = reader.take(name);
    return status.code() != Code::WouldBlock;
  });
  return status;
}

// A host in a process of its own; `crashPoint` arms one there.
struct HostProcess {
  explicit HostProcess(const char* crashPoint = "") {
    auto [mine, theirs] = sys::socketPair().take();
    socket = std::move(mine);
    pid = startChild("hostsAWindow", {crashPoint}, theirs.get());
    theirs.reset();
    char text[256] = {};
    if (!sys::receiveMessage(socket, text, sizeof text - 1).isOk()) {
      test::fail(__FILE__, __LINE__, "no host");
      return;
    }
    address = HostAddress::parse(text).take();
  }
  ~HostProcess() {
    if (pid > 0) kill();
  }
  HostProcess(const HostProcess&) = delete;
  HostProcess& operator=(const HostProcess&) = delete;
  bool attach(Member& member) {
    return member.guest != nullptr && member.guest->awaitAttached(10'000).isOk();
  }
  void kill() {
    ::kill(pid, SIGKILL);
    CHECK_EQ(awaitChild(pid), 128 + SIGKILL);
    pid = -1;
  }
  sys::Fd socket;
  HostAddress address;
  int pid = -1;
};

struct HostWorld : HostListener {
  explicit HostWorld(Host::Options options = {}) : window({1ull << 30}) {
    Result<std::unique_ptr<Host>> made = Host::create(window, options, this);
    if (made.isOk()) {
      host = made.take();
    } else {
      test::fail(__FILE__, __LINE__, std::string("no host: ") + made.status().subject());
    }
  }
  void onAttached(DomainName name, const Credentials&) override { attached.push_back(name); }
  void onGone(DomainName name, const Status& why) override { gone.emplace_back(name, why); }
  void onTurnedAway(uint32_t, const Status& why) override { turnedAway.push_back(why); }

  bool until(const std::vector<Member*>& members, const std::function<bool()>& isTrue) {
    return test::until(host.get(), members, isTrue);
  }
  bool attach(Member& member) {
    return member.guest != nullptr &&
           until({&member}, [&] { return member.guest->state() != Guest::State::Attaching; }) &&
           member.guest->state() == Guest::State::Attached;
  }
  Status take(Member& reader, std::vector<Member*> members, const BufferName& name) {
    return takeNow(host.get(), reader, std::move(members), name);
  }

  Window window;
  std::unique_ptr<Host> host;
  std::vector<DomainName> attached;
  std::vector<std::pair<DomainName, Status>> gone;
  std::vector<Status> turnedAway;
};

// What a member in another process is told, and what it answers.
enum class Deed : uint32_t {
  Make,      // length, fill -> name
  Take,      // name -> code: waits until it is decided
  Request,   // name -> code: asks, does not wait
  Drop,      // name
  Check,     // name -> 1 when the bytes are right
  Release,   // the hold of an own name
  Collect,   // -> pending
  Arm,       // a crash point, in `text`
  CloseAll,  // closes every descriptor above 3, as closefrom(3) would
  Detach,
  Mapped,  // -> number of granted segments
};
struct Instruction {
  Deed deed = Deed::Check;
  BufferName name;
  char text[80] = {};
};
struct Answer {
  uint32_t code = 0;  // A Code; 255: see value.
  uint32_t value = 0;
  BufferName name;
};

// A member in a process of its own.
struct MemberProcess {
  MemberProcess(const HostAddress& address, const char* label = "", const char* access = "",
                uint32_t uid = 0) {
    auto [mine, theirs] = sys::socketPair().take();
    socket = std::move(mine);
    pid =
        startChild("member", {address.format(), label, access, std::to_string(uid)}, theirs.get());
  }
  ~MemberProcess() {
    if (pid > 0) kill();
  }
  MemberProcess(const MemberProcess&) = delete;
  MemberProcess& operator=(const MemberProcess&) = delete;

  void tell(const Instruction& instruction) {
    if (!sys::sendMessage(socket, &instruction, sizeof instruction).isOk()) {
      test::fail(__FILE__, __LINE__, "the member is gone");
    }
  }
  // Its answer, while host and members of this process have their turns.
  Answer await(HostWorld& world, const std::vector<Member*>& members = {}) {
    Answer answer;
    answer.code = 254;  // It died.
    world.until(members, [&] {
      Result<sys::Message> message = sys::tryReceiveMessage(socket, &answer, sizeof answer);
      return message.isOk() || message.status().code() == Code::Closed;
    });
    return answer;
  }
  Answer ask(HostWorld& world, Deed deed, const BufferName& name = {}, const char* text = "",
             const std::vector<Member*>& members = {}) {
    Instruction instruction{deed, name, {}};
    std::strncpy(instruction.text, text, sizeof instruction.text - 1);
    tell(instruction);
    return await(world, members);
  }
  BufferName make(HostWorld& world, uint32_t length, uint8_t fill) {
    BufferName wanted;
    wanted.length = length;
    wanted.fill = fill;
    const Answer answer = ask(world, Deed::Make, wanted);
    if (answer.code != 0) test::fail(__FILE__, __LINE__, "the member made nothing");
    return answer.name;
  }
  Code take(HostWorld& world, const BufferName& name) {
    return static_cast<Code>(ask(world, Deed::Take, name).code);
  }
  bool isRight(HostWorld& world, const BufferName& name) {
    return ask(world, Deed::Check, name).value == 1;
  }
  void kill() {
    ::kill(pid, SIGKILL);
    CHECK_EQ(awaitChild(pid), 128 + SIGKILL);
    pid = -1;
  }
  sys::Fd socket;
  int pid = -1;
};

}  // namespace iol::test
