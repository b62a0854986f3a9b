// node/http_binding.h: one HTTP server of an environment: Connections on its uv loop.
//
//   uv_poll (the engine's epoll set), uv_timer -> turn() -> onRequest(target) in JavaScript
//                                                 record: what else TypeScript needs, as numbers
//
// One callback scope per turn that has something to tell, so that promises and ticks run once,
// after all requests of the turn.
//
// Ownership   a shared_ptr with JavaScript's external and, while it is open, with its uv handles.
// Threads     the environment's own.
// Failure     start() answers System, PoolFull and the like. A JavaScript exception, which
//             lib/http.ts has answered 500, is an uncaught one, as in Node's own server.
// May include everything below node/
#pragma once

#include <node_api.h>
#include <uv.h>

#include <memory>
#include <optional>
#include <string>

#include "http/connections.h"
#include "node/call.h"
#include "node/env.h"
#include "node/repeats.h"

namespace iol::node {

class HttpBinding final : public http::RequestHandler,
                          public std::enable_shared_from_this<HttpBinding> {
 public:
  // Uint32: slot, epoch, method | version << 8 | target form << 16 | secure << 24, known headers,
  // repeated ones; of Secure the descriptors network and plain, which whoever takes sets to 0.
  static constexpr size_t kRecordWords = 7;
  enum class Event : int32_t {
    Writable,
    Closed,
    Drained,
    Body,
    Incidents,
    Secure,
    SecureEnd,
    SecureCut,
  };

  struct Script {
    napi_value onRequest;  // (target: string)
    napi_value onEvent;    // (event: number, slot: number, epoch: number)
    napi_value record;     // Uint32Array(kRecordWords)
  };
  static Result<std::shared_ptr<HttpBinding>> start(EnvState& state, Pool& pool, sys::Fd listener,
                                                    const http::Connections::Options& options,
                                                    const Script& script);
  explicit HttpBinding(EnvState& state) : state_(state) {}
  ~HttpBinding() = default;

  // Null when the server has ended.
  http::Connections* connections() const { return connections_.get(); }
  const http::Connections::Stats& stats() const {
    return connections_ ? connections_->stats() : lastStats_;
  }
  // Outlives the connections.
  http::AnswerLog& log() { return connections_ ? connections_->log() : lastLog_; }
  Repeats& repeats() { return repeats_; }
  const sys::Endpoint& endpoint() const { return endpoint_; }
  const std::string& path() const { return path_; }  // Of a socket of the file system, else empty.
  void setReferenced(bool isReferenced);

  // Around every call into connections(): what ends during the call is put away after it.
  class Entry {
   public:
    explicit Entry(HttpBinding& binding) : binding_(binding) { ++binding_.depth_; }
    ~Entry() {
      if (--binding_.depth_ == 0) binding_.afterCall();
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

   private:
    HttpBinding& binding_;
  };

  void onRequest(const http::RequestView& request) override;
  void onWritable(http::RequestId id) override { tell(Event::Writable, id); }
  void onBody(http::RequestId id) override { tell(Event::Body, id); }
  void onClosed(http::RequestId id) override { tell(Event::Closed, id); }
  void onDrained() override { isDrained_ = true; }
  void onSecure(http::ConnectionId id, sys::Fd network, sys::Fd plain) override;
  void onSecureEnd(http::ConnectionId id, bool isCut) override {
    tell(isCut ? Event::SecureCut : Event::SecureEnd, {id.slot, id.epoch});
  }

 private:
  Status serve(Pool& pool, sys::Fd listener, const http::Connections::Options& options);
  Status startHandles();
  void turn();
  void afterCall();
  void armTimer();
  void finish(bool tellsScript);
  void closeHandles();
  // The callback in this turn's scope; opens the scope when a uv callback has none yet.
  napi_value functionOf(napi_ref reference);
  void tell(Event event, http::RequestId id);
  void reportException();

  EnvState& state_;
  std::unique_ptr<http::Connections> connections_;
  Repeats repeats_;
  http::Connections::Stats lastStats_;
  http::AnswerLog lastLog_;
  sys::Endpoint endpoint_;
  std::string path_;
  napi_ref onRequest_ = nullptr;
  napi_ref onEvent_ = nullptr;
  napi_ref recordArray_ = nullptr;
  uint32_t* record_ = nullptr;
  uv_poll_t poll_{};
  uv_timer_t timer_{};
  int64_t timerLookMs_ = -1;
  uint32_t depth_ = 0;
  uint32_t openHandles_ = 0;
  bool isInTurn_ = false;
  bool isDrained_ = false;
  std::optional<LoopScope> scope_;        // Of this turn.
  napi_value requestFunction_ = nullptr;  // Valid in it.
  napi_value receiver_ = nullptr;
  std::shared_ptr<HttpBinding> self_;  // While the uv handles are open.
};

using BindingPointer = std::shared_ptr<HttpBinding>;
// Of the external that httpListen gave.
HttpBinding& serverAt(napi_env env, napi_value value);
// A string that may be a path.
std::string textAt(napi_env env, napi_value value);

// The request target as TypeScript sees it: path and query, whatever form it came in.
napi_value targetValue(napi_env env, const http::RequestView& request);
// A part of a head as a latin1 string.
napi_value rangeValue(napi_env env, const http::RequestView& request, http::HeadRange range);

}  // namespace iol::node
