#include "channel/control_socket.h"

#include "sys/handover.h"
#include "sys/process.h"

namespace iol {

void ControlSocket::close() {
  unsent_.clear();
  socket_.reset();
}

Status ControlSocket::sendNow(const ControlMessage& message,
                              std::initializer_list<int> descriptors) {
  if (!socket_.isOpen()) return Status(Code::Closed, "control socket");
  if (!unsent_.empty()) IOL_TRY(flush());
  if (!unsent_.empty()) return Status(Code::WouldBlock, "control socket");
  return sys::trySendMessage(socket_, &message, message.header.bytes, descriptors);
}

Status ControlSocket::send(const ControlMessage& message, const std::vector<int>& descriptors) {
  if (!socket_.isOpen()) return Status(Code::Closed, "control socket");
  if (unsent_.empty()) {
    const Status status = sys::trySendMessage(socket_, &message, message.header.bytes, descriptors);
    if (status.code() != Code::WouldBlock) return status;
  }
  if (unsent_.size() == kUnsentMax) {
    return Status(Code::WouldBlock, "control socket's queue", kUnsentMax + 1, kUnsentMax);
  }
  Unsent entry{message, {}};
  for (const int descriptor : descriptors) {
    sys::Fd borrowed(descriptor);
    Result<sys::Fd> copy = sys::duplicate(borrowed);
    borrowed.release();
    if (!copy.isOk()) return copy.status();
    entry.descriptors.push_back(copy.take());
  }
  unsent_.push_back(std::move(entry));
  return {};
}

Status ControlSocket::flush() {
  while (!unsent_.empty()) {
    const Unsent& entry = unsent_.front();
    std::vector<int> descriptors;
    for (const sys::Fd& descriptor : entry.descriptors) descriptors.push_back(descriptor.get());
    const Status status =
        sys::trySendMessage(socket_, &entry.message, entry.message.header.bytes, descriptors);
    if (status.code() == Code::WouldBlock) return {};
    IOL_TRY(status);
    unsent_.pop_front();
  }
  return {};
}

Status ControlSocket::receive(Received& received) {
  if (!socket_.isOpen()) return Status(Code::Closed, "control socket");
  received.descriptors.clear();
  received.message = {};
  Result<sys::Message> message =
      sys::tryReceiveMessage(socket_, &received.message, sizeof received.message);
  if (!message.isOk()) return message.status();
  received.length = message.value().length;
  received.isCut = message.value().isCut || message.value().hasTooMany;
  received.lacksSome = message.value().lacksSome;
  received.descriptors = std::move(message.value().descriptors);
  return {};
}

}  // namespace iol
