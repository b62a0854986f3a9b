// base/fifo.h: a queue that allocates only while it grows (std::deque: also as it moves).
// May include nothing of ours.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace iol {

template <typename T>
class Fifo {
 public:
  bool empty() const { return count_ == 0; }
  size_t size() const { return count_; }
  T& front() { return items_[first_]; }
  T& back() { return items_[(first_ + count_ - 1) & (items_.size() - 1)]; }
  void push(T item) {
    if (count_ == items_.size()) grow();
    items_[(first_ + count_++) & (items_.size() - 1)] = std::move(item);
  }
  T pop() {
    T item = std::move(items_[first_]);
    first_ = (first_ + 1) & (items_.size() - 1);
    count_--;
    return item;
  }

 private:
  void grow() {
    std::vector<T> larger(items_.empty() ? 16 : items_.size() * 2);
    for (size_t at = 0; at < count_; at++) {
      larger[at] = std::move(items_[(first_ + at) & (items_.size() - 1)]);
    }
    items_ = std::move(larger);
    first_ = 0;
  }

  std::vector<T> items_;  // A power of two.
  size_t first_ = 0;
  size_t count_ = 0;
};

}  // namespace iol
