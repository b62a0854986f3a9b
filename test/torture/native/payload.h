// test/torture/native/payload.h: messages that can be checked by whoever gets them.
//
//   metadata   | heading: channel, number, time, checksum of all this | part | part | ... |
//   payload    | bytes of part 0 | bytes of part 1 | ...
//
// Every buffer that is ever made has a serial number, and its bytes follow from that and their
// place alone. A part names bytes of a buffer, so that a message can be checked down to the byte
// whoever made its buffers and however many hands it went through.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "aggregate/aggregate.h"

namespace iol::torture {

struct Part {
  uint64_t serial;
  uint32_t offset;
  uint32_t length;
};

struct Heading {
  uint32_t magic;
  uint32_t record;
  uint64_t number;
  int64_t sentNs;
  uint32_t hops;
  uint32_t parts;
  uint32_t strides;  // More slices of the first part's buffer: a list that no ring has room for.
  uint32_t checksum;
};
static_assert(sizeof(Heading) == 40);

constexpr uint32_t kPartsMax = 60;
constexpr uint32_t kStrideBytes = 256;
constexpr uint32_t kStrideLength = 200;  // Too long to be joined into one.
constexpr uint32_t kStrides = 64;        // They begin anew after so many.

struct Contents {
  Heading heading{};
  std::vector<Part> parts;

  std::vector<uint8_t> metadata();
  // Why not: as a sentence; empty when it is right.
  std::string read(std::span<const uint8_t> metadata);
  // Empty when every byte is what it should be.
  std::string check(const Aggregate& payload) const;
};

void fillBytes(uint8_t* bytes, uint64_t serial, uint32_t length);
// The first place where they are wrong; `length` when they are right.
uint32_t wrongByte(const uint8_t* bytes, uint64_t serial, uint32_t offset, uint32_t length);

}  // namespace iol::torture
