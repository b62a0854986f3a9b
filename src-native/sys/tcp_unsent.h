// sys/tcp_unsent.h: how much of an answer the kernel keeps beside what is under way to the client.
//
// Ownership   none.
// Threads     any.
// Failure     none: of a socket that is not TCP nothing is known, and nothing is changed.
// Cost        one system call each.
// May include base/
#pragma once

#include <cstdint>

#include "sys/fd.h"

namespace iol::sys {

// TCP_NOTSENT_LOWAT; 0: no bound, or not TCP.
uint32_t unsentBytesMaxOf(const Fd& socket);
void setUnsentBytesMax(const Fd& socket, uint32_t bytes);
// What the client has room for, as it said last; 0: unknown (before Linux 5.4), or none.
uint32_t clientWindowOf(const Fd& socket);

}  // namespace iol::sys
