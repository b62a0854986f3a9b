#include "node/repeats.h"

#include <utility>

namespace iol::node {
namespace {

bool isFresh(const std::weak_ptr<CachedFile>& weak) {
  const CachedFilePtr file = weak.lock();
  return file != nullptr && file->isFresh();
}

bool isSame(const std::weak_ptr<CachedFile>& one, const std::weak_ptr<CachedFile>& other) {
  return !one.owner_before(other) && !other.owner_before(one);
}

}  // namespace

bool Repeats::answer(http::Connections& connections, const http::RequestView& request) {
  if (sets_.empty()) return false;
  const std::optional<uint64_t> hash = http::Likeness::hashOf(request.head, request.text);
  if (!hash) return false;
  const std::unique_ptr<Ways>& ways = sets_[*hash % kSets];
  if (ways == nullptr) return false;
  for (std::optional<Answer>& place : *ways) {
    if (place && place->proposal.hash == *hash &&
        place->proposal.likeness.isOf(request.head, request.text)) {
      return give(connections, request.id, place);
    }
  }
  return false;
}

bool Repeats::give(http::Connections& connections, http::RequestId id,
                   std::optional<Answer>& place) {
  const Proposal& terms = place->proposal;
  if (connections.nowMs() >= terms.endsAtMs ||
      (terms.dependsOnFile && !isFresh(terms.whileFresh))) {
    place.reset();
    return false;
  }
  std::optional<Aggregate> part;
  const Aggregate* body = place->body ? &*place->body : nullptr;
  if (place->part) {
    const CachedFilePtr file = place->part->file.lock();
    const std::shared_ptr<FileCache> cache = file == nullptr ? nullptr : file->cache();
    if (cache == nullptr || !cache->isFresh(*file)) {
      place.reset();
      return false;
    }
    Result<Aggregate> bytes = cache->tryRead(*file, place->part->offset, place->part->length);
    if (!bytes.isOk()) return false;  // The disk is needed: not for us.
    body = &part.emplace(bytes.take());
  }
  // Why it is counted first: respond() may end the connection, and tell TypeScript of it.
  ++given_;
  if (connections.respond(id, place->head, body, http::Persistence::KeepAlive).isOk()) return true;
  --given_;
  return false;
}

void Repeats::propose(const http::RequestView& request, const Terms& terms) {
  proposal_.reset();
  std::optional<http::Likeness> likeness =
      http::Likeness::of(request.head, request.text, terms.uses);
  if (!likeness) return;
  const std::optional<uint64_t> hash = http::Likeness::hashOf(request.head, request.text);
  proposal_.emplace(Proposal{request.id, *hash, std::move(*likeness), terms.whileFresh != nullptr,
                             terms.whileFresh, terms.endsAtMs});
}

void Repeats::keep(Proposal proposal, const Aggregate& head, const Aggregate* body) {
  std::optional<Aggregate> own;
  if (body != nullptr) own.emplace(body->clone());
  placeFor(proposal).emplace(
      Answer{std::move(proposal), head.clone(), std::move(own), std::nullopt});
}

void Repeats::keep(Proposal proposal, const Aggregate& head, FilePart part) {
  // The file of the part is looked at in any case.
  if (isSame(proposal.whileFresh, part.file)) proposal.dependsOnFile = false;
  placeFor(proposal).emplace(
      Answer{std::move(proposal), head.clone(), std::nullopt, std::move(part)});
}

// Empty: that of an earlier answer to the same requests, else a free one, else one of the others'.
std::optional<Repeats::Answer>& Repeats::placeFor(const Proposal& proposal) {
  if (sets_.empty()) sets_.resize(kSets);
  std::unique_ptr<Ways>& set = sets_[proposal.hash % kSets];
  if (set == nullptr) set = std::make_unique<Ways>();
  std::optional<Answer>* place = nullptr;
  for (std::optional<Answer>& each : *set) {
    if (each && each->proposal.likeness == proposal.likeness) {
      place = &each;
      break;
    }
    if (!each && place == nullptr) place = &each;
  }
  if (place == nullptr) place = &(*set)[nextWay_++ % kWays];
  place->reset();
  return *place;
}

void Repeats::forget() {
  proposal_.reset();
  sets_.clear();
}

}  // namespace iol::node
