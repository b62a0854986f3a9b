// channel/host_facts_layout.h: what a window's host says of it for those who look on (docs/cli.md).
//
//   host facts memfd     one per host, written by it alone, read by observers and nobody else
//   +-----------+-----------+--------------------------------------+
//   | HostFacts | incidents | HostDomainFacts 0, 1, 2 ...           |
//   +-----------+-----------+--------------------------------------+
//   0           4096        16384
//
// An observer opens it through /proc/PID/fd, as the facts of a domain (pool/facts_layout.h).
//
// Changing anything here raises kFormat and needs a Format line in CHANGELOG.md.
// May include base/ window/ pool/
#pragma once

#include "pool/facts_layout.h"

namespace iol {

constexpr uint64_t kHostFactsMagic = 0x3173'6668'6c6f'6900;  // "\0iolhfs1"
constexpr uint32_t kHostDomainsMax = 512;
constexpr uint64_t kHostFactsIncidentsOffset = 4096;
constexpr uint64_t kHostFactsDomainsOffset = 16384;

struct HostCounts {
  uint64_t attached = 0;
  uint64_t detached = 0;
  uint64_t died = 0;
  uint64_t cut = 0;
  uint64_t turnedAway = 0;
  uint64_t granted = 0;
  uint64_t denied = 0;
  uint64_t relayed = 0;
};

struct HostFacts {
  uint64_t magic;
  uint32_t format;
  uint32_t byteOrder;
  uint64_t windowId;
  uint32_t pid;
  uint32_t uid;
  uint64_t startedMs;  // Since 1970.
  uint64_t windowMaxBytes;
  uint64_t domainMaxBytes;
  uint32_t domainsMax;
  uint32_t reserved;
  char address[kFactsAddressBytes];
  // What follows, and the domains, are consistent when it is even, and the same before and after.
  FactsWord sequence;
  HostCounts counts;
  uint32_t domains;  // So many are in the table.
  uint32_t handshakes;
  uint64_t segments;
};
static_assert(sizeof(HostFacts) == 264);

enum class DomainState : uint32_t {
  Attached = 1,
  Silent,
  Ended,
};

struct HostDomainFacts {
  uint32_t slot;
  uint32_t epoch;
  uint32_t state;
  uint32_t isLocal;
  uint32_t pid;
  uint32_t uid;
  uint32_t gid;
  uint32_t pools;
  uint32_t segments;
  uint32_t links;
  uint32_t owners;
  uint32_t unsent;
  uint64_t attachedMs;
  uint64_t stateMs;
  char label[kDomainLabelBytes];
  uint64_t reserved[4];
};
static_assert(sizeof(HostDomainFacts) == 128);
static_assert(kHostFactsIncidentsOffset + kIncidentsMax * sizeof(Incident) <=
              kHostFactsDomainsOffset);

constexpr uint64_t kHostFactsBytes =
    kHostFactsDomainsOffset + kHostDomainsMax * sizeof(HostDomainFacts);

}  // namespace iol
