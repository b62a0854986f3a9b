#include "channel/message.h"

#include "base/crash_point.h"

namespace iol {
namespace {

constexpr uint64_t pair(uint32_t low, uint32_t high) { return uint64_t{high} << 32 | low; }
constexpr uint32_t lowOf(uint64_t word) { return static_cast<uint32_t>(word); }
constexpr uint32_t highOf(uint64_t word) { return static_cast<uint32_t>(word >> 32); }
constexpr uint32_t metadataWords(uint32_t bytes) { return (bytes + 7) / 8; }

Status checkDescriptor(const Descriptor& descriptor) {
  if (descriptor.segment == 0 || descriptor.segment >= 1u << kSegmentNumberBits) {
    return Status(Code::BadDescriptor, "segment number", descriptor.segment,
                  (1u << kSegmentNumberBits) - 1);
  }
  if ((descriptor.generation & kGenerationRevoking) != 0 ||
      descriptor.generation >= kGenerationMax) {
    return Status(Code::BadDescriptor, "generation", descriptor.generation, kGenerationMax);
  }
  if (descriptor.length == 0) return Status(Code::BadDescriptor, "slice length", 0, 1);
  return {};
}

Descriptor fromWords(uint64_t where, uint64_t generation, uint64_t extent) {
  return {lowOf(where), highOf(where), generation, lowOf(extent), highOf(extent)};
}

uint64_t loadWord(const uint8_t* bytes) {
  uint64_t word = 0;
  for (int byte = 7; byte >= 0; byte--) word = word << 8 | bytes[byte];
  return word;
}

void storeWord(uint8_t* bytes, uint64_t word) {
  for (int byte = 0; byte < 8; byte++) bytes[byte] = static_cast<uint8_t>(word >> (8 * byte));
}

}  // namespace

uint32_t frameWords(uint32_t metadataBytes, uint32_t descriptors) {
  const uint32_t words =
      kMessageHeaderWords + metadataWords(metadataBytes) + descriptors * kDescriptorWords;
  return (words + kCellWords - 1) / kCellWords * kCellWords;
}

void RingWriter::put(uint64_t word) {
  IOL_CRASH_POINT(RingMessage);
  words[at++ & mask].store(word, std::memory_order_relaxed);
}

void writeFrame(RingWriter& ring, uint32_t count, bool isListElsewhere,
                std::span<const uint8_t> metadata, std::span<const Descriptor> descriptors) {
  const uint32_t bytes = static_cast<uint32_t>(metadata.size());
  const uint32_t words = frameWords(bytes, static_cast<uint32_t>(descriptors.size()));
  const uint64_t end = ring.at + words;
  const uint32_t flags = isListElsewhere ? kMessageListElsewhere : 0;
  ring.put(pair(words, bytes << 16 | flags));
  ring.put(count);
  for (uint32_t at = 0; at < bytes; at += 8) {
    uint64_t word = 0;
    for (uint32_t byte = 0; byte < 8 && at + byte < bytes; byte++) {
      word |= uint64_t{metadata[at + byte]} << (8 * byte);
    }
    ring.put(word);
  }
  for (const Descriptor& descriptor : descriptors) {
    ring.put(pair(descriptor.segment, descriptor.slot));
    ring.put(descriptor.generation);
    ring.put(pair(descriptor.offset, descriptor.length));
  }
  ring.at = end;  // What pads the last cell is never read.
}

Status readFrame(RingReader ring, uint64_t available, Frame& frame) {
  const uint64_t first = ring.take();
  const uint64_t second = ring.take();
  const uint32_t words = lowOf(first);
  const uint32_t flags = highOf(first) & 0xffff;
  const uint32_t bytes = highOf(first) >> 16;
  frame.words = words;
  frame.count = lowOf(second);
  frame.isListElsewhere = flags == kMessageListElsewhere;
  frame.descriptors.clear();
  frame.metadata.clear();
  if ((flags & ~uint32_t{kMessageListElsewhere}) != 0 || highOf(second) != 0) {
    return Status(Code::BadDescriptor, "message flags", flags, kMessageListElsewhere);
  }
  if (bytes > kMetadataBytesMax) {
    return Status(Code::BadDescriptor, "message metadata", bytes, kMetadataBytesMax);
  }
  const uint32_t countMax = frame.isListElsewhere ? kDescriptorsMax : kDescriptorsInline;
  if (frame.count > countMax) {
    return Status(Code::BadDescriptor, "message slices", frame.count, countMax);
  }
  const uint32_t here = frame.isListElsewhere ? 1 : frame.count;
  if (words != frameWords(bytes, here) || words > available) {
    return Status(Code::BadDescriptor, "message length", words, available);
  }
  for (uint32_t at = 0; at < bytes; at += 8) {
    const uint64_t word = ring.take();
    for (uint32_t byte = 0; byte < 8 && at + byte < bytes; byte++) {
      frame.metadata.push_back(static_cast<uint8_t>(word >> (8 * byte)));
    }
  }
  for (uint32_t index = 0; index < here; index++) {
    const uint64_t where = ring.take();
    const uint64_t generation = ring.take();
    frame.descriptors.push_back(fromWords(where, generation, ring.take()));
    IOL_TRY(checkDescriptor(frame.descriptors.back()));
  }
  const uint64_t listBytes = uint64_t{frame.count} * kDescriptorBytes;
  if (frame.isListElsewhere && frame.descriptors[0].length != listBytes) {
    return Status(Code::BadDescriptor, "list of slices", frame.descriptors[0].length, listBytes);
  }
  return {};
}

Status readList(const uint8_t* bytes, uint32_t count, std::vector<Descriptor>& descriptors) {
  descriptors.clear();
  for (uint32_t index = 0; index < count; index++, bytes += kDescriptorBytes) {
    descriptors.push_back(fromWords(loadWord(bytes), loadWord(bytes + 8), loadWord(bytes + 16)));
    IOL_TRY(checkDescriptor(descriptors.back()));
  }
  return {};
}

void writeList(uint8_t* bytes, std::span<const Descriptor> descriptors) {
  for (const Descriptor& descriptor : descriptors) {
    storeWord(bytes, pair(descriptor.segment, descriptor.slot));
    storeWord(bytes + 8, descriptor.generation);
    storeWord(bytes + 16, pair(descriptor.offset, descriptor.length));
    bytes += kDescriptorBytes;
  }
}

Descriptor describe(const Slice& slice) {
  return {slice.segment->number(), slice.slot, slice.generation, slice.offset, slice.length};
}

}  // namespace iol
