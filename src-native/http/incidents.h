// http/incidents.h: what an operator must know of clients that were cut or turned away: a few of
// each kind a second with their details, the others counted.
//
//   note(SendTimeout, client) --room left this second--> [kind, why, client, missed] ... take()
//                              \--none--> missed of the next one of this kind
//
// Ownership   plain values; texts are static.
// Threads     the domain's own.
// Failure     none: what nobody takes is bounded, and then counted as missed.
// Cost        off: one branch. On: one system call for who the client is, for those that are kept.
// May include base/ sys/
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "sys/tcp_socket.h"

namespace iol::http {

// In the order of `kinds` in lib/http/incidents.ts.
enum class IncidentKind : uint8_t {
  HeadTimeout,
  BodyTimeout,
  SendTimeout,
  AnswerTimeout,
  Malformed,
  BodyTooLarge,
  NoMemory,
  QueueFull,
  ConnectionsMax,
  AcceptFailed,
};
constexpr size_t kIncidentKinds = static_cast<size_t>(IncidentKind::AcceptFailed) + 1;

struct Incident {
  IncidentKind kind = IncidentKind::HeadTimeout;
  uint16_t httpStatus = 0;  // Of the answer; 0: none.
  int32_t systemErrno = 0;
  const char* why = "";  // Of what is malformed, else empty.
  sys::Endpoint client;  // Without a host when there is none, or nobody knows any more.
  uint64_t missed = 0;   // More of this kind before it, which were only counted.
};

class Incidents {
 public:
  static constexpr uint32_t kPerSecond = 10;  // Of each kind of what happened to a client.
  static constexpr size_t kKeptMax = 256;

  void setOn(bool isOn) { isOn_ = isOn; }
  // Counts one, and says whether there is room for it: then keep() is to follow.
  bool count(IncidentKind kind, int64_t nowMs);
  void keep(Incident incident);

  bool isEmpty() const { return kept_.empty(); }
  // All that are kept, the oldest first.
  std::vector<Incident> take() { return std::exchange(kept_, {}); }

 private:
  struct Second {
    int64_t startMs = INT64_MIN / 2;
    uint32_t count = 0;
    uint64_t missed = 0;
  };
  bool isOn_ = false;
  std::array<Second, kIncidentKinds> seconds_{};
  std::vector<Incident> kept_;
};

}  // namespace iol::http
