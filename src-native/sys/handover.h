// sys/handover.h: bytes and descriptors over a Unix-domain socket (SCM_RIGHTS, unix(7)).
//
// Ownership   send borrows the descriptors; receive returns new ones, close-on-exec.
// Threads     one at a time per socket.
// Failure     System; Closed at end of file; BadDescriptor when more arrive than were asked for.
// Cost        one system call.
// May include base/
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/status.h"
#include "sys/fd.h"

namespace iol::sys {

constexpr size_t kHandoverFdsMax = 16;

Result<std::pair<Fd, Fd>> socketPair();

// One message of at least one byte; blocks while the socket's buffer is full.
Status sendMessage(const Fd& socket, const void* bytes, size_t length,
                   const std::vector<int>& descriptors = {});

struct Message {
  size_t length;
  std::vector<Fd> descriptors;
  bool isCut = false;       // It was longer than `capacity`.
  bool hasTooMany = false;  // More than kHandoverFdsMax descriptors.
  bool lacksSome = false;   // Of its descriptors: this process may open no more.
};
// Blocks until a message is there. A longer message than `capacity` is cut.
Result<Message> receiveMessage(const Fd& socket, void* bytes, size_t capacity);

// The same without waiting, whatever the descriptor's own flags say: WouldBlock when the socket's
// buffer is full or empty, Closed when nobody is at the other end. A cut message is returned and
// says so.
Status trySendMessage(const Fd& socket, const void* bytes, size_t length,
                      const std::vector<int>& descriptors = {});
Result<Message> tryReceiveMessage(const Fd& socket, void* bytes, size_t capacity);

}  // namespace iol::sys
