#include "cache/policy.h"

namespace iol {

void LruPolicy::onInsert(PolicyEntry& entry) {
  entry.previous = tail_;
  entry.next = nullptr;
  (tail_ != nullptr ? tail_->next : head_) = &entry;
  tail_ = &entry;
}

void LruPolicy::onAccess(PolicyEntry& entry) {
  if (tail_ == &entry) return;
  onRemove(entry);
  onInsert(entry);
}

void LruPolicy::onRemove(PolicyEntry& entry) {
  (entry.previous != nullptr ? entry.previous->next : head_) = entry.next;
  (entry.next != nullptr ? entry.next->previous : tail_) = entry.previous;
  entry.previous = nullptr;
  entry.next = nullptr;
}

PolicyEntry* LruPolicy::victim(const ReferenceProbe& probe, Victims victims) {
  for (PolicyEntry* entry = head_; entry != nullptr; entry = entry->next) {
    if (!probe.isReferenced(*entry)) return entry;
  }
  return victims == Victims::Any ? head_ : nullptr;
}

bool PageoutRule::onPageTaken(bool isCachedFileData) {
  ++taken_;
  if (!isCachedFileData) return false;
  ++cachedTaken_;
  if (2 * cachedTaken_ <= taken_) return false;
  taken_ = 0;
  cachedTaken_ = 0;
  return true;
}

}  // namespace iol
