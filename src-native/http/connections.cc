#include "http/connections.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "sys/tcp_unsent.h"

namespace iol::http {
namespace {

constexpr int64_t kLingerMs = 2'000;
constexpr uint32_t kLingerBytesMax = 4 << 20;
constexpr uint32_t kLingerPieceBytes = 256 << 10;
constexpr int64_t kClosingHeadMs = 1'000;  // What a half-read head still gets after close().

}  // namespace

Result<std::unique_ptr<Connections>> Connections::create(Pool& pool, RequestHandler& handler,
                                                         sys::Fd listener, const Options& options) {
  Result<sys::PollSet> poll = sys::PollSet::create();
  if (!poll.isOk()) return poll.status();
  Result<sys::Wakeup> wakeup = sys::Wakeup::create();
  if (!wakeup.isOk()) return wakeup.status();
  std::unique_ptr<Connections> connections(
      new Connections(pool, handler, std::move(listener), options, poll.take(), wakeup.take()));
  IOL_TRY(connections->buffers_.prepare());
  IOL_TRY(connections->errors_.prepare());
  IOL_TRY(connections->headEnds_.renew(options.clock->wallSeconds()));
  IOL_TRY(connections->poll_.add(connections->listener_, sys::Interest::Read, kListenerTag));
  IOL_TRY(connections->poll_.add(connections->wakeup_.fd(), sys::Interest::Read, kWakeupTag));
  return connections;
}

Connections::Connections(Pool& pool, RequestHandler& handler, sys::Fd listener,
                         const Options& options, sys::PollSet poll, sys::Wakeup wakeup)
    : pool_(pool),
      handler_(handler),
      options_(options),
      listener_(std::move(listener)),
      poll_(std::move(poll)),
      wakeup_(std::move(wakeup)),
      buffers_(pool),
      headEnds_(pool),
      errors_(pool),
      hot_(sys::isPipeSignalIgnored() ? options.copiesBeforeReference : 0),
      timers_(options.clock->monotonicMs()),
      isSecure_(options.isSecure),
      unsentBytesMax_(options.isSecure ? 0 : sys::unsentBytesMaxOf(listener_)) {
  setOptions(options);
  acceptTimer_.owner = kAcceptTimer;
  refreshClock();
}

Connections::~Connections() {
  isDrained_ = true;
  for (const auto& connection : connections_) {
    if (!connection->fd.isOpen()) continue;
    for (Exchange* e = connection->first; e != nullptr; e = e->next) e->isKnown = false;
    destroy(*connection, Ending::Close);
  }
}

void Connections::setOptions(const Options& options) {
  options_ = options;
  options_.head.headBytesMax = std::min(options_.head.headBytesMax, kHeadBytesLimit);
  options_.pipelineMax = std::clamp(options_.pipelineMax, 1u, kPipelineLimit);
  if (isAcceptPaused_) resumeAccepting();  // There may be room for more now.
  if (stats_.bytesQueued > options_.queuedBytesMax) wakeup_.signal();
}

void Connections::refreshClock() {
  nowMs_ = options_.clock->monotonicMs();
  // Why ignored: a full pool makes the date late, which is better than no answer.
  (void)headEnds_.renew(options_.clock->wallSeconds()).isOk();
}

int64_t Connections::nextTimeoutMs() const {
  const int64_t lookMs = nextLookMs();
  if (lookMs <= 0) return lookMs;
  return std::max<int64_t>(0, lookMs - options_.clock->monotonicMs());
}

void Connections::turn(uint32_t eventsMax) {
  isInTurn_ = true;
  refreshClock();
  resumeReady();
  sys::Readiness events[128];
  bool canAccept = false;
  while (eventsMax > 0) {
    const uint32_t wanted = std::min<uint32_t>(eventsMax, std::size(events));
    const uint32_t count = poll_.wait({events, wanted});
    for (uint32_t i = 0; i < count; ++i) {
      if (events[i].tag == kListenerTag) {
        canAccept = true;
      } else if (events[i].tag == kWakeupTag) {
        wakeup_.clear();
        isReliefDue_ = false;
      } else {
        handleEvent(events[i]);
      }
    }
    if (count < wanted || canAccept) break;
    eventsMax -= count;
  }
  // Why last: those who are connected are served first.
  if (canAccept && listener_.isOpen() && !isAcceptPaused_) acceptReady();
  expire();
  if (stats_.bytesQueued > options_.queuedBytesMax) relieveQueue();
  isInTurn_ = false;
}

void Connections::handleEvent(const sys::Readiness& event) {
  const auto slot = static_cast<uint32_t>(event.tag);
  Connection& connection = *connections_[slot];
  // An earlier event of this batch may have ended it, and its slot may be in use again.
  if (tagOf(connection) != event.tag || !connection.fd.isOpen()) return;
  if (connection.isLingering) {
    drainLingering(connection);
    return;
  }
  if (event.isBroken) {
    destroy(connection, Ending::Close);
    return;
  }
  if (event.isWritable && connection.isBlocked) {
    noteRoom(connection);
    resumeSending(connection);
    if (tagOf(connection) != event.tag) return;
  }
  if (event.isReadable) {
    if (wantsBytes(connection)) {
      receive(connection);
    } else {
      updateInterest(connection, true);
    }
  }
}

void Connections::resumeReady() {
  if (ready_.empty()) return;
  std::vector<uint64_t> ready;
  ready.swap(ready_);
  for (const uint64_t tag : ready) {
    Connection& connection = *connections_[static_cast<uint32_t>(tag)];
    if (tagOf(connection) != tag) continue;
    connection.isReady = false;
    if (std::exchange(connection.hasSentItsShare, false)) {
      resumeSending(connection);
    } else {
      process(connection);
    }
  }
}

void Connections::resumeSending(Connection& connection) {
  const uint32_t epoch = connection.epoch;
  connection.isProcessing = true;
  flush(connection);
  if (connection.epoch == epoch) process(connection);
}

void Connections::scheduleTurn(Connection& connection) {
  if (connection.isReady) return;
  connection.isReady = true;
  if (ready_.empty()) wakeup_.signal();
  ready_.push_back(tagOf(connection));
}

// --- Time ---

void Connections::expire() {
  while (TimerNode* node = timers_.takeExpired(nowMs_)) {
    if (node->owner == kAcceptTimer) {
      resumeAccepting();
    } else {
      expireConnection(*connections_[node->owner]);
    }
  }
}

void Connections::expireConnection(Connection& connection) {
  const TimeoutKind kind = connection.timeout;
  setTimeoutKind(connection, TimeoutKind::None);
  switch (kind) {
    case TimeoutKind::Head:
      ++stats_.headTimeouts;
      // Half a head is told so; a body that does not come, or an empty line, is not.
      if (connection.reading == nullptr || connection.parser.isIdle()) {
        note(IncidentKind::HeadTimeout, &connection);
        break;
      }
      note(IncidentKind::HeadTimeout, &connection, 408);
      refuseInput(connection, 408);
      if (connection.fd.isOpen()) settle(connection);
      return;
    case TimeoutKind::Idle: ++stats_.idleTimeouts; break;
    case TimeoutKind::Body:
      ++stats_.bodyTimeouts;
      note(IncidentKind::BodyTimeout, &connection);
      failBody(connection, BodyState::TimedOut);
      return;
    case TimeoutKind::Send:
      ++stats_.sendTimeouts;
      note(IncidentKind::SendTimeout, &connection);
      // Why a reset: a plain close would leave megabytes with the kernel until it gives up too.
      destroy(connection, Ending::Reset);
      return;
    case TimeoutKind::Answer: return expireAnswer(connection);
    case TimeoutKind::Linger:
    case TimeoutKind::None: break;
  }
  destroy(connection, Ending::Close);
}

// The program has not decided about the first request, or not gone on with its answer.
void Connections::expireAnswer(Connection& connection) {
  ++stats_.answerTimeouts;
  Exchange& exchange = *connection.first;
  const bool isUndecided = exchange.phase == Phase::Undecided;
  note(IncidentKind::AnswerTimeout, &connection, isUndecided ? 504 : 0);
  if (!isUndecided) return destroy(connection, Ending::Reset);
  const RequestId id = exchange.id();
  const ErrorAnswers::Answer& error = errors_.of(504);
  (void)answer(exchange, error.head, &error.body, Persistence::Close).isOk();
  handler_.onClosed(id);
}

void Connections::setTimeoutKind(Connection& connection, TimeoutKind kind) {
  if (connection.timeout == TimeoutKind::Send) waiting_.remove(connection);
  if (kind == TimeoutKind::Send) waiting_.add(connection);
  connection.timeout = kind;
}

void Connections::armTimeout(Connection& connection, TimeoutKind kind) {
  setTimeoutKind(connection, kind);
  int64_t deadlineMs = TimerNode::kNever;
  switch (kind) {
    case TimeoutKind::None: break;
    case TimeoutKind::Head:
      deadlineMs = nowMs_ + (isClosing_ ? std::min<int64_t>(kClosingHeadMs, options_.headTimeoutMs)
                                        : options_.headTimeoutMs);
      break;
    case TimeoutKind::Idle: deadlineMs = nowMs_ + options_.idleTimeoutMs; break;
    case TimeoutKind::Body: deadlineMs = nowMs_ + bodyPatienceMs(connection); break;
    case TimeoutKind::Send: deadlineMs = nowMs_ + options_.sendTimeoutMs; break;
    case TimeoutKind::Answer: deadlineMs = nowMs_ + options_.answerTimeoutMs; break;
    case TimeoutKind::Linger: deadlineMs = nowMs_ + kLingerMs; break;
  }
  timers_.set(connection.timer, deadlineMs);
}

void Connections::updateTimeout(Connection& connection) {
  TimeoutKind kind = TimeoutKind::Idle;
  if (connection.isBlocked) {
    kind = TimeoutKind::Send;
  } else if (connection.bodyOwner != nullptr && connection.bodyOwner->wantsBody) {
    kind = TimeoutKind::Body;
  } else if (connection.first != nullptr) {
    kind = options_.answerTimeoutMs == 0 ? TimeoutKind::None : TimeoutKind::Answer;
  } else if (connection.body || connection.reading != nullptr) {
    kind = TimeoutKind::Head;
  }
  // Head and Send count from their beginning: bytes that trickle in do not prolong a head, and
  // flush() arms Send anew when there was progress.
  if (kind != connection.timeout || kind == TimeoutKind::Idle) armTimeout(connection, kind);
}

// --- The state of a connection after something has happened ---

void Connections::settle(Connection& connection) {
  if (connection.isLingering || !connection.fd.isOpen()) return;
  if (!connection.takesRequests && !connection.body && connection.unparsed.length > 0) {
    connection.needsLinger = true;
    consume(connection, connection.unparsed.length);
  }
  if (connection.unparsed.length == 0) releaseInput(connection);
  if (connection.first == nullptr) {
    const bool isIdle = connection.reading == nullptr && !connection.body;
    if (!connection.takesRequests || (isClosing_ && isIdle)) return finishClosing(connection);
  }
  updateInterest(connection, false);
  if (connection.fd.isOpen()) updateTimeout(connection);
}

void Connections::updateInterest(Connection& connection, bool isExact) {
  const bool reads = wantsBytes(connection);
  const bool writes = connection.isBlocked && !connection.hasSentItsShare;
  const sys::Interest wanted = writes  ? (reads ? sys::Interest::Both : sys::Interest::Write)
                               : reads ? sys::Interest::Read
                                       : sys::Interest::None;
  if (connection.isWatched && wanted == connection.interest) return;
  // Why not at once: most connections that are not read now will be read or closed before another
  // byte comes. If one does come, this is called again.
  const bool isOnlyLess =
      wanted == sys::Interest::None && connection.interest == sys::Interest::Read;
  if (isOnlyLess && !isExact) return;
  // No memory in the kernel: we would never hear of it again.
  if (!watch(connection, wanted).isOk()) destroy(connection, Ending::Reset);
}

Status Connections::watch(Connection& connection, sys::Interest interest) {
  if (connection.isWatched) {
    IOL_TRY(poll_.change(connection.fd, interest, tagOf(connection)));
  } else if (Status status = poll_.add(connection.fd, interest, tagOf(connection));
             !status.isOk()) {
    ++stats_.acceptFailures;
    note(IncidentKind::AcceptFailed, nullptr, 0, "", status.systemErrno());
    return status;
  }
  connection.isWatched = true;
  connection.interest = interest;
  return {};
}

void Connections::finishClosing(Connection& connection) {
  if (connection.isInputEnded || (!connection.needsLinger && !connection.body)) {
    destroy(connection, Ending::Close);
    return;
  }
  // Closing with bytes unread makes the kernel send a reset, which can overtake the answer at the
  // client. So we only say that we are done, and read on for a bounded while.
  connection.isLingering = true;
  connection.body.reset();
  releaseInput(connection);
  sys::shutdownSending(connection.fd);
  armTimeout(connection, TimeoutKind::Linger);
  const bool isWatched = connection.isWatched && connection.interest == sys::Interest::Read;
  if (!isWatched && !watch(connection, sys::Interest::Read).isOk()) {
    destroy(connection, Ending::Close);
  }
}

void Connections::drainLingering(Connection& connection) {
  ++stats_.receives;
  const Result<uint32_t> dropped = sys::receiveAndDrop(connection.fd, kLingerPieceBytes);
  if (!dropped.isOk()) {
    if (dropped.status().code() != Code::WouldBlock) destroy(connection, Ending::Close);
    return;
  }
  connection.lingerBytes += dropped.value();
  if (dropped.value() == 0 || connection.lingerBytes > kLingerBytesMax) {
    destroy(connection, Ending::Close);
  }
}

void Connections::destroy(Connection& connection, Ending ending) {
  const ConnectionId id = connection.id();
  if (connection.reading != nullptr) releaseExchange(std::exchange(connection.reading, nullptr));
  releaseInput(connection);
  timers_.remove(connection.timer);
  if (ending == Ending::Reset) {
    sys::closeAbortively(std::move(connection.fd));
  } else {
    connection.fd.reset();
  }
  connection.body.reset();
  connection.bodyOwner = nullptr;
  connection.parser.reset();
  connection.takesRequests = true;
  connection.isInputEnded = connection.needsLinger = connection.isBlocked = false;
  connection.isProcessing = connection.isReady = connection.isLingering = false;
  connection.hasSentItsShare = connection.isEager = connection.isWatched = false;
  connection.interest = sys::Interest::None;
  connection.lingerBytes = 0;
  setTimeoutKind(connection, TimeoutKind::None);
  if (++connection.epoch == 0) connection.epoch = 1;
  --stats_.connectionsOpen;
  if (isAcceptPaused_) resumeAccepting();
  dropExchanges(connection);
  if (connection.server && !isDrained_) handler_.onSecureEnd(id, ending == Ending::Reset);
  // Why last: until here nothing that the handler does can reuse the slot.
  freeConnections_.push_back(connection.slot);
  noteDrained();
}

// Ends what was asked on a connection that answers no more. Tells the handler.
void Connections::dropExchanges(Connection& connection) {
  RequestId lost[kPipelineLimit + 2];
  uint32_t count = 0;
  while (Exchange* exchange = connection.first) {
    if (exchange->isKnown && exchange->phase != Phase::Complete) {
      IOL_DCHECK(count < std::size(lost));
      lost[count++] = exchange->id();
    }
    popFirst(connection);
  }
  stats_.clientsLost += count;
  for (uint32_t i = 0; i < count; ++i) handler_.onClosed(lost[i]);
}

void Connections::noteDrained() {
  if (!isClosing_ || isDrained_ || stats_.connectionsOpen > 0) return;
  isDrained_ = true;
  handler_.onDrained();
}

void Connections::close() {
  if (isClosing_) return;
  refreshClock();
  // What has connected already is not turned away.
  uint64_t before = 0;
  do {
    before = stats_.connectionsTotal;
    if (listener_.isOpen() && !isAcceptPaused_) acceptReady();
  } while (stats_.connectionsTotal > before);
  isClosing_ = true;
  poll_.remove(listener_);
  listener_.reset();
  for (size_t i = 0; i < connections_.size(); ++i) {
    Connection& connection = *connections_[i];
    if (!connection.fd.isOpen() || connection.isLingering) continue;
    if (connection.isReady) continue;  // What it has asked already is answered in the next turn.
    if (connection.last != nullptr) {
      connection.last->closesAfter = true;
      connection.takesRequests = false;
      connection.needsLinger = true;
      if (!connection.isProcessing) settle(connection);
    } else if (connection.reading != nullptr || connection.body) {
      armTimeout(connection, TimeoutKind::Head);
    } else if (!connection.isProcessing) {
      receive(connection);  // A request that has arrived is answered; nothing there: it ends.
      if (connection.fd.isOpen()) settle(connection);
    }
  }
  noteDrained();
}

void Connections::destroy() {
  isClosing_ = true;
  listener_.reset();
  for (size_t i = 0; i < connections_.size(); ++i) {
    if (connections_[i]->fd.isOpen()) destroy(*connections_[i], Ending::Reset);
  }
  noteDrained();
}

}  // namespace iol::http
