// node/wrap_http_parser.cc: the head parser by itself, for lib/http/parser.ts.
//
// A parser is an external: it holds no bytes, so nothing has to be given back.

#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "aggregate/slice_iterator.h"
#include "aggregate/trusted.h"
#include "http/head_parser.h"
#include "node/call.h"
#include "node/exports.h"

namespace iol::node {
namespace {

struct ParserEntry {
  explicit ParserEntry(const http::HeadLimits& limits) : parser(limits), limits(limits) {}
  http::HeadParser parser;
  http::HeadLimits limits;
  http::RequestHead head;
};

ParserEntry& parserAt(napi_env env, napi_value value) {
  void* pointer = nullptr;
  napi_get_value_external(env, value, &pointer);
  return *static_cast<ParserEntry*>(pointer);
}

// headParserCreate(headBytesMax, targetBytesMax, fieldsMax) -> parser
napi_value headParserCreate(napi_env env, napi_callback_info info) {
  Call<3> call(env, info, Needs::Nothing);
  const http::HeadLimits limits = {.headBytesMax = static_cast<uint32_t>(call.intAt(0)),
                                   .targetBytesMax = static_cast<uint32_t>(call.intAt(1)),
                                   .fieldsMax = static_cast<uint32_t>(call.intAt(2))};
  napi_value parser = nullptr;
  napi_create_external(
      env, new ParserEntry(limits),
      [](napi_env, void* data, void*) { delete static_cast<ParserEntry*>(data); }, nullptr,
      &parser);
  return parser;
}

// headParserReset(parser)
napi_value headParserReset(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  parserAt(env, call.value(0)).parser.reset();
  return nullptr;
}

napi_value textValue(napi_env env, const http::HeadText& text, http::HeadRange range) {
  std::string bytes;
  bytes.reserve(range.length);
  http::ByteWalk walk = text.walk(range);
  for (int byte = walk.next(); byte >= 0; byte = walk.next()) {
    bytes.push_back(static_cast<char>(byte));
  }
  countCopy(bytes.size(), CopyReason::Head);
  napi_value value = nullptr;
  napi_create_string_latin1(env, bytes.data(), bytes.size(), &value);
  return value;
}

napi_value strings(napi_env env, std::initializer_list<const char*> texts) {
  napi_value list = nullptr;
  napi_create_array_with_length(env, texts.size(), &list);
  uint32_t at = 0;
  for (const char* text : texts) {
    napi_value value = nullptr;
    napi_create_string_latin1(env, text, NAPI_AUTO_LENGTH, &value);
    napi_set_element(env, list, at++, value);
  }
  return list;
}

// Method, target, authority, path, query, then names and values in turn.
napi_value headValues(napi_env env, const http::HeadText& text, const http::RequestHead& head) {
  napi_value list = nullptr;
  napi_create_array(env, &list);
  uint32_t at = 0;
  for (const http::HeadRange& range :
       {head.methodToken, head.target, head.authority, head.path, head.query}) {
    napi_set_element(env, list, at++, textValue(env, text, range));
  }
  for (uint32_t i = 0; i < head.fieldCount; ++i) {
    napi_set_element(env, list, at++, textValue(env, text, head.fields[i].name));
    napi_set_element(env, list, at++, textValue(env, text, head.fields[i].value));
  }
  return list;
}

// headParse(parser, aggregate) -> strings; scratch[0]: 0 complete, 1 incomplete, 2 refused.
// Complete: headValues(), and numbers in scratch. Refused: name and text, scratch[1] the status.
napi_value headParse(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  ParserEntry& entry = parserAt(env, call.value(0));
  const Aggregate* bytes = call.state().aggregates().get(call.handle(1));
  if (bytes == nullptr) return call.failClosed("aggregate");
  std::optional<Aggregate> own;
  if (isForeign(*bytes)) {
    // Its owner may have changed what an earlier call saw.
    entry.parser.reset();
    Result<Aggregate> copy = trustedCopy(*bytes, call.state().defaultPool());
    if (!copy.isOk()) return call.fail(copy.status());
    bytes = &own.emplace(copy.take());
  }
  std::vector<http::ByteSpan> spans;
  // One byte more than the limit shows that it is passed.
  forEachRun(*bytes, 0, uint64_t{entry.limits.headBytesMax} + 1,
             [&](const uint8_t* data, size_t length) {
               spans.push_back({data, static_cast<uint32_t>(length)});
               return true;
             });
  const http::HeadResult result = entry.parser.parse(spans, entry.head);
  double* scratch = call.state().scratch();
  scratch[0] = static_cast<double>(result.status);
  if (result.status == http::HeadStatus::kRefused) {
    scratch[1] = result.httpStatus;
    return strings(env, {http::headErrorName(result.error), http::headErrorText(result.error)});
  }
  if (result.status == http::HeadStatus::kIncomplete) return call.undefined();
  const http::RequestHead& head = entry.head;
  scratch[1] = result.consumedBytes;
  scratch[2] = head.versionMinor;
  scratch[3] = static_cast<double>(head.targetForm);
  scratch[4] = head.isKeepAlive ? 1 : 0;
  scratch[5] = head.isChunked ? 1 : 0;
  scratch[6] = head.hasContentLength ? static_cast<double>(head.contentLength) : -1;
  scratch[7] = static_cast<double>(head.expectation);
  return headValues(env, http::HeadText(spans), head);
}

constexpr Export kExports[] = {
    {"headParserCreate", headParserCreate},
    {"headParserReset", headParserReset},
    {"headParse", headParse},
};

}  // namespace

void exportHeadParser(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
