// Connections, from answers to bytes. See connections.h.
#include <algorithm>
#include <utility>

#include "http/connections.h"
#include "sys/tcp_unsent.h"

namespace iol::http {
namespace {

// What a connection may send in one turn while others wait: so much that the packets of all are
// still in the processor's caches when they leave. A rest that is small beside it goes along.
constexpr uint64_t kTurnBytes = 256 << 10;
constexpr uint64_t kTurnBytesMax = kTurnBytes + kTurnBytes / 4;
// What ends with its answer has all of that sent by the kernel alone, if it is not more than this:
// some 100 us of the processor.
constexpr uint64_t kLastBytesMax = 5 * kTurnBytes;
// Who empties its socket in so much time is eager, until it once takes so much longer.
constexpr int64_t kEagerMs = 100;
constexpr int64_t kTardyMs = 1'000;
// The kernel may keep so many times more unsent for who is eager.
constexpr uint32_t kEagerTimes = 8;
// A client with a smaller window gets packets so small that naming pages costs as much as they do.
constexpr uint32_t kEagerWindowMin = 32 << 10;
constexpr uint64_t kUnbounded = Connections::kSelfDelimited;  // Nobody counts.

// The number after "HTTP/1.1 ", for statistics and log only; 0 when it is none.
uint16_t statusOf(const Aggregate& head) {
  constexpr uint32_t kStatusAt = 9;
  if (head.sliceCount() == 0 || head.sliceAt(0).length < kStatusAt + 3) return 0;
  const uint8_t* digits = head.sliceAt(0).data() + kStatusAt;
  uint32_t status = 0;
  for (uint32_t i = 0; i < 3; ++i) {
    if (digits[i] < '0' || digits[i] > '9') return 0;
    status = 10 * status + (digits[i] - '0');
  }
  return status >= 100 && status < 600 ? static_cast<uint16_t>(status) : uint16_t{0};
}

// What the end of the connection follows at once waits for it in the kernel: one packet less.
sys::More endOf(const Exchange& exchange) {
  const bool isLast = exchange.phase == Phase::Complete && exchange.closesAfter;
  return isLast ? sys::More::Follows : sys::More::No;
}

Status appendAll(Aggregate& to, std::span<const Aggregate* const> parts) {
  for (const Aggregate* part : parts) IOL_TRY(to.append(*part));
  return {};
}

}  // namespace

// One call for both ways to send; after it the connection is blocked if bytes are left.
Result<net::SendCount> Connections::send(Connection& connection,
                                         std::span<const Aggregate* const> parts, sys::More more) {
  uint64_t wanted = 0;
  for (const Aggregate* part : parts) wanted += part->byteLength();
  trust(connection, *parts.back());
  const uint64_t wholeMax = connection.first->closesAfter ? kLastBytesMax : kTurnBytesMax;
  const uint64_t share = wanted <= wholeMax ? wanted : kTurnBytes;
  Result<net::SendCount> sent = net::sendAggregates(connection.fd, parts, hot_, share, more);
  if (!sent.isOk()) {
    ++stats_.sends;
    return sent;
  }
  stats_.sends += sent.value().calls;
  stats_.bytesSent += sent.value().bytes;
  stats_.bytesByReference += sent.value().bytesByReference;
  if (sent.value().bytes == wanted) return sent;
  ++stats_.partialSends;
  connection.isBlocked = true;
  connection.blockedAtMs = nowMs_;
  // Who waits for the socket already is told at the next turn that there is room.
  const bool isTold =
      connection.interest == sys::Interest::Write || connection.interest == sys::Interest::Both;
  connection.hasSentItsShare = !sent.value().isSocketFull && !isTold;
  if (connection.hasSentItsShare) scheduleTurn(connection);
  return sent;
}

// Large buffers that are sent by reference cost the kernel only the names of their pages: a client
// that can take large packets need not show first that it is eager.
void Connections::trust(Connection& connection, const Aggregate& part) {
  if (connection.isEager || unsentBytesMax_ == 0 || part.byteLength() <= unsentBytesMax_) return;
  if (!net::beginsByReference(part, hot_)) return;
  if (sys::clientWindowOf(connection.fd) >= kEagerWindowMin) setEager(connection, true);
}

// The socket that was full has room again: how long did that take?
void Connections::noteRoom(Connection& connection) {
  const int64_t tookMs = nowMs_ - connection.blockedAtMs;
  const bool isEager = tookMs <= (connection.isEager ? kTardyMs : kEagerMs);
  if (unsentBytesMax_ != 0 && isEager != connection.isEager) setEager(connection, isEager);
}

void Connections::setEager(Connection& connection, bool isEager) {
  connection.isEager = isEager;
  const uint64_t wanted = uint64_t{unsentBytesMax_} * (isEager ? kEagerTimes : 1);
  sys::setUnsentBytesMax(connection.fd,
                         static_cast<uint32_t>(std::min<uint64_t>(wanted, INT32_MAX)));
}

// Sends `parts`, which are the first unsent bytes of the connection; what the socket does not take
// is kept in exchange.out. Lost: the connection is no more.
Connections::Sent Connections::sendNow(Connection& connection, Exchange& exchange,
                                       std::span<const Aggregate* const> parts, sys::More more) {
  const Result<net::SendCount> sent = send(connection, parts, more);
  if (!sent.isOk()) {
    destroy(connection, Ending::Close);
    return Sent::Lost;
  }
  exchange.sentBytes += sent.value().bytes;
  if (!connection.isBlocked) return Sent::All;
  if (!appendAll(exchange.out, parts).isOk()) {
    // More slices than an aggregate can have: the answer has begun and cannot be completed.
    destroy(connection, Ending::Reset);
    return Sent::Lost;
  }
  exchange.out.truncateFront(sent.value().bytes);
  noteQueued(exchange);
  return Sent::Part;
}

Status Connections::respond(RequestId id, const Aggregate& head, const Aggregate* body,
                            Persistence persistence) {
  Exchange* exchange = find(id);
  if (exchange == nullptr || exchange->phase != Phase::Undecided) {
    return Status(Code::Closed, "request");
  }
  return answer(*exchange, head, body, persistence);
}

Status Connections::refuse(RequestId id, uint16_t httpStatus, Persistence persistence) {
  const ErrorAnswers::Answer& error = errors_.of(httpStatus);
  return respond(id, error.head, &error.body, persistence);
}

Status Connections::answer(Exchange& exchange, const Aggregate& head, const Aggregate* body,
                           Persistence persistence) {
  if (!isInTurn_) refreshClock();
  Connection& connection = *exchange.connection;
  abandonBody(exchange);
  if (persistence == Persistence::Close && !exchange.closesAfter) {
    exchange.closesAfter = true;
    connection.needsLinger = true;  // The client does not know yet and may be sending.
  }
  const Aggregate& headEnd =
      headEnds_.end(exchange.closesAfter ? Persistence::Close : Persistence::KeepAlive);
  const Aggregate* all[] = {&head, &headEnd, body};
  const bool hasBody = body != nullptr && !exchange.dropsBody;
  const std::span<const Aggregate* const> parts(all, hasBody ? 3 : 2);
  exchange.httpStatus = statusOf(head);
  exchange.headBytes += static_cast<uint32_t>(head.byteLength() + headEnd.byteLength());
  ++stats_.responses[exchange.httpStatus / 100];
  if (connection.first != &exchange || connection.isBlocked) {
    if (Status status = appendAll(exchange.out, parts); !status.isOk()) {
      exchange.out.clear();
      noteQueued(exchange);
      return status;
    }
    noteQueued(exchange);
    exchange.phase = Phase::Complete;
    return {};
  }
  exchange.phase = Phase::Complete;
  switch (sendNow(connection, exchange, parts, endOf(exchange))) {
    case Sent::Lost: return {};
    case Sent::Part: afterAnswer(connection); break;
    case Sent::All: flush(connection); break;
  }
  return {};
}

Status Connections::start(RequestId id, const Aggregate& head, std::optional<uint64_t> bodyBytes,
                          Persistence persistence) {
  Exchange* exchange = find(id);
  if (exchange == nullptr || exchange->phase != Phase::Undecided) {
    return Status(Code::Closed, "request");
  }
  if (!isInTurn_) refreshClock();
  Connection& connection = *exchange->connection;
  // Now or never: "100 Continue" cannot follow this head. Who begins an answer may go on reading;
  // who refuses the request does not want its body.
  if (exchange->owesContinue) {
    if (statusOf(head) < 400) {
      IOL_TRY(goOn(connection, *exchange));
    } else {
      abandonBody(*exchange);
    }
  }
  const bool closes = persistence == Persistence::Close || !bodyBytes;
  if (closes && !exchange->closesAfter) {
    exchange->closesAfter = true;
    connection.needsLinger = true;
  }
  const Aggregate* parts[] = {
      &head, &headEnds_.end(exchange->closesAfter ? Persistence::Close : Persistence::KeepAlive)};
  if (connection.first != exchange || connection.isBlocked) {
    if (Status status = appendAll(exchange->out, parts); !status.isOk()) {
      exchange->out.clear();
      noteQueued(*exchange);
      return status;
    }
    noteQueued(*exchange);
  }
  exchange->httpStatus = statusOf(head);
  exchange->headBytes += static_cast<uint32_t>(parts[0]->byteLength() + parts[1]->byteLength());
  ++stats_.responses[exchange->httpStatus / 100];
  exchange->phase = Phase::Streaming;
  exchange->bodyLeft = bodyBytes.value_or(kUnbounded);
  if (connection.first != exchange || connection.isBlocked) return {};
  // The head waits in the kernel for the first bytes of the body, so that they share a packet.
  const bool isFollowed = !exchange->dropsBody && exchange->bodyLeft > 0;
  const sys::More more = isFollowed ? sys::More::Follows : sys::More::No;
  switch (sendNow(connection, *exchange, parts, more)) {
    case Sent::Lost: return Status(Code::Closed, "request");
    case Sent::Part: afterAnswer(connection); break;
    case Sent::All: break;
  }
  return {};
}

Result<bool> Connections::write(RequestId id, const Aggregate& part) {
  Exchange* exchange = find(id);
  if (exchange == nullptr || exchange->phase != Phase::Streaming) {
    return Status(Code::Closed, "request");
  }
  if (part.byteLength() > exchange->bodyLeft) {
    return Status(Code::TooLarge, "body", part.byteLength(), exchange->bodyLeft);
  }
  if (!isInTurn_) refreshClock();
  Connection& connection = *exchange->connection;
  if (connection.timeout == TimeoutKind::Answer) armTimeout(connection, TimeoutKind::Answer);
  const Aggregate* parts[] = {&part};
  const bool isQueued =
      connection.first != exchange || connection.isBlocked || exchange->out.byteLength() > 0;
  if (isQueued && !exchange->dropsBody) {
    IOL_TRY(exchange->out.append(part));
    noteQueued(*exchange);
  }
  if (exchange->bodyLeft != kUnbounded) exchange->bodyLeft -= part.byteLength();
  if (exchange->dropsBody) return true;
  if (!isQueued) {
    const Sent sent = sendNow(connection, *exchange, parts, sys::More::No);
    if (sent == Sent::All) return true;
    if (sent == Sent::Lost) return Status(Code::Closed, "request");
  }
  exchange->wantsWritable = true;
  if (!isQueued) afterAnswer(connection);
  return false;
}

Status Connections::end(RequestId id) {
  Exchange* exchange = find(id);
  if (exchange == nullptr || exchange->phase != Phase::Streaming) {
    return Status(Code::Closed, "request");
  }
  const bool isShort = exchange->bodyLeft != kUnbounded && exchange->bodyLeft > 0;
  if (isShort && !exchange->dropsBody) {
    abort(id);
    return {};
  }
  if (!isInTurn_) refreshClock();
  Connection& connection = *exchange->connection;
  exchange->phase = Phase::Complete;
  exchange->wantsWritable = false;
  abandonBody(*exchange);
  if (connection.first == exchange && !connection.isBlocked)
    flush(connection);
  else
    afterAnswer(connection);  // What the program did not read of the body is dropped.
  return {};
}

void Connections::abort(RequestId id) {
  Exchange* exchange = find(id);
  if (exchange == nullptr) return;
  exchange->isKnown = false;  // Who asked for it need not be told.
  destroy(*exchange->connection, Ending::Reset);
}

std::optional<RequestView> Connections::view(RequestId id,
                                             std::span<ByteSpan, kSpansMax> storage) const {
  const Exchange* exchange = find(id);
  if (exchange == nullptr) return std::nullopt;
  const uint32_t count = exchange->received.fill(storage.data(), kSpansMax);
  return RequestView{id, exchange->head, HeadText(storage.first(count))};
}

// Sends what waits, answer after answer, until one is not complete or the socket is full.
void Connections::flush(Connection& connection) {
  const uint32_t epoch = connection.epoch;
  connection.isBlocked = false;
  RequestId writable;
  while (Exchange* exchange = connection.first) {
    if (exchange->out.byteLength() > 0 && !sendQueued(connection, *exchange)) return;
    if (exchange->phase != Phase::Complete) {
      if (std::exchange(exchange->wantsWritable, false)) writable = exchange->id();
      break;
    }
    const bool closes = exchange->closesAfter;
    popFirst(connection);
    if (closes) {
      connection.takesRequests = false;
      dropExchanges(connection);
      if (connection.epoch != epoch) return;
    }
  }
  afterAnswer(connection);
  if (writable.epoch != 0) handler_.onWritable(writable);
}

// False: not all of it went, or the connection is no more.
bool Connections::sendQueued(Connection& connection, Exchange& exchange) {
  const Aggregate* parts[] = {&exchange.out};
  const Result<net::SendCount> sent = send(connection, parts, endOf(exchange));
  if (!sent.isOk()) {
    destroy(connection, Ending::Close);
    return false;
  }
  exchange.sentBytes += sent.value().bytes;
  exchange.out.truncateFront(sent.value().bytes);
  noteQueued(exchange);
  if (!connection.isBlocked) return true;
  if (sent.value().bytes > 0) armTimeout(connection, TimeoutKind::Send);
  afterAnswer(connection);
  return false;
}

// Brings the connection up to date after an answer that did not come from within process().
void Connections::afterAnswer(Connection& connection) {
  if (connection.isProcessing) return;
  const uint32_t epoch = connection.epoch;
  settle(connection);
  if (connection.epoch != epoch || connection.isLingering || connection.isReady) return;
  if (connection.unparsed.length == 0 || !canParse(connection)) return;
  // Why not at once: the handler may be up the stack, and would be entered again from inside.
  scheduleTurn(connection);
}

}  // namespace iol::http
