// http/answer_log.h: what became of each request, for access logs: bytes in a bounded buffer that
// the program takes when it likes.
//
//   record   [facts 48 bytes][client][method][target][host][referer][user agent][padding to 8]
//
// Ownership   owns the buffer, which is there only while the log is on.
// Threads     the domain's own.
// Failure     a record that does not fit is dropped and counted.
// Cost        off: one branch per answer. On: the head's parts copied twice (CopyReason::Log), and
//             one system call for each connection, which asks who the client is.
// May include base/ sys/ window/ pool/ aggregate/ and own folder
#pragma once

#include <cstdint>
#include <vector>

#include "http/connection.h"

namespace iol::http {

class AnswerLog {
 public:
  struct Facts {
    double wallSeconds;
    double bodyBytes;  // Taken by the kernel, the head not counted.
    uint32_t recordBytes;
    uint32_t durationMs;
    uint16_t httpStatus;  // 0: the client left before there was one.
    uint16_t versionMinor;
    uint16_t isComplete;  // 0: cut.
    uint16_t partBytes[6];
    uint16_t unused[3];
  };
  static_assert(sizeof(Facts) == 48);

  bool isOn() const { return bytesMax_ != 0; }
  // 0: off, and what was not taken is gone.
  void setBytesMax(uint32_t bytesMax);
  // Asks who the client is, before the connection may be gone.
  void begin(Connection& connection, Exchange& exchange, int64_t nowMs) const;
  void add(const Connection& connection, const Exchange& exchange, int64_t nowMs,
           int64_t wallSeconds);

  uint32_t byteLength() const { return static_cast<uint32_t>(bytes_.size()); }
  uint64_t dropped() const { return dropped_; }
  // Gives all records, the oldest first, if they fit; how many bytes.
  uint32_t take(uint8_t* to, uint32_t bytesMax);

 private:
  uint32_t bytesMax_ = 0;
  std::vector<uint8_t> bytes_;
  uint64_t dropped_ = 0;
};

}  // namespace iol::http
