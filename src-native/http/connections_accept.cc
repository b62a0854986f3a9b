// Connections, from the listener to the first byte. See connections.h.
#include <cerrno>
#include <memory>
#include <utility>

#include "http/connections.h"

namespace iol::http {
namespace {

constexpr uint32_t kAcceptsPerTurn = 32;
constexpr int64_t kAcceptPauseMs = 100;

}  // namespace

void Connections::acceptReady() {
  for (uint32_t i = 0; i < kAcceptsPerTurn && listener_.isOpen(); ++i) {
    if (stats_.connectionsOpen >= options_.connectionsMax) return pauseAccepting(-1, 0);
    if (const int error = isSecure_ ? makeSparePair() : 0; error != 0) {
      return pauseAccepting(kAcceptPauseMs, error);
    }
    Result<sys::Fd> fd = sys::acceptConnection(listener_);
    if (fd.isOk()) {
      isSecure_ ? openSecure(fd.take()) : openPlain(fd.take());
    } else if (fd.status().code() == Code::WouldBlock) {
      return;
    } else if (!sys::isLostConnection(fd.status().systemErrno())) {
      // Out of descriptors or memory. The listener stays ready, so it must not be asked again
      // before something has changed: a connection ended, or time has passed.
      return pauseAccepting(kAcceptPauseMs, fd.status().systemErrno());
    }
  }
}

void Connections::openPlain(sys::Fd fd) {
  Connection& connection = open(std::move(fd));
  const uint32_t epoch = connection.epoch;
  receive(connection);
  if (connection.epoch == epoch && !connection.isWatched) updateInterest(connection, false);
}

// It is not watched yet: most have sent their request already, and one that ends with the answer
// never has to be.
Connection& Connections::open(sys::Fd fd) {
  if (freeConnections_.empty()) {
    const auto slot = static_cast<uint32_t>(connections_.size());
    connections_.push_back(std::make_unique<Connection>(slot, options_.head));
    freeConnections_.push_back(slot);
  }
  Connection& connection = *connections_[freeConnections_.back()];
  freeConnections_.pop_back();
  connection.fd = std::move(fd);
  connection.client.reset();
  connection.server.reset();
  connection.parser = HeadParser(options_.head);
  ++stats_.connectionsOpen;
  ++stats_.connectionsTotal;
  armTimeout(connection, TimeoutKind::Idle);
  return connection;
}

// `error` is why the kernel gave none; 0: there are as many as may be.
void Connections::pauseAccepting(int64_t forMs, int error) {
  isAcceptPaused_ = true;
  ++stats_.acceptPauses;
  if (error != 0) ++stats_.acceptFailures;
  if (error == EMFILE || error == ENFILE) hot_.forget();
  note(error == 0 ? IncidentKind::ConnectionsMax : IncidentKind::AcceptFailed, nullptr, 0, "",
       error);
  (void)poll_.change(listener_, sys::Interest::None, kListenerTag).isOk();
  if (forMs >= 0) timers_.set(acceptTimer_, nowMs_ + forMs);
}

void Connections::resumeAccepting() {
  isAcceptPaused_ = false;
  timers_.remove(acceptTimer_);
  if (!listener_.isOpen()) return;
  (void)poll_.change(listener_, sys::Interest::Read, kListenerTag).isOk();
}

}  // namespace iol::http
