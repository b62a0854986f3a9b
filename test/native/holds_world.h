// test/native/holds_world.h: an owner with one shared segment, and holders in other processes.
#pragma once

#include <signal.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/fence.h"
#include "pool/pool.h"
#include "sys/handover.h"
#include "sys/memory.h"
#include "sys/process.h"
#include "test.h"

namespace iol::test {

struct Name {
  uint32_t slot;
  uint32_t length;
  uint64_t generation;
};

// What the owner asks a holder to do, and the answer.
enum class Order : uint32_t { Take, Drop, Check, Leave };
struct Request {
  Order order;
  Name name;
  uint8_t fill;
};

// A reader's side: the owner's segment, mapped read-only, and this domain's counters for it.
struct Holder {
  std::unique_ptr<Segment> segment;
  std::unique_ptr<HoldTable> table;
  DomainName name;

  TakeOutcome take(const Name& wanted) {
    table->take(segment->ordinal(), segment->chunkOf(wanted.slot), wanted.slot);
    fenceAfterTake();
    return checkTaken(*segment, wanted.slot, wanted.generation, false);
  }
  void drop(const Name& held) {
    table->drop(segment->ordinal(), segment->chunkOf(held.slot), held.slot);
  }
  bool allAre(const Name& held, uint8_t fill) const {
    const uint8_t* bytes = segment->readOnly() + segment->slotOffset(held.slot);
    for (uint32_t at = 0; at < held.length; at++) {
      if (bytes[at] != fill) return false;
    }
    return true;
  }
};

struct Introduction {
  uint64_t windowId;
  uint64_t totalBytes;
  DomainName owner;
  DomainName holder;
};

// The holder's half of joining, over descriptor 3: gets the segment, hands out its table.
inline Result<Holder> join(const sys::Fd& socket, std::vector<sys::Fd>* more = nullptr) {
  Introduction intro;
  Result<sys::Message> message = sys::receiveMessage(socket, &intro, sizeof intro);
  if (!message.isOk()) return message.status();
  Holder holder;
  holder.name = intro.holder;
  Result<std::unique_ptr<Segment>> segment =
      Segment::open(intro.windowId, std::move(message.value().descriptors[0]), intro.totalBytes);
  if (!segment.isOk()) return segment.status();
  holder.segment = segment.take();
  Result<std::unique_ptr<HoldTable>> table =
      HoldTable::create(intro.windowId, intro.holder, intro.owner);
  if (!table.isOk()) return table.status();
  holder.table = table.take();
  IOL_TRY(sys::sendMessage(socket, "t", 1, {holder.table->readOnlyFd().get()}));
  if (more != nullptr) {
    message.value().descriptors.erase(message.value().descriptors.begin());
    *more = std::move(message.value().descriptors);
  }
  return holder;
}

// The owner's side: a pool of one segment whose names other domains get.
struct Owner {
  Owner() : window({1ull << 30}), domain(Domain::create(window).take()) {
    pool = Pool::create(*domain, {}).take();
    Result<sys::Fd> memory = sys::createMemory("io-lite-host", sizeof(HostBlock));
    host = reinterpret_cast<HostBlock*>(sys::mapWritable(memory.value(), sizeof(HostBlock)).take());
    hostMemory = memory.take();
    peers = &domain->peers();
    peers->follow(&host->ownerEpochs[domain->name().slot], 0);
    Draft first = pool->allocate(1000).take();  // So that there is a segment to share.
  }
  ~Owner() {
    pool.reset();
    domain.reset();
    sys::unmap(reinterpret_cast<uint8_t*>(host), sizeof(HostBlock));
  }

  Slice make(uint32_t length, uint8_t fill) {
    Draft draft = pool->allocate(length).take();
    std::memset(draft.bytes(), fill, length);
    const Slice slice = draft.seal();
    pool->exportBuffer(slice);
    return slice;
  }
  // What the host does before it passes a segment. (It sends the table before; here the owner
  // is told when the holder has joined, as if the table waited in its socket.)
  uint64_t grant() { return host->ownerEpochs[domain->name().slot].fetch_add(1) + 1; }

  Window window;
  std::unique_ptr<Domain> domain;
  std::unique_ptr<Pool> pool;
  PeerHolds* peers = nullptr;
  sys::Fd hostMemory;
  HostBlock* host;
};

inline Name nameOf(const Slice& slice) { return {slice.slot, slice.length, slice.generation}; }

// A holder in a process of its own.
struct Process {
  Process(Owner& owner, const char* program, const std::vector<std::string>& arguments = {},
          const std::vector<int>& more = {}, uint64_t granted = 0) {
    auto [mine, theirs] = sys::socketPair().take();
    socket = std::move(mine);
    pid = startChild(program, arguments, theirs.get());
    theirs.reset();
    const Segment& segment = *owner.pool->segments()[0];
    const DomainName name = owner.window.takeDomain().take();
    const Introduction intro{owner.window.id(), segment.totalBytes(), owner.domain->name(), name};
    const uint64_t epoch = granted != 0 ? granted : owner.grant();
    std::vector<int> descriptors{segment.readOnlyFd().get()};
    descriptors.insert(descriptors.end(), more.begin(), more.end());
    CHECK(sys::sendMessage(socket, &intro, sizeof intro, descriptors).isOk());
    char byte;
    Result<sys::Message> answer = sys::receiveMessage(socket, &byte, 1);
    if (!answer.isOk()) {
      test::fail(__FILE__, __LINE__, "the holder did not join");
      return;
    }
    CHECK(
        owner.peers
            ->add(name, std::move(answer.value().descriptors[0]), sys::openPidfd(pid).take(), epoch)
            .isOk());
  }
  uint8_t ask(Order order, const Name& name, uint8_t fill = 0) {
    const Request request{order, name, fill};
    uint8_t answer = 255;
    CHECK(sys::sendMessage(socket, &request, sizeof request).isOk());
    CHECK(sys::receiveMessage(socket, &answer, 1).isOk());
    return answer;
  }
  TakeOutcome take(const Name& name) { return static_cast<TakeOutcome>(ask(Order::Take, name)); }
  void kill() {
    ::kill(pid, SIGKILL);
    CHECK_EQ(awaitChild(pid), 128 + SIGKILL);
  }
  void leave() {
    ask(Order::Leave, {});
    CHECK_EQ(awaitChild(pid), 0);
  }
  sys::Fd socket;
  int pid = -1;
};

}  // namespace iol::test
