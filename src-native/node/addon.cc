// node/addon.cc: the module's entry: one EnvState per environment, and the list of what it exports.

#include <napi.h>

#include "node/call.h"
#include "node/env.h"
#include "node/exports.h"

namespace {

napi_value version(napi_env env, napi_callback_info) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, IOL_VERSION, NAPI_AUTO_LENGTH, &value);
  return value;
}

napi_value setErrorFactory(napi_env env, napi_callback_info info) {
  iol::node::Call<1> call(env, info, iol::node::Needs::Nothing);
  call.state().setErrorFactory(call.value(0));
  return nullptr;
}

napi_value setImmutableReporter(napi_env env, napi_callback_info info) {
  iol::node::Call<1> call(env, info, iol::node::Needs::Nothing);
  call.state().setImmutableReporter(call.value(0));
  return nullptr;
}

napi_value reportStores(napi_env env, napi_callback_info info) {
  iol::node::Call<0> call(env, info, iol::node::Needs::Nothing);
  call.state().deliverReports();
  return nullptr;
}

constexpr iol::node::Export kExports[] = {
    {"version", version},
    {"setErrorFactory", setErrorFactory},
    {"setImmutableReporter", setImmutableReporter},
    {"reportStores", reportStores},
};

}  // namespace

NAPI_MODULE_INIT() {
  iol::node::EnvState& state = iol::node::EnvState::create(env);
  iol::node::defineExports(state, exports, kExports, std::size(kExports));
  napi_set_named_property(env, exports, "scratch", state.scratchArray());
  iol::node::exportWindow(state, exports);
  iol::node::exportDrafts(state, exports);
  iol::node::exportAggregates(state, exports);
  iol::node::exportMapped(state, exports);
  iol::node::exportDerived(state, exports);
  iol::node::exportAggregateReads(state, exports);
  iol::node::exportAggregateSearches(state, exports);
  iol::node::exportIo(state, exports);
  iol::node::exportFileCaches(state, exports);
  iol::node::exportHttp(state, exports);
  iol::node::exportHttpServers(state, exports);
  iol::node::exportHeadParser(state, exports);
  iol::node::exportLauncher(state, exports);
  iol::node::exportChannels(state, exports);
  iol::node::exportStreams(state, exports);
  iol::node::exportPipes(state, exports);
  return exports;
}
