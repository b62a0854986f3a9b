#include "http/receive_buffers.h"

#include <algorithm>
#include <utility>

namespace iol::http {

Status ReceiveBuffers::prepare() {
  Result<Draft> draft = pool_.allocate(kReceiveBytes);
  if (!draft.isOk()) return draft.status();
  all_.push_back(std::make_unique<ReceiveBuffer>());
  ReceiveBuffer* buffer = all_.back().get();
  buffer->draft = draft.take();
  buffer->bytes = buffer->draft.bytes();
  buffer->references = 1;
  release(buffer);
  return {};
}

ReceiveBuffer* ReceiveBuffers::take() {
  ReceiveBuffer* buffer = warm_;
  if (buffer != nullptr) {
    warm_ = buffer->next;
    --warmCount_;
  } else {
    Result<Draft> draft = pool_.allocate(kReceiveBytes);
    if (!draft.isOk()) return nullptr;
    if (empty_ == nullptr) {
      all_.push_back(std::make_unique<ReceiveBuffer>());
      empty_ = all_.back().get();
    }
    buffer = std::exchange(empty_, empty_->next);
    buffer->draft = draft.take();
    buffer->bytes = buffer->draft.bytes();
  }
  buffer->used = 0;
  buffer->references = 1;
  buffer->next = nullptr;
  return buffer;
}

void ReceiveBuffers::release(ReceiveBuffer* buffer) {
  if (--buffer->references > 0) return;
  if (warmCount_ < kWarmBuffersMax) {
    buffer->next = std::exchange(warm_, buffer);
    ++warmCount_;
  } else {
    buffer->draft.abandon();
    buffer->bytes = nullptr;
    buffer->next = std::exchange(empty_, buffer);
  }
}

uint32_t ReceivedRun::fill(ByteSpan* spans, uint32_t spansMax) const {
  uint32_t count = 0;
  uint32_t left = length;
  uint32_t skip = offset;
  for (const ReceiveBuffer* buffer = first; left > 0 && count < spansMax; buffer = buffer->next) {
    const uint32_t bytes = std::min(left, buffer->used - skip);
    if (bytes > 0) spans[count++] = {buffer->bytes + skip, bytes};
    left -= bytes;
    skip = 0;
  }
  return count;
}

}  // namespace iol::http
