// test/native/head_parser_tool.cc: the head parser as a filter, for the differential test.
//
// Reads records on stdin, each a length (uint32, little-endian) and so many bytes of a connection;
// writes one JSON line for each:
//   {"requests":[{"method","form","target","authority","path","query","minor","fields":[[n,v]...],
//    "keepAlive","chunked","contentLength","expectation","body"}...],"end","error","status"}
// Strings hold one character per byte (latin1); contentLength is a decimal string or null.

#include <cstdio>

#include "connection_reader.h"

namespace {

std::string quoted(const std::string& bytes) {
  std::string out = "\"";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
      out += c;
    } else {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", byte);
      out += escape;
    }
  }
  return out + "\"";
}

std::string jsonOf(const iol::test::ReadRequest& request) {
  const iol::http::RequestHead& head = request.head;
  auto range = [&](iol::http::HeadRange part) { return quoted(textOf(request, part)); };
  std::string out = "{\"method\":" + range(head.methodToken);
  out += std::string(",\"form\":\"") + iol::test::formName(head.targetForm);
  out += "\",\"target\":" + range(head.target) + ",\"authority\":" + range(head.authority);
  out += ",\"path\":" + range(head.path) + ",\"query\":" + range(head.query);
  out += ",\"minor\":" + std::to_string(head.versionMinor) + ",\"fields\":[";
  for (uint32_t index = 0; index < head.fieldCount; ++index) {
    out += index > 0 ? ",[" : "[";
    out += range(head.fields[index].name) + "," + range(head.fields[index].value) + "]";
  }
  out += std::string("],\"keepAlive\":") + (head.isKeepAlive ? "true" : "false");
  out += std::string(",\"chunked\":") + (head.isChunked ? "true" : "false");
  out += ",\"contentLength\":";
  out += head.hasContentLength ? "\"" + std::to_string(head.contentLength) + "\"" : "null";
  out += std::string(",\"expectation\":\"") + iol::test::expectationName(head.expectation);
  return out + "\",\"body\":" + quoted(request.body) + "}";
}

std::string jsonOf(const iol::test::ReadConnection& connection) {
  std::string out = "{\"requests\":[";
  for (size_t index = 0; index < connection.requests.size(); ++index) {
    if (index > 0) out += ",";
    out += jsonOf(connection.requests[index]);
  }
  out += "],\"end\":" + quoted(connection.end) + ",\"error\":" + quoted(connection.error);
  return out + ",\"status\":" + std::to_string(connection.status) + "}\n";
}

}  // namespace

int main() {
  unsigned char size[4];
  std::string bytes;
  while (std::fread(size, 1, sizeof(size), stdin) == sizeof(size)) {
    bytes.resize(size[0] | size[1] << 8 | size[2] << 16 | static_cast<unsigned>(size[3]) << 24);
    if (std::fread(bytes.data(), 1, bytes.size(), stdin) != bytes.size()) {
      std::fprintf(stderr, "head_parser_tool: a record is shorter than its length says\n");
      return 1;
    }
    const std::string line = jsonOf(iol::test::readConnection(bytes));
    std::fwrite(line.data(), 1, line.size(), stdout);
  }
  return 0;
}
