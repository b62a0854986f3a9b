// channel/ring_memory.h: the memory of one side of a channel, made by its writer.
//
// Ownership   RingMemory owns mapping and descriptors.
// Threads     any.
// Failure     System; BadDescriptor, Format for what a peer sent: exact size, sealed, allocated,
//             of this window, this channel and that writer.
// Cost        a handful of system calls, once per channel.
// May include base/ sys/ window/
#pragma once

#include "base/status.h"
#include "channel/ring_layout.h"
#include "sys/fd.h"
#include "window/segment.h"

namespace iol {

struct ChannelName {
  uint64_t windowId = 0;
  uint64_t channelId = 0;
  uint64_t ringBytes = kRingBytesDefault;
  DomainName sender;
  DomainName receiver;
  const char* label = "";  // Only its maker's, and only for those who look on.
};

class RingMemory {
 public:
  enum class Side : uint8_t { Sender, Receiver };

  static Result<RingMemory> create(const ChannelName& name, Side side);
  static Result<RingMemory> open(const ChannelName& name, Side side, sys::Fd readOnly);
  RingMemory() = default;
  RingMemory(RingMemory&& other) noexcept;
  RingMemory& operator=(RingMemory&& other) noexcept;
  ~RingMemory();

  SenderBlock& sender() const { return *reinterpret_cast<SenderBlock*>(base_); }
  ReceiverBlock& receiver() const { return *reinterpret_cast<ReceiverBlock*>(base_); }
  RingWord* words() const { return reinterpret_cast<RingWord*>(base_ + kRingOffset); }
  const sys::Fd& readOnlyFd() const { return readOnlyFd_; }
  bool isOpen() const { return base_ != nullptr; }

 private:
  uint8_t* base_ = nullptr;
  uint64_t bytes_ = 0;
  sys::Fd readOnlyFd_;
};

}  // namespace iol
