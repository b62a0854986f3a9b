// Connections whose bytes the handler carries through TLS, and addresses. See connections.h.
//
//   client --TCP--> handler (Node's TLS) --pair--> Connections, for which it is a socket as any
#include <utility>

#include "http/connections.h"

namespace iol::http {

// Why beforehand: without descriptors a client waits in the backlog, and is not lost. Errno or 0.
int Connections::makeSparePair() {
  if (spare_.far.isOpen()) return 0;
  Result<sys::StreamPair> pair = sys::makeStreamPair();
  if (!pair.isOk()) return pair.status().systemErrno();
  spare_ = pair.take();
  return 0;
}

void Connections::openSecure(sys::Fd network) {
  // Of a client that has left already they are unknown; nobody will ask.
  const Result<sys::Endpoint> client = sys::remoteEndpoint(network);
  const Result<sys::Endpoint> server = sys::localEndpoint(network);
  Connection& connection = open(std::move(spare_.near));
  sys::Fd plain = std::move(spare_.far);
  const uint32_t epoch = connection.epoch;
  updateInterest(connection, false);
  if (connection.epoch != epoch) return;
  connection.client = client.isOk() ? client.value() : sys::Endpoint{};
  connection.server = server.isOk() ? server.value() : sys::Endpoint{};
  handler_.onSecure(connection.id(), std::move(network), std::move(plain));
}

Result<sys::Endpoint> Connections::endpointOf(RequestId id, Side side) {
  const Exchange* exchange = find(id);
  if (exchange == nullptr) return Status(Code::Closed, "request");
  Connection& connection = *exchange->connection;
  if (side == Side::Server) {
    return connection.server ? *connection.server : sys::localEndpoint(connection.fd);
  }
  return clientOf(connection);
}

// Asks the kernel once.
Result<sys::Endpoint> Connections::clientOf(Connection& connection) {
  if (!connection.client) {
    const Result<sys::Endpoint> client = sys::remoteEndpoint(connection.fd);
    if (!client.isOk()) return client;
    connection.client = client.value();
  }
  return *connection.client;
}

}  // namespace iol::http
