// Connections, from bytes to requests. See connections.h.
#include <algorithm>
#include <utility>

#include "http/connections.h"

namespace iol::http {
namespace {

constexpr uint32_t kDropPieceBytes = 256 << 10;

}  // namespace

bool Connections::takesMore(const Connection& connection) const {
  // Who has nothing under way may ask, however much others keep waiting.
  const bool isRoom = stats_.bytesQueued <= options_.queuedBytesMax;
  return connection.takesRequests && !connection.isBlocked &&
         connection.exchanges < (isRoom ? options_.pipelineMax : 1);
}

// What follows a body that the program may read waits until it is read or dropped.
bool Connections::canParse(const Connection& connection) const {
  return connection.body ? connection.bodyOwner == nullptr : takesMore(connection);
}

bool Connections::wantsBytes(const Connection& connection) const {
  if (connection.isInputEnded) return false;
  const Exchange* reader = connection.bodyOwner;
  return reader != nullptr ? reader->wantsBody : canParse(connection);
}

void Connections::receive(Connection& connection) {
  if (connection.bodyOwner != nullptr) return tellBody(connection);
  if (dropBodyRun(connection)) return;
  ReceiveBuffer* buffer = roomFor(connection);
  if (buffer == nullptr) return refuseForMemory(connection);
  ++stats_.receives;
  const Result<uint32_t> received =
      sys::receive(connection.fd, buffer->bytes + buffer->used, buffer->room());
  if (!received.isOk()) {
    if (received.status().code() != Code::WouldBlock) {
      destroy(connection, Ending::Close);
    } else if (connection.unparsed.length == 0) {
      releaseInput(connection);
    }
    return;
  }
  if (received.value() == 0) return endInput(connection);
  buffer->used += received.value();
  connection.unparsed.length += received.value();
  // Why one receive: the set is level-triggered, so if there is more we are told again; asking now
  // would mostly be a system call that says no.
  process(connection);
}

// The connection's last buffer, or a new one; null when the pool is full.
ReceiveBuffer* Connections::roomFor(Connection& connection) {
  if (connection.lastBuffer != nullptr && connection.lastBuffer->room() >= kRoomMin) {
    return connection.lastBuffer;
  }
  ReceiveBuffer* buffer = buffers_.take();
  if (buffer == nullptr) return nullptr;
  if (connection.lastBuffer != nullptr) {
    connection.lastBuffer->next = buffer;
  } else {
    connection.unparsed = {buffer, 0, 0};
  }
  connection.lastBuffer = buffer;
  return buffer;
}

// The client has shut its side: what it asked for is still answered.
void Connections::endInput(Connection& connection) {
  connection.isInputEnded = true;
  connection.takesRequests = false;
  if (connection.bodyOwner != nullptr) connection.bodyOwner->body = BodyState::Cut;
  connection.bodyOwner = nullptr;
  connection.body.reset();
  if (connection.reading != nullptr) releaseExchange(std::exchange(connection.reading, nullptr));
  if (connection.unparsed.length > 0) consume(connection, connection.unparsed.length);
  releaseInput(connection);
  if (connection.first == nullptr) return destroy(connection, Ending::Close);
  connection.last->closesAfter = true;
  settle(connection);
}

// Parses what there is, then settles. The handler may end the connection at any request.
void Connections::process(Connection& connection) {
  const uint32_t epoch = connection.epoch;
  connection.isProcessing = true;
  bool goesOn = true;
  while (goesOn && connection.unparsed.length > 0 && canParse(connection)) {
    goesOn = connection.body ? drainBody(connection) : parseHead(connection);
    if (connection.epoch != epoch) return;
  }
  connection.isProcessing = false;
  settle(connection);
}

// False: nothing more can be parsed now. May end the connection.
bool Connections::parseHead(Connection& connection) {
  if (connection.reading == nullptr) connection.reading = takeExchange(connection);
  ByteSpan storage[kSpansMax];
  const std::span<const ByteSpan> spans(storage, connection.unparsed.fill(storage, kSpansMax));
  const HeadResult result = connection.parser.parse(spans, connection.reading->head);
  switch (result.status) {
    case HeadStatus::kIncomplete: return false;
    case HeadStatus::kRefused:
      ++stats_.malformed;
      note(IncidentKind::Malformed, &connection, result.httpStatus, headErrorText(result.error));
      refuseInput(connection, result.httpStatus);
      return false;
    case HeadStatus::kComplete: break;
  }
  Exchange& exchange = *std::exchange(connection.reading, nullptr);
  // RFC 9112 section 3.2.2: whatever Host says, the request is for whom its target names.
  if (exchange.head.targetForm == TargetForm::kAbsolute) exchange.head.setHost();
  // The next head has its own time.
  if (connection.timeout == TimeoutKind::Head) connection.timeout = TimeoutKind::Idle;
  dispatch(connection, exchange, spans);
  return true;
}

void Connections::dispatch(Connection& connection, Exchange& exchange,
                           std::span<const ByteSpan> spans) {
  exchange.received = connection.unparsed;
  exchange.received.length = exchange.head.byteLength;
  uint32_t left = exchange.received.length + exchange.received.offset;
  for (ReceiveBuffer* buffer = exchange.received.first; left > 0; buffer = buffer->next) {
    ++buffer->references;
    left -= std::min(left, buffer->used);
  }
  consume(connection, exchange.head.byteLength);
  ++stats_.requests;
  if (log_.isOn()) log_.begin(connection, exchange, nowMs_);
  exchange.phase = Phase::Undecided;
  exchange.dropsBody = exchange.head.method == Method::kHead;
  exchange.closesAfter = isClosing_ || !exchange.head.isKeepAlive;
  pushExchange(connection, &exchange);
  if (!frameBody(connection, exchange)) return;
  if (exchange.closesAfter) connection.takesRequests = false;
  exchange.isKnown = true;
  handler_.onRequest({exchange.id(), exchange.head, HeadText(spans)});
}

// Answers, in its turn, what could not be read as a request, and ends the connection.
void Connections::refuseInput(Connection& connection, uint16_t httpStatus) {
  const bool isForHead = asksForHead(connection);
  if (connection.reading != nullptr) releaseExchange(std::exchange(connection.reading, nullptr));
  connection.takesRequests = false;
  connection.needsLinger = true;
  Exchange* exchange = takeExchange(connection);
  exchange->dropsBody = isForHead;
  if (log_.isOn()) log_.begin(connection, *exchange, nowMs_);
  exchange->phase = Phase::Undecided;
  exchange->closesAfter = true;
  pushExchange(connection, exchange);
  const ErrorAnswers::Answer& error = errors_.of(httpStatus);
  (void)answer(*exchange, error.head, &error.body, Persistence::Close).isOk();
}

// Whether what there is of a request begins with the method HEAD.
bool Connections::asksForHead(const Connection& connection) const {
  if (connection.reading == nullptr || !connection.parser.hasMethod()) return false;
  ByteSpan first;
  const uint32_t count = connection.unparsed.fill(&first, 1);
  // A method in two pieces is nobody's who waits for his answer.
  return HeadText({&first, count}).equals(connection.reading->head.methodToken, "HEAD");
}

// The pool has no room for the client's bytes. They are dropped: what they asked is unknown, but
// if they are the end of input there is nobody to answer.
void Connections::refuseForMemory(Connection& connection) {
  ++stats_.receives;
  const Result<uint32_t> dropped = sys::receiveAndDrop(connection.fd, kDropPieceBytes);
  if (!dropped.isOk()) {
    if (dropped.status().code() != Code::WouldBlock) destroy(connection, Ending::Close);
    return;
  }
  if (dropped.value() == 0) return endInput(connection);
  ++stats_.refusedForMemory;
  note(IncidentKind::NoMemory, &connection, 503);
  connection.body.reset();
  const uint32_t epoch = connection.epoch;
  refuseInput(connection, 503);
  if (connection.epoch == epoch) settle(connection);
}

void Connections::consume(Connection& connection, uint32_t bytes) {
  ReceivedRun& run = connection.unparsed;
  run.length -= bytes;
  while (bytes > 0) {
    const uint32_t inBuffer = run.first->used - run.offset;
    if (bytes < inBuffer || run.first == connection.lastBuffer) {
      run.offset += bytes;
      return;
    }
    bytes -= inBuffer;
    run.offset = 0;
    buffers_.release(std::exchange(run.first, run.first->next));
  }
}

void Connections::releaseInput(Connection& connection) {
  ReceiveBuffer* buffer = connection.unparsed.first;
  while (buffer != nullptr) {
    ReceiveBuffer* following = buffer == connection.lastBuffer ? nullptr : buffer->next;
    buffers_.release(buffer);
    buffer = following;
  }
  connection.unparsed = {};
  connection.lastBuffer = nullptr;
}

}  // namespace iol::http
