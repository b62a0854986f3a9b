// Replacement: the paper's order against a plain model, in the policy alone and in the cache, and
// the rule that sizes the cache.
#include "cache/policy.h"

#include <algorithm>
#include <list>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "cache_world.h"
#include "test.h"

namespace iol::test {
namespace {

class SetProbe final : public ReferenceProbe {
 public:
  bool isReferenced(const PolicyEntry& entry) const override { return referenced.contains(&entry); }
  std::set<const PolicyEntry*> referenced;
};

TEST(theVictimIsTheOldestUnreferencedElseTheOldest) {
  LruPolicy policy;
  SetProbe probe;
  std::vector<PolicyEntry> entries(40);
  std::list<PolicyEntry*> model;  // Least recently used first.
  std::mt19937 random(5);
  for (int step = 0; step < 50000; ++step) {
    PolicyEntry& entry = entries[random() % entries.size()];
    const auto at = std::find(model.begin(), model.end(), &entry);
    switch (random() % 4) {
      case 0:
        if (at == model.end()) {
          policy.onInsert(entry);
          model.push_back(&entry);
        } else {
          policy.onAccess(entry);
          model.splice(model.end(), model, at);
        }
        break;
      case 1:
        if (!probe.referenced.erase(&entry)) probe.referenced.insert(&entry);
        break;
      case 2:
        if (at == model.end()) break;
        policy.onRemove(entry);
        model.erase(at);
        break;
      default:
        const auto unused = std::find_if(model.begin(), model.end(), [&](PolicyEntry* candidate) {
          return !probe.referenced.contains(candidate);
        });
        PolicyEntry* const free = unused == model.end() ? nullptr : *unused;
        PolicyEntry* const any = free != nullptr || model.empty() ? free : model.front();
        CHECK_EQ(policy.victim(probe, ReplacementPolicy::Victims::UnreferencedOnly), free);
        CHECK_EQ(policy.victim(probe, ReplacementPolicy::Victims::Any), any);
    }
    if (hasFailed()) return;
  }
}

// The whole cache against the model: files of one size, some held, random reads and releases.
TEST(theCacheEvictsInThePapersOrder) {
  constexpr uint32_t kFiles = 24;
  constexpr uint32_t kFits = 10;
  FileCache::Options options;
  options.maxBytes = kFits * 1000;
  CacheWorld world(std::move(options));
  std::vector<CachedFilePtr> files;
  for (uint32_t index = 0; index < kFiles; ++index) {
    const std::string name = "f" + std::to_string(index);
    world.put(name, pattern(1000, index));
    files.push_back(world.open(name).take());
  }
  std::vector<uint32_t> model;  // Cached files, least recently used first.
  std::vector<std::optional<Aggregate>> held(kFiles);
  // A hold on a buffer that was evicted since says nothing of the file's present entry.
  std::vector<bool> isInUse(kFiles);
  std::mt19937 random(6);
  for (int step = 0; step < 6000; ++step) {
    const uint32_t index = random() % kFiles;
    if (random() % 3 == 0) {
      held[index].reset();
      isInUse[index] = false;
      continue;
    }
    const bool isCached = std::find(model.begin(), model.end(), index) != model.end();
    auto hit = world.cache->tryRead(*files[index], 0, 1000);
    CHECK_EQ(hit.isOk(), isCached);
    if (hasFailed()) return;
    std::erase(model, index);
    model.push_back(index);
    const bool keeps = random() % 3 == 0;
    if (!isCached) {
      auto read = world.read(files[index], 0, 1000);
      REQUIRE(read.isOk());
      CHECK(textOf(read.value()) == pattern(1000, index));
      // The read itself refers to the new entry while the victim is chosen.
      if (model.size() > kFits) {
        const auto unused = std::find_if(model.begin(), model.end() - 1,
                                         [&](uint32_t file) { return !isInUse[file]; });
        const auto victim = unused != model.end() - 1 ? unused : model.begin();
        isInUse[*victim] = false;
        model.erase(victim);
      }
      if (keeps) held[index] = read.take();
    } else if (keeps) {
      held[index] = hit.take();
    }
    if (keeps) isInUse[index] = true;
    for (uint32_t file = 0; file < kFiles; ++file) {
      if (held[file]) CHECK(textOf(*held[file]) == pattern(1000, file));
    }
    if (hasFailed()) return;
  }
  CHECK(world.cache->stats().evictions > 1000u);
}

TEST(thePageoutRuleSettlesWhereHalfOfThePagesTakenAreTheCaches) {
  // A machine of 1,000 pages, taken at random; for g misses a page taken, of which each adds a page
  // to the cache, the share settles at (1 + g) / 2. Here g = 1 / 16.
  for (const uint32_t start : {1u, 999u}) {
    PageoutRule rule;
    std::mt19937 random(9);
    double cached = start;
    uint64_t taken = 0;
    uint64_t cachedTaken = 0;
    for (int step = 0; step < 200000; ++step) {
      const bool isCached = random() % 1000 < static_cast<uint32_t>(cached);
      if (rule.onPageTaken(isCached)) cached = std::max(1.0, cached - 1);
      if (random() % 16 == 0) cached = std::min(999.0, cached + 1);
      if (step < 100000) continue;
      ++taken;
      cachedTaken += isCached;
    }
    const double share = static_cast<double>(cachedTaken) / static_cast<double>(taken);
    CHECK(share > 0.48);
    CHECK(share < 0.58);
  }
}

TEST(thePageoutRuleCountsFromTheLastEviction) {
  PageoutRule rule;
  CHECK(!rule.onPageTaken(false));
  CHECK(!rule.onPageTaken(true));  // One of two is not more than half.
  CHECK(rule.onPageTaken(true));   // Two of three is.
  CHECK(!rule.onPageTaken(false));
  CHECK(!rule.onPageTaken(false));
  CHECK(!rule.onPageTaken(true));
  CHECK(!rule.onPageTaken(true));
  CHECK(rule.onPageTaken(true));
  CHECK(rule.onPageTaken(true));
}

}  // namespace
}  // namespace iol::test
