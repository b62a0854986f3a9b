// aggregate/node.h: a node of an aggregate's tree, and what moves entries within and between them.
//
//   Node   [refs | count | height | capacity] entry entry entry ...     (one allocation)
//          height 0: a leaf, entries are Slices, each of them one hold
//          height h: entries are Branches: a node of height h - 1, its bytes, its slices
//
// Ownership   a node belongs to its refs: branches and roots. Its last one drops its entries.
// Threads     refs and entries change on the domain's thread, and entries only while refs is 1;
//             other threads may read entries that a root of their own keeps alive.
// Failure     none; running out of heap ends the process.
// Cost        an entry moved is 24 or 32 bytes; every function here is at most kEntriesMax of them.
// May include base/ sys/ window/ pool/
#pragma once

#include <algorithm>
#include <cstdint>

#include "aggregate/aggregate.h"
#include "base/check.h"
#include "pool/slice.h"

namespace iol::tree {

constexpr uint32_t kEntriesMax = 16;
constexpr uint32_t kEntriesMin = 4;  // Of every node but the root.
constexpr uint32_t kSmallLeaf = 4;   // A leaf that has no more is allocated no larger.

struct alignas(8) Node {
  uint32_t refs;
  uint16_t count;
  uint8_t height;
  uint8_t capacity;
};

struct Branch {
  Node* node = nullptr;
  uint64_t bytes = 0;
  uint32_t slices = 0;
};

// What this thread's trees have cost since it began. See Aggregate::steps().
extern thread_local Aggregate::Steps steps;

template <typename Entry>
Entry* entriesOf(Node* node) {
  return reinterpret_cast<Entry*>(node + 1);
}
template <typename Entry>
const Entry* entriesOf(const Node* node) {
  return reinterpret_cast<const Entry*>(node + 1);
}

constexpr uint64_t bytesOf(const Slice& slice) { return slice.length; }
constexpr uint64_t bytesOf(const Branch& branch) { return branch.bytes; }
constexpr uint32_t slicesOf(const Slice&) { return 1; }
constexpr uint32_t slicesOf(const Branch& branch) { return branch.slices; }

// Empty, with one ref and room for at least `count` entries.
Node* newNode(uint32_t height, uint32_t count);
// The memory alone: whose entries were moved elsewhere.
void freeNode(Node* node);
// The node with the sums of its entries.
Branch measured(Node* node);

inline bool touches(const Slice& left, const Slice& right) {
  return left.sameBuffer(right) && left.generation == right.generation &&
         left.offset + left.length == right.offset;
}

// Moves `count` entries in at `at`; there must be room.
template <typename Entry>
void insertEntries(Node* node, uint32_t at, const Entry* from, uint32_t count) {
  IOL_DCHECK(node->count + count <= node->capacity);
  Entry* entries = entriesOf<Entry>(node);
  std::copy_backward(entries + at, entries + node->count, entries + node->count + count);
  std::copy_n(from, count, entries + at);
  steps.entries += node->count - at + count;
  node->count = static_cast<uint16_t>(node->count + count);
}

template <typename Entry>
void insertEntry(Node* node, uint32_t at, const Entry& entry) {
  IOL_DCHECK(node->count < node->capacity);
  Entry* entries = entriesOf<Entry>(node);
  if (at < node->count)
    std::copy_backward(entries + at, entries + node->count, entries + node->count + 1);
  entries[at] = entry;
  steps.entries += node->count - at + 1u;
  node->count++;
}

// Forgets `count` entries from `at` on: they were moved elsewhere, or dropped.
template <typename Entry>
void eraseEntries(Node* node, uint32_t at, uint32_t count) {
  Entry* entries = entriesOf<Entry>(node);
  std::copy(entries + at + count, entries + node->count, entries + at);
  steps.entries += node->count - at - count;
  node->count = static_cast<uint16_t>(node->count - count);
}

// Where a place is among entries: which one, and where that begins.
struct Position {
  uint32_t index;
  uint64_t start;
};

// The entry that has byte `at`, which is below the sum of all.
template <typename Entry>
Position entryWith(const Node* node, uint64_t at) {
  const Entry* entries = entriesOf<Entry>(node);
  Position position{0, 0};
  while (at - position.start >= bytesOf(entries[position.index])) {
    position.start += bytesOf(entries[position.index++]);
    IOL_DCHECK(position.index < node->count);
  }
  return position;
}

}  // namespace iol::tree
