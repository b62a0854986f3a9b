#include "aggregate/derived.h"

#include <utility>

#include "aggregate/checksum.h"
#include "aggregate/slice_iterator.h"
#include "base/check.h"

namespace iol {
namespace {

uint64_t bufferOf(const Slice& slice) { return slice.address() - slice.offset; }

bool isRemembered(const Slice& slice) {
  return slice.length >= kRememberBytesMin && slice.segment->isOwn();
}

}  // namespace

DerivedValues::DerivedValues(Domain& domain, size_t entriesMax)
    : domain_(domain), entriesMax_(entriesMax) {
  IOL_CHECK(domain.releaseListener() == nullptr);
  domain.setReleaseListener(this);
}

DerivedValues::~DerivedValues() { domain_.setReleaseListener(nullptr); }

size_t DerivedValues::KeyHash::operator()(const Key& key) const {
  constexpr uint64_t kOdd = 0x9e37'79b9'7f4a'7c15;
  uint64_t hash = key.name.address;
  for (uint64_t part : {key.name.generation, key.name.length, uint64_t(key.kind)}) {
    hash = (hash ^ (hash >> 29)) * kOdd + part;
  }
  hash *= kOdd;
  return hash ^ (hash >> 32);
}

uint16_t DerivedValues::internetChecksum(const Aggregate& bytes) {
  uint16_t sum = 0;
  for (SliceIterator it(bytes); !it.isAtEnd(); it.next()) {
    const uint32_t part = valueOf(it.slice(), Kind::InternetSum, internetSum);
    sum = combineInternetSum(sum, static_cast<uint16_t>(part), it.start());
  }
  return static_cast<uint16_t>(~sum);
}

uint32_t DerivedValues::crc32c(const Aggregate& bytes) {
  const auto compute = [](const uint8_t* from, size_t length) {
    return iol::crc32c(0, from, length);
  };
  uint32_t crc = 0;
  for (SliceIterator it(bytes); !it.isAtEnd(); it.next()) {
    const Slice& slice = it.slice();
    if (isRemembered(slice)) {
      crc = combineCrc32c(crc, valueOf(slice, Kind::Crc32c, compute), slice.length);
    } else {
      crc = iol::crc32c(crc, slice.data(), slice.length);  // To go on costs less than to combine.
    }
  }
  return crc;
}

template <typename Compute>
uint32_t DerivedValues::valueOf(const Slice& slice, Kind kind, Compute compute) {
  if (!isRemembered(slice)) return compute(slice.data(), slice.length);
  const Key key{nameOf(slice), kind};
  if (const Entry* known = find(key)) {
    stats_.reused++;
    stats_.reusedBytes += slice.length;
    return known->sum;
  }
  stats_.computed++;
  stats_.computedBytes += slice.length;
  Entry& entry = add(slice, key);
  entry.sum = compute(slice.data(), slice.length);
  return entry.sum;
}

// The name of a list of slices: false when its digest is not to be remembered.
bool DerivedValues::listOf(const Aggregate& bytes, Key* key, std::vector<Name>* others) {
  if (bytes.sliceCount() == 0 || bytes.sliceCount() > kDigestSlicesMax) return false;
  for (SliceIterator it(bytes); !it.isAtEnd(); it.next()) {
    if (!it.slice().segment->isOwn()) return false;
    if (it.start() > 0) others->push_back(nameOf(it.slice()));
  }
  *key = {nameOf(bytes.sliceAt(0)), Kind::Sha256};
  key->name.length = bytes.byteLength();
  return true;
}

bool DerivedValues::findSha256(const Aggregate& bytes, Sha256* digest) {
  Key key;
  std::vector<Name> others;
  if (!listOf(bytes, &key, &others)) return false;
  const Entry* known = find(key);
  if (known == nullptr || known->others != others) return false;
  stats_.reused++;
  stats_.reusedBytes += bytes.byteLength();
  *digest = known->digest;
  return true;
}

void DerivedValues::keepSha256(const Aggregate& bytes, const Sha256& digest) {
  stats_.computed++;
  stats_.computedBytes += bytes.byteLength();
  Key key;
  std::vector<Name> others;
  if (!listOf(bytes, &key, &others)) return;
  Entry* known = find(key);
  if (known != nullptr) forget(*known);  // Another list that begins with the same slice.
  Entry& entry = add(bytes.sliceAt(0), key);
  entry.digest = digest;
  entry.others = std::move(others);
  stats_.bytes += entry.others.size() * sizeof(Name);
}

DerivedValues::Stats DerivedValues::stats() const {
  Stats stats = stats_;
  stats.entries = entries_.size();
  // An entry is a node of the list and one of the map of keys; most buffers have one value.
  constexpr uint64_t kNodeBytes = sizeof(Entry) + sizeof(Key) + 6 * sizeof(void*);
  stats.bytes += stats.entries * kNodeBytes;
  return stats;
}

DerivedValues::Entry* DerivedValues::find(const Key& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return nullptr;
  recent_.splice(recent_.begin(), recent_, found->second->self);
  return found->second;
}

DerivedValues::Entry& DerivedValues::add(const Slice& first, const Key& key) {
  if (entries_.size() >= entriesMax_) forget(recent_.back());
  Entry& entry = recent_.emplace_front();
  entry.key = key;
  entry.self = recent_.begin();
  entry.buffer = bufferOf(first);
  Entry*& head = firstOfBuffer_[entry.buffer];
  entry.nextOfBuffer = head;
  if (head != nullptr) head->previousOfBuffer = &entry;
  head = &entry;
  entries_[key] = &entry;
  domain_.watchLastHold(first);
  return entry;
}

void DerivedValues::forget(Entry& entry) {
  if (entry.nextOfBuffer != nullptr) entry.nextOfBuffer->previousOfBuffer = entry.previousOfBuffer;
  if (entry.previousOfBuffer != nullptr) {
    entry.previousOfBuffer->nextOfBuffer = entry.nextOfBuffer;
  } else if (entry.nextOfBuffer != nullptr) {
    firstOfBuffer_[entry.buffer] = entry.nextOfBuffer;
  } else {
    firstOfBuffer_.erase(entry.buffer);
  }
  stats_.bytes -= entry.others.size() * sizeof(Name);
  entries_.erase(entry.key);
  recent_.erase(entry.self);
}

void DerivedValues::onLastHold(const Slice& slice) {
  const auto found =
      firstOfBuffer_.find(slice.segment->address() + slice.segment->slotOffset(slice.slot));
  if (found == firstOfBuffer_.end()) return;  // Forgotten since.
  for (Entry* entry = found->second; entry != nullptr;) {
    Entry* const next = entry->nextOfBuffer;
    forget(*entry);
    entry = next;
  }
}

}  // namespace iol
