// node/wrap_http_server.cc: what an HTTP server can be told and asked while it runs; wrap_http.cc
// has its requests.

#include <iterator>
#include <optional>

#include "node/call.h"
#include "node/exports.h"
#include "node/http_binding.h"
#include "node/http_options.h"

namespace iol::node {
namespace {

template <size_t kCount>
void showLogCounts(Call<kCount>& call, const http::AnswerLog& log) {
  call.state().scratch()[0] = static_cast<double>(log.dropped());
  call.state().scratch()[1] = static_cast<double>(log.taken());
}

// httpBind(place, numbers, kind, number) -> a descriptor that listens, the caller's
napi_value httpBind(napi_env env, napi_callback_info info) {
  Call<4> call(env, info, Needs::Nothing);
  const HttpNumbers given{reinterpret_cast<const double*>(call.spanAt(1).data)};
  const HttpPlace place{static_cast<HttpPlace::Kind>(call.intAt(2)), textAt(env, call.value(0)),
                        call.intAt(3)};
  Result<sys::Fd> listener = place.listen(given);
  if (!listener.isOk()) return call.fail(listener.status(), place.shown(given).c_str());
  return call.int32(listener.value().release());
}

// httpConfigure(server, numbers): limits and times, from now on
napi_value httpConfigure(napi_env env, napi_callback_info info) {
  Call<2> call(env, info, Needs::Nothing);
  HttpBinding& server = serverAt(env, call.value(0));
  if (server.connections() == nullptr) return nullptr;
  const HttpBinding::Entry entry(server);
  const HttpNumbers given{reinterpret_cast<const double*>(call.spanAt(1).data)};
  server.connections()->setOptions(given.options());
  return nullptr;
}

// httpPropose(server, slot, epoch, uses, file or 0, ms or -1): the answer that comes may be
// repeated
napi_value httpPropose(napi_env env, napi_callback_info info) {
  Call<6> call(env, info, Needs::Nothing);
  HttpBinding& server = serverAt(env, call.value(0));
  if (server.connections() == nullptr) return nullptr;
  http::RequestId id;
  napi_get_value_uint32(env, call.value(1), &id.slot);
  napi_get_value_uint32(env, call.value(2), &id.epoch);
  http::ByteSpan storage[http::kSpansMax];
  const std::optional<http::RequestView> request = server.connections()->view(id, storage);
  if (!request) return nullptr;
  const int32_t handle = call.handle(4);
  const CachedFilePtr* file = handle == 0 ? nullptr : call.state().files().get(handle);
  if (handle != 0 && file == nullptr) return call.failClosed("cached file");
  const double forMs = call.doubleAt(5);
  server.repeats().propose(
      *request,
      {static_cast<uint32_t>(call.intAt(3)), file == nullptr ? nullptr : *file,
       forMs < 0 ? Repeats::kNever : server.connections()->nowMs() + static_cast<int64_t>(forMs)});
  return nullptr;
}

// httpForget(server): what may be repeated
napi_value httpForget(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  serverAt(env, call.value(0)).repeats().forget();
  return nullptr;
}

// httpStats(server): scratch, in the order of statNames in lib/http.ts.
napi_value httpStats(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  HttpBinding& server = serverAt(env, call.value(0));
  const http::Connections::Stats& stats = server.stats();
  const uint64_t repeated = server.repeats().given();
  const uint64_t figures[] = {
      stats.connectionsOpen,
      stats.connectionsTotal,
      stats.requests,
      stats.responses[1],
      stats.responses[2],
      stats.responses[3],
      stats.responses[4],
      stats.responses[5],
      stats.bytesSent,
      stats.malformed,
      stats.refusedForMemory,
      stats.headTimeouts,
      stats.idleTimeouts,
      stats.sendTimeouts,
      stats.clientsLost,
      stats.receives,
      stats.sends,
      stats.partialSends,
      stats.acceptPauses,
      stats.bodyTimeouts,
      stats.answerTimeouts,
      stats.bytesByReference,
      stats.acceptFailures,
      stats.bytesQueued,
      stats.queueCuts,
      repeated,
  };
  static_assert(std::size(figures) <= EnvState::kScratchNumbers);
  for (size_t i = 0; i < std::size(figures); ++i) {
    call.state().scratch()[i] = static_cast<double>(figures[i]);
  }
  return nullptr;
}

// httpPath(server) -> of a Unix socket, else ''
napi_value httpPath(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  const std::string& path = serverAt(env, call.value(0)).path();
  napi_value value = nullptr;
  napi_create_string_utf8(env, path.data(), path.size(), &value);
  return value;
}

// httpSetLog(server, bytesMax, format): 0 bytes is off; AnswerLog::Format
napi_value httpSetLog(napi_env env, napi_callback_info info) {
  Call<3> call(env, info, Needs::Nothing);
  serverAt(env, call.value(0))
      .log()
      .set(static_cast<http::AnswerLog::Format>(call.intAt(2)),
           static_cast<uint32_t>(call.intAt(1)));
  return nullptr;
}

// httpTakeLog(server, to) -> bytes of records; scratch: dropped, taken until now
napi_value httpTakeLog(napi_env env, napi_callback_info info) {
  Call<2> call(env, info, Needs::Nothing);
  http::AnswerLog& log = serverAt(env, call.value(0)).log();
  const auto to = call.spanAt(1);
  const uint32_t bytes = log.take(to.data, static_cast<uint32_t>(to.length));
  showLogCounts(call, log);
  return call.number(bytes);
}

// httpTakeLogLines(server) -> Buffer, the caller's; scratch: dropped, taken until now
napi_value httpTakeLogLines(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  http::AnswerLog& log = serverAt(env, call.value(0)).log();
  const uint32_t length = log.hasLines() ? log.byteLength() : 0;
  void* to = nullptr;
  napi_value buffer = nullptr;
  if (napi_create_buffer(env, length, &to, &buffer) != napi_ok) return nullptr;  // It has thrown.
  if (length > 0) log.take(static_cast<uint8_t*>(to), length);
  showLogCounts(call, log);
  return buffer;
}

// httpReportIncidents(server): Incidents is told from now on
napi_value httpReportIncidents(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  HttpBinding& server = serverAt(env, call.value(0));
  if (server.connections() != nullptr) server.connections()->incidents().setOn(true);
  return nullptr;
}

// httpTakeIncidents(server) -> [kind, status, errno, why, host, port, missed, ...]
napi_value httpTakeIncidents(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  HttpBinding& server = serverAt(env, call.value(0));
  napi_value list = nullptr;
  napi_create_array(env, &list);
  if (server.connections() == nullptr) return list;
  uint32_t at = 0;
  const auto text = [&](const char* value) {
    napi_value string = nullptr;
    napi_create_string_latin1(env, value, NAPI_AUTO_LENGTH, &string);
    return string;
  };
  for (const http::Incident& each : server.connections()->incidents().take()) {
    for (napi_value value :
         {call.number(static_cast<double>(each.kind)), call.number(each.httpStatus),
          call.number(each.systemErrno), text(each.why), text(each.client.host),
          call.number(each.client.port), call.number(static_cast<double>(each.missed))}) {
      napi_set_element(env, list, at++, value);
    }
  }
  return list;
}

// httpCountTls(bytes): bytes of HTTPS that were carried, by three copies
napi_value httpCountTls(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  const uint64_t bytes = call.bytesAt(0);
  for (int copy = 0; copy < 3; ++copy) countCopy(bytes, CopyReason::Tls);
  return nullptr;
}

// httpResetAtClose(fd): whoever closes this socket will cut it, and leave nothing with the kernel
napi_value httpResetAtClose(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  sys::resetAtClose(call.intAt(0));
  return nullptr;
}

constexpr Export kExports[] = {
    {"httpBind", httpBind},
    {"httpConfigure", httpConfigure},
    {"httpPath", httpPath},
    {"httpSetLog", httpSetLog},
    {"httpTakeLog", httpTakeLog},
    {"httpTakeLogLines", httpTakeLogLines},
    {"httpReportIncidents", httpReportIncidents},
    {"httpTakeIncidents", httpTakeIncidents},
    {"httpCountTls", httpCountTls},
    {"httpResetAtClose", httpResetAtClose},
    {"httpForget", httpForget},
    {"httpStats", httpStats},
    {"httpPropose", httpPropose},
};

}  // namespace

void exportHttpServers(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
