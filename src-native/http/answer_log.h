// http/answer_log.h: what became of each request, for access logs: records, or lines of text, in a
// bounded buffer that the program takes when it likes.
//
//   record   [facts 48 bytes][client][method][target][host][referer][user agent][padding to 8]
//   line     see answer_line.h
//
// Ownership   owns the buffer, which is there only while the log is on. It grows to what was ever
//             waiting in it, at most the bound and one line.
// Threads     the domain's own.
// Failure     what does not fit is dropped and counted.
// Cost        off: one branch per answer. On: the head's parts copied at the answer, and once more
//             by whoever takes them (CopyReason::Log); one system call for each connection, which
//             asks who the client is.
// May include base/ sys/ window/ pool/ aggregate/ and own folder
#pragma once

#include <cstdint>
#include <vector>

#include "http/answer_line.h"
#include "http/connection.h"

namespace iol::http {

class AnswerLog {
 public:
  enum class Format : uint8_t { Records, Common, Combined, Json };

  struct Facts {
    double wallSeconds;
    double bodyBytes;
    uint32_t recordBytes;
    uint32_t durationMs;
    uint16_t httpStatus;
    uint16_t versionMinor;
    uint16_t isComplete;
    uint16_t partBytes[6];
    uint16_t unused[3];
  };
  static_assert(sizeof(Facts) == 48);

  bool isOn() const { return bytesMax_ != 0; }
  // From now on; 0 bytes: off. What was not taken is dropped.
  void set(Format format, uint32_t bytesMax);
  // Asks who the client is, before the connection may be gone.
  void begin(Connection& connection, Exchange& exchange, int64_t nowMs) const;
  void add(const Connection& connection, const Exchange& exchange, int64_t nowMs,
           int64_t wallSeconds);

  uint32_t byteLength() const { return used_; }
  bool hasLines() const { return format_ != Format::Records; }
  uint64_t dropped() const { return dropped_; }
  uint64_t taken() const { return taken_; }
  // Gives all there is, the oldest first, if it fits; how many bytes.
  uint32_t take(uint8_t* to, uint32_t bytesMax);

 private:
  std::string_view partOf(const HeadText& text, HeadRange range);
  uint8_t* roomFor(size_t bytes);
  void addRecord(const LoggedAnswer& answer);
  void addLine(const LoggedAnswer& answer);
  void keep(size_t bytes);

  Format format_ = Format::Records;
  uint32_t bytesMax_ = 0;
  uint32_t used_ = 0;
  std::vector<uint8_t> bytes_;  // The first used_ count.
  uint64_t waiting_ = 0;
  uint64_t taken_ = 0;
  uint64_t dropped_ = 0;
  LogTime time_;
  std::vector<char> joined_;  // Of the answer that is added: parts that were not in one piece.
};

}  // namespace iol::http
