// net/gather.h: aggregates leave through a socket, in as few system calls as possible.
//
//   head [slice][slice] + tail [slice] + body [slice] ...
//     -> iovecs, up to kVectorsMax at a time -> sendmsg        the kernel copies: the rule
//     -> a large slice that is hot           -> sendfile       by reference, marked before (I4)
//
// Ownership   borrows everything. What sendmsg took may be let go of. So may what sendfile took:
//             the mark, not a hold, keeps its storage from being filled again.
// Threads     the domain's own.
// Failure     System("sendmsg", "sendfile"): the connection is lost. "Not now" is no failure: fewer
//             bytes.
// Cost        one system call for kVectorsMax slices, one for a hot one; no payload byte is touched
//             in user space.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <cstdint>
#include <span>

#include "aggregate/aggregate.h"
#include "base/status.h"
#include "net/hot_buffers.h"
#include "sys/fd.h"
#include "sys/tcp_socket.h"

namespace iol::net {

constexpr uint32_t kVectorsMax = 64;

struct SendCount {
  uint64_t bytes = 0;             // Taken by the kernel,
  uint64_t bytesByReference = 0;  // of these without a copy.
  uint32_t calls = 0;
  bool isSocketFull = false;  // Else it was `bytesMax`, or everything, that ended the sending.
};

// Sends the bytes of `parts`, one after the other, until they are gone, the socket takes no more,
// or `bytesMax` are sent.
Result<SendCount> sendAggregates(const sys::Fd& socket, std::span<const Aggregate* const> parts,
                                 HotBuffers& hot, uint64_t bytesMax, sys::More more);

// Whether the first bytes of `part`, which is not empty, would be sent by reference.
bool beginsByReference(const Aggregate& part, const HotBuffers& hot);

}  // namespace iol::net
