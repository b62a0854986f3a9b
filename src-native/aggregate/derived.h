// aggregate/derived.h: values computed from immutable bytes, remembered for as long as they last.
//
//   <window address, generation, length, kind>  ->  value         hash map, least recent goes first
//   buffer address  ->  its values                                all go with its last hold here
//
// A slice never changes, so neither does what was computed from it; a name is never used for other
// bytes, so a value can be forgotten late but never be wrong. That is IO-Lite's checksum cache.
// The bytes of another domain's pool are computed each time: their owner could change them (I3).
//
// Ownership   none of the bytes: a value keeps no hold.
// Threads     the domain's own.
// Failure     none; beyond entriesMax the value used least recently is forgotten.
// Cost        nothing while unused. A value that is known: some 50 ns; slices shorter than
//             kRememberBytesMin are computed, which is cheaper. About 200 bytes an entry.
// May include base/ sys/ window/ pool/
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "aggregate/aggregate.h"
#include "pool/domain.h"

namespace iol {

constexpr uint32_t kRememberBytesMin = 4096;
constexpr uint32_t kDerivedEntriesMax = 16384;
// Lists of more slices have no digest remembered.
constexpr uint32_t kDigestSlicesMax = 64;

using Sha256 = std::array<uint8_t, 32>;

class DerivedValues final : public ReleaseListener {
 public:
  struct Stats {
    uint64_t computed = 0;  // Values computed from bytes, and how many bytes those were.
    uint64_t computedBytes = 0;
    uint64_t reused = 0;  // Values found, and how many bytes were not looked at for it.
    uint64_t reusedBytes = 0;
    uint64_t entries = 0;
    uint64_t bytes = 0;  // Memory of the entries.
  };

  explicit DerivedValues(Domain& domain, size_t entriesMax = kDerivedEntriesMax);
  ~DerivedValues();
  DerivedValues(const DerivedValues&) = delete;
  DerivedValues& operator=(const DerivedValues&) = delete;

  // RFC 1071: the complement of the sum, ready to be stored big-endian.
  uint16_t internetChecksum(const Aggregate& bytes);
  uint32_t crc32c(const Aggregate& bytes);
  // A digest cannot be put together from those of parts: it is of this very list of slices, and
  // computed by somebody else.
  bool findSha256(const Aggregate& bytes, Sha256* digest);
  void keepSha256(const Aggregate& bytes, const Sha256& digest);

  Stats stats() const;
  void onLastHold(const Slice& slice) override;

 private:
  enum class Kind : uint8_t { InternetSum, Crc32c, Sha256 };
  struct Name {
    uint64_t address;
    uint64_t generation;
    uint64_t length;
    bool operator==(const Name&) const = default;
  };
  struct Key {
    Name name;
    Kind kind;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const;
  };
  struct Entry {
    Key key;
    uint64_t buffer;  // Window address of its first byte.
    Entry* nextOfBuffer = nullptr;
    Entry* previousOfBuffer = nullptr;
    std::list<Entry>::iterator self;
    uint32_t sum = 0;
    Sha256 digest{};
    std::vector<Name> others;  // The slices after the first, of a digest.
  };

  template <typename Compute>
  uint32_t valueOf(const Slice& slice, Kind kind, Compute compute);
  Entry* find(const Key& key);
  Entry& add(const Slice& first, const Key& key);
  void forget(Entry& entry);
  static Name nameOf(const Slice& slice) {
    return {slice.address(), slice.generation, slice.length};
  }
  static bool listOf(const Aggregate& bytes, Key* key, std::vector<Name>* others);

  Domain& domain_;
  size_t entriesMax_;
  std::list<Entry> recent_;  // Front: used last.
  std::unordered_map<Key, Entry*, KeyHash> entries_;
  std::unordered_map<uint64_t, Entry*> firstOfBuffer_;
  Stats stats_;
};

}  // namespace iol
