// Connections, the bodies of requests: read by the program, or dropped. See connections.h.
#include <algorithm>
#include <utility>

#include "http/connections.h"

namespace iol::http {
namespace {

constexpr uint32_t kDropPieceBytes = 256 << 10;
constexpr uint32_t kBodyPieceBytesMin = 4096;

// What a read of a body that has ended for good is told.
Status bodyStatus(BodyState state, uint64_t bodyBytesMax) {
  switch (state) {
    case BodyState::TooLarge:
      return Status(Code::TooLarge, "request body", bodyBytesMax + 1, bodyBytesMax);
    case BodyState::TimedOut: return Status(Code::TimedOut, "request body");
    case BodyState::Cut: return Status(Code::Aborted, "request body");
    case BodyState::Malformed: return Status(Code::BadBody, "request body");
    case BodyState::Dropped: return Status(Code::Closed, "request body");
    case BodyState::None:
    case BodyState::Open:
    case BodyState::Done: break;
  }
  return {};
}

}  // namespace

// Decides what becomes of the body; false when the request was answered here.
bool Connections::frameBody(Connection& connection, Exchange& exchange) {
  const RequestHead& head = exchange.head;
  if (head.expectation == Expectation::kUnknown) {
    exchange.closesAfter = true;
    stopTaking(connection);
    const ErrorAnswers::Answer& error = errors_.of(417);
    (void)answer(exchange, error.head, &error.body, Persistence::Close).isOk();
    return false;
  }
  BodyFraming body(head);
  if (body.isDone()) return true;
  if (head.hasContentLength && head.contentLength > options_.bodyBytesMax) {
    note(IncidentKind::BodyTooLarge, &connection);
    exchange.body = BodyState::TooLarge;
    exchange.closesAfter = true;
    stopTaking(connection);
    return true;
  }
  exchange.body = BodyState::Open;
  exchange.owesContinue = head.expectation == Expectation::kContinue;
  connection.body.emplace(body);
  connection.bodyWaitedMs = 0;
  connection.bodyOwner = &exchange;
  return true;
}

// False: the bytes are used up.
bool Connections::drainBody(Connection& connection) {
  ByteSpan bytes;
  (void)connection.unparsed.fill(&bytes, 1);
  const BodyStep step = connection.body->step(bytes);
  consume(connection, step.framingBytes + step.bodyBytes);
  if (step.status == BodyStatus::kDone) {
    connection.body.reset();
  } else if (step.status == BodyStatus::kRefused) {
    ++stats_.malformed;
    note(IncidentKind::Malformed, &connection, 0, bodyErrorText(step.error));
    stopTaking(connection);
    return false;
  } else if (connection.body->bodyBytes() > options_.bodyBytesMax) {
    note(IncidentKind::BodyTooLarge, &connection);
    stopTaking(connection);
    return false;
  }
  return connection.unparsed.length > 0;
}

// Drains a long run of body bytes in the kernel; false when bytes must be looked at.
bool Connections::dropBodyRun(Connection& connection) {
  if (!connection.body || connection.unparsed.length > 0) return false;
  const uint64_t run = connection.body->remainingRunBytes();
  if (run <= kReceiveBytes) return false;
  ++stats_.receives;
  const Result<uint32_t> dropped = sys::receiveAndDrop(
      connection.fd, static_cast<uint32_t>(std::min<uint64_t>(run, kDropPieceBytes)));
  if (!dropped.isOk()) {
    if (dropped.status().code() != Code::WouldBlock) destroy(connection, Ending::Close);
    return true;
  }
  if (dropped.value() == 0) {
    endInput(connection);
    return true;
  }
  // Why no pointer: inside a run the framing only counts.
  (void)connection.body->step({nullptr, dropped.value()});
  if (connection.body->isDone()) connection.body.reset();
  if (connection.body && connection.body->bodyBytes() > options_.bodyBytesMax) {
    note(IncidentKind::BodyTooLarge, &connection);
    stopTaking(connection);
  }
  settle(connection);
  return true;
}

// Nothing that the client still sends can be or will be understood: the connection ends with the
// answer to the last request.
void Connections::stopTaking(Connection& connection) {
  connection.takesRequests = false;
  connection.needsLinger = true;
  connection.body.reset();
  connection.bodyOwner = nullptr;
  if (connection.last != nullptr) connection.last->closesAfter = true;
}

// The program has answered and will read no more of the body.
void Connections::abandonBody(Exchange& exchange) {
  Connection& connection = *exchange.connection;
  if (connection.bodyOwner != &exchange) return;
  connection.bodyOwner = nullptr;
  exchange.wantsBody = false;
  exchange.body = BodyState::Dropped;
  // Who expects 100-continue has not sent the body, and as nobody wants it, is not asked to: the
  // final answer ends the connection (RFC 9110 section 10.1.1).
  if (exchange.owesContinue) stopTaking(connection);
}

// No more of the body will come. The program is told if it waits.
void Connections::failBody(Connection& connection, BodyState why) {
  Exchange* exchange = connection.bodyOwner;
  if (exchange == nullptr) return;
  exchange->body = why;
  stopTaking(connection);
  const uint32_t epoch = connection.epoch;
  if (std::exchange(exchange->wantsBody, false)) handler_.onBody(exchange->id());
  if (connection.epoch == epoch && !connection.isProcessing) settle(connection);
}

void Connections::finishBody(Connection& connection) {
  Exchange* exchange = std::exchange(connection.bodyOwner, nullptr);
  exchange->body = BodyState::Done;
  connection.body.reset();
  afterAnswer(connection);  // The next request may be here already.
}

// The socket has something for a program that waits.
void Connections::tellBody(Connection& connection) {
  Exchange* exchange = connection.bodyOwner;
  const uint32_t epoch = connection.epoch;
  exchange->wantsBody = false;
  connection.bodyWaitedMs += nowMs_ - connection.bodyWaitFromMs;
  handler_.onBody(exchange->id());
  if (connection.epoch == epoch) settle(connection);
}

Result<Aggregate> Connections::readBody(RequestId id, uint32_t bytesMax, Pool& pool) {
  Exchange* exchange = find(id);
  if (exchange == nullptr) return Status(Code::Closed, "request");
  IOL_TRY(bodyStatus(exchange->body, options_.bodyBytesMax));
  Aggregate bytes(pool_.domain());
  if (exchange->body != BodyState::Open || bytesMax == 0) return bytes;
  if (!isInTurn_) refreshClock();
  Connection& connection = *exchange->connection;
  exchange->wantsBody = false;
  if (exchange->owesContinue) IOL_TRY(goOn(connection, *exchange));
  while (true) {
    if (connection.unparsed.length > 0) {
      Result<Draft> draft = pool.allocate(std::min(bytesMax, connection.unparsed.length));
      if (!draft.isOk()) return draft.status();
      uint32_t filled = 0;
      const Status status = takeUnparsedBody(connection, draft.value(), &filled);
      if (filled > 0) IOL_TRY(bytes.adopt(draft.value().seal(filled)));
      if (filled > 0 || exchange->body == BodyState::Done) return bytes;
      IOL_TRY(status);
    }
    if (connection.body->remainingRunBytes() > 0) {
      return receiveBody(connection, bytesMax, pool);
    }
    IOL_TRY(receiveFraming(connection));
  }
}

// Asks the client for the body that it keeps back.
Status Connections::goOn(Connection& connection, Exchange& exchange) {
  exchange.owesContinue = false;
  if (connection.unparsed.length > 0) return {};  // It has not waited.
  exchange.headBytes += static_cast<uint32_t>(errors_.goOn().byteLength());
  if (connection.first != &exchange || connection.isBlocked) {
    const Status status = exchange.out.append(errors_.goOn());
    noteQueued(exchange);
    return status;
  }
  const Aggregate* parts[] = {&errors_.goOn()};
  if (sendNow(connection, exchange, parts, sys::More::No) == Sent::Lost) {
    return Status(Code::Closed, "request");
  }
  return {};
}

// Copies what has come with the head, or between chunks, while it fits the draft. A failure is
// also in the exchange; bytes before it count.
Status Connections::takeUnparsedBody(Connection& connection, Draft& draft, uint32_t* filled) {
  while (connection.unparsed.length > 0 && *filled < draft.byteLength()) {
    ByteSpan bytes;
    (void)connection.unparsed.fill(&bytes, 1);
    bytes.length = std::min(bytes.length, draft.byteLength() - *filled);
    const BodyStep step = connection.body->step(bytes);
    if (step.bodyBytes > 0) {
      copyBytes(draft.bytes() + *filled, bytes.data + step.framingBytes, step.bodyBytes,
                CopyReason::Head);
    }
    *filled += step.bodyBytes;
    consume(connection, step.framingBytes + step.bodyBytes);
    if (step.status == BodyStatus::kDone) {
      finishBody(connection);
      return {};
    }
    const bool isBad = step.status == BodyStatus::kRefused;
    if (!isBad && connection.body->bodyBytes() <= options_.bodyBytesMax) continue;
    if (isBad) ++stats_.malformed;
    note(isBad ? IncidentKind::Malformed : IncidentKind::BodyTooLarge, &connection, 0,
         isBad ? bodyErrorText(step.error) : "");
    Exchange* exchange = connection.bodyOwner;
    failBody(connection, isBad ? BodyState::Malformed : BodyState::TooLarge);
    *filled = isBad ? *filled : 0;
    return bodyStatus(exchange->body, options_.bodyBytesMax);
  }
  return {};
}

// Receives body bytes where they stay.
Result<Aggregate> Connections::receiveBody(Connection& connection, uint32_t bytesMax, Pool& pool) {
  const uint64_t run = connection.body->remainingRunBytes();
  // Why asked: a buffer as large as what is there, not as what may come.
  const uint32_t there = std::max(sys::bytesToReceive(connection.fd), kBodyPieceBytesMin);
  const uint64_t wanted = std::min<uint64_t>({run, bytesMax, there});
  Result<Draft> draft = pool.allocate(wanted);
  if (!draft.isOk()) return draft.status();
  ++stats_.receives;
  const Result<uint32_t> received =
      sys::receive(connection.fd, draft.value().bytes(), static_cast<uint32_t>(wanted));
  IOL_TRY(countReceived(connection, received));
  // Why no pointer: inside a run the framing only counts.
  (void)connection.body->step({nullptr, received.value()});
  Aggregate bytes(pool_.domain());
  IOL_TRY(bytes.adopt(draft.value().seal(received.value())));
  if (connection.body->isDone()) {
    finishBody(connection);
  } else if (connection.body->bodyBytes() > options_.bodyBytesMax) {
    note(IncidentKind::BodyTooLarge, &connection);
    failBody(connection, BodyState::TooLarge);
    return bodyStatus(BodyState::TooLarge, options_.bodyBytesMax);
  }
  return bytes;
}

// Receives what says where the next chunk is, and maybe of that, too.
Status Connections::receiveFraming(Connection& connection) {
  ReceiveBuffer* buffer = roomFor(connection);
  if (buffer == nullptr) return Status(Code::PoolFull, "request body");
  ++stats_.receives;
  const Result<uint32_t> received =
      sys::receive(connection.fd, buffer->bytes + buffer->used, buffer->room());
  IOL_TRY(countReceived(connection, received));
  buffer->used += received.value();
  connection.unparsed.length += received.value();
  return {};
}

// Ok when there are bytes; else the connection is brought into the state that the status tells.
Status Connections::countReceived(Connection& connection, const Result<uint32_t>& received) {
  if (received.isOk() && received.value() > 0) return {};
  if (received.isOk()) {
    endInput(connection);
    return bodyStatus(BodyState::Cut, 0);
  }
  if (received.status().code() == Code::WouldBlock) return waitForBody(connection);
  destroy(connection, Ending::Close);
  return Status(Code::Closed, "request");
}

// How long the next byte may take. Only the time in which it is waited for counts: a program that
// reads slowly is not the client's fault.
int64_t Connections::bodyPatienceMs(const Connection& connection) const {
  const int64_t mostMs = options_.bodyTimeoutMs;
  if (options_.bodyBytesPerSecondMin == 0 || !connection.body) return mostMs;
  const auto earnedMs =
      static_cast<int64_t>(std::min<uint64_t>(connection.body->bodyBytes(), INT64_MAX / 1000) *
                           1000 / options_.bodyBytesPerSecondMin);
  return std::clamp<int64_t>(mostMs + earnedMs - connection.bodyWaitedMs, 0, mostMs);
}

Status Connections::waitForBody(Connection& connection) {
  const uint32_t epoch = connection.epoch;
  connection.bodyOwner->wantsBody = true;
  connection.bodyWaitFromMs = nowMs_;
  updateInterest(connection, false);
  if (connection.epoch != epoch) return Status(Code::Closed, "request");
  armTimeout(connection, TimeoutKind::Body);
  return Status(Code::WouldBlock, "request body");
}

}  // namespace iol::http
