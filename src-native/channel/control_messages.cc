#include "channel/control_messages.h"

namespace iol {
namespace {

struct Form {
  uint32_t bytes = 0;  // 0: no such message in that direction.
  size_t fdsMin = 0;
  size_t fdsMax = 0;
};

Form formToHost(MessageType type) {
  switch (type) {
    case MessageType::Hello: return {sizeof(HelloMessage), 0, 0};
    case MessageType::Pool: return {sizeof(PoolMessage), 0, 0};
    case MessageType::Segment: return {sizeof(SegmentMessage), 1, 1};
    case MessageType::Retire:
    case MessageType::Want: return {sizeof(NumberMessage), 0, 0};
    case MessageType::Numbers: return {sizeof(NumbersMessage), 0, 0};
    case MessageType::Table: return {sizeof(TableMessage), 1, 1};
    case MessageType::LetGo:
    case MessageType::Unlink: return {sizeof(DomainMessage), 0, 0};
    case MessageType::Detach: return {sizeof(MessageHeader), 0, 0};
    case MessageType::Find: return {sizeof(LabelMessage), 0, 0};
    case MessageType::Relay: return {sizeof(RelayMessage), 0, kRelayFdsMax};
    case MessageType::Welcome:
    case MessageType::Refused:
    case MessageType::Owner:
    case MessageType::Grant:
    case MessageType::Ended:
    case MessageType::Found: return {};
  }
  return {};
}

Form formToDomain(MessageType type) {
  switch (type) {
    case MessageType::Welcome: return {sizeof(WelcomeMessage), 1, 1};
    case MessageType::Refused: return {sizeof(RefusedMessage), 0, 0};
    case MessageType::Retire: return {sizeof(NumberMessage), 0, 0};
    case MessageType::Numbers: return {sizeof(NumbersMessage), 0, 0};
    case MessageType::Owner: return {sizeof(OwnerMessage), 0, 0};
    case MessageType::Table: return {sizeof(TableMessage), 2, 2};
    case MessageType::Grant: return {sizeof(GrantMessage), 2, 2};
    case MessageType::Ended: return {sizeof(DomainMessage), 0, 0};
    case MessageType::Found: return {sizeof(LabelMessage), 0, 0};
    case MessageType::Relay: return {sizeof(RelayMessage), 1, 1 + kRelayFdsMax};
    case MessageType::Hello:
    case MessageType::Pool:
    case MessageType::Segment:
    case MessageType::Want:
    case MessageType::LetGo:
    case MessageType::Detach:
    case MessageType::Find:
    case MessageType::Unlink: return {};
  }
  return {};
}

Form formOf(MessageType type, Toward receiver) {
  return receiver == Toward::Host ? formToHost(type) : formToDomain(type);
}

bool isSegmentNumber(uint32_t number) { return number > 0 && number < (1u << kSegmentNumberBits); }

bool hasGoodFields(const ControlMessage& message, Toward receiver) {
  switch (static_cast<MessageType>(message.header.type)) {
    case MessageType::Hello: return isValidLabel(message.hello.label);
    case MessageType::Pool: return message.pool.access.isValid();
    case MessageType::Segment:
      return isSegmentNumber(message.segment.number) && message.segment.totalBytes > kChunkBytes &&
             message.segment.totalBytes <= kLargeSegmentBytesMax;
    case MessageType::Retire:
    case MessageType::Want: return isSegmentNumber(message.number.number);
    case MessageType::Numbers:
      return receiver == Toward::Host ||
             (isSegmentNumber(message.numbers.first) &&
              message.numbers.count <= (1u << kSegmentNumberBits) - message.numbers.first);
    case MessageType::Welcome:
      return message.welcome.windowId != 0 && message.welcome.slot < kDomainsMax &&
             message.welcome.epoch != 0 &&
             (message.welcome.numbers == 0 ||
              (isSegmentNumber(message.welcome.firstNumber) &&
               message.welcome.numbers <=
                   (1u << kSegmentNumberBits) - message.welcome.firstNumber));
    case MessageType::Table: return message.table.slot < kDomainsMax && message.table.epoch != 0;
    case MessageType::LetGo:
    case MessageType::Unlink:
    case MessageType::Ended: return message.domain.slot < kDomainsMax && message.domain.epoch != 0;
    case MessageType::Owner:
      return isSegmentNumber(message.owner.number) && message.owner.slot < kDomainsMax &&
             message.owner.epoch != 0;
    case MessageType::Grant:
      return isSegmentNumber(message.grant.number) && message.grant.slot < kDomainsMax &&
             message.grant.epoch != 0;
    case MessageType::Find:
    case MessageType::Found:
      return message.label.slot < kDomainsMax && isValidLabel(message.label.label);
    case MessageType::Relay:
      return message.relay.slot < kDomainsMax && message.relay.epoch != 0 &&
             isValidLabel(message.relay.label);
    case MessageType::Refused:
    case MessageType::Detach: return true;
  }
  return false;
}

}  // namespace

Status checkMessage(const ControlMessage& message, size_t length, size_t descriptors,
                    Toward receiver) {
  if (length < sizeof(MessageHeader)) {
    return Status(Code::BadDescriptor, "control message's length", length, sizeof(MessageHeader));
  }
  const Form form = formOf(static_cast<MessageType>(message.header.type), receiver);
  if (form.bytes == 0) {
    return Status(Code::BadDescriptor, "control message's type", message.header.type);
  }
  if (length != form.bytes || message.header.bytes != form.bytes) {
    return Status(Code::BadDescriptor, "control message's length", length, form.bytes);
  }
  if (descriptors < form.fdsMin || descriptors > form.fdsMax) {
    return Status(Code::BadDescriptor, "control message's descriptors", descriptors, form.fdsMax);
  }
  if (!hasGoodFields(message, receiver)) {
    return Status(Code::BadDescriptor, "control message's fields", message.header.type);
  }
  return {};
}

ControlMessage makeMessage(MessageType type) {
  const Form toHost = formToHost(type);
  ControlMessage message;
  message.header.type = static_cast<uint32_t>(type);
  message.header.bytes = toHost.bytes != 0 ? toHost.bytes : formToDomain(type).bytes;
  return message;
}

}  // namespace iol
