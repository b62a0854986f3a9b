// net/gather.h: aggregates leave through a socket by reference, in as few system calls as possible.
//
//   head [slice][slice] + tail [slice] + body [slice] ...
//     -> iovecs, up to kVectorsMax at a time -> sendmsg
//
// Ownership   borrows everything. sendmsg copies into the kernel, so nothing must be held after
//             the call but what was not taken (I4 concerns sends that do not copy; none here).
// Threads     the domain's own.
// Failure     System("sendmsg"): the connection is lost. "Not now" is no failure: fewer bytes.
// Cost        one system call for kVectorsMax slices; no payload byte is touched in user space.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <cstdint>
#include <span>

#include "aggregate/aggregate.h"
#include "base/status.h"
#include "sys/fd.h"
#include "sys/tcp_socket.h"

namespace iol::net {

constexpr uint32_t kVectorsMax = 64;

struct SendCount {
  uint64_t bytes = 0;  // Taken by the kernel.
  uint32_t calls = 0;
};

// Sends the bytes of `parts`, one after the other, from byte `from` of all of them on, until they
// are gone or the socket takes no more.
Result<SendCount> sendAggregates(const sys::Fd& socket, std::span<const Aggregate* const> parts,
                                 uint64_t from, sys::More more);

}  // namespace iol::net
