// pool/facts_layout.h: what a domain says of itself for those who look on (docs/cli.md).
//
//   facts memfd          one per domain, written by it alone, read by observers and nobody else
//   +-------------+-----------+------------------------------------------+
//   | DomainFacts | incidents | PoolFacts 0, 1, 2 ...                     |
//   +-------------+-----------+------------------------------------------+
//   0             4096        16384
//
// Nothing in the library reads it, and it is handed to no domain: an observer opens it through
// /proc/PID/fd, where the kernel decides who may. A domain that is stopped or broken is seen all
// the same. The figures are the pool's own variables, so that they cost nothing.
//
// Changing anything here raises kFormat and needs a Format line in CHANGELOG.md.
// May include base/ window/
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "pool/access_list.h"
#include "window/layout.h"

namespace iol {

constexpr uint64_t kFactsMagic = 0x3174'6366'6c6f'6900;  // "\0iolfct1"
constexpr uint32_t kFactsAddressBytes = 112;
constexpr uint32_t kFactsNameBytes = 32;
constexpr uint32_t kIncidentsMax = 64;
constexpr uint32_t kIncidentSubjectBytes = 72;
constexpr uint32_t kPoolFactsMax = 256;
constexpr uint64_t kFactsIncidentsOffset = 4096;
constexpr uint64_t kFactsPoolsOffset = 16384;

using FactsWord = std::atomic<uint64_t>;
using FactsHalf = std::atomic<uint32_t>;

struct DomainFacts {
  uint64_t magic;
  uint32_t format;
  uint32_t byteOrder;
  uint64_t windowId;
  uint32_t domainSlot;
  uint32_t domainEpoch;
  uint32_t pid;
  uint32_t threadId;
  uint64_t startedMs;  // Since 1970.
  uint64_t windowMaxBytes;
  uint64_t domainMaxBytes;
  uint64_t reserved[8];
  char label[kDomainLabelBytes];
  char address[kFactsAddressBytes];
};
static_assert(sizeof(DomainFacts) == 272);

enum class IncidentKind : uint32_t {
  Cut = 1,
  TurnedAway,
  Denied,
  Died,
  Corrupt,
};

// The last ones, incident n at index (n - 1) % kIncidentsMax.
struct Incident {
  FactsWord number;
  uint64_t atMs;
  uint32_t kind;
  uint32_t code;
  uint32_t slot;
  uint32_t epoch;
  uint32_t pid;
  uint32_t uid;
  uint64_t value;
  uint64_t limit;
  char label[kDomainLabelBytes];
  char subject[kIncidentSubjectBytes];
};
static_assert(sizeof(Incident) == 160);
static_assert(kFactsIncidentsOffset + kIncidentsMax * sizeof(Incident) <= kFactsPoolsOffset);

// A pool's account; Pool::Stats says what each is.
struct PoolFigures {
  uint64_t bytesInUse = 0;
  uint64_t bytesCommitted = 0;
  uint64_t buffers = 0;
  uint64_t drafts = 0;
  uint64_t pending = 0;
  uint64_t allocations = 0;
  uint64_t requestedTotal = 0;
  uint64_t grantedTotal = 0;
  uint64_t commitsInline = 0;
  uint64_t commitsAhead = 0;
  uint64_t bytesReturned = 0;
};

struct PoolFacts {
  FactsHalf number;
  uint32_t isSealed;
  uint64_t maxBytes;
  uint64_t idleBytesMax;
  PoolFigures figures;
  char name[kFactsNameBytes];
  AccessList access;
  uint64_t reserved[29];
};
static_assert(sizeof(PoolFacts) == 1024);
static_assert(std::is_standard_layout_v<PoolFacts>);

constexpr uint64_t kFactsBytes = kFactsPoolsOffset + kPoolFactsMax * sizeof(PoolFacts);

}  // namespace iol
