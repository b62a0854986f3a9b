// http/timer_wheel.h: one deadline per connection, cheap to move and never early.
//
//   slots   [ ][*][ ][*] ...   one per tick of kTickMs, kSlots of them
//               |     \-> node -> node        a node whose deadline moved later stays where it is
//               \-> node                      and is put right when its old slot comes up
//
// Ownership   borrows the nodes, which live in their connections; remove() before a node ends.
// Threads     one at a time.
// Failure     none.
// Cost        a later deadline: one store. An earlier one: unlink and link. No allocation. A
//             deadline is noticed up to kTickMs late.
// May include nothing of ours.
#pragma once

#include <cstdint>

namespace iol::http {

struct TimerNode {
  static constexpr int64_t kNever = INT64_MAX;

  int64_t deadlineMs = kNever;
  int64_t tick = 0;  // When the wheel looks at it.
  TimerNode* next = nullptr;
  TimerNode* previous = nullptr;
  uint32_t owner = 0;  // For the caller.

  bool isLinked() const { return next != nullptr; }
};

class TimerWheel {
 public:
  static constexpr int64_t kTickMs = 32;
  static constexpr uint32_t kSlots = 1024;

  explicit TimerWheel(int64_t nowMs);
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // kNever cancels.
  void set(TimerNode& node, int64_t deadlineMs) {
    node.deadlineMs = deadlineMs;
    if (node.isLinked() && node.tick <= tickOf(deadlineMs)) return;
    if (deadlineMs != TimerNode::kNever) link(node);
  }
  void remove(TimerNode& node);

  // The moment of the next look, or -1 when nothing is set. Something may be due then.
  int64_t nextLookMs() const;

  // A node that is due, unlinked; null when there is none. Call until null.
  TimerNode* takeExpired(int64_t nowMs);

 private:
  static int64_t tickOf(int64_t deadlineMs) {
    return deadlineMs == TimerNode::kNever ? INT64_MAX : (deadlineMs + kTickMs - 1) / kTickMs;
  }
  void link(TimerNode& node);
  void unlink(TimerNode& node);

  TimerNode slots_[kSlots];  // Heads of circular lists.
  uint64_t occupied_[kSlots / 64] = {};
  int64_t currentTick_;  // Every slot up to here was looked at.
};

}  // namespace iol::http
