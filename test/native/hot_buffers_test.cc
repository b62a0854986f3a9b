// Which buffers are hot, and which only lie where a hot one lay.
#include "net/hot_buffers.h"

#include <sys/resource.h>

#include <cstring>
#include <vector>

#include "pool/domain.h"
#include "pool/pool.h"
#include "sys/small_pages.h"
#include "test.h"

namespace iol::test {
namespace {

constexpr uint32_t kBytes = 200 << 10;
constexpr uint32_t kCopies = 1;

struct Sent {
  explicit Sent(Domain& domain) : pool(Pool::create(domain, {}).take()) {
    Draft draft = pool->allocate(kBytes).take();
    std::memset(draft.bytes(), 1, kBytes);
    slice = draft.seal();
  }
  std::unique_ptr<Pool> pool;
  Slice slice;
};

// A segment's object is made where one was deleted, slots and generations begin anew: of 256 places
// of the table each is met often enough here.
TEST(aBufferOfANewSegmentIsNotHotBecauseOneWas) {
  Window window({4ull << 30});
  const std::unique_ptr<Domain> domain = Domain::create(window).take();
  net::HotBuffers hot(kCopies);
  for (int round = 0; round < 600; ++round) {
    const Sent sent(*domain);
    CHECK(!hot.isHot(sent.slice));
    for (uint32_t sends = 0; sends < kCopies + 2; ++sends) hot.noteSend(sent.slice);
    domain->release(sent.slice);
  }
}

// RLIMIT_NOFILE for as long as this lives.
struct DescriptorLimit {
  explicit DescriptorLimit(uint64_t count) {
    ::getrlimit(RLIMIT_NOFILE, &before);
    const rlimit now{count, before.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &now);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before); }
  rlimit before{};
};

TEST(hotBuffersHaveASixteenthOfTheDescriptorsAndGiveThemBack) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  Window window({4ull << 30});
  const std::unique_ptr<Domain> domain = Domain::create(window).take();
  std::vector<Sent> sent;
  for (int i = 0; i < 20; ++i) sent.emplace_back(*domain);
  const DescriptorLimit limit(128);
  net::HotBuffers hot(kCopies);
  const auto hotOnes = [&] {
    int count = 0;
    for (const Sent& each : sent) count += hot.isHot(each.slice);
    return count;
  };
  for (const Sent& each : sent) {
    for (uint32_t sends = 0; sends < kCopies + 1; ++sends) hot.noteSend(each.slice);
    CHECK(hotOnes() <= 8);
  }
  CHECK_EQ(hotOnes(), 8);
  CHECK(hot.isHot(sent.back().slice));  // Those that came last.
  hot.forget();
  CHECK_EQ(hotOnes(), 0);
  for (const Sent& each : sent) domain->release(each.slice);
}

}  // namespace
}  // namespace iol::test
