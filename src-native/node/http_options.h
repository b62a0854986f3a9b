// node/http_options.h: what lib/http.ts says of a listener, as numbers in a fixed order, in the
// words of the engine.
//
// Ownership   borrows the numbers.
// Threads     any.
// Failure     listen: System, as the floors below say it.
// May include everything below node/
#pragma once

#include <cstdint>
#include <string>

#include "http/connections.h"
#include "sys/listener.h"
#include "sys/tcp_socket.h"

namespace iol::node {

struct HttpNumbers {
  const double* numbers;  // In the order of numberOptions in lib/http.ts.
  uint32_t at(size_t i) const { return static_cast<uint32_t>(numbers[i]); }

  http::Connections::Options options() const {
    http::Connections::Options options;
    options.head = {.headBytesMax = at(4), .targetBytesMax = at(5), .fieldsMax = at(6)};
    options.connectionsMax = at(7);
    options.pipelineMax = at(8);
    options.bodyBytesMax = static_cast<uint64_t>(numbers[9]);
    options.headTimeoutMs = at(10);
    options.idleTimeoutMs = at(11);
    options.sendTimeoutMs = at(12);
    options.bodyTimeoutMs = at(13);
    options.answerTimeoutMs = at(14);
    options.copiesBeforeReference = at(15);
    options.queuedBytesMax = static_cast<uint64_t>(numbers[17]);
    options.bodyBytesPerSecondMin = at(18);
    options.isSecure = at(19) != 0;
    return options;
  }
};

// Where to listen: a numeric address, a path, or a descriptor that listens already.
struct HttpPlace {
  enum class Kind : int32_t { Address, Path, Descriptor };
  Kind kind;
  std::string text;
  int32_t number;  // The mode of a path or kModeOfUmask; the descriptor.

  Result<sys::Fd> listen(const HttpNumbers& given) const {
    const auto port = static_cast<uint16_t>(given.at(0));
    const auto backlog = static_cast<int>(given.at(1));
    const uint32_t sendBufferBytes = given.at(3);
    switch (kind) {
      case Kind::Path: return sys::listenPath({text, backlog, sendBufferBytes, number});
      case Kind::Descriptor: return sys::adoptListener(number);
      case Kind::Address: break;
    }
    return sys::listenTcp(
        {text.c_str(), port, backlog, given.at(2) != 0, sendBufferBytes, given.at(16)});
  }
  std::string shown(const HttpNumbers& given) const {
    switch (kind) {
      case Kind::Path: return text;
      case Kind::Descriptor: return "descriptor " + std::to_string(number);
      case Kind::Address: break;
    }
    return text + ":" + std::to_string(given.at(0));
  }
};

}  // namespace iol::node
