// node/handles.h: C++ objects that JavaScript names by a small integer.
//
//   handle (31 bits, 0 is never one)   | version: 9 | index: 22 |
//
// A handle that was removed is detected, not followed: its slot's version has moved on, and slots
// are reused in the order in which they were freed, so that a version comes round late.
//
// Ownership   the table owns its objects. Their addresses never change while they are in it.
// Threads     the environment's own.
// Failure     insert answers 0 when 4 Mi objects are alive; get answers null.
// Cost        a few instructions; memory is taken 256 slots at a time and kept.
// May include base/ sys/ window/ pool/ aggregate/ cache/ net/ io/ http/
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace iol::node {

template <typename T>
class Handles {
 public:
  static constexpr uint32_t kIndexBits = 22;
  static constexpr uint32_t kVersionBits = 9;
  static constexpr uint32_t kLiveMax = 1u << kIndexBits;

  Handles() = default;
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;

  int32_t insert(T value) {
    if (freeHead_ == kNone && !grow()) return 0;
    const uint32_t index = freeHead_;
    Slot& slot = at(index);
    freeHead_ = slot.nextFree;
    if (freeHead_ == kNone) freeTail_ = kNone;
    slot.value.emplace(std::move(value));
    ++live_;
    return static_cast<int32_t>(slot.version << kIndexBits | index);
  }

  // Null for a handle that is not, or no longer, in the table.
  T* get(int32_t handle) {
    Slot* slot = find(handle);
    return slot ? &*slot->value : nullptr;
  }

  // Ends the object; false when the handle was stale.
  bool remove(int32_t handle) {
    Slot* slot = find(handle);
    if (!slot) return false;
    erase(*slot, static_cast<uint32_t>(handle) & (kLiveMax - 1));
    return true;
  }

  std::optional<T> take(int32_t handle) {
    Slot* slot = find(handle);
    if (!slot) return std::nullopt;
    std::optional<T> value(std::move(*slot->value));
    erase(*slot, static_cast<uint32_t>(handle) & (kLiveMax - 1));
    return value;
  }

  template <typename Visit>
  void forEach(Visit visit) {
    for (auto& block : blocks_) {
      for (size_t i = 0; i < kBlockSlots; ++i) {
        if (block[i].value) visit(*block[i].value);
      }
    }
  }

  void clear() {
    for (uint32_t index = 0; index < blocks_.size() * kBlockSlots; ++index) {
      if (at(index).value) erase(at(index), index);
    }
  }

  template <typename Take>
  void takeAll(Take takeOne) {
    for (uint32_t index = 0; index < blocks_.size() * kBlockSlots; ++index) {
      if (!at(index).value) continue;
      T value(std::move(*at(index).value));
      erase(at(index), index);
      takeOne(std::move(value));
    }
  }

  uint32_t size() const { return live_; }
  bool isFull() const { return live_ == kLiveMax; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kBlockSlots = 256;

  struct Slot {
    std::optional<T> value;
    uint32_t version = 1;
    uint32_t nextFree = kNone;
  };

  Slot& at(uint32_t index) { return blocks_[index / kBlockSlots][index % kBlockSlots]; }

  Slot* find(int32_t handle) {
    const uint32_t bits = static_cast<uint32_t>(handle);
    const uint32_t index = bits & (kLiveMax - 1);
    if (handle <= 0 || index >= blocks_.size() * kBlockSlots) return nullptr;
    Slot& slot = at(index);
    return slot.value && slot.version == bits >> kIndexBits ? &slot : nullptr;
  }

  void erase(Slot& slot, uint32_t index) {
    // Why: the object leaves the slot first, so that its destructor may use the table.
    std::optional<T> value(std::move(*slot.value));
    slot.value.reset();
    slot.version = slot.version + 1 < (1u << kVersionBits) ? slot.version + 1 : 1;
    append(index);
    --live_;
  }

  void append(uint32_t index) {
    at(index).nextFree = kNone;
    if (freeTail_ == kNone) {
      freeHead_ = index;
    } else {
      at(freeTail_).nextFree = index;
    }
    freeTail_ = index;
  }

  bool grow() {
    const uint32_t first = static_cast<uint32_t>(blocks_.size()) * kBlockSlots;
    if (first >= kLiveMax) return false;
    blocks_.push_back(std::make_unique<Slot[]>(kBlockSlots));
    for (uint32_t i = 0; i < kBlockSlots; ++i) append(first + i);
    return true;
  }

  std::vector<std::unique_ptr<Slot[]>> blocks_;
  uint32_t freeHead_ = kNone;
  uint32_t freeTail_ = kNone;
  uint32_t live_ = 0;
};

}  // namespace iol::node
