// test/native/head_table_test.cc: runs the cases in test/http/*.md against the head parser.
//
// A case is a heading, a block ```http with the bytes of a connection and a block ```expect with
// lines that must be among those that linesOf() makes. test/http/README.md says how to write one.
// The folder is found by IOL_SOURCE_ROOT, or from the current directory.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "connection_reader.h"
#include "test.h"

namespace {

using iol::test::ReadConnection;
using iol::test::ReadRequest;

struct TableCase {
  std::string name;
  std::string bytes;
  std::vector<std::string> expected;
};

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return (c | 0x20) - 'a' + 10;
}

// A line of an http block: \r \n \t \\ \xNN are what they say; a '\' at the end joins the next
// line, otherwise the line ends with CRLF.
std::string bytesOfLine(const std::string& line) {
  std::string bytes;
  for (size_t at = 0; at < line.size(); ++at) {
    if (line[at] != '\\') {
      bytes += line[at];
      continue;
    }
    if (++at == line.size()) return bytes;
    if (line[at] == 'x' && at + 2 < line.size()) {
      bytes += static_cast<char>(hexDigit(line[at + 1]) * 16 + hexDigit(line[at + 2]));
      at += 2;
    } else {
      const char c = line[at];
      bytes += c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c;
    }
  }
  return bytes + "\r\n";
}

std::vector<TableCase> readTable(const std::filesystem::path& file) {
  std::vector<TableCase> cases;
  std::ifstream in(file, std::ios::binary);
  std::string line;
  std::string heading;
  std::string block;
  while (std::getline(in, line)) {
    if (block.empty() && line.starts_with("## ")) heading = line.substr(3);
    if (line == "```http") {
      block = "http";
      cases.push_back({file.stem().string() + ": " + heading, "", {}});
    } else if (line == "```expect") {
      block = "expect";
    } else if (line.starts_with("```")) {
      block = line == "```" ? "" : "other";
    } else if (block == "http") {
      cases.back().bytes += bytesOfLine(line);
    } else if (block == "expect" && !cases.empty()) {
      cases.back().expected.push_back(line);
    }
  }
  return cases;
}

void addLines(std::vector<std::string>& lines, const std::string& prefix,
              const ReadRequest& request) {
  const iol::http::RequestHead& head = request.head;
  auto add = [&](const std::string& key, const std::string& value) {
    lines.push_back(prefix + key + ":" + (value.empty() ? "" : " " + value));
  };
  const bool isOther = head.method == iol::http::Method::kOther;
  const std::string token = textOf(request, head.methodToken);
  CHECK_EQ(isOther ? token : methodName(head.method), token);
  add("method", isOther ? token + " (other)" : token);
  add("form", iol::test::formName(head.targetForm));
  add("target", textOf(request, head.target));
  add("authority", textOf(request, head.authority));
  add("path", textOf(request, head.path));
  add("query", textOf(request, head.query));
  add("version", "1." + std::to_string(head.versionMinor));
  add("keep-alive", head.isKeepAlive ? "yes" : "no");
  add("framing", head.isChunked          ? "chunked"
                 : head.hasContentLength ? "length " + std::to_string(head.contentLength)
                                         : "none");
  add("expectation", iol::test::expectationName(head.expectation));
  add("known", iol::test::headerNames(head.knownHeaders));
  add("repeated", iol::test::headerNames(head.repeatedHeaders));
  add("fields", std::to_string(head.fieldCount));
  for (uint32_t index = 0; index < head.fieldCount; ++index) {
    add("field " + textOf(request, head.fields[index].name),
        textOf(request, head.fields[index].value));
  }
  add("body", request.body);
}

std::vector<std::string> linesOf(const ReadConnection& connection) {
  std::vector<std::string> lines;
  lines.push_back("requests: " + std::to_string(connection.requests.size()));
  for (size_t index = 0; index < connection.requests.size(); ++index) {
    addLines(lines, index == 0 ? "" : std::to_string(index + 1) + ".", connection.requests[index]);
  }
  std::string end = connection.end;
  if (connection.status != 0) {
    end += " " + std::to_string(connection.status) + " " + connection.error;
  }
  lines.push_back("end: " + end);
  return lines;
}

TEST(everyCaseOfTheTableReadsAsExpected) {
  const char* root = std::getenv("IOL_SOURCE_ROOT");
  const auto folder = std::filesystem::path(root != nullptr ? root : ".") / "test" / "http";
  size_t count = 0;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) {
    if (entry.path().extension() != ".md" || entry.path().stem() == "README") continue;
    for (const TableCase& one : readTable(entry.path())) {
      ++count;
      const auto lines = linesOf(iol::test::readConnection(one.bytes));
      bool saysEnd = false;
      for (const std::string& line : one.expected) {
        if (line.starts_with("end: ")) saysEnd = true;
        if (std::find(lines.begin(), lines.end(), line) != lines.end()) continue;
        std::string message = one.name + "\n  wanted  " + line;
        for (const std::string& actual : lines) message += "\n  got     " + actual;
        iol::test::fail(entry.path().c_str(), 0, message);
      }
      if (!saysEnd) iol::test::fail(entry.path().c_str(), 0, one.name + ": no line says the end");
    }
  }
  // Why a number: a folder that was not found, or fences misread, must not pass.
  CHECK(count >= 100);
}

}  // namespace
