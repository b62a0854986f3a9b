// test/torture/native/scoreboard.h: the memory that controller and participants of a torture share
// beside the library: who sits where, what was promised on each channel, how long anybody stood
// still. It outlives whoever is killed, so that others can be held to what the dead had said.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/status.h"
#include "pool/holds.h"
#include "sys/fd.h"

namespace iol::torture {

constexpr uint32_t kSeatsMax = 64;
constexpr uint32_t kRecords = 1u << 20;
constexpr uint32_t kHostSeat = 0;

enum class Role : uint32_t { Host, Producer, Consumer, Forwarder, Hasty, Churner, Node };
const char* nameOf(Role role);

enum class Phase : uint32_t {
  Run,
  Quiet,  // Nobody sends; everything is received and dropped, and then counted.
  Leave,
};

enum class State : uint32_t { Empty, Starting, Attached, Alone, Quiet, Left, Failed };
const char* nameOf(State state);

// What both ends know of one direction of a channel.
struct Record {
  std::atomic<uint64_t> intended;    // Messages that the sender has begun to send,
  std::atomic<uint64_t> sent;        // and of which it knows that they were sent.
  std::atomic<uint64_t> taken;       // Received or stale.
  std::atomic<uint32_t> hasForeign;  // Names of buffers that its sender did not make.
  std::atomic<uint32_t> senderSeat;
  std::atomic<uint32_t> receiverSeat;
};

// Spans of time, each power of two in four steps: 1 us to 4,000 s.
class Histogram {
 public:
  static constexpr uint32_t kSteps = 128;
  void add(int64_t ns);
  uint64_t count() const;
  // The upper end of the step that has that share of all.
  double ms(double share) const;
  double maxMs() const { return static_cast<double>(maxNs_.load()) / 1e6; }

 private:
  std::atomic<uint64_t> steps_[kSteps];
  std::atomic<int64_t> maxNs_;
};

struct Seat {
  // The controller's
  std::atomic<uint32_t> role;
  std::atomic<int32_t> pid;
  std::atomic<uint32_t> uid;       // Of this participant, among all that ever were.
  std::atomic<uint32_t> armed;     // Crash point << 16 | passage; taken by the participant.
  std::atomic<int64_t> wokenAtNs;  // When it was last let go on after SIGSTOP.
  std::atomic<uint32_t> isStopped;
  // The participant's
  std::atomic<uint32_t> state;
  std::atomic<uint32_t> round;   // The Quiet round that it has accounted for.
  std::atomic<uint64_t> domain;  // epoch << 32 | slot
  std::atomic<uint64_t> windowId;
  std::atomic<int64_t> turnBeganNs;  // 0: asleep.
  std::atomic<uint64_t> sent, received, stale, forwarded, opened, refused, closed, deaths;
  std::atomic<uint32_t> channels, held, descriptors, mappings, grants;
  char doing[64];
  char complaint[400];
};

// Sums over all participants that ever were.
struct Totals {
  std::atomic<uint64_t> messages, bytes, stale, forwarded, opened, refused, notNow;
  std::atomic<uint64_t> attached, left;
};

struct Scoreboard {
  std::atomic<uint32_t> phase;
  std::atomic<uint32_t> round;        // Of Quiet.
  std::atomic<uint32_t> windowsMade;  // Raised by the host once `address` is right.
  std::atomic<uint32_t> isHostAlive;
  std::atomic<int64_t> anyWokenAtNs;  // Of all seats, the last.
  std::atomic<uint32_t> recordsTaken;
  std::atomic<uint32_t> hostDomains, hostGhosts, hostSegments;
  char address[128];
  Histogram turns;    // From waking to falling asleep.
  Histogram transit;  // From publishing to receiving, both ends running.
  Histogram stalls;   // The same less what the receiver waited for a processor.
  Histogram waits;    // Of a message, for a grant or for an owner that revokes.
  Totals totals;
  Seat seats[kSeatsMax];
  Record records[kRecords];

  Record& record(uint32_t index) { return records[index % kRecords]; }
};

// A memfd of the controller; the participants have it as descriptor 3.
struct SharedScoreboard {
  sys::Fd memory;
  Scoreboard* board = nullptr;
};
SharedScoreboard makeScoreboard();
Scoreboard* openScoreboard(int descriptor);

// splitmix64
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t word = state_ += 0x9e37'79b9'7f4a'7c15;
    word = (word ^ (word >> 30)) * 0xbf58'476d'1ce4'e5b9;
    word = (word ^ (word >> 27)) * 0x94d0'49bb'1331'11eb;
    return word ^ (word >> 31);
  }
  uint32_t below(uint32_t limit) { return static_cast<uint32_t>(next() % limit); }
  bool oneIn(uint32_t n) { return below(n) == 0; }

 private:
  uint64_t state_;
};

}  // namespace iol::torture
