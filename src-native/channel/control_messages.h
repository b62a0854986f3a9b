// channel/control_messages.h: what a domain and its window's host say to each other, byte by byte.
//
//   domain --- Unix socket, SOCK_SEQPACKET: one struct a message, descriptors beside it ---> host
//
//   Hello ->  <- Welcome [host block]     or  <- Refused (and the end)
//   Pool, Segment [memfd] ->              an owner makes a segment known
//   Want ->  <- Owner                     a reader asks; "send me your hold table for that owner"
//   Table [table] ->                      ... then the host, in this order:
//            <- Table [table, pidfd]          1. to the owner
//                                             2. raises the owner's epoch word
//            <- Grant [memfd, pidfd]          3. to the reader     (or <- Refused)
//
// Every number is in the sender's byte order, which Hello tells. A struct has no hole: what is
// not used is zero. What comes before `format` in Hello and the whole of Refused never change,
// so that two formats can tell each other so.
//
// Changing anything here raises kFormat and needs a Format line in CHANGELOG.md.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/status.h"
#include "pool/access_list.h"
#include "window/layout.h"
#include "window/segment.h"

namespace iol {

constexpr uint64_t kHelloMagic = 0x316c'6c65'686c'6f69;  // "iolhell1"
constexpr size_t kMessageFdsMax = 4;
constexpr size_t kRelayBodyBytes = 64;
constexpr size_t kRelayFdsMax = 3;

enum class MessageType : uint32_t {
  Hello = 1,  // domain -> host
  Welcome,    // host -> domain
  Refused,    // host -> domain
  Pool,       // domain -> host
  Segment,    // domain -> host
  Retire,     // both ways
  Numbers,    // both ways
  Want,       // domain -> host
  Owner,      // host -> domain
  Table,      // both ways
  Grant,      // host -> domain
  Ended,      // host -> domain
  LetGo,      // domain -> host
  Detach,     // domain -> host
  Find,       // domain -> host
  Found,      // host -> domain
  Relay,      // both ways
  Unlink,     // domain -> host
};

enum class Refusal : uint32_t {
  Format = 1,  // value: the refused one's format, limit: ours
  Token,
  Full,    // of domains, segments, bytes, requests: value and limit say which number
  Denied,  // by an access list
  Unknown,
  Busy,
  Closed,  // alive, but without a control socket
  System,  // value: errno
};

struct MessageHeader {
  uint32_t type;   // MessageType
  uint32_t bytes;  // Of the whole struct.
};

struct HelloMessage {
  MessageHeader header;
  uint64_t magic;
  uint32_t format;
  uint32_t byteOrder;
  uint32_t pageBytes;
  uint32_t
      layoutBytes;  // kLayoutBytes: differing structs under one format number are refused, too.
  uint64_t token[2];
  uint64_t windowId;  // The one that is expected; 0: any.
  uint32_t slot;      // A domain of the host's own process says which; else epoch 0.
  uint32_t epoch;
  char label[kDomainLabelBytes];
};
static_assert(sizeof(HelloMessage) == 96);

struct WelcomeMessage {  // + host block
  MessageHeader header;
  uint64_t windowId;
  uint32_t slot;
  uint32_t epoch;
  uint64_t ownerEpoch;  // Where the domain's epoch word stands.
  uint64_t maxBytes;    // The domain's quota of committed data; 0: none.
  uint32_t firstNumber;
  uint32_t numbers;  // Segment numbers given; 0 to a domain of the host's own process.
};
static_assert(sizeof(WelcomeMessage) == 48);

struct RefusedMessage {
  MessageHeader header;
  uint32_t request;  // MessageType of what is refused.
  uint32_t refusal;  // Refusal
  uint32_t subject;  // The segment number, or the slot of the domain, that was asked for.
  uint32_t epoch;    // Of that domain.
  uint64_t value;
  uint64_t limit;
};
static_assert(sizeof(RefusedMessage) == 40);

struct PoolMessage {
  MessageHeader header;
  uint32_t pool;
  uint32_t reserved;
  AccessList access;
};
static_assert(sizeof(PoolMessage) == 664);

struct SegmentMessage {  // + read-only memfd
  MessageHeader header;
  uint32_t number;
  uint32_t pool;
  uint64_t totalBytes;
};
static_assert(sizeof(SegmentMessage) == 24);

// Retire: a segment is gone; its number is never used again. Want: may I read it?
struct NumberMessage {
  MessageHeader header;
  uint32_t number;
  uint32_t reserved;
};
static_assert(sizeof(NumberMessage) == 16);

struct NumbersMessage {  // Asked for with zeros; answered.
  MessageHeader header;
  uint32_t first;
  uint32_t count;
};
static_assert(sizeof(NumbersMessage) == 16);

// Ended, LetGo, Unlink: nothing more than whom.
struct DomainMessage {
  MessageHeader header;
  uint32_t slot;
  uint32_t epoch;
};
static_assert(sizeof(DomainMessage) == 16);

struct OwnerMessage {
  MessageHeader header;
  uint32_t number;
  uint32_t reserved;
  uint32_t slot;
  uint32_t epoch;
};
static_assert(sizeof(OwnerMessage) == 24);

struct TableMessage {  // To the host: + table. To the owner: + table, holder's pidfd
  MessageHeader header;
  uint32_t slot;  // To the host: the owner. To the owner: the holder.
  uint32_t epoch;
  uint64_t ownerEpoch;  // To the owner: what the host raises its word to for this table.
};
static_assert(sizeof(TableMessage) == 24);

struct GrantMessage {  // + memfd, owner's pidfd
  MessageHeader header;
  uint32_t number;
  uint32_t reserved;
  uint32_t slot;
  uint32_t epoch;
  uint64_t totalBytes;
};
static_assert(sizeof(GrantMessage) == 32);

struct
    LabelMessage {  // Find: epoch 0. Found: the domain of that label, epoch 0 when there is none.
  MessageHeader header;
  uint32_t slot;
  uint32_t epoch;
  char label[kDomainLabelBytes];
};
static_assert(sizeof(LabelMessage) == 48);

struct RelayMessage {  // To the host: + up to 3. To the domain: + sender's pidfd, then those.
  MessageHeader header;
  uint32_t slot;  // To the host: for whom. To the domain: from whom.
  uint32_t epoch;
  uint32_t pid;  // To the domain, as all of these: the sender's, as the kernel told the host.
  uint32_t uid;
  uint32_t gid;
  uint32_t reserved;
  char label[kDomainLabelBytes];  // What it called itself when it attached.
  uint8_t body[kRelayBodyBytes];  // Theirs; the host does not look.
};
static_assert(sizeof(RelayMessage) == 128);

union ControlMessage {
  ControlMessage() : bytes{} {}
  uint8_t bytes[sizeof(PoolMessage)];  // All of it: what is not said is zero.
  MessageHeader header;
  HelloMessage hello;
  WelcomeMessage welcome;
  RefusedMessage refused;
  PoolMessage pool;
  SegmentMessage segment;
  NumberMessage number;
  NumbersMessage numbers;
  DomainMessage domain;
  OwnerMessage owner;
  TableMessage table;
  GrantMessage grant;
  LabelMessage label;
  RelayMessage relay;
};
static_assert(sizeof(ControlMessage) == sizeof(PoolMessage));
static_assert(std::is_trivially_copyable_v<ControlMessage>);

// What both sides must have compiled alike.
constexpr uint32_t kLayoutBytes =
    sizeof(SegmentHeader) + sizeof(HoldTableHeader) + sizeof(HostBlock) + sizeof(ControlMessage);

enum class Toward : uint8_t { Host, Domain };

// The one look at a message before it is used: is its type one that `receiver` may get, and do
// length, descriptors and every field that is not a free number fit it? Everything that arrives
// goes through here first. Failure: BadDescriptor.
Status checkMessage(const ControlMessage& message, size_t length, size_t descriptors,
                    Toward receiver);

// A zeroed message of that type; the bytes that are sent of it are header.bytes.
ControlMessage makeMessage(MessageType type);
inline DomainName nameIn(uint32_t slot, uint32_t epoch) { return {slot, epoch}; }

}  // namespace iol
