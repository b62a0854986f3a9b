// channel/message.h: one message as words of a ring: written, and read without any trust.
//
// readFrame copies the words out once and checks what can be checked without the window; what the
// names mean is the receiver's business. Both are pure: words and indices in, a frame out.
//
// Ownership   a Frame owns its vectors, which are reused from message to message.
// Threads     one at a time.
// Failure     BadDescriptor with the value that is wrong and its limit.
// Cost        a load or store per word.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <span>
#include <vector>

#include "base/status.h"
#include "channel/ring_layout.h"
#include "pool/slice.h"

namespace iol {

struct Descriptor {
  uint32_t segment = 0;
  uint32_t slot = 0;
  uint64_t generation = 0;
  uint32_t offset = 0;
  uint32_t length = 0;
};

struct Frame {
  uint32_t words = 0;
  uint32_t count = 0;  // Descriptors of the message, wherever they are.
  bool isListElsewhere = false;
  std::vector<uint8_t> metadata;
  std::vector<Descriptor> descriptors;
};

// Words that a message takes, whole cells.
uint32_t frameWords(uint32_t metadataBytes, uint32_t descriptors);

// The ring, at a position that only grows.
struct RingWriter {
  RingWord* words;
  uint64_t mask;
  uint64_t at;
  void put(uint64_t word);
};
void writeFrame(RingWriter& ring, uint32_t count, bool isListElsewhere,
                std::span<const uint8_t> metadata, std::span<const Descriptor> descriptors);

struct RingReader {
  const RingWord* words;
  uint64_t mask;
  uint64_t at;
  uint64_t take() { return words[at++ & mask].load(std::memory_order_relaxed); }
};
// `available`: words between the reader's position and the published index, at least one cell.
Status readFrame(RingReader ring, uint64_t available, Frame& frame);

// Words of a list that lies in a buffer; `bytes` are this process's own copy.
Status readList(const uint8_t* bytes, uint32_t count, std::vector<Descriptor>& descriptors);
void writeList(uint8_t* bytes, std::span<const Descriptor> descriptors);

Descriptor describe(const Slice& slice);

}  // namespace iol
