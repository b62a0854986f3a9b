#include "window/window.h"

#include <algorithm>

#include "sys/limits.h"

namespace iol {
namespace {

// What is left to the rest of the machine when memory is committed: the kernel reclaims, heaps
// grow, and what a cgroup cannot grant is not an error but a kill.
uint64_t headRoom(uint64_t totalBytes) {
  return std::min<uint64_t>(std::max<uint64_t>(totalBytes / 16, 8ull << 20), 256ull << 20);
}

std::mutex processMutex;
Window::Options processOptions;
std::atomic<Window*> processWindow{nullptr};

}  // namespace

Window::Window(Options options) : Window(sys::randomId(), options) {
  // 0 is no segment, so address 0 names nothing.
  addSegmentNumbers(1, (1u << kSegmentNumberBits) - 1);
}

Window::Window(uint64_t id, Options options) : id_(id), maxBytes_(options.maxBytes) {
  if (maxBytes_ == 0) {
    const Result<sys::MemoryRoom> room = sys::memoryRoom();
    maxBytes_ = room.isOk() ? room.value().totalBytes / 2 : UINT64_MAX;  // Each commit asks again.
  }
  sys::watchForks();
}

Window& Window::process() {
  if (Window* window = processWindow.load(std::memory_order_acquire)) return *window;
  std::lock_guard<std::mutex> lock(processMutex);
  if (processWindow.load(std::memory_order_relaxed) == nullptr) {
    processWindow.store(new Window(processOptions), std::memory_order_release);
  }
  return *processWindow.load(std::memory_order_relaxed);
}

Status Window::configure(Options options) {
  std::lock_guard<std::mutex> lock(processMutex);
  Window* window = processWindow.load(std::memory_order_relaxed);
  if (window != nullptr && options.maxBytes != 0 && options.maxBytes != window->maxBytes()) {
    return Status(Code::Busy, "window", options.maxBytes, window->maxBytes());
  }
  if (window == nullptr) processOptions = options;
  return {};
}

Result<uint32_t> Window::takeSegmentNumbers(uint32_t count) {
  std::lock_guard<std::mutex> lock(mutex_);
  for (Range& range : numbers_) {
    if (range.end - range.next < count) continue;
    const uint32_t number = range.next;
    range.next += count;
    return number;
  }
  return Status(Code::WindowFull, "window's segment numbers", count, 0);
}

void Window::addSegmentNumbers(uint32_t first, uint32_t count) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::erase_if(numbers_, [](const Range& range) { return range.next == range.end; });
  if (count > 0) numbers_.push_back({first, first + count});
}

uint32_t Window::segmentNumbersLeft() const {
  std::lock_guard<std::mutex> lock(mutex_);
  uint32_t left = 0;
  for (const Range& range : numbers_) left += range.end - range.next;
  return left;
}

Result<DomainName> Window::takeDomain() {
  if (sys::isForkedChild()) return Status(Code::Forked, "window");
  std::lock_guard<std::mutex> lock(mutex_);
  for (uint32_t slot = 0; slot < kDomainsMax; slot++) {
    if (domainUsed_[slot]) continue;
    domainUsed_[slot] = true;
    return DomainName{slot, ++domainEpochs_[slot]};
  }
  return Status(Code::WindowFull, "window's domains", kDomainsMax, kDomainsMax);
}

bool Window::hasDomain(DomainName domain) const {
  std::lock_guard<std::mutex> lock(mutex_);
  return domain.slot < kDomainsMax && domainUsed_[domain.slot] &&
         domain.epoch == domainEpochs_[domain.slot];
}

void Window::returnDomain(DomainName domain) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (domain.epoch == domainEpochs_[domain.slot]) domainUsed_[domain.slot] = false;
}

Status Window::reserve(uint64_t bytes) {
  const uint64_t before = committedBytes_.fetch_add(bytes, std::memory_order_relaxed);
  if (before + bytes > maxBytes_) {
    unreserve(bytes);
    return Status(Code::WindowFull, "window", before + bytes, maxBytes_);
  }
  const Result<sys::MemoryRoom> room = sys::memoryRoom();
  if (!room.isOk()) {
    unreserve(bytes);
    return room.status();
  }
  const uint64_t kept = headRoom(room.value().totalBytes);
  if (room.value().availableBytes < bytes + kept) {
    unreserve(bytes);
    return Status(Code::NoMemory, "memory", bytes + kept, room.value().availableBytes);
  }
  return {};
}

void Window::unreserve(uint64_t bytes) {
  committedBytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

}  // namespace iol
