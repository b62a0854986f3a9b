// Cutting and joining whole trees. See tree.h.
#include <type_traits>

#include "aggregate/tree.h"

namespace iol::tree {

// ---- Cutting -----------------------------------------------------------------------------------

template <typename Entry>
Node* Editor::ownRange(Node* node, uint32_t first, uint32_t last) {
  steps.nodes++;
  const Entry* entries = entriesOf<Entry>(node);
  if (node->refs > 1) {
    Node* copy = newNode(node->height, last - first);
    insertEntries(copy, 0, entries + first, last - first);
    for (uint32_t index = first; index < last; index++) retain(entries[index]);
    node->refs--;
    return copy;
  }
  for (uint32_t index = 0; index < node->count; index++) {
    if (index < first || index >= last) release(entries[index]);
  }
  steps.released += node->count - (last - first);
  eraseEntries<Entry>(node, last, node->count - last);
  eraseEntries<Entry>(node, 0, first);
  return node;
}

Branch Editor::cut(Branch root, uint64_t from, uint64_t to) {
  if (root.node == nullptr || (from == 0 && to == root.bytes)) return root;
  if (from >= to) {
    drop(root.node);
    return {};
  }
  return root.node->height == 0 ? cutLeaf(root, from, to) : cutInner(root, from, to);
}

Branch Editor::cutLeaf(Branch leaf, uint64_t from, uint64_t to) {
  const Position first = entryWith<Slice>(leaf.node, from);
  const Position last = entryWith<Slice>(leaf.node, to - 1);
  Node* node = ownRange<Slice>(leaf.node, first.index, last.index + 1);
  Slice* slices = entriesOf<Slice>(node);
  Slice& lastOne = slices[node->count - 1];
  lastOne.length = static_cast<uint32_t>(to - last.start);
  const auto skip = static_cast<uint32_t>(from - first.start);
  slices[0] = slices[0].part(skip, slices[0].length - skip);
  return {node, to - from, node->count};
}

Branch Editor::cutInner(Branch branch, uint64_t from, uint64_t to) {
  const Position first = entryWith<Branch>(branch.node, from);
  const Position last = entryWith<Branch>(branch.node, to - 1);
  Node* node = ownRange<Branch>(branch.node, first.index, last.index + 1);
  // What is whole stays together in the node; what is not comes back by joins of rising height.
  Branch* branches = entriesOf<Branch>(node);
  Branch front;
  Branch back;
  const uint64_t frontSkip = from - first.start;
  const uint64_t backKeep = to - last.start;
  if (node->count == 1) {
    const Branch only = branches[0];
    freeNode(node);
    return cut(only, frontSkip, backKeep);
  }
  if (backKeep < branches[node->count - 1].bytes) {
    back = branches[node->count - 1];
    eraseEntries<Branch>(node, node->count - 1u, 1);
  }
  if (frontSkip > 0) {
    front = branches[0];
    eraseEntries<Branch>(node, 0, 1);
  }
  Branch middle;
  if (node->count > 1) {
    middle = measured(node);
  } else {
    if (node->count == 1) middle = branches[0];
    freeNode(node);
  }
  if (front.node != nullptr) middle = join(cut(front, frontSkip, front.bytes), middle);
  if (back.node != nullptr) middle = join(middle, cut(back, 0, backKeep));
  return middle;
}

// ---- Joining -----------------------------------------------------------------------------------

Branch Editor::concat(Branch left, Branch right) {
  if (left.node == nullptr) return right;
  if (right.node == nullptr) return left;
  uint64_t start;
  const Slice first = sliceWithByte(right.node, 0, &start);
  if (touches(sliceWithByte(left.node, left.bytes - 1, &start), first)) {
    Branch* path[kHeightMax];
    const uint32_t depth = ownEdge(left, Edge::Back, path);
    Node* leaf = path[depth - 1]->node;
    entriesOf<Slice>(leaf)[leaf->count - 1].length += first.length;
    for (uint32_t level = 0; level < depth; level++) path[level]->bytes += first.length;
    right = cut(right, first.length, right.bytes);
  }
  return join(left, right);
}

Branch Editor::join(Branch left, Branch right) {
  if (left.node == nullptr) return right;
  if (right.node == nullptr) return left;
  const bool isLeftTaller = left.node->height >= right.node->height;
  const Pair pair = isLeftTaller ? joinBack(left, right) : joinFront(left, right);
  if (pair.second.node == nullptr) return pair.first;
  Node* top = newNode(pair.first.node->height + 1u, 2);
  const Branch both[] = {pair.first, pair.second};
  insertEntries(top, 0, both, 2);
  return measured(top);
}

// `right` is at most as tall; the result is one or two nodes of the height of `left`.
Editor::Pair Editor::joinBack(Branch left, Branch right) {
  if (left.node->height == right.node->height) return level(left, right);
  left.node = own(left.node, 1);
  Branch* branches = entriesOf<Branch>(left.node);
  const uint32_t last = left.node->count - 1u;
  const Pair pair = joinBack(branches[last], right);
  branches[last] = pair.first;
  Branch more;
  if (pair.second.node != nullptr) more = insert(left, last + 1, pair.second);
  return {measured(left.node), more};
}

Editor::Pair Editor::joinFront(Branch left, Branch right) {
  if (left.node->height == right.node->height) return level(left, right);
  right.node = own(right.node, 1);
  Branch* branches = entriesOf<Branch>(right.node);
  const Pair pair = joinFront(left, branches[0]);
  branches[0] = pair.first;
  Branch more;
  if (pair.second.node != nullptr) more = insert(right, 1, pair.second);
  return {measured(right.node), more};
}

Editor::Pair Editor::level(Branch left, Branch right) {
  return left.node->height == 0 ? levelAs<Slice>(left, right) : levelAs<Branch>(left, right);
}

// Two neighbours of one height: as one when there is room, as they are when both are full enough,
// else with as many entries each.
template <typename Entry>
Editor::Pair Editor::levelAs(Branch left, Branch right) {
  steps.nodes += 2;
  if (std::is_same_v<Entry, Slice> && tiny_ == Tiny::Join &&
      left.node->count + right.node->count > static_cast<int>(kEntriesMax)) {
    joinTiny(left);
    joinTiny(right);
  }
  const uint32_t inLeft = left.node->count;
  const uint32_t inRight = right.node->count;
  const uint32_t all = inLeft + inRight;
  if (all > kEntriesMax && inLeft >= kEntriesMin && inRight >= kEntriesMin) return {left, right};
  const uint32_t wanted = all <= kEntriesMax ? all : all / 2;
  Node* one = ownAs<Entry>(left.node, wanted > inLeft ? wanted - inLeft : 0);
  Node* other = ownAs<Entry>(right.node, wanted < inLeft ? inLeft - wanted : 0);
  if (wanted > inLeft) {
    const uint32_t moved = wanted - inLeft;
    insertEntries(one, inLeft, entriesOf<Entry>(other), moved);
    eraseEntries<Entry>(other, 0, moved);
  } else {
    const uint32_t moved = inLeft - wanted;
    insertEntries(other, 0, entriesOf<Entry>(one) + wanted, moved);
    eraseEntries<Entry>(one, wanted, moved);
  }
  if (other->count > 0) return {measured(one), measured(other)};
  freeNode(other);
  return {measured(one), {}};
}

}  // namespace iol::tree
