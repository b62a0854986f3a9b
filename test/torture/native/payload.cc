#include "payload.h"

#include <algorithm>
#include <cstring>

#include "aggregate/slice_iterator.h"

namespace iol::torture {
namespace {

constexpr uint32_t kMagic = 0x7472'7469;

uint64_t cellOf(uint64_t serial, uint64_t index) {
  uint64_t word = (serial + index) * 0x9e37'79b9'7f4a'7c15;
  word ^= word >> 29;
  return (word * 0xbf58'476d'1ce4'e5b9) ^ serial;
}

uint32_t checksumOf(const std::vector<uint8_t>& bytes) {
  uint32_t sum = 2166136261u;
  for (const uint8_t byte : bytes) sum = (sum ^ byte) * 16777619u;
  return sum;
}

}  // namespace

void fillBytes(uint8_t* bytes, uint64_t serial, uint32_t length) {
  for (uint32_t at = 0; at < length; at += 8) {
    const uint64_t cell = cellOf(serial, at / 8);
    std::memcpy(bytes + at, &cell, std::min(8u, length - at));
  }
}

uint32_t wrongByte(const uint8_t* bytes, uint64_t serial, uint32_t offset, uint32_t length) {
  for (uint32_t at = 0; at < length;) {
    const uint32_t place = offset + at;
    const uint64_t cell = cellOf(serial, place / 8);
    const uint8_t* const wanted = reinterpret_cast<const uint8_t*>(&cell) + place % 8;
    const uint32_t count = std::min(8 - place % 8, length - at);
    if (std::memcmp(bytes + at, wanted, count) != 0) return at;
    at += count;
  }
  return length;
}

std::vector<uint8_t> Contents::metadata() {
  heading.magic = kMagic;
  heading.parts = static_cast<uint32_t>(parts.size());
  heading.checksum = 0;
  std::vector<uint8_t> bytes(sizeof heading + parts.size() * sizeof(Part));
  std::memcpy(bytes.data(), &heading, sizeof heading);
  if (!parts.empty()) {
    std::memcpy(bytes.data() + sizeof heading, parts.data(), parts.size() * sizeof(Part));
  }
  heading.checksum = checksumOf(bytes);
  std::memcpy(bytes.data(), &heading, sizeof heading);
  return bytes;
}

std::string Contents::read(std::span<const uint8_t> metadata) {
  if (metadata.size() < sizeof heading) return "metadata of " + std::to_string(metadata.size());
  std::memcpy(&heading, metadata.data(), sizeof heading);
  if (heading.magic != kMagic) return "metadata without the magic";
  if (metadata.size() != sizeof heading + heading.parts * sizeof(Part)) return "metadata cut";
  parts.resize(heading.parts);
  if (!parts.empty()) {
    std::memcpy(parts.data(), metadata.data() + sizeof heading, parts.size() * sizeof(Part));
  }
  Contents copy = *this;
  copy.metadata();
  return copy.heading.checksum == heading.checksum ? "" : "metadata with a wrong checksum";
}

std::string Contents::check(const Aggregate& payload) const {
  std::vector<Part> all = parts;
  for (uint32_t index = 0; index < heading.strides; index++) {
    all.push_back({parts[0].serial, index % kStrides * kStrideBytes, kStrideLength});
  }
  SliceIterator slices(payload);
  uint32_t inSlice = 0;
  for (size_t index = 0; index < all.size(); index++) {
    Part& part = all[index];
    while (part.length > 0) {
      if (slices.isAtEnd()) return "payload too short";
      const Slice& slice = slices.slice();
      const uint32_t length = std::min(part.length, slice.length - inSlice);
      const uint8_t* const bytes = slice.data() + inSlice;
      const uint32_t wrong = wrongByte(bytes, part.serial, part.offset, length);
      if (wrong != length) {
        return "wrong byte at " + std::to_string(part.offset + wrong) + " of buffer " +
               std::to_string(part.serial >> 32) + ":" + std::to_string(part.serial & 0xffff'ffff) +
               ", part " + std::to_string(index) + " of " + std::to_string(all.size()) +
               ", segment " + std::to_string(slice.segment->number()) + " slot " +
               std::to_string(slice.slot) + " generation " + std::to_string(slice.generation) +
               " (now " + std::to_string(slice.segment->generation(slice.slot).load()) + ")";
      }
      part.offset += length;
      part.length -= length;
      inSlice += length;
      if (inSlice < slice.length) continue;
      inSlice = 0;
      slices.next();
    }
  }
  return slices.isAtEnd() ? "" : "payload too long";
}

}  // namespace iol::torture
