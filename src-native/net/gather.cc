#include "net/gather.h"

namespace iol::net {
namespace {

// Where the next byte to send is.
struct Position {
  size_t part = 0;
  uint64_t offset = 0;  // In that part.

  void advance(std::span<const Aggregate* const> parts, uint64_t bytes) {
    offset += bytes;
    while (part < parts.size() && offset >= parts[part]->byteLength()) {
      offset -= parts[part]->byteLength();
      ++part;
    }
  }
};

uint32_t fill(std::span<const Aggregate* const> parts, Position from, iovec* vectors) {
  uint32_t count = 0;
  uint64_t offset = from.offset;
  for (size_t part = from.part; part < parts.size() && count < kVectorsMax; ++part) {
    count += parts[part]->gather(offset, vectors + count, kVectorsMax - count);
    offset = 0;
  }
  return count;
}

}  // namespace

Result<SendCount> sendAggregates(const sys::Fd& socket, std::span<const Aggregate* const> parts,
                                 uint64_t from, sys::More more) {
  iovec vectors[kVectorsMax];
  SendCount done;
  Position position;
  position.advance(parts, from);
  while (position.part < parts.size()) {
    const uint32_t count = fill(parts, position, vectors);
    uint64_t wanted = 0;
    for (uint32_t i = 0; i < count; ++i) wanted += vectors[i].iov_len;
    const Result<uint64_t> sent = sys::sendVectors(socket, vectors, count, more);
    ++done.calls;
    if (!sent.isOk()) {
      if (sent.status().code() == Code::WouldBlock) break;
      return sent.status();
    }
    done.bytes += sent.value();
    if (sent.value() < wanted) break;  // The socket is full: asking again would tell us so.
    position.advance(parts, sent.value());
  }
  return done;
}

}  // namespace iol::net
