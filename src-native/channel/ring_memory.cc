#include "channel/ring_memory.h"

#include <utility>

#include "pool/facts.h"
#include "sys/limits.h"
#include "sys/memory.h"

namespace iol {
namespace {

uint64_t bytesOf(const ChannelName& name, RingMemory::Side side) {
  return side == RingMemory::Side::Sender ? kRingOffset + name.ringBytes : kReceiverBytes;
}

ChannelHeader headerOf(const ChannelName& name, RingMemory::Side side) {
  const bool isSender = side == RingMemory::Side::Sender;
  const DomainName writer = isSender ? name.sender : name.receiver;
  const DomainName peer = isSender ? name.receiver : name.sender;
  ChannelHeader header{};
  header.magic = isSender ? kSenderMagic : kReceiverMagic;
  header.format = kFormat;
  header.byteOrder = kByteOrder;
  header.windowId = name.windowId;
  header.channelId = name.channelId;
  header.ringBytes = name.ringBytes;
  header.writerSlot = writer.slot;
  header.writerEpoch = writer.epoch;
  header.peerSlot = peer.slot;
  header.peerEpoch = peer.epoch;
  return header;
}

// Everything in it is expected: nothing of a foreign header is used.
Status checkHeader(const ChannelHeader& header, const ChannelHeader& expected) {
  if (header.magic != expected.magic || header.byteOrder != expected.byteOrder ||
      header.format != expected.format) {
    return Status(Code::Format, "channel", header.format, kFormat);
  }
  if (header.windowId != expected.windowId || header.channelId != expected.channelId) {
    return Status(Code::BadDescriptor, "channel id", header.channelId, expected.channelId);
  }
  if (header.ringBytes != expected.ringBytes) {
    return Status(Code::BadDescriptor, "ring size", header.ringBytes, expected.ringBytes);
  }
  if (header.writerSlot != expected.writerSlot || header.writerEpoch != expected.writerEpoch ||
      header.peerSlot != expected.peerSlot || header.peerEpoch != expected.peerEpoch) {
    return Status(Code::BadDescriptor, "channel of other domains", header.writerSlot,
                  expected.writerSlot);
  }
  return {};
}

}  // namespace

Result<RingMemory> RingMemory::create(const ChannelName& name, Side side) {
  if (sys::isForkedChild()) return Status(Code::Forked, "channel");
  if (!isRingSize(name.ringBytes)) {
    return Status(Code::BadDescriptor, "ring size", name.ringBytes, kRingBytesMax);
  }
  RingMemory made;
  made.bytes_ = bytesOf(name, side);
  Result<sys::Fd> memory = sys::createMemory("io-lite-channel", made.bytes_);
  if (!memory.isOk()) return memory.status();
  IOL_TRY(sys::commit(memory.value(), 0, made.bytes_));
  Result<uint8_t*> mapped = sys::mapWritable(memory.value(), made.bytes_);
  if (!mapped.isOk()) return mapped.status();
  made.base_ = mapped.value();
  Result<sys::Fd> readOnly = sys::reopenReadOnly(memory.value());
  if (!readOnly.isOk()) return readOnly.status();
  made.readOnlyFd_ = readOnly.take();
  *reinterpret_cast<ChannelHeader*>(made.base_) = headerOf(name, side);
  if (side == Side::Sender) setText(made.sender().label, kChannelLabelBytes, name.label);
  return made;
}

Result<RingMemory> RingMemory::open(const ChannelName& name, Side side, sys::Fd readOnly) {
  if (!isRingSize(name.ringBytes)) {
    return Status(Code::BadDescriptor, "ring size", name.ringBytes, kRingBytesMax);
  }
  RingMemory opened;
  opened.bytes_ = bytesOf(name, side);
  IOL_TRY(sys::checkForeignMemory(readOnly, opened.bytes_));
  Result<uint64_t> allocated = sys::allocatedBytes(readOnly);
  if (!allocated.isOk()) return allocated.status();
  if (allocated.value() < opened.bytes_) {
    return Status(Code::BadDescriptor, "channel memory allocated", allocated.value(),
                  opened.bytes_);
  }
  Result<uint8_t*> mapped = sys::mapReadOnly(readOnly, opened.bytes_);
  if (!mapped.isOk()) return mapped.status();
  opened.base_ = mapped.value();
  const ChannelHeader header = *reinterpret_cast<const ChannelHeader*>(opened.base_);
  IOL_TRY(checkHeader(header, headerOf(name, side)));
  return opened;
}

RingMemory::RingMemory(RingMemory&& other) noexcept { *this = std::move(other); }

RingMemory& RingMemory::operator=(RingMemory&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(bytes_, other.bytes_);
  std::swap(readOnlyFd_, other.readOnlyFd_);
  return *this;
}

RingMemory::~RingMemory() { sys::unmap(base_, bytes_); }

}  // namespace iol
