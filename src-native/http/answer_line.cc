#include "http/answer_line.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "http/prebuilt.h"

namespace iol::http {
namespace {

// As nginx has it: the client left before it was answered.
constexpr uint16_t kClientLeft = 499;
// Of a line of Json: names, punctuation, numbers and time. The others have less.
constexpr size_t kFixedBytesMax = 320;
constexpr size_t kEscapeBytesMax = 6;  // \u001f
constexpr size_t kNumberBytesMax = 20;

constexpr char kHexDigits[] = "0123456789abcdef";

using ByteSet = std::array<bool, 256>;

constexpr ByteSet bytesBetween(uint8_t first, uint8_t last) {
  ByteSet set{};
  for (size_t byte = first; byte <= last; ++byte) set[byte] = byte != '"' && byte != '\\';
  return set;
}

// The bytes that stand for themselves.
constexpr ByteSet kPlainInQuotes = bytesBetween(' ', '~');
constexpr ByteSet kPlainInJson = bytesBetween(' ', 0x7f);

// Of JSON's short escapes the letter; 0: there is none.
constexpr char shortEscapeOf(uint8_t byte) {
  switch (byte) {
    case '"':
    case '\\': return static_cast<char>(byte);
    case '\b': return 'b';
    case '\t': return 't';
    case '\n': return 'n';
    case '\f': return 'f';
    case '\r': return 'r';
    default: return 0;
  }
}

class LineWriter {
 public:
  explicit LineWriter(uint8_t* to) : at_(to) {}

  LineWriter& text(std::string_view text) {
    at_ = std::copy_n(reinterpret_cast<const uint8_t*>(text.data()), text.size(), at_);
    return *this;
  }

  LineWriter& number(uint64_t value) {
    char* const at = reinterpret_cast<char*>(at_);
    at_ = reinterpret_cast<uint8_t*>(std::to_chars(at, at + kNumberBytesMax, value).ptr);
    return *this;
  }

  // Why a pointer of their own in these two: bytes that are written may alias a member.
  LineWriter& quotable(std::string_view text) {
    uint8_t* at = at_;
    for (const char character : text) {
      const auto byte = static_cast<uint8_t>(character);
      if (kPlainInQuotes[byte]) {
        *at++ = byte;
      } else if (byte == '"' || byte == '\\') {
        at = put(at, '\\', byte);
      } else {
        at = put(at, '\\', 'x', kHexDigits[byte >> 4], kHexDigits[byte & 15]);
      }
    }
    at_ = at;
    return *this;
  }

  LineWriter& json(std::string_view text) {
    uint8_t* at = at_;
    for (const char character : text) {
      const auto byte = static_cast<uint8_t>(character);
      if (kPlainInJson[byte]) {
        *at++ = byte;
      } else if (byte >= 0x80) {
        at = put(at, 0xc0 | (byte >> 6), 0x80 | (byte & 0x3f));
      } else if (const char letter = shortEscapeOf(byte); letter != 0) {
        at = put(at, '\\', letter);
      } else {
        at = put(at, '\\', 'u', '0', '0', kHexDigits[byte >> 4], kHexDigits[byte & 15]);
      }
    }
    at_ = at;
    return *this;
  }

  uint8_t* end() const { return at_; }

 private:
  template <typename... Bytes>
  static uint8_t* put(uint8_t* to, Bytes... bytes) {
    ((*to++ = static_cast<uint8_t>(bytes)), ...);
    return to;
  }

  uint8_t* at_;
};

LineWriter& putCommon(LineWriter& line, const LoggedAnswer& answer, const LogTime& time) {
  line.text(answer.client.empty() ? "-" : answer.client).text(" - - [").text(time.common());
  if (answer.method.empty()) {
    line.text("] \"-\" ");
  } else {
    line.text("] \"").text(answer.method).text(" ").quotable(answer.target).text(" HTTP/1.");
    line.number(answer.versionMinor).text("\" ");
  }
  line.number(answer.httpStatus == 0 ? kClientLeft : answer.httpStatus).text(" ");
  return answer.bodyBytes == 0 ? line.text("-") : line.number(answer.bodyBytes);
}

LineWriter& putQuoted(LineWriter& line, std::string_view text) {
  return line.text(" \"").quotable(text.empty() ? "-" : text).text("\"");
}

}  // namespace

void LogTime::renew(int64_t wallSeconds) {
  if (wallSeconds == wallSeconds_) return;
  wallSeconds_ = wallSeconds;
  char date[kHttpDateBytes + 1];  // "Tue, 10 Oct 2000 13:55:36 GMT"
  formatHttpDate(wallSeconds, date);
  std::snprintf(common_, sizeof common_, "%.2s/%.3s/%.4s:%.8s +0000", date + 5, date + 8, date + 12,
                date + 17);
  const time_t seconds = static_cast<time_t>(wallSeconds);
  tm utc{};
  gmtime_r(&seconds, &utc);
  std::snprintf(iso_, sizeof iso_, "%.4s-%02u-%.2sT%.8s.000Z", date + 12,
                static_cast<unsigned>(utc.tm_mon + 1) % 100, date + 5, date + 17);
}

size_t lineBytesMax(const LoggedAnswer& answer) {
  size_t texts = 0;
  for (const std::string_view text : {answer.client, answer.method, answer.target, answer.host,
                                      answer.referer, answer.userAgent}) {
    texts += text.size();
  }
  return kFixedBytesMax + kEscapeBytesMax * texts;
}

uint8_t* writeCommon(uint8_t* to, const LoggedAnswer& answer, const LogTime& time) {
  LineWriter line(to);
  return putCommon(line, answer, time).text("\n").end();
}

uint8_t* writeCombined(uint8_t* to, const LoggedAnswer& answer, const LogTime& time) {
  LineWriter line(to);
  putQuoted(putCommon(line, answer, time), answer.referer);
  return putQuoted(line, answer.userAgent).text("\n").end();
}

uint8_t* writeJson(uint8_t* to, const LoggedAnswer& answer, const LogTime& time) {
  LineWriter line(to);
  line.text("{\"time\":\"").text(time.iso()).text("\",\"status\":");
  line.number(answer.httpStatus == 0 ? kClientLeft : answer.httpStatus);
  line.text(",\"bodyBytes\":").number(answer.bodyBytes);
  line.text(",\"durationMs\":").number(answer.durationMs);
  line.text(",\"versionMinor\":").number(answer.versionMinor);
  line.text(",\"isComplete\":").text(answer.isComplete ? "true" : "false");
  line.text(",\"client\":\"").json(answer.client);
  line.text("\",\"method\":\"").json(answer.method);
  line.text("\",\"target\":\"").json(answer.target);
  line.text("\",\"host\":\"").json(answer.host);
  line.text("\",\"referer\":\"").json(answer.referer);
  line.text("\",\"userAgent\":\"").json(answer.userAgent);
  return line.text("\"}\n").end();
}

}  // namespace iol::http
