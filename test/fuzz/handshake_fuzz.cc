// test/fuzz/handshake_fuzz.cc: the check of control messages takes no liberty with what it lets in.
//
// Sources: src-native/channel/control_messages.cc src-native/channel/host_address.cc src-native/pool/access_list.cc

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "channel/control_messages.h"
#include "channel/host_address.h"

namespace {

using namespace iol;  // NOLINT: a test of this folder.

void require(bool condition) {
  if (!condition) std::abort();
}

// What every later line of host and guest relies on.
void requireUsable(const ControlMessage& message, size_t length, size_t fds, Toward receiver) {
  require(message.header.bytes == length && length <= sizeof(ControlMessage));
  require(fds <= kMessageFdsMax);
  constexpr uint32_t kEnd = 1u << kSegmentNumberBits;
  switch (static_cast<MessageType>(message.header.type)) {
    case MessageType::Pool: {
      require(message.pool.access.count <= kAccessEntriesMax);
      Credentials who;
      (void)message.pool.access.allows(who);
      break;
    }
    case MessageType::Segment:
      require(fds == 1 && message.segment.number > 0 && message.segment.number < kEnd);
      require(message.segment.totalBytes <= kLargeSegmentBytesMax);
      break;
    case MessageType::Grant: require(fds == 2 && message.grant.slot < kDomainsMax); break;
    case MessageType::Table: require(fds == (receiver == Toward::Host ? 1u : 2u)); break;
    case MessageType::Welcome:
      require(fds == 1 && message.welcome.slot < kDomainsMax);
      require(message.welcome.numbers == 0 ||
              uint64_t{message.welcome.firstNumber} + message.welcome.numbers <= kEnd);
      break;
    case MessageType::Numbers:
      if (receiver == Toward::Domain) {
        require(uint64_t{message.numbers.first} + message.numbers.count <= kEnd);
      }
      break;
    case MessageType::Hello:
      require(std::find(message.hello.label, message.hello.label + kDomainLabelBytes, '\0') !=
              message.hello.label + kDomainLabelBytes);
      break;
    case MessageType::Relay: require(fds <= kRelayFdsMax + 1); break;
    default: break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t fds = data[0] % 8;
  const Toward receiver = data[1] % 2 == 0 ? Toward::Host : Toward::Domain;
  const size_t length = std::min(size - 2, sizeof(ControlMessage));
  ControlMessage message;
  std::copy_n(data + 2, length, message.bytes);
  if (checkMessage(message, length, fds, receiver).isOk()) {
    requireUsable(message, length, fds, receiver);
  }
  // Whatever is read as an address is written as it was.
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<HostAddress> address = HostAddress::parse(text);
  if (address.isOk()) require(address.value().format() == text);
  return 0;
}
