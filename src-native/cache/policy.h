// cache/policy.h: which cached extent goes first.
//
// The paper's rule (OSDI'99, 3.7): entries are ordered first by current use (does anything but the
// cache refer to the data?), then by last access. The victim is the least recently used entry
// that nobody else refers to; if there is none, the least recently used of all.
//
//   head_  <- least recent                                          most recent ->  tail_
//     entry <-> entry <-> entry (referenced: passed over) <-> entry <-> entry
//
// Ownership   a policy links entries that belong to the cache.
// Threads     the cache's.
// Failure     none.
// Cost        onInsert, onAccess, onRemove: O(1). victim: O(referenced entries passed over).
// May include base/ sys/ window/ pool/
#pragma once

#include <cstdint>

namespace iol {

// What a policy knows about an entry. `rank` is the policy's own.
struct PolicyEntry {
  uint64_t bytes = 0;
  double rank = 0;
  PolicyEntry* previous = nullptr;
  PolicyEntry* next = nullptr;
};

// Asks whether anything but the cache refers to the entry's buffer now.
class ReferenceProbe {
 public:
  virtual bool isReferenced(const PolicyEntry& entry) const = 0;

 protected:
  ~ReferenceProbe() = default;
};

class ReplacementPolicy {
 public:
  enum class Victims : uint8_t { Any, UnreferencedOnly };

  virtual ~ReplacementPolicy() = default;
  virtual void onInsert(PolicyEntry& entry) = 0;
  virtual void onAccess(PolicyEntry& entry) = 0;
  virtual void onRemove(PolicyEntry& entry) = 0;
  // The entry to evict next; null when there is none of that kind. It stays in until onRemove.
  virtual PolicyEntry* victim(const ReferenceProbe& probe, Victims victims) = 0;
};

class LruPolicy final : public ReplacementPolicy {
 public:
  void onInsert(PolicyEntry& entry) override;
  void onAccess(PolicyEntry& entry) override;
  void onRemove(PolicyEntry& entry) override;
  PolicyEntry* victim(const ReferenceProbe& probe, Victims victims) override;

 private:
  PolicyEntry* head_ = nullptr;
  PolicyEntry* tail_ = nullptr;
};

// The paper's trigger for shrinking the cache: fed with every page that the system takes away, it
// asks for one eviction when more than half of those since the last eviction were cached file
// data. The cache grows by a miss and shrinks by this, so it settles where half of the pages
// taken are its own.
class PageoutRule {
 public:
  // True: evict one entry now; counting starts anew.
  bool onPageTaken(bool isCachedFileData);

 private:
  uint64_t taken_ = 0;
  uint64_t cachedTaken_ = 0;
};

}  // namespace iol
