// node/wrap_http.cc: HTTP servers for lib/http.ts.
//
// A server is an external; a request is two numbers, slot and epoch. Calls on a request answer
// whether its client is still there: false is no error, the answer has nowhere to go.

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "aggregate/trusted.h"
#include "http/answer_head.h"
#include "http/value_ids.h"
#include "node/call.h"
#include "node/exports.h"
#include "node/http_binding.h"
#include "node/http_options.h"

namespace iol::node {
namespace {

template <size_t N>
http::RequestId requestAt(const Call<N>& call, size_t i) {
  http::RequestId id;
  napi_get_value_uint32(call.env(), call.value(i), &id.slot);
  napi_get_value_uint32(call.env(), call.value(i + 1), &id.epoch);
  return id;
}

template <size_t N>
http::Persistence persistenceAt(const Call<N>& call, size_t i) {
  return call.intAt(i) != 0 ? http::Persistence::Close : http::Persistence::KeepAlive;
}

// True, false when the client has left, or an exception.
template <size_t N>
napi_value taken(const Call<N>& call, const Status& status) {
  if (status.isOk()) return call.boolean(true);
  if (status.code() == Code::Closed) return call.boolean(false);
  return call.fail(status);
}

// The head that an answer begins with, or null with an exception. What is checked is what is sent:
// of another domain's bytes a copy, which is put into `own`.
template <size_t N>
const Aggregate* headAt(const Call<N>& call, size_t i, std::optional<Aggregate>& own) {
  const Aggregate* head = call.state().aggregates().get(call.handle(i));
  if (head == nullptr) {
    call.failClosed("aggregate");
    return nullptr;
  }
  if (isForeign(*head)) {
    Result<Aggregate> copy = trustedCopy(*head, call.state().defaultPool());
    if (!copy.isOk()) {
      call.fail(copy.status());
      return nullptr;
    }
    head = &own.emplace(copy.take());
  }
  if (!http::isAnswerHead(*head)) {
    napi_throw_type_error(call.env(), "ERR_INVALID_ARG_VALUE",
                          "The argument 'head' must be a status line (HTTP/1...) and header lines, "
                          "each ended by CRLF, without the empty line after them");
    return nullptr;
  }
  return head;
}

// httpListen(pool, place, numbers, record, onRequest, onEvent, kind, number) -> server
napi_value httpListen(napi_env env, napi_callback_info info) {
  Call<8> call(env, info);
  if (!call.isReady()) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(0));
  if (pool == nullptr) return call.failClosed("pool");
  const HttpNumbers given{reinterpret_cast<const double*>(call.spanAt(2).data)};
  const HttpPlace place{static_cast<HttpPlace::Kind>(call.intAt(6)), textAt(env, call.value(1)),
                        call.intAt(7)};
  Result<sys::Fd> listener = place.listen(given);
  if (!listener.isOk()) return call.fail(listener.status(), place.shown(given).c_str());
  Result<BindingPointer> binding =
      HttpBinding::start(call.state(), *pool, listener.take(), given.options(),
                         {call.value(4), call.value(5), call.value(3)});
  if (!binding.isOk()) return call.fail(binding.status(), place.shown(given).c_str());
  napi_value server = nullptr;
  napi_create_external(
      env, new BindingPointer(binding.take()),
      [](napi_env, void* data, void*) { delete static_cast<BindingPointer*>(data); }, nullptr,
      &server);
  return server;
}

// httpEndpoint(server) -> host; scratch[0]: port
napi_value httpEndpoint(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  const sys::Endpoint& endpoint = serverAt(env, call.value(0)).endpoint();
  call.state().scratch()[0] = endpoint.port;
  napi_value host = nullptr;
  napi_create_string_latin1(env, endpoint.host, NAPI_AUTO_LENGTH, &host);
  return host;
}

// httpRespond(server, slot, epoch, head, body or 0, closes) -> boolean
napi_value httpRespond(napi_env env, napi_callback_info info) {
  Call<6> call(env, info);
  if (!call.isReady()) return nullptr;
  HttpBinding& server = serverAt(env, call.value(0));
  std::optional<Repeats::Proposal> proposal = server.repeats().takeProposal(requestAt(call, 1));
  std::optional<Aggregate> ownHead;
  const Aggregate* head = headAt(call, 3, ownHead);
  if (head == nullptr) return nullptr;
  const int32_t bodyHandle = call.handle(4);
  const Aggregate* body = bodyHandle == 0 ? nullptr : call.state().aggregates().get(bodyHandle);
  if (bodyHandle != 0 && body == nullptr) return call.failClosed("aggregate");
  if (server.connections() == nullptr) return call.boolean(false);
  const HttpBinding::Entry entry(server);
  const Status status =
      server.connections()->respond(requestAt(call, 1), *head, body, persistenceAt(call, 5));
  if (proposal && status.isOk()) server.repeats().keep(std::move(*proposal), *head, body);
  return taken(call, status);
}

// httpRespondFile(server, slot, epoch, head, closes, cache, file, offset, length)
//   -> false when the file is not fresh or the disk is needed: the request is still to be answered
napi_value httpRespondFile(napi_env env, napi_callback_info info) {
  Call<9> call(env, info);
  if (!call.isReady()) return nullptr;
  HttpBinding& server = serverAt(env, call.value(0));
  std::optional<Repeats::Proposal> proposal = server.repeats().takeProposal(requestAt(call, 1));
  std::optional<Aggregate> ownHead;
  const Aggregate* head = headAt(call, 3, ownHead);
  if (head == nullptr) return nullptr;
  CacheEntry* entry = call.state().caches().get(call.handle(5));
  if (entry == nullptr) return call.failClosed("file cache");
  const CachedFilePtr* file = call.state().files().get(call.handle(6));
  if (file == nullptr) return call.failClosed("cached file");
  if (!(*file)->isFresh()) return call.boolean(false);
  Result<Aggregate> body = entry->cache->tryRead(**file, call.bytesAt(7), call.bytesAt(8));
  if (body.status().code() == Code::WouldBlock) return call.boolean(false);
  if (!body.isOk()) return call.fail(body.status(), (*file)->path().c_str());
  if (server.connections() == nullptr) return call.boolean(true);
  const HttpBinding::Entry inside(server);
  const Status status = server.connections()->respond(requestAt(call, 1), *head, &body.value(),
                                                      persistenceAt(call, 4));
  if (proposal && status.isOk()) {
    server.repeats().keep(std::move(*proposal), *head, {*file, call.bytesAt(7), call.bytesAt(8)});
  }
  // A client that has left is answered as well as it can be.
  if (!status.isOk() && status.code() != Code::Closed) return call.fail(status);
  return call.boolean(true);
}

// httpRefuse(server, slot, epoch, status, closes) -> boolean
napi_value httpRefuse(napi_env env, napi_callback_info info) {
  Call<5> call(env, info);
  if (!call.isReady()) return nullptr;
  HttpBinding& server = serverAt(env, call.value(0));
  if (server.connections() == nullptr) return call.boolean(false);
  const HttpBinding::Entry entry(server);
  return taken(
      call, server.connections()->refuse(requestAt(call, 1), static_cast<uint16_t>(call.intAt(3)),
                                         persistenceAt(call, 4)));
}

// httpSetErrorAnswer(server, status, head or 0, body or 0) -> false: there is no such status
napi_value httpSetErrorAnswer(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  HttpBinding& server = serverAt(env, call.value(0));
  std::optional<Aggregate> ownHead;
  const Aggregate* head = call.handle(2) == 0 ? nullptr : headAt(call, 2, ownHead);
  if (call.handle(2) != 0 && head == nullptr) return nullptr;
  const int32_t bodyHandle = call.handle(3);
  const Aggregate* body = bodyHandle == 0 ? nullptr : call.state().aggregates().get(bodyHandle);
  if (bodyHandle != 0 && body == nullptr) return call.failClosed("aggregate");
  if (server.connections() == nullptr) return call.boolean(true);
  const auto httpStatus = static_cast<uint16_t>(call.intAt(1));
  const Result<bool> isKnown = server.connections()->setErrorAnswer(httpStatus, head, body);
  return isKnown.isOk() ? call.boolean(isKnown.value()) : call.fail(isKnown.status());
}

// httpStart(server, slot, epoch, head, bodyBytes or -1: none, -2: self-delimited, closes)
//   -> boolean
napi_value httpStart(napi_env env, napi_callback_info info) {
  Call<6> call(env, info);
  if (!call.isReady()) return nullptr;
  HttpBinding& server = serverAt(env, call.value(0));
  std::optional<Aggregate> ownHead;
  const Aggregate* head = headAt(call, 3, ownHead);
  if (head == nullptr) return nullptr;
  if (server.connections() == nullptr) return call.boolean(false);
  std::optional<uint64_t> bodyBytes;
  if (call.doubleAt(4) >= 0) bodyBytes = call.bytesAt(4);
  if (call.doubleAt(4) == -2) bodyBytes = http::Connections::kSelfDelimited;
  const HttpBinding::Entry entry(server);
  return taken(call, server.connections()->start(requestAt(call, 1), *head, bodyBytes,
                                                 persistenceAt(call, 5)));
}

// httpWrite(server, slot, epoch, part) -> 0: the client has left, 1: go on, 2: wait
napi_value httpWrite(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  HttpBinding& server = serverAt(env, call.value(0));
  const Aggregate* part = call.state().aggregates().get(call.handle(3));
  if (part == nullptr) return call.failClosed("aggregate");
  if (server.connections() == nullptr) return call.int32(0);
  const HttpBinding::Entry entry(server);
  const Result<bool> goesOn = server.connections()->write(requestAt(call, 1), *part);
  if (goesOn.isOk()) return call.int32(goesOn.value() ? 1 : 2);
  if (goesOn.status().code() == Code::Closed) return call.int32(0);
  return call.fail(goesOn.status());
}

// httpEnd(server, slot, epoch) -> boolean
napi_value httpEnd(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  HttpBinding& server = serverAt(env, call.value(0));
  if (server.connections() == nullptr) return call.boolean(false);
  const HttpBinding::Entry entry(server);
  return taken(call, server.connections()->end(requestAt(call, 1)));
}

// httpAbort(server, slot, epoch)
napi_value httpAbort(napi_env env, napi_callback_info info) {
  Call<3> call(env, info, Needs::Nothing);
  HttpBinding& server = serverAt(env, call.value(0));
  if (server.connections() == nullptr) return nullptr;
  const HttpBinding::Entry entry(server);
  server.connections()->abort(requestAt(call, 1));
  return nullptr;
}

bool hasName(const http::RequestView& request, http::HeadRange range, const char* name,
             size_t length) {
  return request.text.equalsIgnoringCase(range, std::string_view(name, length));
}

// httpHeader(server, slot, epoch, lowerCaseName) -> string or undefined; several joined by ", "
napi_value httpHeader(napi_env env, napi_callback_info info) {
  Call<4> call(env, info, Needs::Nothing);
  HttpBinding& server = serverAt(env, call.value(0));
  char name[128];
  size_t length = 0;
  napi_get_value_string_latin1(env, call.value(3), name, sizeof name, &length);
  http::ByteSpan storage[http::kSpansMax];
  const std::optional<http::RequestView> request =
      server.connections() != nullptr ? server.connections()->view(requestAt(call, 1), storage)
                                      : std::nullopt;
  if (!request) return call.failClosed("request");
  napi_value value = nullptr;
  for (uint32_t i = 0; i < request->head.fieldCount; ++i) {
    const http::HeaderField& field = request->head.fields[i];
    if (!hasName(*request, field.name, name, length)) continue;
    napi_value next = rangeValue(env, *request, field.value);
    if (value == nullptr) {
      value = next;
      continue;
    }
    std::string joined;
    for (napi_value each : {value, next}) {
      size_t bytes = 0;
      napi_get_value_string_latin1(env, each, nullptr, 0, &bytes);
      const size_t from = joined.empty() ? 0 : (joined += ", ").size();
      joined.resize(from + bytes + 1);
      napi_get_value_string_latin1(env, each, joined.data() + from, bytes + 1, &bytes);
      joined.resize(from + bytes);
    }
    napi_create_string_latin1(env, joined.data(), joined.size(), &value);
  }
  return value;
}

// httpValueId(server, slot, epoch, index of a known header) -> number, or 0
napi_value httpValueId(napi_env env, napi_callback_info info) {
  Call<4> call(env, info, Needs::Nothing);
  HttpBinding& server = serverAt(env, call.value(0));
  http::ByteSpan storage[http::kSpansMax];
  const std::optional<http::RequestView> request =
      server.connections() != nullptr ? server.connections()->view(requestAt(call, 1), storage)
                                      : std::nullopt;
  if (!request) return call.failClosed("request");
  const auto index = static_cast<uint32_t>(call.intAt(3));
  const auto header = static_cast<http::KnownHeader>(index);
  if (index >= http::kKnownHeaderCount || !request->head.has(header)) return call.number(0);
  if ((request->head.repeatedHeaders & http::bitOf(header)) != 0) return call.number(0);
  const http::HeadRange value = request->head.valueOf(header);
  const uint8_t* bytes = request->text.contiguous(value);
  if (bytes == nullptr) return call.number(0);
  // Of all servers of this thread: who decides by values does so for all of them.
  thread_local http::ValueIds ids;
  return call.number(static_cast<double>(ids.idOf(bytes, value.length)));
}

// httpHeaders(server, slot, epoch) -> [name, value, name, value, ...] as they were received
napi_value httpHeaders(napi_env env, napi_callback_info info) {
  Call<3> call(env, info, Needs::Nothing);
  HttpBinding& server = serverAt(env, call.value(0));
  http::ByteSpan storage[http::kSpansMax];
  const std::optional<http::RequestView> request =
      server.connections() != nullptr ? server.connections()->view(requestAt(call, 1), storage)
                                      : std::nullopt;
  if (!request) return call.failClosed("request");
  napi_value list = nullptr;
  napi_create_array_with_length(env, 2 * request->head.fieldCount, &list);
  for (uint32_t i = 0; i < request->head.fieldCount; ++i) {
    const http::HeaderField& field = request->head.fields[i];
    napi_set_element(env, list, 2 * i, rangeValue(env, *request, field.name));
    napi_set_element(env, list, 2 * i + 1, rangeValue(env, *request, field.value));
  }
  return list;
}

// httpCopyRequest(server, slot, epoch, to, at): a line "ADDRESS PORT" of the client, of a secure
// connection followed by those of the server, and the head as it was received
//   -> bytes of both, also when they do not fit; scratch[0]: of the line
napi_value httpCopyRequest(napi_env env, napi_callback_info info) {
  Call<5> call(env, info, Needs::Nothing);
  HttpBinding& server = serverAt(env, call.value(0));
  if (server.connections() == nullptr) return call.failClosed("request");
  using Side = http::Connections::Side;
  const http::RequestId id = requestAt(call, 1);
  const Result<sys::Endpoint> client = server.connections()->endpointOf(id, Side::Client);
  if (!client.isOk()) return call.fail(client.status());
  std::string line = std::string(client.value().host) + " " + std::to_string(client.value().port);
  if (server.connections()->isSecure()) {
    const Result<sys::Endpoint> own = server.connections()->endpointOf(id, Side::Server);
    if (!own.isOk()) return call.fail(own.status());
    line += std::string(" ") + own.value().host + " " + std::to_string(own.value().port);
  }
  line += '\n';
  const auto lineBytes = static_cast<uint32_t>(line.size());
  call.state().scratch()[0] = lineBytes;
  http::ByteSpan storage[http::kSpansMax];
  const std::optional<http::RequestView> request =
      server.connections() != nullptr ? server.connections()->view(requestAt(call, 1), storage)
                                      : std::nullopt;
  if (!request) return call.failClosed("request");
  const auto to = call.spanAt(3);
  uint64_t at = call.bytesAt(4);
  const uint32_t length = request->head.byteLength;
  if (at <= to.length && lineBytes + length <= to.length - at) {
    std::copy_n(line.data(), lineBytes, to.data + at);
    at += lineBytes;
    uint32_t copied = 0;
    for (const http::ByteSpan& span : storage) {
      if (copied == length) break;
      const uint32_t bytes = std::min(span.length, length - copied);
      copyBytes(to.data + at + copied, span.data, bytes, CopyReason::Head);
      copied += bytes;
    }
  }
  return call.number(lineBytes + length);
}

// httpAddress(server, slot, epoch, isServer) -> host; scratch[0]: port
napi_value httpAddress(napi_env env, napi_callback_info info) {
  Call<4> call(env, info, Needs::Nothing);
  HttpBinding& server = serverAt(env, call.value(0));
  if (server.connections() == nullptr) return call.failClosed("request");
  using Side = http::Connections::Side;
  const Result<sys::Endpoint> endpoint = server.connections()->endpointOf(
      requestAt(call, 1), call.boolAt(3) ? Side::Server : Side::Client);
  if (!endpoint.isOk()) return call.fail(endpoint.status());
  call.state().scratch()[0] = endpoint.value().port;
  napi_value host = nullptr;
  napi_create_string_latin1(env, endpoint.value().host, NAPI_AUTO_LENGTH, &host);
  return host;
}

// httpReadBody(server, slot, epoch, bytesMax, pool or 0: the server's)
//   -> aggregate; 0: the end; -1: wait for Body
napi_value httpReadBody(napi_env env, napi_callback_info info) {
  Call<5> call(env, info);
  if (!call.isReady()) return nullptr;
  HttpBinding& server = serverAt(env, call.value(0));
  if (server.connections() == nullptr) return call.failClosed("request");
  const int32_t poolHandle = call.handle(4);
  Pool* pool = poolHandle == 0 ? nullptr : call.state().poolOf(poolHandle);
  if (poolHandle != 0 && pool == nullptr) return call.failClosed("pool");
  const HttpBinding::Entry entry(server);
  http::Connections& connections = *server.connections();
  const auto bytesMax = static_cast<uint32_t>(call.intAt(3));
  Result<Aggregate> bytes = pool != nullptr
                                ? connections.readBody(requestAt(call, 1), bytesMax, *pool)
                                : connections.readBody(requestAt(call, 1), bytesMax);
  if (bytes.status().code() == Code::WouldBlock) return call.int32(-1);
  if (!bytes.isOk()) return call.fail(bytes.status());
  if (bytes.value().byteLength() == 0) return call.int32(0);
  return call.newAggregate(bytes.take());
}

// httpMethod(server, slot, epoch) -> the method's token as it was received, or undefined
napi_value httpMethod(napi_env env, napi_callback_info info) {
  Call<3> call(env, info, Needs::Nothing);
  HttpBinding& server = serverAt(env, call.value(0));
  http::ByteSpan storage[http::kSpansMax];
  if (server.connections() == nullptr) return nullptr;
  const auto request = server.connections()->view(requestAt(call, 1), storage);
  return request ? rangeValue(env, *request, request->head.methodToken) : nullptr;
}

// httpClose(server): gracefully; Drained is told when the last connection has ended.
napi_value httpClose(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  HttpBinding& server = serverAt(env, call.value(0));
  if (server.connections() == nullptr) return nullptr;
  const HttpBinding::Entry entry(server);
  server.connections()->close();
  return nullptr;
}

// httpDestroy(server): cuts what is open; Drained is told.
napi_value httpDestroy(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  HttpBinding& server = serverAt(env, call.value(0));
  if (server.connections() == nullptr) return nullptr;
  const HttpBinding::Entry entry(server);
  server.connections()->destroy();
  return nullptr;
}

// httpReference(server, keepsLoopAlive)
napi_value httpReference(napi_env env, napi_callback_info info) {
  Call<2> call(env, info, Needs::Nothing);
  serverAt(env, call.value(0)).setReferenced(call.boolAt(1));
  return nullptr;
}

// httpKnownHeaders() -> names by bit, in lower case
napi_value httpKnownHeaders(napi_env env, napi_callback_info) {
  napi_value names = nullptr;
  napi_create_array_with_length(env, http::kKnownHeaderCount, &names);
  for (uint32_t i = 0; i < http::kKnownHeaderCount; ++i) {
    napi_value name = nullptr;
    napi_create_string_utf8(env, http::knownHeaderName(static_cast<http::KnownHeader>(i)),
                            NAPI_AUTO_LENGTH, &name);
    napi_set_element(env, names, i, name);
  }
  return names;
}

constexpr Export kExports[] = {
    {"httpListen", httpListen},
    {"httpEndpoint", httpEndpoint},
    {"httpRespond", httpRespond},
    {"httpRefuse", httpRefuse},
    {"httpSetErrorAnswer", httpSetErrorAnswer},
    {"httpStart", httpStart},
    {"httpWrite", httpWrite},
    {"httpEnd", httpEnd},
    {"httpAbort", httpAbort},
    {"httpHeader", httpHeader},
    {"httpValueId", httpValueId},
    {"httpHeaders", httpHeaders},
    {"httpAddress", httpAddress},
    {"httpCopyRequest", httpCopyRequest},
    {"httpReadBody", httpReadBody},
    {"httpMethod", httpMethod},
    {"httpClose", httpClose},
    {"httpDestroy", httpDestroy},
    {"httpReference", httpReference},
    {"httpKnownHeaders", httpKnownHeaders},
    {"httpRespondFile", httpRespondFile},
};

}  // namespace

void exportHttp(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
