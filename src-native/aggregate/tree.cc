#include "aggregate/tree.h"

#include <cstdlib>

#include "aggregate/coalesce.h"

namespace iol::tree {

thread_local Aggregate::Steps steps;

// ---- Nodes -------------------------------------------------------------------------------------

Node* newNode(uint32_t height, uint32_t count) {
  const uint32_t capacity = height == 0 && count <= kSmallLeaf ? kSmallLeaf : kEntriesMax;
  const size_t entryBytes = height == 0 ? sizeof(Slice) : sizeof(Branch);
  auto* node = static_cast<Node*>(std::malloc(sizeof(Node) + capacity * entryBytes));
  IOL_CHECK(node != nullptr);
  *node = {1, 0, static_cast<uint8_t>(height), static_cast<uint8_t>(capacity)};
  steps.nodes++;
  return node;
}

void freeNode(Node* node) { std::free(node); }

namespace {

template <typename Entry>
Branch measuredAs(Node* node) {
  Branch branch{node, 0, 0};
  const Entry* entries = entriesOf<Entry>(node);
  for (uint32_t index = 0; index < node->count; index++) {
    branch.bytes += bytesOf(entries[index]);
    branch.slices += slicesOf(entries[index]);
  }
  return branch;
}

}  // namespace

Branch measured(Node* node) {
  return node->height == 0 ? measuredAs<Slice>(node) : measuredAs<Branch>(node);
}

void Editor::drop(Node* node) {
  if (--node->refs > 0) return;
  steps.released += node->count;
  if (node->height == 0) {
    const Slice* slices = entriesOf<Slice>(node);
    for (uint32_t index = 0; index < node->count; index++) release(slices[index]);
  } else {
    const Branch* branches = entriesOf<Branch>(node);
    for (uint32_t index = 0; index < node->count; index++) release(branches[index]);
  }
  freeNode(node);
}

template <typename Entry>
Node* Editor::ownAs(Node* node, uint32_t more) {
  const uint32_t wanted = std::min(node->count + more, kEntriesMax);
  if (node->refs == 1 && wanted <= node->capacity) return node;
  Node* copy = newNode(node->height, wanted);
  insertEntries(copy, 0, entriesOf<Entry>(node), node->count);
  if (node->refs == 1) {
    freeNode(node);
    return copy;
  }
  for (uint32_t index = 0; index < copy->count; index++) retain(entriesOf<Entry>(copy)[index]);
  node->refs--;
  return copy;
}

template Node* Editor::ownAs<Slice>(Node* node, uint32_t more);
template Node* Editor::ownAs<Branch>(Node* node, uint32_t more);

Node* Editor::own(Node* node, uint32_t more) {
  steps.nodes++;
  return node->height == 0 ? ownAs<Slice>(node, more) : ownAs<Branch>(node, more);
}

// ---- Looking up --------------------------------------------------------------------------------

const Slice& sliceWithByte(const Node* node, uint64_t at, uint64_t* start) {
  *start = 0;
  while (node->height > 0) {
    const Position position = entryWith<Branch>(node, at);
    *start += position.start;
    at -= position.start;
    node = entriesOf<Branch>(node)[position.index].node;
    steps.nodes++;
  }
  const Position position = entryWith<Slice>(node, at);
  *start += position.start;
  return entriesOf<Slice>(node)[position.index];
}

const Slice& sliceWithIndex(const Node* node, uint32_t index) {
  while (node->height > 0) {
    const Branch* branch = entriesOf<Branch>(node);
    while (index >= branch->slices) index -= branch++->slices;
    node = branch->node;
    steps.nodes++;
  }
  return entriesOf<Slice>(node)[index];
}

uint32_t indexWithByte(const Node* node, uint64_t at) {
  uint32_t index = 0;
  while (node->height > 0) {
    const Branch* branch = entriesOf<Branch>(node);
    for (; at >= branch->bytes; branch++) {
      at -= branch->bytes;
      index += branch->slices;
    }
    node = branch->node;
    steps.nodes++;
  }
  return index + entryWith<Slice>(node, at).index;
}

Branch lowestWith(Branch root, uint64_t* from, uint64_t* to) {
  while (root.node->height > 0) {
    const Position position = entryWith<Branch>(root.node, *from);
    const Branch& branch = entriesOf<Branch>(root.node)[position.index];
    if (*to - position.start > branch.bytes) break;
    *from -= position.start;
    *to -= position.start;
    root = branch;
    steps.nodes++;
  }
  return root;
}

// ---- The ends ----------------------------------------------------------------------------------

namespace {

template <typename Entry>
Entry& outermost(Node* node, Edge edge) {
  return entriesOf<Entry>(node)[edge == Edge::Back ? node->count - 1 : 0];
}

}  // namespace

bool appendInPlace(Node* root, const Slice& slice) {
  Node* leaf = root;
  uint32_t depth = 1;
  for (; leaf->height > 0 && leaf->refs == 1; depth++) {
    leaf = outermost<Branch>(leaf, Edge::Back).node;
  }
  if (leaf->refs > 1 || leaf->count == leaf->capacity) return false;
  if (touches(outermost<Slice>(leaf, Edge::Back), slice)) return false;
  for (Node* node = root; node->height > 0;) {
    Branch& last = outermost<Branch>(node, Edge::Back);
    last.bytes += slice.length;
    last.slices++;
    node = last.node;
  }
  entriesOf<Slice>(leaf)[leaf->count++] = slice;
  steps.nodes += depth;
  steps.entries++;
  return true;
}

uint32_t Editor::ownEdge(Branch& root, Edge edge, Branch** path) {
  uint32_t depth = 0;
  Branch* branch = &root;
  for (;;) {
    path[depth++] = branch;
    Node* node = branch->node;
    if (node->refs > 1 || node->count >= node->capacity) node = branch->node = own(node, 1);
    if (node->height == 0) break;
    branch = &outermost<Branch>(node, edge);
  }
  steps.nodes += depth;
  return depth;
}

// A full node gives some of its entries to a new one on its right, which is returned. At the ends
// it keeps, or gives, most of them, so that a tree made by appends is three quarters full.
template <typename Entry>
Branch Editor::insert(Branch& branch, uint32_t at, const Entry& entry) {
  Node* node = branch.node;
  if (node->count < kEntriesMax) {
    insertEntry(node, at, entry);
    return {};
  }
  const uint32_t keep = at == kEntriesMax ? kEntriesMax - kEntriesMin
                        : at <= 1         ? kEntriesMin
                                          : kEntriesMax / 2;
  Node* right = newNode(node->height, kEntriesMax);
  insertEntries(right, 0, entriesOf<Entry>(node) + keep, kEntriesMax - keep);
  eraseEntries<Entry>(node, keep, kEntriesMax - keep);
  if (at > keep) {
    insertEntry(right, at - keep, entry);
  } else {
    insertEntry(node, at, entry);
  }
  branch = measured(node);
  return measured(right);
}

template Branch Editor::insert<Slice>(Branch& branch, uint32_t at, const Slice& slice);
template Branch Editor::insert<Branch>(Branch& branch, uint32_t at, const Branch& entry);

uint32_t Editor::joinTiny(Branch& leaf) {
  const Run run = tinyRun(domain_, entriesOf<Slice>(leaf.node), leaf.node->count);
  if (run.count == 0) return 0;
  leaf.node = own(leaf.node, 0);
  const uint32_t fewer = joinRun(domain_, entriesOf<Slice>(leaf.node), leaf.node->count, run);
  leaf.node->count = static_cast<uint16_t>(leaf.node->count - fewer);
  leaf.slices -= fewer;
  return fewer;
}

void Editor::push(Branch& root, const Slice& slice, Edge edge) {
  if (root.node == nullptr) root.node = newNode(0, 1);
  Branch* path[kHeightMax];
  const uint32_t depth = ownEdge(root, edge, path);
  Node* leaf = path[depth - 1]->node;
  uint32_t added = 1;
  if (leaf->count > 0) {
    Slice& outer = outermost<Slice>(leaf, edge);
    if (edge == Edge::Back ? touches(outer, slice) : touches(slice, outer)) {
      if (edge == Edge::Front) outer.offset = slice.offset;
      outer.length += slice.length;
      domain_.release(slice);
      added = 0;
    } else if (leaf->count == kEntriesMax) {
      const uint32_t fewer = joinTiny(*path[depth - 1]);
      for (uint32_t level = 0; level + 1 < depth; level++) path[level]->slices -= fewer;
    }
  }
  for (uint32_t level = 0; level < depth; level++) {
    path[level]->bytes += slice.length;
    path[level]->slices += added;
  }
  if (added == 0) return;
  Branch more = insert(*path[depth - 1], edge == Edge::Back ? leaf->count : 0, slice);
  for (uint32_t level = depth - 1; level-- > 0 && more.node != nullptr;) {
    more = insert(*path[level], edge == Edge::Back ? path[level]->node->count : 1, more);
  }
  if (more.node == nullptr) return;
  Node* top = newNode(root.node->height + 1u, 2);
  const Branch both[] = {root, more};
  insertEntries(top, 0, both, 2);
  root = measured(top);
}

bool Editor::trim(Branch& root, uint64_t bytes, Edge edge) {
  Branch* path[kHeightMax];
  uint32_t depth = 0;
  Branch* branch = &root;
  for (;;) {
    if (branch->node->refs != 1 || branch->bytes <= bytes) return false;
    path[depth++] = branch;
    if (branch->node->height == 0) break;
    branch = &outermost<Branch>(branch->node, edge);
  }
  steps.nodes += depth;
  Node* leaf = branch->node;
  Slice* slices = entriesOf<Slice>(leaf);
  uint64_t left = bytes;
  uint32_t gone = 0;
  const auto outer = [&]() -> Slice& {
    return slices[edge == Edge::Back ? leaf->count - 1 - gone : gone];
  };
  for (; outer().length <= left; gone++) left -= outer().length;
  if (depth > 1 && leaf->count - gone < kEntriesMin) return false;
  Slice& cutOne = outer();
  if (edge == Edge::Front) cutOne.offset += static_cast<uint32_t>(left);
  cutOne.length -= static_cast<uint32_t>(left);
  const uint32_t firstGone = edge == Edge::Back ? leaf->count - gone : 0;
  for (uint32_t index = 0; index < gone; index++) domain_.release(slices[firstGone + index]);
  eraseEntries<Slice>(leaf, firstGone, gone);
  steps.released += gone;
  for (uint32_t level = 0; level < depth; level++) {
    path[level]->bytes -= bytes;
    path[level]->slices -= gone;
  }
  return true;
}

}  // namespace iol::tree
