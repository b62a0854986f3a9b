// What goes over the channels, and what is checked of it.
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "participant.h"
#include "sys/clock.h"

namespace iol::torture {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr uint32_t kHopsMax = 4;
constexpr uint32_t kMessagesPerLook = 64;
constexpr size_t kHeldMax = 200;
constexpr int64_t kAnswerMsMax = 5000;

DomainName nameFrom(uint64_t word) {
  return {static_cast<uint32_t>(word), static_cast<uint32_t>(word >> 32)};
}

}  // namespace

void Participant::work() {
  receiveAll();
  closeWhatIsOver();
  const bool isQuiet = phase() != Phase::Run;
  dropHeld(isQuiet);
  if (isQuiet) {
    nextSendNs_ = nextOpenNs_ = 0;
    return;
  }
  openSome();
  if (isRole(Role::Hasty)) return burstAndExit();
  sendSome();
}

void Participant::openSome() {
  const int64_t now = sys::monotonicNs();
  for (const Opening& each : openings_) {
    if (now - each.sinceNs < kAnswerMsMax * kMs || guest_->ownerHasEnded(each.to)) continue;
    complain("an opening was not answered in " + std::to_string(kAnswerMsMax) + " ms");
  }
  if (now < nextOpenNs_ || guest_->state() != Guest::State::Attached) return;
  const size_t wanted = isRole(Role::Consumer) ? 1 : 4;
  nextOpenNs_ = now + (isRole(Role::Churner) ? 5 : 20) * kMs;
  if (isRole(Role::Churner) && !lines_.empty() && random_.oneIn(3)) {
    closeLine(random_.below(static_cast<uint32_t>(lines_.size())));
  }
  if (lines_.size() + openings_.size() >= wanted + (isRole(Role::Churner) ? 4 : 0)) return;
  const uint32_t seat = 1 + random_.below(kSeatsMax - 1);
  for (uint32_t step = 0; step < kSeatsMax; step++) {
    const uint32_t candidate = 1 + (seat + step) % (kSeatsMax - 1);
    if (candidate == number_ || board_.seats[candidate].domain.load() == 0) continue;
    if (board_.seats[candidate].windowId.load() != guest_->window().id()) continue;
    return openTo(candidate);
  }
}

void Participant::openTo(uint32_t seat) {
  const DomainName to = nameFrom(board_.seats[seat].domain.load());
  if (to.epoch == 0) return;
  const uint32_t index = board_.recordsTaken.fetch_add(2);
  for (uint32_t direction = 0; direction < 2; direction++) {
    Record& record = board_.record(index + direction);
    record.intended.store(0);
    record.sent.store(0);
    record.taken.store(0);
    record.hasForeign.store(0);
    record.senderSeat.store(direction == 0 ? number_ : seat);
    record.receiverSeat.store(direction == 0 ? seat : number_);
  }
  const uint64_t ringBytes = kRingBytesMin << random_.below(5);
  const Result<uint64_t> id = channels_->open(to, std::to_string(index).c_str(), ringBytes);
  if (id.isOk()) {
    openings_.push_back({const_cast<Result<uint64_t>&>(id).value(), to, sys::monotonicNs()});
  } else if (id.status().code() != Code::Closed && id.status().code() != Code::WouldBlock) {
    mustBeOk("opening", id.status());
  }
}

Status Participant::onOpening(DomainName, const char*) {
  return isLeaving_ ? Status(Code::Refused, "leaving") : Status();
}

void Participant::onChannel(Channel& channel) {
  std::erase_if(openings_, [&](const Opening& each) {
    return channel.isOurs && each.id == channel.id && each.to == channel.peer;
  });
  const uint32_t index = static_cast<uint32_t>(std::stoul(channel.label));
  auto line = std::make_unique<Line>();
  line->channel = &channel;
  line->outIndex = index + (channel.isOurs ? 0 : 1);
  line->out = &board_.record(line->outIndex);
  line->in = &board_.record(index + (channel.isOurs ? 1 : 0));
  lines_.push_back(std::move(line));
  board_.totals.opened++;
  seat_.opened++;
}

void Participant::onRefused(uint64_t id, const Status&) {
  std::erase_if(openings_, [id](const Opening& each) { return each.id == id; });
  board_.totals.refused++;
  seat_.refused++;
}

void Participant::onRelay(DomainName from, const uint8_t* body, std::vector<sys::Fd> fds) {
  if (channels_ != nullptr && !channels_->onRelay(from, body, fds)) complain("an unknown relay");
}

void Participant::onRelayRefused(DomainName to, const Status& why) {
  if (channels_ != nullptr) channels_->onRelayRefused(to, why);
}

void Participant::onRoom() {
  if (channels_ != nullptr) channels_->onRoom();
}

void Participant::onEnded(DomainName name) {
  seat_.deaths++;
  if (channels_ != nullptr) channels_->onEnded(name);
}

void Participant::onHostGone(const Status& why) {
  mustBeOk("the host broke a rule", why);
  setState(State::Alone);
  if (channels_ != nullptr) channels_->onHostGone();
}

void Participant::receiveAll() {
  for (size_t index = 0; index < lines_.size(); index++) receiveFrom(*lines_[index]);
}

void Participant::receiveFrom(Line& line) {
  for (uint32_t count = 0; count < kMessagesPerLook && !line.isInOver; count++) {
    const ReceiveOutcome outcome = line.channel->receiver->tryReceive(*message_);
    switch (outcome) {
      case ReceiveOutcome::Received: onMessage(line); break;
      case ReceiveOutcome::Stale: onStale(line); break;
      case ReceiveOutcome::Empty: return;
      case ReceiveOutcome::Revoking:
      case ReceiveOutcome::AwaitingGrant:
        if (line.waitsSinceNs == 0) line.waitsSinceNs = sys::monotonicNs();
        line.isForGrant = outcome == ReceiveOutcome::AwaitingGrant;
        return;
      case ReceiveOutcome::Closed:
      case ReceiveOutcome::PeerDead: return onEnd(line, outcome);
      case ReceiveOutcome::Denied: complain("a message was denied");
      case ReceiveOutcome::Corrupt: mustBeOk("corrupt", line.channel->receiver->failure());
    }
  }
}

void Participant::onMessage(Line& line) {
  const int64_t now = sys::monotonicNs();
  Held held{std::move(message_->aggregate), {}, 0};
  message_->aggregate = Aggregate(guest_->domain());
  const std::string wrong = held.contents.read(message_->metadata);
  if (!wrong.empty()) complain(wrong);
  const Heading& heading = held.contents.heading;
  if (&board_.record(heading.record) != line.in) complain("a message of another channel");
  if (heading.number != line.nextIn) {
    complain("message " + std::to_string(heading.number) + " where " + std::to_string(line.nextIn) +
             " was due, channel " + std::to_string(heading.record));
  }
  line.nextIn++;
  line.in->taken.store(line.nextIn);
  const std::string damage = held.contents.check(held.payload);
  if (!damage.empty()) complain("received: " + damage);
  seat_.received++;
  board_.totals.messages++;
  board_.totals.bytes += held.payload.byteLength();

  noteTransit(line, heading.sentNs, now);
  if (phase() != Phase::Run || isLeaving_) return;
  const bool isForwarded =
      heading.hops < kHopsMax && random_.oneIn(isRole(Role::Forwarder) ? 1 : 9);
  if (isForwarded) forward(held.payload, held.contents);
  if (held_.size() < kHeldMax && random_.oneIn(3)) {
    held.untilNs = now + random_.below(200) * kMs;
    held_.push_back(std::move(held));
  }
}

// Stopped processes are no stall; whose turn it was to go on is not known, when the message waited.
void Participant::noteTransit(Line& line, int64_t sentNs, int64_t now) {
  const Seat& sender = board_.seats[line.in->senderSeat.load()];
  int64_t wokenNs = std::max(seat_.wokenAtNs.load(), sender.wokenAtNs.load());
  if (line.waitsSinceNs != 0) {
    board_.waits.add(now - line.waitsSinceNs);
    line.waitedUntilNs = now;
    line.waitsSinceNs = 0;
  }
  if (sentNs < line.waitedUntilNs) wokenNs = std::max(wokenNs, board_.anyWokenAtNs.load());
  if (sentNs <= wokenNs) return;
  board_.transit.add(now - sentNs);
  board_.stalls.add(std::max<int64_t>(now - sentNs - waitedSince(sentNs), 1));
}

// Only a name of somebody else's buffer can be stale, and only when who sent it has died.
void Participant::onStale(Line& line) {
  line.nextIn++;
  line.in->taken.store(line.nextIn);
  seat_.stale++;
  board_.totals.stale++;
  line.waitsSinceNs = 0;
  if (guest_->state() != Guest::State::Attached) return;  // Nobody grants any more.
  const bool isAlive = !guest_->ownerHasEnded(line.channel->peer);
  if (isAlive) suspicion_ = "stale, though its sender lives";
  if (line.in->hasForeign.load() == 0) suspicion_ = "stale, though its sender made it itself";
}

void Participant::onEnd(Line& line, ReceiveOutcome outcome) {
  line.isInOver = true;
  const uint64_t sent = line.in->sent.load();
  const uint64_t most = outcome == ReceiveOutcome::Closed ? sent : line.in->intended.load();
  if (line.nextIn >= sent && line.nextIn <= most) return;
  complain(std::string(outcome == ReceiveOutcome::Closed ? "closed" : "peer dead") + ": got " +
           std::to_string(line.nextIn) + " messages of " + std::to_string(sent) + " to " +
           std::to_string(most));
}

void Participant::closeLine(size_t index) {
  Channel& channel = *lines_[index]->channel;
  lines_.erase(lines_.begin() + static_cast<ptrdiff_t>(index));
  channels_->close(channel);
  seat_.closed++;
}

void Participant::closeWhatIsOver() {
  for (size_t index = lines_.size(); index-- > 0;) {
    if (lines_[index]->isInOver) closeLine(index);
  }
}

// Checked again: nobody may have touched it meanwhile.
void Participant::dropHeld(bool all) {
  const int64_t now = sys::monotonicNs();
  std::erase_if(held_, [&](Held& each) {
    if (!all && each.untilNs > now) return false;
    const std::string damage = each.contents.check(each.payload);
    if (!damage.empty()) complain("while it was held: " + damage);
    return true;
  });
}

Participant::Line* Participant::anyLine() {
  if (lines_.empty()) return nullptr;
  Line* const line = lines_[random_.below(static_cast<uint32_t>(lines_.size()))].get();
  return line->canSend ? line : nullptr;
}

void Participant::sendSome() {
  const int64_t now = sys::monotonicNs();
  if (now < nextSendNs_) return;
  const bool isBusy = isRole(Role::Producer);
  nextSendNs_ = now + (isBusy ? 1 + random_.below(3) : 3 + random_.below(20)) * kMs;
  for (uint32_t batch = isBusy ? 4 : 1; batch > 0; batch--) {
    Line* const line = anyLine();
    if (line != nullptr) sendBatch(*line, 1 + random_.below(isBusy ? 12 : 3));
  }
}

void Participant::sendBatch(Line& line, uint32_t count) {
  for (; count > 0; count--) {
    Aggregate payload(guest_->domain());
    Contents contents;
    if (!compose(payload, contents) || !send(line, payload, contents, false)) return;
    // The same sealed bytes again, and some to keep while others have them.
    if (random_.oneIn(8) && !send(line, payload, contents, false)) return;
    if (random_.oneIn(16) && held_.size() < kHeldMax) {
      held_.push_back(
          {std::move(payload), std::move(contents), sys::monotonicNs() + random_.below(100) * kMs});
    }
  }
}

void Participant::burstAndExit() {
  const bool isLate = sys::monotonicNs() - attachedNs_ > 1000 * kMs;
  if (lines_.size() < 2 && !isLate) return;
  for (const std::unique_ptr<Line>& line : lines_) sendBatch(*line, 1 + random_.below(40));
  ::_exit(0);
}

bool Participant::send(Line& line, const Aggregate& payload, Contents& contents, bool isForeign) {
  if (!line.canSend) return false;
  contents.heading.record = line.outIndex;
  contents.heading.number = line.nextOut;
  contents.heading.sentNs = sys::monotonicNs();
  if (isForeign) line.out->hasForeign.store(1);
  line.out->intended.store(line.nextOut + 1);
  Result<SendOutcome> outcome = line.channel->sender->trySend(payload, contents.metadata());
  if (outcome.isOk() && outcome.value() == SendOutcome::Sent) {
    line.out->sent.store(++line.nextOut);
    seat_.sent++;
    return true;
  }
  line.out->intended.store(line.nextOut);
  if (outcome.isOk()) {
    if (outcome.value() != SendOutcome::Full) line.canSend = false;
    if (!line.channel->sender->failure().isOk()) {
      mustBeOk("sending", line.channel->sender->failure());
    }
    return false;
  }
  board_.totals.notNow++;
  const Code code = outcome.status().code();
  const bool isAlone = guest_->state() != Guest::State::Attached;
  const bool isExpected = code == Code::WouldBlock || code == Code::PoolFull ||
                          code == Code::WindowFull || (code == Code::Closed && isAlone);
  // The host may be dead and we not yet have read it.
  if (!isExpected && code != Code::Closed && code != Code::System) {
    mustBeOk("sending", outcome.status());
  }
  return false;
}

// Of others' buffers, whole or in part, with or without one of our own in front.
void Participant::forward(const Aggregate& payload, const Contents& contents) {
  Line* const line = anyLine();
  if (line == nullptr) return;
  Aggregate out(guest_->domain());
  Contents what;
  what.heading.hops = contents.heading.hops + 1;
  what.heading.strides = contents.heading.strides;
  what.parts = contents.parts;
  if (contents.heading.strides > 0) {
    if (!out.append(payload).isOk()) return;
  } else {
    const uint32_t skipped = contents.parts.size() > 1 ? random_.below(2) : 0;
    const uint32_t skippedBytes = skipped > 0 ? contents.parts[0].length : 0;
    uint32_t cut = 0;
    what.parts.erase(what.parts.begin(), what.parts.begin() + skipped);
    if (!what.parts.empty() && what.parts[0].length > 16 && random_.oneIn(3)) {
      cut = 1 + random_.below(what.parts[0].length - 1);
      what.parts[0].offset += cut;
      what.parts[0].length -= cut;
    }
    std::vector<Part> others = std::exchange(what.parts, {});
    if (others.size() < kPartsMax && random_.oneIn(2)) {
      if (!addBuffer(out, what, 1 + random_.below(500))) return;
    }
    what.parts.insert(what.parts.end(), others.begin(), others.end());
    const Aggregate rest = payload.slice(skippedBytes + cut, payload.byteLength());
    if (!out.append(rest).isOk()) return;
  }
  if (!send(*line, out, what, true)) return;
  seat_.forwarded++;
  board_.totals.forwarded++;
}

uint32_t Participant::anyLength() {
  switch (random_.below(20)) {
    case 0: return 1 + random_.below(300'000);
    case 1:
    case 2:
    case 3: return 1 + random_.below(65'536);
    default: return 1 + random_.below(4096);
  }
}

bool Participant::compose(Aggregate& payload, Contents& contents) {
  if (random_.oneIn(100)) return true;  // Nothing but metadata.
  if (random_.oneIn(25)) {
    const uint32_t length = kStrides * kStrideBytes;
    if (!addBuffer(payload, contents, length)) return false;
    contents.heading.strides = 65 + random_.below(200);
    const Slice whole = payload.sliceAt(0);
    for (uint32_t index = 0; index < contents.heading.strides; index++) {
      Slice part = whole;
      part.offset += index % kStrides * kStrideBytes;
      part.length = kStrideLength;
      if (!payload.append(part).isOk()) return false;
    }
    return true;
  }
  for (uint32_t count = random_.oneIn(4) ? 2 + random_.below(6) : 1; count > 0; count--) {
    if (!addBuffer(payload, contents, anyLength())) return false;
  }
  return true;
}

bool Participant::addBuffer(Aggregate& payload, Contents& contents, uint32_t length) {
  Pool& pool = random_.oneIn(8) ? *sealedPool_ : *pool_;
  Result<Draft> draft = pool.allocate(length);
  if (!draft.isOk()) {
    board_.totals.notNow++;
    const Code code = draft.status().code();
    if (code != Code::PoolFull && code != Code::WindowFull && code != Code::NoMemory) {
      mustBeOk("allocating", draft.status());
    }
    return false;
  }
  const uint64_t serial = serials_++;
  fillBytes(draft.value().bytes(), serial, length);
  contents.parts.push_back({serial, 0, length});
  return payload.adopt(draft.value().seal()).isOk();
}

}  // namespace iol::torture
