// node/exports.h: one line per wrap_*.cc: the functions that it adds to the addon's exports.
//
// May include everything below node/
#pragma once

#include <node_api.h>

#include "node/env.h"

namespace iol::node {

void exportWindow(EnvState& state, napi_value exports);
void exportDrafts(EnvState& state, napi_value exports);
void exportAggregates(EnvState& state, napi_value exports);
void exportMapped(EnvState& state, napi_value exports);
void exportDerived(EnvState& state, napi_value exports);
void exportAggregateReads(EnvState& state, napi_value exports);
void exportAggregateSearches(EnvState& state, napi_value exports);
void exportIo(EnvState& state, napi_value exports);
void exportFileCaches(EnvState& state, napi_value exports);
void exportHttp(EnvState& state, napi_value exports);
void exportHttpServers(EnvState& state, napi_value exports);
void exportHeadParser(EnvState& state, napi_value exports);
void exportLauncher(EnvState& state, napi_value exports);
void exportChannels(EnvState& state, napi_value exports);
void exportStreams(EnvState& state, napi_value exports);
void exportPipes(EnvState& state, napi_value exports);

}  // namespace iol::node
