// Connections, the requests of each: from the first byte of a head to the last of its answer. See
// connections.h.
#include <algorithm>
#include <utility>

#include "http/connections.h"

namespace iol::http {

Exchange* Connections::takeExchange(Connection& connection) {
  if (freeExchanges_ == nullptr) {
    const auto slot = static_cast<uint32_t>(exchanges_.size());
    exchanges_.push_back(std::make_unique<Exchange>(pool_.domain(), slot));
    freeExchanges_ = exchanges_.back().get();
  }
  Exchange* exchange = std::exchange(freeExchanges_, freeExchanges_->next);
  exchange->next = nullptr;
  exchange->connection = &connection;
  exchange->phase = Phase::Reading;
  exchange->isKnown = exchange->closesAfter = exchange->dropsBody = false;
  exchange->wantsWritable = exchange->wantsBody = exchange->owesContinue = false;
  exchange->body = BodyState::None;
  exchange->bodyLeft = 0;
  exchange->httpStatus = 0;
  exchange->headBytes = 0;
  exchange->sentBytes = 0;
  exchange->startedMs = 0;
  return exchange;
}

void Connections::releaseExchange(Exchange* exchange) {
  uint32_t left = exchange->received.length + exchange->received.offset;
  ReceiveBuffer* buffer = exchange->received.first;
  while (left > 0) {
    left -= std::min(left, buffer->used);
    buffers_.release(std::exchange(buffer, buffer->next));
  }
  exchange->received = {};
  if (exchange->out.sliceCount() > 0) exchange->out.clear();
  noteQueued(*exchange);
  if (exchange->connection->bodyOwner == exchange) exchange->connection->bodyOwner = nullptr;
  exchange->connection = nullptr;
  if (++exchange->epoch == 0) exchange->epoch = 1;
  exchange->next = std::exchange(freeExchanges_, exchange);
}

void Connections::pushExchange(Connection& connection, Exchange* exchange) {
  (connection.last != nullptr ? connection.last->next : connection.first) = exchange;
  connection.last = exchange;
  ++connection.exchanges;
}

void Connections::popFirst(Connection& connection) {
  Exchange* exchange = connection.first;
  if (log_.isOn()) log_.add(connection, *exchange, nowMs_, options_.clock->wallSeconds());
  // The next request has its own time.
  if (connection.timeout == TimeoutKind::Answer) connection.timeout = TimeoutKind::None;
  connection.first = exchange->next;
  if (connection.first == nullptr) connection.last = nullptr;
  --connection.exchanges;
  releaseExchange(exchange);
}

// To be called whenever the exchange's `out` has changed.
void Connections::noteQueued(Exchange& exchange) {
  const uint64_t bytes = exchange.out.byteLength();
  if (bytes == exchange.queuedBytes) return;
  stats_.bytesQueued += bytes - exchange.queuedBytes;
  exchange.queuedBytes = bytes;
  if (stats_.bytesQueued <= options_.queuedBytesMax || isInTurn_ || isReliefDue_) return;
  isReliefDue_ = true;
  wakeup_.signal();
}

// Of connections whose socket is full, those that have taken nothing for the longest are cut until
// the rest is within the bound. Whoever has sent its share of this turn is among the last.
void Connections::relieveQueue() {
  isReliefDue_ = false;
  while (stats_.bytesQueued > options_.queuedBytesMax) {
    Connection* slowest = waiting_.slowest();
    while (slowest != nullptr && slowest->hasSentItsShare) slowest = slowest->faster;
    if (slowest == nullptr) return;  // All of it waits for the program.
    ++stats_.queueCuts;
    note(IncidentKind::QueueFull, slowest);
    destroy(*slowest, Ending::Reset);
  }
}

// For who listens, at the end of a turn. The connection is still there.
void Connections::note(IncidentKind kind, Connection* connection, uint16_t httpStatus,
                       const char* why, int error) {
  if (!incidents_.count(kind, nowMs_)) return;
  Incident incident;
  incident.kind = kind;
  incident.httpStatus = httpStatus;
  incident.systemErrno = error;
  incident.why = why;
  if (connection != nullptr) {
    const Result<sys::Endpoint> client = clientOf(*connection);
    if (client.isOk()) incident.client = client.value();
  }
  incidents_.keep(incident);
  if (!isInTurn_) wakeup_.signal();
}

Exchange* Connections::find(RequestId id) const {
  if (id.slot >= exchanges_.size()) return nullptr;
  Exchange* exchange = exchanges_[id.slot].get();
  const bool isIt = exchange->epoch == id.epoch && exchange->connection != nullptr &&
                    exchange->isKnown && exchange->phase != Phase::Complete;
  return isIt ? exchange : nullptr;
}

}  // namespace iol::http
