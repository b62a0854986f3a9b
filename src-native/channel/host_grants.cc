// Grants: a reader, an owner, and the order in which they hear of each other.
#include <algorithm>

#include "base/crash_point.h"
#include "channel/host.h"
#include "sys/memory.h"
#include "sys/process.h"

namespace iol {
namespace {

constexpr size_t kWantedMax = 256;  // Unanswered requests of one domain.

constexpr uint64_t keyOf(DomainName name) { return uint64_t{name.epoch} << 32 | name.slot; }

}  // namespace

void Host::onWant(Peer& reader, uint32_t number) {
  if (reader.wanted.size() >= kWantedMax) {
    return refuse(reader, MessageType::Want,
                  Status(Code::WindowFull, "requests", kWantedMax + 1, kWantedMax), number);
  }
  reader.wanted.push_back({number, {}, false});
  settleWants(reader);
}

void Host::onTable(Peer& reader, DomainName owner, sys::Fd table) {
  const Status status = sys::checkForeignMemory(table, kHoldTableBytes);
  if (!status.isOk()) return cut(reader, status);
  const bool isAsked = std::any_of(
      reader.wanted.begin(), reader.wanted.end(),
      [owner](const WantedSegment& wanted) { return wanted.isAsked && wanted.owner == owner; });
  if (!isAsked || contains(reader.owners, owner)) return;
  reader.tables[keyOf(owner)] = std::move(table);
  settleWants(reader);
}

void Host::settleWants(Peer& reader) {
  for (size_t index = 0; index < reader.wanted.size();) {
    // By value: what happens in between may cut the reader, and with it the list.
    WantedSegment wanted = reader.wanted[index];
    const Step step = tryGrant(reader, wanted);
    if (index >= reader.wanted.size()) return;
    if (step == Step::Done) {
      reader.wanted.erase(reader.wanted.begin() + static_cast<ptrdiff_t>(index));
    } else {
      reader.wanted[index++] = wanted;
    }
  }
}

void Host::settleAllWants() {
  for (const auto& [id, peer] : peers_) {
    if (!peer->wanted.empty()) settleWants(*peer);
  }
}

Host::Peer* Host::ownerOfNumber(uint32_t number) {
  for (const auto& [id, peer] : peers_) {
    for (const auto& [first, count] : peer->numbers) {
      if (number >= first && number - first < count) return peer.get();
    }
  }
  return nullptr;
}

Host::Step Host::tryGrant(Peer& reader, WantedSegment& wanted) {
  const auto refused = [&](Status status) {
    refuse(reader, MessageType::Want, status, wanted.number);
    return Step::Done;
  };
  auto found = segments_.find(wanted.number);
  if (found == segments_.end()) {
    // Its owner made it known before the name left; we may not have read that yet.
    bool mayBeMore = false;
    for (const auto& [id, peer] : peers_) {
      const bool isIts = peer.get() == ownerOfNumber(wanted.number) || peer->isLocal;
      if (isIts && peer->socket.isOpen() && peer.get() != &reader && !isReading_) {
        isReading_ = true;  // Its messages must not lead here again.
        mayBeMore = readPeer(*peer) || mayBeMore;
        isReading_ = false;
        updateInterest(*peer);
      }
    }
    found = segments_.find(wanted.number);
    if (found == segments_.end() && (mayBeMore || isReading_)) return Step::Waiting;
    if (found == segments_.end()) return refused(Status(Code::BadDescriptor, "segment"));
  }
  HeldSegment& segment = found->second;
  Peer* const owner = find(segment.owner);
  if (owner == nullptr || owner == &reader) {
    return refused(Status(Code::BadDescriptor, "segment"));
  }
  const auto pool = owner->pools.find(segment.pool);
  if (pool == owner->pools.end() || !pool->second.allows(reader.who)) {
    facts_->counts.denied++;
    const Status denied(Code::AccessDenied, "pool");
    facts_->incidents.note(IncidentKind::Denied, reader.name, reader.who, denied);
    return refused(denied);
  }
  wanted.owner = owner->name;
  if (!owner->hasEnded && sys::processHasEnded(owner->pidfd)) {
    hearOut(*owner);
    if (!segments_.contains(wanted.number)) return refused(Status(Code::BadDescriptor, "segment"));
  }
  // Its own last words may have been among those heard.
  if (!reader.socket.isOpen()) return Step::Done;
  if (!owner->hasEnded) {
    if (!owner->socket.isOpen() && owner->deadlineMs != 0) return Step::Waiting;  // Dying.
    if (!owner->socket.isOpen()) return refused(Status(Code::Closed, "segment's owner"));
    if (!contains(reader.owners, owner->name)) {
      if (!reader.tables.contains(keyOf(owner->name))) {
        if (wanted.isAsked) return Step::Waiting;
        wanted.isAsked = true;
        ControlMessage message = makeMessage(MessageType::Owner);
        message.owner.number = wanted.number;
        message.owner.slot = owner->name.slot;
        message.owner.epoch = owner->name.epoch;
        answer(reader, message);
        return Step::Waiting;
      }
      if (introduce(reader, *owner) == Step::Waiting) return Step::Waiting;
    }
  }
  grant(reader, wanted.number, segment, *owner);
  return Step::Done;
}

// The table first, then the word: the owner never waits for a table that is not on its way.
Host::Step Host::introduce(Peer& reader, Peer& owner) {
  EpochWord& word = block_->ownerEpochs[owner.name.slot];
  const uint64_t epoch = word.load(std::memory_order_relaxed) + 1;
  ControlMessage message = makeMessage(MessageType::Table);
  message.table.slot = reader.name.slot;
  message.table.epoch = reader.name.epoch;
  message.table.ownerEpoch = epoch;
  const auto table = reader.tables.find(keyOf(owner.name));
  const Status status = owner.socket.sendNow(message, {table->second.get(), reader.pidfd.get()});
  if (status.code() == Code::WouldBlock) return Step::Waiting;
  if (!status.isOk()) {
    while (readPeer(owner)) continue;
    onSocketClosed(owner);
    return Step::Waiting;
  }
  IOL_CRASH_POINT(EpochRaise);
  word.store(epoch, std::memory_order_seq_cst);
  IOL_CRASH_POINT(EpochRaised);
  reader.owners.push_back(owner.name);
  reader.tables.erase(table);
  return Step::Done;
}

void Host::grant(Peer& reader, uint32_t number, HeldSegment& segment, Peer& owner) {
  ControlMessage message = makeMessage(MessageType::Grant);
  message.grant.number = number;
  message.grant.slot = owner.name.slot;
  message.grant.epoch = owner.name.epoch;
  message.grant.totalBytes = segment.totalBytes;
  if (!contains(segment.readers, reader.name)) segment.readers.push_back(reader.name);
  facts_->counts.granted++;
  answer(reader, message, {segment.memory.get(), owner.pidfd.get()});
}

void Host::onLetGo(Peer& reader, DomainName owner) {
  for (auto& [number, segment] : segments_) {
    if (segment.owner == owner) std::erase(segment.readers, reader.name);
  }
  dropUnreachable(owner);
}

}  // namespace iol
