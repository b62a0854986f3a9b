// http/connection.h: what is known of one connection and of each request on it.
//
//   Connection   fd, unparsed bytes -> [Exchange] -> [Exchange] ...   answers leave in this order
//                                       first          last
//   Exchange     Reading --head complete--> Undecided --respond--> Complete --sent--> free
//                                               \--start--> Streaming --end--^
//
// Ownership   the Connections own both, for ever, and reuse them; a connection's parts are as long
//             as its epoch. An exchange references the buffers that its head is in until it ends.
// Threads     the domain's own.
// May include base/ sys/ window/ pool/ aggregate/ and own folder
#pragma once

#include <optional>

#include "aggregate/aggregate.h"
#include "http/body_framing.h"
#include "http/head_parser.h"
#include "http/receive_buffers.h"
#include "http/request_head.h"
#include "http/timer_wheel.h"
#include "sys/fd.h"
#include "sys/poll_set.h"
#include "sys/tcp_socket.h"

namespace iol::http {

// Names one request for ever: an answer that comes too late meets nobody.
struct RequestId {
  uint32_t slot = 0;
  uint32_t epoch = 0;  // 0 is no request.
};

// Names one connection for ever, in the same way.
struct ConnectionId {
  uint32_t slot = 0;
  uint32_t epoch = 0;
};

enum class Phase : uint8_t { Reading, Undecided, Streaming, Complete };

// Of a request: what has become of its body. Open: the program may read on.
enum class BodyState : uint8_t { None, Open, Done, Cut, Malformed, TooLarge, TimedOut, Dropped };

struct Connection;

struct Exchange {
  Exchange(Domain& domain, uint32_t inSlot) : slot(inSlot), out(domain) {}
  RequestId id() const { return {slot, epoch}; }

  uint32_t slot;
  uint32_t epoch = 1;
  Phase phase = Phase::Reading;
  bool isKnown = false;        // The handler was told of it.
  bool closesAfter = false;    // The connection ends with this answer.
  bool dropsBody = false;      // HEAD.
  bool wantsWritable = false;  // A write was told to wait.
  bool wantsBody = false;      // So was a read of the body.
  bool owesContinue = false;   // The client waits for "100 Continue" before it sends the body.
  BodyState body = BodyState::None;
  Connection* connection = nullptr;
  Exchange* next = nullptr;  // In the connection, or free.
  ReceivedRun received;      // The head's bytes.
  Aggregate out;             // Of the answer, what could not be sent yet,
  uint64_t queuedBytes = 0;  // and how much of that is counted.
  uint64_t bodyLeft = 0;     // Of a streamed body with a length.
  uint16_t httpStatus = 0;   // Of the answer, once there is one.
  uint32_t headBytes = 0;    // Of the answer's heads, and
  uint64_t sentBytes = 0;    // how much of head and body the kernel has taken.
  int64_t startedMs = 0;     // While answers are logged.
  RequestHead head;
};

enum class TimeoutKind : uint8_t { None, Head, Idle, Body, Send, Answer, Linger };

struct Connection {
  Connection(uint32_t inSlot, const HeadLimits& limits) : slot(inSlot), parser(limits) {
    timer.owner = inSlot;
  }

  ConnectionId id() const { return {slot, epoch}; }

  uint32_t slot;
  uint32_t epoch = 1;
  sys::Fd fd;                           // Of a secure one the near end of a pair: plain text.
  std::optional<sys::Endpoint> client;  // Once it was asked for, and of a secure one always.
  std::optional<sys::Endpoint> server;  // Of a secure one.
  sys::Interest interest = sys::Interest::None;  // What the poll set was told,
  bool isWatched = false;                        // once it knows the connection.
  bool takesRequests = true;     // False: nothing after what was parsed is looked at.
  bool isInputEnded = false;     // The client has shut its side.
  bool needsLinger = false;      // A plain close could destroy the answer by a reset.
  bool isBlocked = false;        // Not all that there is was sent: the socket is full, or
  bool hasSentItsShare = false;  // it has had its share of this turn.
  bool isEager = false;          // It drains its socket at once and may have more in it.
  bool isProcessing = false;     // Its bytes are being parsed further up the stack.
  bool isReady = false;          // It has bytes to parse or to send and waits for a turn.
  bool isLingering = false;
  int64_t blockedAtMs = 0;
  TimeoutKind timeout = TimeoutKind::None;
  TimerNode timer;
  Connection* slower = nullptr;  // Its neighbours in the list of those
  Connection* faster = nullptr;  // that wait for their sockets.
  uint32_t exchanges = 0;
  Exchange* first = nullptr;
  Exchange* last = nullptr;
  Exchange* reading = nullptr;  // Whose head is incomplete.
  ReceivedRun unparsed;
  ReceiveBuffer* lastBuffer = nullptr;
  std::optional<BodyFraming> body;  // Of the last request; what follows it is not parsed yet.
  Exchange* bodyOwner = nullptr;    // Whose program may read it; null: it is drained.
  int64_t bodyWaitedMs = 0;         // The program for bytes of it, until
  int64_t bodyWaitFromMs = 0;       // it began to wait anew.
  uint32_t lingerBytes = 0;
  HeadParser parser;
};

// Those that wait for their sockets: the first has taken nothing for the longest.
class WaitingConnections {
 public:
  Connection* slowest() const { return slowest_; }

  void add(Connection& connection) {
    connection.slower = fastest_;
    (fastest_ != nullptr ? fastest_->faster : slowest_) = &connection;
    fastest_ = &connection;
  }
  void remove(Connection& connection) {
    (connection.slower != nullptr ? connection.slower->faster : slowest_) = connection.faster;
    (connection.faster != nullptr ? connection.faster->slower : fastest_) = connection.slower;
    connection.slower = connection.faster = nullptr;
  }

 private:
  Connection* slowest_ = nullptr;
  Connection* fastest_ = nullptr;
};

}  // namespace iol::http
