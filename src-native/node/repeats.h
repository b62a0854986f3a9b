// node/repeats.h: answers that TypeScript has given and that may be given again without asking it.
//
//   request --alike?--> [head, body or part of a file] --still good?--> respond
//                \-- none ----------------------------------- no --> TypeScript, which may propose
//
// An answer is good while the files that it depends on are fresh, for its time, and until forget().
// Four answers may have one place in the table; a fifth takes the place of one of them.
//
// Ownership   holds of its own on heads and bodies; files only as long as somebody else has them.
// Threads     the environment's own.
// Failure     none: what cannot be kept is not, and what cannot be given again is forgotten or left
//             to TypeScript.
// Cost        a miss: a hash of the target. A hit: that, a comparison of the headers in use, two
//             look-ups for a file, and what Connections::respond costs. Some 300 bytes each.
// May include everything below node/
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "cache/file_cache.h"
#include "http/alike.h"
#include "http/connections.h"

namespace iol::node {

class Repeats {
 public:
  struct FilePart {
    std::weak_ptr<CachedFile> file;
    uint64_t offset;
    uint64_t length;
  };
  static constexpr int64_t kNever = INT64_MAX;
  struct Terms {
    uint32_t uses;             // Bits of known headers.
    CachedFilePtr whileFresh;  // May be null.
    int64_t endsAtMs;          // By Connections::nowMs().
  };
  struct Proposal {
    http::RequestId id;
    uint64_t hash;
    http::Likeness likeness;
    bool dependsOnFile;
    std::weak_ptr<CachedFile> whileFresh;
    int64_t endsAtMs;
  };

  // True: answered.
  bool answer(http::Connections& connections, const http::RequestView& request);

  // The answer that is about to be given to this request may be given again on these terms.
  void propose(const http::RequestView& request, const Terms& terms);
  // For whoever answers: whatever comes of it, the proposal was for this answer only.
  std::optional<Proposal> takeProposal(http::RequestId id) {
    if (!proposal_ || proposal_->id.slot != id.slot || proposal_->id.epoch != id.epoch) return {};
    return std::exchange(proposal_, std::nullopt);
  }
  void keep(Proposal proposal, const Aggregate& head, const Aggregate* body);
  void keep(Proposal proposal, const Aggregate& head, FilePart part);
  void forget();

  uint64_t given() const { return given_; }

 private:
  static constexpr uint32_t kSets = 8192;
  static constexpr uint32_t kWays = 4;

  struct Answer {
    Proposal proposal;
    Aggregate head;
    std::optional<Aggregate> body;
    std::optional<FilePart> part;
  };
  using Ways = std::array<std::optional<Answer>, kWays>;

  std::optional<Answer>& placeFor(const Proposal& proposal);
  bool give(http::Connections& connections, http::RequestId id, std::optional<Answer>& place);

  std::vector<std::unique_ptr<Ways>> sets_;  // Empty until something is kept.
  uint32_t nextWay_ = 0;                     // Which one of a full set goes next.
  std::optional<Proposal> proposal_;
  uint64_t given_ = 0;
};

}  // namespace iol::node
