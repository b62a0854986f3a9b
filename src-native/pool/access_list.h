// pool/access_list.h: which domains may read a pool; decided when the pool is made.
//
// The owner may always; domains of the host's process by the list, too. An empty list lets all in.
// What a list is worth against whom is in CAVEATS.md ("Same user").
//
// Ownership   a value; it is sent to the host as it is, byte by byte (channel/control_messages.h).
// Failure     none: the host checks each list that it gets with isValid().
// Cost        one pass over at most 16 entries, once per grant.
// May include base/
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace iol {

constexpr size_t kDomainLabelBytes = 32;  // With its final 0.
constexpr uint32_t kAccessEntriesMax = 16;

struct AccessEntry {
  enum class Kind : uint32_t { Uid = 1, Gid = 2, Pid = 3, Label = 4 };
  Kind kind = Kind::Uid;
  uint32_t id = 0;                     // The uid, gid or pid; 0 for a label.
  char label[kDomainLabelBytes] = {};  // What the domain called itself when it attached.
};
static_assert(sizeof(AccessEntry) == 40);

// Who asks, as the kernel says it; only the label is the domain's own word.
struct Credentials {
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint32_t pid = 0;
  std::vector<uint32_t> groups;
  char label[kDomainLabelBytes] = {};
};

struct AccessList {
  uint32_t count = 0;
  uint32_t reserved = 0;
  AccessEntry entries[kAccessEntriesMax];

  // False when the list is full or the label too long: nothing was added.
  bool add(AccessEntry::Kind kind, uint32_t id);
  bool addLabel(const char* label);
  bool isValid() const;
  bool allows(const Credentials& who) const;
};
static_assert(sizeof(AccessList) == 8 + kAccessEntriesMax * sizeof(AccessEntry));
static_assert(std::is_trivially_copyable_v<AccessList>);

// Copies at most kDomainLabelBytes - 1 characters; false when `text` is longer or has other than
// printable ASCII.
bool setLabel(char (&label)[kDomainLabelBytes], const char* text);
// Ends within its bytes, printable ASCII, zeros behind.
bool isValidLabel(const char (&label)[kDomainLabelBytes]);
bool sameLabel(const char (&one)[kDomainLabelBytes], const char (&other)[kDomainLabelBytes]);

}  // namespace iol
