// channel/control_socket.h: one end of a control connection: never blocks, keeps a bounded queue.
//
// Ownership   owns the socket and duplicates of the descriptors in its queue.
// Threads     one.
// Failure     WouldBlock (the queue is full, or nothing has arrived), Closed (the other end), and
//             System. What cannot be kept is not sent at all.
// Cost        one system call a message.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <deque>
#include <initializer_list>
#include <vector>

#include "base/status.h"
#include "channel/control_messages.h"
#include "sys/fd.h"

namespace iol {

class ControlSocket {
 public:
  static constexpr size_t kUnsentMax = 64;

  ControlSocket() = default;
  explicit ControlSocket(sys::Fd socket) : socket_(std::move(socket)) {}

  bool isOpen() const { return socket_.isOpen(); }
  const sys::Fd& fd() const { return socket_; }
  void close();

  // Into the kernel's buffer, or nowhere: WouldBlock.
  Status sendNow(const ControlMessage& message, std::initializer_list<int> descriptors = {});
  // Now, or when flush() can; WouldBlock when that many are waiting already.
  Status send(const ControlMessage& message, const std::vector<int>& descriptors = {});
  Status flush();
  // Whether the other end still reads is found out by reading.
  void flushOrForget() {
    if (!flush().isOk()) unsent_.clear();
  }
  void forgetUnsent() { unsent_.clear(); }
  size_t unsent() const { return unsent_.size(); }

  struct Received {
    ControlMessage message;
    size_t length = 0;
    std::vector<sys::Fd> descriptors;
    bool isCut = false;      // Longer, or with more descriptors, than any message.
    bool lacksSome = false;  // Of its descriptors: this process may open no more.
  };
  // What has arrived, unchecked; WouldBlock when nothing has, Closed at the end.
  Status receive(Received& received);

 private:
  struct Unsent {
    ControlMessage message;
    std::vector<sys::Fd> descriptors;
  };
  sys::Fd socket_;
  std::deque<Unsent> unsent_;
};

}  // namespace iol
