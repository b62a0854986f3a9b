#include "net/gather.h"

#include <algorithm>
#include <optional>

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

// What comes next: bytes to be copied, then perhaps a slice to be referenced.
struct Run {
  uint64_t copiedBytes = 0;
  std::optional<Slice> referenced;
  uint64_t skip = 0;  // Of that slice.
};

bool isReferable(const Slice& slice, uint64_t skip) {
  return slice.length - skip >= kReferenceBytesMin && slice.segment->canGiveUpStorage();
}

Run nextRun(std::span<const Aggregate* const> parts, Position from, HotBuffers& hot,
            uint64_t bytesMax) {
  Run run;
  for (; from.part < parts.size() && run.copiedBytes < bytesMax; ++from.part, from.offset = 0) {
    const Aggregate& part = *parts[from.part];
    const uint64_t left = part.byteLength() - from.offset;
    if (left < kReferenceBytesMin) {
      run.copiedBytes += left;
      continue;
    }
    while (from.offset < part.byteLength() && run.copiedBytes < bytesMax) {
      uint64_t sliceFrom = 0;
      const Slice slice = part.sliceOf(from.offset, &sliceFrom);
      const uint64_t skip = from.offset - sliceFrom;
      if (isReferable(slice, skip)) {
        if (hot.isHot(slice)) {
          run.referenced = slice;
          run.skip = skip;
          return run;
        }
        if (slice.offset == 0 && skip == 0) hot.noteSend(slice);
      }
      run.copiedBytes += slice.length - skip;
      from.offset += slice.length - skip;
    }
  }
  return run;
}

// At most `bytesMax` bytes; returns how many vectors, and in `wanted` how many bytes.
uint32_t fill(std::span<const Aggregate* const> parts, Position from, uint64_t bytesMax,
              iovec* vectors, uint64_t* wanted) {
  uint32_t count = 0;
  for (; from.part < parts.size() && count < kVectorsMax; ++from.part, from.offset = 0) {
    count += parts[from.part]->gather(from.offset, vectors + count, kVectorsMax - count);
  }
  *wanted = 0;
  for (uint32_t i = 0; i < count; ++i) {
    vectors[i].iov_len = std::min<uint64_t>(vectors[i].iov_len, bytesMax - *wanted);
    *wanted += vectors[i].iov_len;
    if (*wanted == bytesMax) return i + 1;
  }
  return count;
}

Result<uint64_t> sendSlice(const sys::Fd& socket, Domain& domain, const Slice& slice, uint64_t skip,
                           uint64_t bytes) {
  const Segment& segment = *slice.segment;
  domain.markKernelVisible(slice);
  return sys::sendPages(socket, segment.readOnlyFd(),
                        segment.slotOffset(slice.slot) + slice.offset + skip, bytes);
}

}  // namespace

Result<SendCount> sendAggregates(const sys::Fd& socket, std::span<const Aggregate* const> parts,
                                 HotBuffers& hot, uint64_t bytesMax, sys::More more) {
  iovec vectors[kVectorsMax];
  SendCount done;
  Position position;
  position.advance(parts, 0);
  while (position.part < parts.size() && done.bytes < bytesMax) {
    const uint64_t room = bytesMax - done.bytes;
    const Run run = nextRun(parts, position, hot, room);
    uint64_t wanted = 0;
    Result<uint64_t> sent = uint64_t{0};
    if (run.copiedBytes > 0) {
      const uint32_t count =
          fill(parts, position, std::min(run.copiedBytes, room), vectors, &wanted);
      const bool isFollowed = run.referenced.has_value() && wanted == run.copiedBytes;
      sent = sys::sendVectors(socket, vectors, count, isFollowed ? sys::More::Follows : more);
    } else {
      wanted = std::min(run.referenced->length - run.skip, room);
      sent = sendSlice(socket, parts[position.part]->domain(), *run.referenced, run.skip, wanted);
    }
    ++done.calls;
    if (!sent.isOk()) {
      if (sent.status().code() != Code::WouldBlock) return sent.status();
      done.isSocketFull = true;
      break;
    }
    done.bytes += sent.value();
    if (run.copiedBytes == 0) done.bytesByReference += sent.value();
    if (sent.value() < wanted) {  // Asking again would tell us so.
      done.isSocketFull = true;
      break;
    }
    position.advance(parts, sent.value());
  }
  return done;
}

bool beginsByReference(const Aggregate& part, const HotBuffers& hot) {
  const Slice& slice = part.sliceAt(0);
  return isReferable(slice, 0) && hot.isHot(slice);
}

}  // namespace iol::net
