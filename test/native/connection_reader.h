// test/native/connection_reader.h: reads all requests of one connection from a string, for tests.
//
//   bytes --> HeadParser, BodyFraming, HeadParser, ... --> requests, and how it ended
//
// Used by the table of cases (head_table_test.cc) and by the tool of the differential test
// (head_parser_tool.cc), so that both speak of the same thing.
#pragma once

#include <string>
#include <vector>

#include "http/body_framing.h"
#include "http/head_parser.h"

namespace iol::test {

struct ReadRequest {
  http::RequestHead head;
  std::string bytes;  // The head's own bytes.
  std::string body;
};

struct ReadConnection {
  std::vector<ReadRequest> requests;
  // idle: nothing is left. incomplete: a head is cut off. incomplete-body, refused, refused-body.
  // closed: the last request ends the connection. tunnel: CONNECT, the rest is not HTTP.
  std::string end;
  std::string error;  // Of a refused head or body: "BareLf"
  int status = 0;     // and the HTTP status.
};

inline std::string textOf(const ReadRequest& request, http::HeadRange range) {
  return request.bytes.substr(range.offset, range.length);
}

// Reads one body; returns the bytes it took.
inline size_t readBody(const char* bytes, size_t length, const http::RequestHead& head,
                       std::string& body, ReadConnection& connection) {
  http::BodyFraming framing(head);
  size_t at = 0;
  while (!framing.isDone()) {
    const auto left = static_cast<uint32_t>(length - at);
    const auto step = framing.step({reinterpret_cast<const uint8_t*>(bytes + at), left});
    body.append(bytes + at + step.framingBytes, step.bodyBytes);
    at += step.framingBytes + step.bodyBytes;
    if (step.status == http::BodyStatus::kRefused) {
      connection.end = "refused-body";
      connection.error = http::bodyErrorName(step.error);
      connection.status = http::bodyErrorHttpStatus(step.error);
      break;
    }
    if (step.status == http::BodyStatus::kMore && at == length) {
      connection.end = "incomplete-body";
      break;
    }
  }
  return at;
}

inline ReadConnection readConnection(const std::string& bytes,
                                     const http::HeadLimits& limits = {}) {
  ReadConnection connection;
  http::HeadParser parser(limits);
  size_t at = 0;
  while (connection.end.empty()) {
    ReadRequest request;
    const http::ByteSpan rest = {reinterpret_cast<const uint8_t*>(bytes.data() + at),
                                 static_cast<uint32_t>(bytes.size() - at)};
    const http::HeadResult result = parser.parse({&rest, 1}, request.head);
    if (result.status == http::HeadStatus::kIncomplete) {
      connection.end = parser.isIdle() ? "idle" : "incomplete";
    } else if (result.status == http::HeadStatus::kRefused) {
      connection.end = "refused";
      connection.error = http::headErrorName(result.error);
      connection.status = result.httpStatus;
    } else {
      request.bytes = bytes.substr(at, result.consumedBytes);
      at += result.consumedBytes;
      const http::RequestHead& head = request.head;
      at += readBody(bytes.data() + at, bytes.size() - at, head, request.body, connection);
      if (connection.end.empty() && !head.isKeepAlive) {
        connection.end = head.method == http::Method::kConnect ? "tunnel" : "closed";
      }
      connection.requests.push_back(std::move(request));
    }
  }
  return connection;
}

inline const char* formName(http::TargetForm form) {
  switch (form) {
    case http::TargetForm::kOrigin: return "origin";
    case http::TargetForm::kAbsolute: return "absolute";
    case http::TargetForm::kAuthority: return "authority";
    case http::TargetForm::kAsterisk: return "asterisk";
  }
  return "";
}

inline const char* expectationName(http::Expectation expectation) {
  switch (expectation) {
    case http::Expectation::kNone: return "none";
    case http::Expectation::kContinue: return "continue";
    case http::Expectation::kUnknown: return "unknown";
  }
  return "";
}

inline std::string headerNames(uint32_t bits) {
  std::string names;
  for (uint32_t index = 0; index < http::kKnownHeaderCount; ++index) {
    if ((bits >> index & 1u) == 0) continue;
    if (!names.empty()) names += " ";
    names += http::knownHeaderName(static_cast<http::KnownHeader>(index));
  }
  return names;
}

}  // namespace iol::test
