// pool/slice.h: a run of bytes inside one sealed buffer. A value; holding is the owner's business.
//
//   buffer   |------------- capacity -------------|
//   slice         |--- length ---|
//                 ^ offset (from the buffer's start)
//
// Ownership   a Slice is a name, not a hold: whoever keeps one keeps a hold on its buffer
//             (Domain::retain / release).
// May include base/ sys/ window/
#pragma once

#include <cstdint>

#include "window/segment.h"

namespace iol {

struct Slice {
  Segment* segment = nullptr;
  uint32_t slot = 0;
  uint32_t offset = 0;
  uint32_t length = 0;
  uint64_t generation = 0;

  // The bytes, in the mapping that only the library sees.
  const uint8_t* data() const { return segment->readOnly() + segment->slotOffset(slot) + offset; }
  // One number for the first byte, the same in every process.
  uint64_t address() const { return segment->address() + segment->slotOffset(slot) + offset; }
  bool sameBuffer(const Slice& other) const {
    return segment == other.segment && slot == other.slot;
  }
  Slice part(uint32_t from, uint32_t bytes) const {
    Slice slice = *this;
    slice.offset += from;
    slice.length = bytes;
    return slice;
  }
};

}  // namespace iol
