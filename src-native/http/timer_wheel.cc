#include "http/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace iol::http {

TimerWheel::TimerWheel(int64_t nowMs) : currentTick_(nowMs / kTickMs) {
  for (TimerNode& slot : slots_) slot.next = slot.previous = &slot;
}

void TimerWheel::link(TimerNode& node) {
  if (node.isLinked()) unlink(node);
  // Why clamped: a deadline past the horizon is looked at once per turn of the wheel, one in the
  // past at the next look.
  node.tick = std::clamp(tickOf(node.deadlineMs), currentTick_ + 1, currentTick_ + kSlots - 1);
  const uint32_t index = static_cast<uint32_t>(node.tick % kSlots);
  TimerNode& slot = slots_[index];
  node.next = &slot;
  node.previous = slot.previous;
  slot.previous->next = &node;
  slot.previous = &node;
  occupied_[index / 64] |= 1ull << (index % 64);
}

void TimerWheel::unlink(TimerNode& node) {
  node.previous->next = node.next;
  node.next->previous = node.previous;
  if (node.next == node.previous) {  // Only the slot itself is left.
    const uint32_t index = static_cast<uint32_t>(node.tick % kSlots);
    if (slots_[index].next == &slots_[index]) occupied_[index / 64] &= ~(1ull << (index % 64));
  }
  node.next = node.previous = nullptr;
}

void TimerWheel::remove(TimerNode& node) {
  node.deadlineMs = TimerNode::kNever;
  if (node.isLinked()) unlink(node);
}

int64_t TimerWheel::nextLookMs() const {
  // From the slot after the current one, once round, a word at a time.
  const uint32_t start = static_cast<uint32_t>((currentTick_ + 1) % kSlots);
  for (uint32_t word = 0; word <= kSlots / 64; ++word) {
    const uint32_t index = (start / 64 + word) % (kSlots / 64);
    uint64_t bits = occupied_[index];
    if (word == 0) bits &= ~0ull << (start % 64);
    if (word == kSlots / 64) bits &= ~(~0ull << (start % 64));
    if (bits == 0) continue;
    const uint32_t slot = index * 64 + static_cast<uint32_t>(std::countr_zero(bits));
    return (currentTick_ + 1 + (slot + kSlots - start) % kSlots) * kTickMs;
  }
  return -1;
}

TimerNode* TimerWheel::takeExpired(int64_t nowMs) {
  for (;;) {
    const int64_t lookMs = nextLookMs();
    const int64_t nowTick = nowMs / kTickMs;
    if (lookMs < 0 || lookMs > nowMs) {
      currentTick_ = std::max(currentTick_, nowTick);
      return nullptr;
    }
    // Why one before: the slot stays the next one to look at until it is empty.
    currentTick_ = lookMs / kTickMs - 1;
    TimerNode& slot = slots_[static_cast<uint32_t>((currentTick_ + 1) % kSlots)];
    while (slot.next != &slot) {
      TimerNode& node = *slot.next;
      unlink(node);
      if (node.deadlineMs <= nowMs) return &node;
      if (node.deadlineMs != TimerNode::kNever) {
        // Later than now, so never this slot again: its tick is past nowTick, or clamped to it.
        link(node);
      }
    }
  }
}

}  // namespace iol::http
