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

Window::Window(Options options) : id_(sys::randomId()), maxBytes_(options.maxBytes) {
  if (maxBytes_ == 0) maxBytes_ = sys::memoryRoom().totalBytes / 2;
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
  constexpr uint32_t kEnd = 1u << kSegmentNumberBits;
  if (count > kEnd - nextSegment_) {
    return Status(Code::WindowFull, "window's segment numbers", nextSegment_ + count, kEnd);
  }
  const uint32_t number = nextSegment_;
  nextSegment_ += count;
  return number;
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
  const sys::MemoryRoom room = sys::memoryRoom();
  const uint64_t kept = headRoom(room.totalBytes);
  if (room.availableBytes < bytes + kept) {
    unreserve(bytes);
    return Status(Code::NoMemory, "memory", bytes + kept, room.availableBytes);
  }
  return {};
}

void Window::unreserve(uint64_t bytes) {
  committedBytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

}  // namespace iol
