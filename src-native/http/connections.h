// http/connections.h: HTTP/1 connections of one listener: bytes in, requests out, answers in order.
//
//   pollFd() readable, or nextTimeoutMs() over  ->  turn()
//     accept | receive -> HeadParser -> handler.onRequest(view)  ...  respond(id, head, body)
//            | send what was blocked | expire         -> one sendmsg [head][date, connection][body]
//
// The caller decides about every request, at once or later; the engine keeps the protocol: order,
// persistence, framing, draining, limits, time. It never blocks and knows nothing of files.
//
// Ownership   borrows the pool and the handler, which outlive it; takes holds of its own on what it
//             cannot send at once. Idle connections hold no window memory.
// Threads     the domain's own. The handler may call back from inside its methods.
// Failure     create: System, PoolFull and the like. Closed: the request was answered before or its
//             client has left; nothing was taken and nothing is to be done. Clients never make a
//             call fail.
// Cost        a request on a kept connection that is answered at once: one recv, one sendmsg, no
//             heap, no hold; epoll_wait shared by all that were ready.
// May include base/ sys/ window/ pool/ aggregate/ net/
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "http/answer_log.h"
#include "http/connection.h"
#include "http/incidents.h"
#include "http/prebuilt.h"
#include "http/receive_buffers.h"
#include "http/timer_wheel.h"
#include "net/gather.h"
#include "pool/pool.h"
#include "sys/clock.h"
#include "sys/fd.h"
#include "sys/poll_set.h"

namespace iol::http {

constexpr uint32_t kHeadBytesLimit = 64 << 10;  // The most that headBytesMax may be.
constexpr uint32_t kPipelineLimit = 64;         // The most that pipelineMax may be.
// A head of kHeadBytesLimit in buffers that are left with at most kRoomMin unused.
constexpr uint32_t kRoomMin = 256;
constexpr uint32_t kSpansMax = kHeadBytesLimit / (kReceiveBytes - kRoomMin) + 3;

// A request as it was received. The ranges of `head` are read through `text`.
struct RequestView {
  RequestId id;
  const RequestHead& head;
  HeadText text;
};

class RequestHandler {
 public:
  // The view is good until this returns; afterwards view() gives it again until the answer.
  virtual void onRequest(const RequestView& request) = 0;
  // A write that was told to wait has gone out.
  virtual void onWritable(RequestId id) = 0;
  // A readBody that was told to wait may be tried again.
  virtual void onBody(RequestId id) = 0;
  // The client left, or a limit was met, before the answer was complete. Not told of requests
  // whose answer is complete, sent or not.
  virtual void onClosed(RequestId id) = 0;
  // After close(): the last connection has ended.
  virtual void onDrained() = 0;
  // Of a secure server: a client has connected. It speaks TLS at `network`; what is inside goes to
  // and from `plain`. Both are the handler's.
  virtual void onSecure(ConnectionId /*id*/, sys::Fd /*network*/, sys::Fd /*plain*/) {}
  // Such a connection has ended: with what `plain` still has for the client, or cut.
  virtual void onSecureEnd(ConnectionId /*id*/, bool /*isCut*/) {}

 protected:
  ~RequestHandler() = default;
};

class Connections {
 public:
  struct Options {
    HeadLimits head;
    uint32_t connectionsMax = 10'000;  // Further ones wait in the listener's backlog.
    uint32_t pipelineMax = 16;         // Unanswered requests of a connection; then it is not read.
    uint64_t bodyBytesMax = 1 << 20;   // Of a request body; a longer one ends the connection.
    uint32_t bodyTimeoutMs = 60'000;   // Without a byte of a body that is being read.
    // Of such a body, while it is waited for, once that time has passed; 0: none.
    uint32_t bodyBytesPerSecondMin = 500;
    uint32_t headTimeoutMs = 10'000;  // From the first byte of a head, or of a body being drained.
    uint32_t idleTimeoutMs = 60'000;  // Between requests, and before the first.
    uint32_t sendTimeoutMs = 60'000;  // Without any progress.
    uint32_t answerTimeoutMs = 0;     // Without a decision, or a part, of the program's; 0: none.
    // Of all connections' answers that wait for their sockets. Beyond it each connection has one
    // request at a time, and at the end of a turn who has taken nothing for the longest is cut.
    uint64_t queuedBytesMax = 4ull << 30;
    // A large buffer is copied to sockets so often before it is sent by reference; 0: always.
    uint32_t copiesBeforeReference = 32;
    bool isSecure = false;  // The handler carries the bytes of all connections through TLS.
    const sys::Clock* clock = &sys::systemClock();
  };
  struct Stats {
    uint64_t connectionsOpen = 0;
    uint64_t connectionsTotal = 0;
    uint64_t requests = 0;                // Well-formed ones.
    std::array<uint64_t, 6> responses{};  // By class: [2] is 2xx; [0] had no status line.
    uint64_t bytesSent = 0;
    uint64_t bytesByReference = 0;  // Of these, by sendfile.
    uint64_t malformed = 0;         // Heads and bodies refused.
    uint64_t refusedForMemory = 0;
    uint64_t headTimeouts = 0;
    uint64_t bodyTimeouts = 0;
    uint64_t idleTimeouts = 0;
    uint64_t sendTimeouts = 0;
    uint64_t answerTimeouts = 0;
    uint64_t clientsLost = 0;  // Gone before their answer was complete.
    uint64_t receives = 0;     // System calls.
    uint64_t sends = 0;        // System calls.
    uint64_t partialSends = 0;
    uint64_t acceptPauses = 0;
    uint64_t acceptFailures = 0;  // For want of descriptors or memory.
    uint64_t bytesQueued = 0;     // Now.
    uint64_t queueCuts = 0;       // Connections cut because of queuedBytesMax.
  };

  static Result<std::unique_ptr<Connections>> create(Pool& pool, RequestHandler& handler,
                                                     sys::Fd listener, const Options& options);
  // Cuts what is open; the handler is not told.
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  // Readable when turn() has something to do before nextTimeoutMs() is over.
  const sys::Fd& pollFd() const { return poll_.fd(); }
  // Milliseconds until turn() is due at the latest; -1: no need.
  int64_t nextTimeoutMs() const;
  // The same as a moment of the clock, which changes seldom: 0 is at once, -1 never.
  int64_t nextLookMs() const { return ready_.empty() ? timers_.nextLookMs() : 0; }
  // From now on; heads that are being read, and connections that are open, keep their head limits.
  void setOptions(const Options& options);
  // Handles at most `eventsMax` ready connections and all that is due.
  void turn(uint32_t eventsMax = 1024);

  // Answers a request, once: `head` is the status line and header lines, each with CRLF; Date,
  // Connection and the empty line are added. `body` may be null; it is dropped for HEAD. Both are
  // borrowed: holds are taken on what could not be sent at once.
  Status respond(RequestId id, const Aggregate& head, const Aggregate* body,
                 Persistence persistence);
  // Answers with a short text of the engine's own; takes no memory.
  Status refuse(RequestId id, uint16_t httpStatus, Persistence persistence);

  // The next bytes of the request's body, at least 1 and at most `bytesMax`; none: it has ended.
  // WouldBlock: wait for onBody. TimedOut and TooLarge (413): no more of it will come, and the
  // answer ends the connection. So with Aborted: the client has ended before its body did, and
  // BadBody: it is malformed. Nothing is received before it is asked for, so the client waits; what
  // was not read when the answer is complete is dropped. The first call asks the client to go on
  // (100-continue). The bytes are in `pool`, a pool of this domain: whoever may read that may be
  // given them.
  // Cost: bytes that came with the head are copied (CopyReason::Head), the others are received
  // where they stay.
  Result<Aggregate> readBody(RequestId id, uint32_t bytesMax, Pool& pool);
  Result<Aggregate> readBody(RequestId id, uint32_t bytesMax) {
    return readBody(id, bytesMax, pool_);
  }
  // The client's address, or ours: one system call, which of a connection's client is the first's.
  enum class Side : uint8_t { Client, Server };
  Result<sys::Endpoint> endpointOf(RequestId id, Side side);

  // An answer in parts: start, write as often as needed, end. Without a length the end of the
  // connection ends the body; with kSelfDelimited the caller's own coding does.
  static constexpr uint64_t kSelfDelimited = UINT64_MAX;
  Status start(RequestId id, const Aggregate& head, std::optional<uint64_t> bodyBytes,
               Persistence persistence);
  // True: go on. False: taken, but wait for onWritable. TooLarge: more than was announced.
  Result<bool> write(RequestId id, const Aggregate& part);
  // A body shorter than announced cuts the connection: nobody could tell where the next answer is.
  Status end(RequestId id);
  // Cuts the connection with a reset.
  void abort(RequestId id);

  // Known and not answered completely: its client may still be there.
  bool isOpen(RequestId id) const { return find(id) != nullptr; }
  // The request again, while it is undecided or streaming. `storage` is borrowed by the view.
  std::optional<RequestView> view(RequestId id, std::span<ByteSpan, kSpansMax> storage) const;

  // What refuse() and the engine itself answer with for one of their statuses, from now on; null:
  // the engine's own text again. False: it never answers that status.
  Result<bool> setErrorAnswer(uint16_t httpStatus, const Aggregate* head, const Aggregate* body) {
    return errors_.set(httpStatus, head, body);
  }

  // Accepts no more, ends idle connections, the others after their answer. Then onDrained.
  void close();
  // Cuts everything now.
  void destroy();

  // As of the turn, or the last call, of the clock.
  int64_t nowMs() const { return nowMs_; }
  const Stats& stats() const { return stats_; }
  bool isSecure() const { return isSecure_; }
  AnswerLog& log() { return log_; }
  Incidents& incidents() { return incidents_; }

 private:
  Connections(Pool& pool, RequestHandler& handler, sys::Fd listener, const Options& options,
              sys::PollSet poll, sys::Wakeup wakeup);
  void refreshClock();

  // connections_accept.cc: from the listener to the first byte.
  void acceptReady();
  void openPlain(sys::Fd fd);
  Connection& open(sys::Fd fd);
  void pauseAccepting(int64_t forMs, int error);
  void resumeAccepting();

  // connections.cc: events, time, ending.
  void handleEvent(const sys::Readiness& event);
  void resumeReady();
  void resumeSending(Connection& connection);
  void scheduleTurn(Connection& connection);
  void expire();
  void expireConnection(Connection& connection);
  void expireAnswer(Connection& connection);
  void settle(Connection& connection);
  void updateInterest(Connection& connection, bool isExact);
  Status watch(Connection& connection, sys::Interest interest);
  void updateTimeout(Connection& connection);
  void armTimeout(Connection& connection, TimeoutKind kind);
  void setTimeoutKind(Connection& connection, TimeoutKind kind);
  void finishClosing(Connection& connection);
  void drainLingering(Connection& connection);
  enum class Ending : uint8_t { Close, Reset };
  void destroy(Connection& connection, Ending ending);
  void noteDrained();
  void dropExchanges(Connection& connection);

  // connections_secure.cc: connections whose bytes the handler carries, and addresses.
  int makeSparePair();
  void openSecure(sys::Fd network);

  // connections_exchanges.cc: the requests of a connection.
  Exchange* takeExchange(Connection& connection);
  void releaseExchange(Exchange* exchange);
  void pushExchange(Connection& connection, Exchange* exchange);
  void popFirst(Connection& connection);
  Exchange* find(RequestId id) const;
  void noteQueued(Exchange& exchange);
  void relieveQueue();
  Result<sys::Endpoint> clientOf(Connection& connection);
  void note(IncidentKind kind, Connection* connection, uint16_t httpStatus = 0,
            const char* why = "", int error = 0);

  // connections_receive.cc: from bytes to requests.
  bool wantsBytes(const Connection& connection) const;
  bool takesMore(const Connection& connection) const;
  void receive(Connection& connection);
  ReceiveBuffer* roomFor(Connection& connection);
  void endInput(Connection& connection);
  void process(Connection& connection);
  bool parseHead(Connection& connection);
  void dispatch(Connection& connection, Exchange& exchange, std::span<const ByteSpan> spans);
  bool canParse(const Connection& connection) const;
  void refuseInput(Connection& connection, uint16_t httpStatus);
  bool asksForHead(const Connection& connection) const;
  void refuseForMemory(Connection& connection);
  void consume(Connection& connection, uint32_t bytes);
  void releaseInput(Connection& connection);

  // connections_body.cc: the bodies of requests, read by the program or dropped.
  bool frameBody(Connection& connection, Exchange& exchange);
  bool drainBody(Connection& connection);
  bool dropBodyRun(Connection& connection);
  void stopTaking(Connection& connection);
  void abandonBody(Exchange& exchange);
  void failBody(Connection& connection, BodyState why);
  void finishBody(Connection& connection);
  void tellBody(Connection& connection);
  Status goOn(Connection& connection, Exchange& exchange);
  Status takeUnparsedBody(Connection& connection, Draft& draft, uint32_t* filled);
  Result<Aggregate> receiveBody(Connection& connection, uint32_t bytesMax, Pool& pool);
  Status receiveFraming(Connection& connection);
  Status waitForBody(Connection& connection);
  int64_t bodyPatienceMs(const Connection& connection) const;
  Status countReceived(Connection& connection, const Result<uint32_t>& received);

  // connections_send.cc: from answers to bytes.
  enum class Sent : uint8_t { All, Part, Lost };
  Sent sendNow(Connection& connection, Exchange& exchange, std::span<const Aggregate* const> parts,
               sys::More more);
  Status answer(Exchange& exchange, const Aggregate& head, const Aggregate* body,
                Persistence persistence);
  Result<net::SendCount> send(Connection& connection, std::span<const Aggregate* const> parts,
                              sys::More more);
  void trust(Connection& connection, const Aggregate& part);
  void noteRoom(Connection& connection);
  void setEager(Connection& connection, bool isEager);
  void flush(Connection& connection);
  bool sendQueued(Connection& connection, Exchange& exchange);
  void afterAnswer(Connection& connection);

  // What the poll set says of a connection: an event of an earlier epoch is for nobody.
  static uint64_t tagOf(const Connection& connection) {
    return uint64_t{connection.epoch} << 32 | connection.slot;
  }
  static constexpr uint64_t kListenerTag = UINT64_MAX;
  static constexpr uint64_t kWakeupTag = UINT64_MAX - 1;
  static constexpr uint32_t kAcceptTimer = UINT32_MAX;

  Pool& pool_;
  RequestHandler& handler_;
  Options options_;
  sys::Fd listener_;
  sys::PollSet poll_;
  sys::Wakeup wakeup_;
  ReceiveBuffers buffers_;
  HeadEnds headEnds_;
  ErrorAnswers errors_;
  AnswerLog log_;
  Incidents incidents_;
  net::HotBuffers hot_;
  TimerWheel timers_;
  TimerNode acceptTimer_;
  int64_t nowMs_ = 0;
  const bool isSecure_;
  const uint32_t unsentBytesMax_;
  sys::StreamPair spare_;  // For the next secure connection.
  bool isInTurn_ = false;
  bool isAcceptPaused_ = false;
  bool isClosing_ = false;
  bool isDrained_ = false;
  bool isReliefDue_ = false;  // The wake-up for it was signalled.
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<uint32_t> freeConnections_;
  std::vector<std::unique_ptr<Exchange>> exchanges_;
  Exchange* freeExchanges_ = nullptr;
  WaitingConnections waiting_;   // Whose timeout is Send.
  std::vector<uint64_t> ready_;  // Tags of connections with bytes left to parse or to send.
  Stats stats_;
};

}  // namespace iol::http
