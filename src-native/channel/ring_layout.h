// channel/ring_layout.h: every struct of a channel that lives in shared memory, and nothing else.
//
//   sender's memfd      written by the sender alone
//   +---------------+-----------+----------+-------------------------------------------------+
//   | ChannelHeader | published | waitsFor | ring of 64-bit words: messages in cells of 64 B |
//   +---------------+-----------+----------+-------------------------------------------------+
//   0               64          72         4096                              4096 + ringBytes
//
//   receiver's memfd    written by the receiver alone
//   +---------------+----------+--------+
//   | ChannelHeader | consumed | closed |
//   +---------------+----------+--------+
//   0               64         128                                                        4096
//
//   domain block memfd  one per domain, written by it alone, read by all its peers
//   +-------------+-------+
//   | BlockHeader | sleep |  (and figures, at 128)
//   +-------------+-------+
//   0             64                                                                      4096
//
//   message   whole cells, at word index `published` modulo the ring
//   | words:32 flags:16 metadataBytes:16 | count:32 zero:32 | metadata | descriptors | padding |
//   descriptor   three words
//   | segment:32 slot:32 | generation:64 | offset:32 length:32 |          low half first
//
// An index counts words since the channel was made and never goes back; it is below 2^62. The top
// bit of `published` says that the sender has closed its side for good.
//
// Changing anything here raises kFormat (window/layout.h) and needs a line in CHANGELOG.md.
// May include base/ window/
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "window/layout.h"

namespace iol {

constexpr uint64_t kSenderMagic = 0x3164'6e73'6c6f'6900;    // "\0iolsnd1"
constexpr uint64_t kReceiverMagic = 0x3176'6372'6c6f'6900;  // "\0iolrcv1"
constexpr uint64_t kBlockMagic = 0x316b'6c62'6c6f'6900;     // "\0iolblk1"

using IndexWord = std::atomic<uint64_t>;
using RingWord = std::atomic<uint64_t>;
static_assert(sizeof(RingWord) == 8 && RingWord::is_always_lock_free);

constexpr uint64_t kIndexClosed = 1ull << 63;
constexpr uint64_t kIndexMax = 1ull << 62;

constexpr uint64_t kRingOffset = 4096;
constexpr uint64_t kRingBytesMin = 4096;
constexpr uint64_t kRingBytesDefault = 64ull << 10;
constexpr uint64_t kRingBytesMax = 16ull << 20;
constexpr uint32_t kCellWords = 8;  // One cache line: a message shares none with the next.

constexpr size_t kChannelLabelBytes = 24;  // With its final 0.
constexpr uint32_t kMetadataBytesMax = 1024;
constexpr uint32_t kDescriptorsInline = 64;     // A longer list goes into a window buffer.
constexpr uint32_t kDescriptorsMax = 1u << 16;  // Of one message.
constexpr uint16_t kMessageListElsewhere = 1;   // Its one descriptor names the list's buffer.
constexpr uint32_t kMessageHeaderWords = 2;
constexpr uint32_t kDescriptorWords = 3;
constexpr uint32_t kDescriptorBytes = kDescriptorWords * 8;

struct ChannelHeader {
  uint64_t magic;
  uint32_t format;
  uint32_t byteOrder;
  uint64_t windowId;
  uint64_t channelId;
  uint64_t ringBytes;
  uint32_t writerSlot;  // The domain that writes this memory, and the one at the other end.
  uint32_t writerEpoch;
  uint32_t peerSlot;
  uint32_t peerEpoch;
  uint64_t reserved;
};
static_assert(sizeof(ChannelHeader) == 64);

struct SenderBlock {
  ChannelHeader header;
  IndexWord published;  // Everything before it may be read.
  IndexWord waitsFor;   // The consumed index at which the sender wants to be woken; 0: none.
  char label[kChannelLabelBytes];  // Of the channel, for those who look on.
};
static_assert(offsetof(SenderBlock, published) == 64 && offsetof(SenderBlock, waitsFor) == 72);

struct ReceiverBlock {
  ChannelHeader header;
  IndexWord consumed;  // Everything before it is held by the receiver, or was never its own.
  // In a line of its own: the sender looks at it for each message, and it hardly ever changes.
  alignas(64) IndexWord closed;
};
static_assert(offsetof(ReceiverBlock, consumed) == 64 && offsetof(ReceiverBlock, closed) == 128);
constexpr uint64_t kReceiverBytes = 4096;

struct BlockHeader {
  uint64_t magic;
  uint32_t format;
  uint32_t byteOrder;
  uint64_t windowId;
  uint32_t domainSlot;
  uint32_t domainEpoch;
  uint64_t reserved[4];
};
static_assert(sizeof(BlockHeader) == 64);

// Since the domain began.
struct DoorbellFigures {
  uint64_t rings = 0;   // Presses of a peer's button: one system call each.
  uint64_t sleeps = 0;  // Announcements after which nothing was found.
  uint64_t wakes = 0;
  uint64_t spinsInVain = 0;
};

struct DomainBlock {
  BlockHeader header;
  IndexWord sleep;  // Odd: about to sleep or asleep; ring once for each odd value.
  // In a line of its own: no peer reads it, observers do.
  alignas(64) DoorbellFigures figures;
};
static_assert(offsetof(DomainBlock, sleep) == 64);
constexpr uint64_t kDomainBlockBytes = 4096;

constexpr bool isRingSize(uint64_t bytes) {
  return bytes >= kRingBytesMin && bytes <= kRingBytesMax && (bytes & (bytes - 1)) == 0;
}

}  // namespace iol
