// http/answer_line.h: what became of a request as a line of text that tools know.
//
//   Common     client - - [10/Oct/2000:13:55:36 +0000] "GET /a HTTP/1.1" 200 2326
//   Combined   the same, then "referer" "user agent"
//   Json       {"time":"2000-10-10T13:55:36.000Z","status":200,"bodyBytes":2326,...}
//
// Nobody can end a line, or a quoted text, from outside. Common and Combined escape as Apache's
// httpd does (\" \\ \xhh); Json is what JSON.stringify writes of latin1 text, in UTF-8.
//
// Ownership   borrows texts and room.
// Threads     plain functions; a LogTime is one thread's.
// Failure     none.
// Cost        a look at each byte; of a time, once a second.
// May include own folder
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace iol::http {

struct LoggedAnswer {
  int64_t wallSeconds = 0;  // When it ended.
  uint64_t bodyBytes = 0;   // Taken by the kernel, the head not counted.
  uint32_t durationMs = 0;
  uint16_t httpStatus = 0;  // 0: the client left before there was one.
  uint8_t versionMinor = 0;
  bool isComplete = false;
  // As they were received; empty: not there. A method is a token.
  std::string_view client;
  std::string_view method;
  std::string_view target;
  std::string_view host;
  std::string_view referer;
  std::string_view userAgent;
};

// A moment as the formats write it.
class LogTime {
 public:
  // Does something once a second.
  void renew(int64_t wallSeconds);
  std::string_view common() const { return {common_, sizeof common_ - 1}; }
  std::string_view iso() const { return {iso_, sizeof iso_ - 1}; }

 private:
  int64_t wallSeconds_ = -1;
  char common_[sizeof "10/Oct/2000:13:55:36 +0000"] = {};
  char iso_[sizeof "2000-10-10T13:55:36.000Z"] = {};
};

// More than any of the lines of this answer has.
size_t lineBytesMax(const LoggedAnswer& answer);
// Each writes a line, with its '\n', into room for lineBytesMax(), and gives the place behind it.
// `time` is that of the answer.
uint8_t* writeCommon(uint8_t* to, const LoggedAnswer& answer, const LogTime& time);
uint8_t* writeCombined(uint8_t* to, const LoggedAnswer& answer, const LogTime& time);
uint8_t* writeJson(uint8_t* to, const LoggedAnswer& answer, const LogTime& time);

}  // namespace iol::http
