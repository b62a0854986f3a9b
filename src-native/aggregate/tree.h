// aggregate/tree.h: edits of a tree of slices: persistent where it is shared, in place where not.
//
//   root ──> [ . . . ]            height 1: branches with their bytes and slices
//             |  |  \--> [C]
//             |  \-----> [B B B]  height 0: leaves, slices in order
//             \--------> [A A]  <── also in another aggregate's tree: refs 2, never changed
//
// Every node but a root has kEntriesMin to kEntriesMax entries, all leaves are equally deep, no
// slice is empty and no two neighbours touch (same buffer, end where the next begins).
//
// Ownership   a Branch passed by value is one ref, taken over; one returned is one ref, given.
// Threads     the domain's.
// Failure     none (see node.h).
// Cost        push: the edge path, O(1) entries moved on average; cut, join: O(height) nodes.
//             Recursion is as deep as the tree: below kHeightMax.
// May include base/ sys/ window/ pool/
#pragma once

#include "aggregate/node.h"
#include "pool/domain.h"

namespace iol::tree {

enum class Edge : uint8_t { Front, Back };

// What a cut is for: only an edit that was asked to add bytes may join tiny slices by a copy.
enum class Tiny : uint8_t { Keep, Join };

// The slice that has byte `at` of the tree.
const Slice& sliceWithByte(const Node* root, uint64_t at, uint64_t* start);
// The slice with number `index` of the tree.
const Slice& sliceWithIndex(const Node* root, uint32_t index);
// The number of the slice that has byte `at`.
uint32_t indexWithByte(const Node* root, uint64_t at);
// The lowest branch that has all of [from, to), which become places in it.
Branch lowestWith(Branch root, uint64_t* from, uint64_t* to);

// The usual append, in place; false, and nothing done, when that takes an Editor.
bool appendInPlace(Node* root, const Slice& slice);

class Editor {
 public:
  explicit Editor(Domain& domain, Tiny tiny = Tiny::Keep) : domain_(domain), tiny_(tiny) {}

  // Gives one ref back; the last one drops the holds.
  void drop(Node* node);
  // Adds a slice at an end, and takes over the hold on it.
  void push(Branch& root, const Slice& slice, Edge edge);
  // Drops `bytes` at an end in place; false, and nothing done, when that would need other nodes.
  bool trim(Branch& root, uint64_t bytes, Edge edge);
  // Bytes [from, to).
  Branch cut(Branch root, uint64_t from, uint64_t to);
  // The bytes of both, in order; slices that touch become one.
  Branch concat(Branch left, Branch right);

 private:
  struct Pair {
    Branch first;
    Branch second;  // Without a node: one was enough.
  };

  void retain(const Slice& slice) { domain_.retain(slice); }
  void retain(const Branch& branch) { branch.node->refs++; }
  void release(const Slice& slice) { domain_.release(slice); }
  void release(const Branch& branch) { drop(branch.node); }

  // A node that only the caller refers to, with room for `more` entries; takes over the ref.
  Node* own(Node* node, uint32_t more);
  template <typename Entry>
  Node* ownAs(Node* node, uint32_t more);
  // As own, but only entries [first, last) are left.
  template <typename Entry>
  Node* ownRange(Node* node, uint32_t first, uint32_t last);

  // The branches from the root to the leaf at an end, all owned; returns how many.
  uint32_t ownEdge(Branch& root, Edge edge, Branch** path);
  template <typename Entry>
  Branch insert(Branch& branch, uint32_t at, const Entry& entry);
  // Joins tiny slices of a leaf by the rule in coalesce.h; returns how many slices fewer it has.
  uint32_t joinTiny(Branch& leaf);

  Branch cutLeaf(Branch leaf, uint64_t from, uint64_t to);
  Branch cutInner(Branch branch, uint64_t from, uint64_t to);

  Branch join(Branch left, Branch right);
  Pair joinBack(Branch left, Branch right);
  Pair joinFront(Branch left, Branch right);
  Pair level(Branch left, Branch right);
  template <typename Entry>
  Pair levelAs(Branch left, Branch right);

  Domain& domain_;
  const Tiny tiny_;
};

// The tallest tree that slices can make, with room to spare.
constexpr uint32_t kHeightMax = 16;

}  // namespace iol::tree
