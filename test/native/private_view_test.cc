// Writable views: what is mapped and what is copied, who sees which store, what a snapshot shares.
#include "aggregate/private_view.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "sanitizer.h"
#include "sys/memory.h"
#include "test.h"

namespace iol {
namespace {

constexpr uint64_t kPage = sys::kPageBytes;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kNoLimit = UINT64_MAX;

struct World {
  World() : window({4ull << 30}), domain(Domain::create(window).take()) {
    pool = Pool::create(*domain, {}).take();
  }
  ~World() { CHECK_EQ(domain->liveHolds(), 0u); }
  // One slice whose byte `at` is seed + at / 64.
  Slice make(uint32_t length, uint32_t seed) {
    Draft draft = pool->allocate(length).take();
    for (uint32_t at = 0; at < length; at++) {
      draft.bytes()[at] = static_cast<uint8_t>(seed + at / 64);
    }
    return draft.seal();
  }
  Aggregate one(uint32_t length, uint32_t seed = 1) {
    Aggregate bytes(*domain);
    (void)bytes.adopt(make(length, seed));
    return bytes;
  }
  Window window;
  std::unique_ptr<Domain> domain;
  std::unique_ptr<Pool> pool;
};

std::string textOf(const Aggregate& bytes) {
  std::string text(bytes.byteLength(), 0);
  bytes.copyTo(reinterpret_cast<uint8_t*>(text.data()), 0, text.size(), CopyReason::CopyOut);
  return text;
}

std::string textOf(const PrivateView& view) {
  return {reinterpret_cast<const char*>(view.bytes()), view.byteLength()};
}

// Bytes copied for a reason since it was made.
class Copies {
 public:
  explicit Copies(CopyReason reason) : reason_(reason), before_(copyCount(reason).bytes) {}
  uint64_t bytes() const { return copyCount(reason_).bytes - before_; }

 private:
  CopyReason reason_;
  uint64_t before_;
};

// 1 GiB: one buffer of 1 MiB, 1,024 times.
Aggregate gibibyte(World& world) {
  Aggregate bytes = world.one(kMiB);
  while (bytes.byteLength() < 1024 * kMiB) (void)bytes.append(bytes);
  return bytes;
}

TEST(mappingAGibibyteCopiesNothingAndTouchingPagesCopiesThose) {
  World world;
  const Aggregate source = gibibyte(world);
  REQUIRE(source.byteLength() == 1024 * kMiB);
  const Copies mapped(CopyReason::Map);
  PrivateView view = PrivateView::create(source, kNoLimit).take();
  CHECK_EQ(mapped.bytes(), 0u);
  CHECK_EQ(view.privateBytes(), 0u);
  CHECK_EQ(view.lead(), 0u);

  constexpr uint64_t kTouched = 100;
  for (uint64_t index = 0; index < kTouched; index++) {
    view.bytes()[index * 10 * kMiB + index * kPage + index] ^= 0xff;
  }
  CHECK_EQ(view.privateBytes(), kTouched * kPage);
  CHECK_EQ(view.changes().size(), kTouched);

  const Copies sealed(CopyReason::MapSeal);
  Aggregate result = view.snapshot(*world.pool).take();
  CHECK_EQ(mapped.bytes(), kTouched * kPage);
  CHECK_EQ(sealed.bytes(), kTouched * kPage);
  CHECK_EQ(result.byteLength(), source.byteLength());

  // Every untouched page is the source's own, by address.
  uint64_t at = 0;
  uint64_t shared = 0;
  for (uint32_t index = 0; index < result.sliceCount(); index++) {
    const Slice& slice = result.sliceAt(index);
    uint64_t start;
    const Slice& original = source.sliceOf(at, &start);
    if (slice.address() == original.address() + (at - start)) shared += slice.length;
    at += slice.length;
  }
  CHECK_EQ(shared, source.byteLength() - kTouched * kPage);
  uint8_t byte;
  result.copyTo(&byte, 10 * kMiB + kPage + 1, 1, CopyReason::CopyOut);
  CHECK_EQ(byte, view.bytes()[10 * kMiB + kPage + 1]);
}

TEST(aStoreIsSeenByTheViewAlone) {
  World world;
  const Aggregate source = world.one(4 * kMiB);
  const std::string before = textOf(source);
  PrivateView one = PrivateView::create(source, kNoLimit).take();
  PrivateView other = PrivateView::create(source, kNoLimit).take();
  Aggregate early = one.snapshot(*world.pool).take();
  std::memset(one.bytes() + 100, 0xee, 3 * kPage);
  Aggregate late = one.snapshot(*world.pool).take();
  const std::string lateText = textOf(late);
  one.bytes()[2 * kMiB] = 0x77;  // After the snapshot.
  CHECK(textOf(source) == before);
  CHECK(textOf(other) == before);
  CHECK(textOf(early) == before);
  CHECK(textOf(late) == lateText);
  CHECK(lateText.substr(100, 3 * kPage) == std::string(3 * kPage, '\xee'));
  CHECK(lateText.substr(100 + 3 * kPage) == before.substr(100 + 3 * kPage));
}

TEST(theSourceMayBeReleasedBeforeTheView) {
  World world;
  std::string before;
  PrivateView view = [&] {
    Aggregate source = world.one(2 * kMiB, 9);
    before = textOf(source);
    return PrivateView::create(source, kNoLimit).take();
  }();
  // Whoever reused the storage would be seen here.
  Aggregate later = world.one(2 * kMiB, 77);
  CHECK(textOf(view) == before);
  CHECK(textOf(view.snapshot(*world.pool).value()) == before);
}

TEST(aSnapshotWithoutChangesIsTheSourcesSlices) {
  World world;
  Aggregate source = world.one(3 * kMiB + 5);
  (void)source.adopt(world.make(100, 3));
  (void)source.adopt(world.make(70000, 5));
  PrivateView view = PrivateView::create(source, kNoLimit).take();
  volatile uint8_t* bytes = view.bytes();
  bytes[1000] = bytes[1000];  // Stored to, and the same.
  const Copies sealed(CopyReason::MapSeal);
  Aggregate same = view.snapshot(*world.pool).take();
  CHECK_EQ(sealed.bytes(), 0u);
  REQUIRE(same.sliceCount() == source.sliceCount());
  for (uint32_t index = 0; index < same.sliceCount(); index++) {
    CHECK_EQ(same.sliceAt(index).address(), source.sliceAt(index).address());
    CHECK_EQ(same.sliceAt(index).length, source.sliceAt(index).length);
  }
}

TEST(theLeadLetsAnOddStartBeMapped) {
  World world;
  const Aggregate whole = world.one(8 * kMiB);
  const Aggregate source = whole.slice(1234, 8 * kMiB - 77);
  const Copies mapped(CopyReason::Map);
  PrivateView view = PrivateView::create(source, kNoLimit).take();
  CHECK_EQ(view.lead(), 1234u);
  CHECK_EQ(mapped.bytes(), (kPage - 1234) + (kPage - 77));  // The two border pages.
  CHECK_EQ(view.bytes()[-1], 0);                            // Nobody else's bytes are shown.
  CHECK(textOf(view) == textOf(source));
  // The sealed border lies as it did: the next view copies no more.
  view.bytes()[0] ^= 1;
  Aggregate again = view.snapshot(*world.pool).take();
  PrivateView second = PrivateView::create(again, kNoLimit).take();
  CHECK_EQ(second.lead(), 1234u);
  CHECK(textOf(second) == textOf(view));
}

TEST(piecesOfOneBufferAreOneMappingAgain) {
  World world;
  Aggregate whole = world.one(2 * kMiB);
  Aggregate front = whole.split(kMiB + 333);
  (void)front.append(whole);
  const Copies mapped(CopyReason::Map);
  PrivateView view = PrivateView::create(front, kNoLimit).take();
  CHECK_EQ(mapped.bytes(), 0u);
  CHECK(textOf(view) == textOf(front));
}

TEST(whatCannotBeMappedIsCopied) {
  World world;
  Aggregate source(*world.domain);
  for (uint32_t index = 0; index < 500; index++) {
    (void)source.adopt(world.make(1 + index * 7 % 900, index));
  }
  const Copies mapped(CopyReason::Map);
  PrivateView view = PrivateView::create(source, kNoLimit).take();
  CHECK_EQ(mapped.bytes(), source.byteLength());
  CHECK(textOf(view) == textOf(source));
  const uint64_t pages = (source.byteLength() + kPage - 1) / kPage;
  CHECK_EQ(view.privateBytes(), pages * kPage);
}

TEST(nothingHasNoMapping) {
  World world;
  PrivateView view = PrivateView::create(Aggregate(*world.domain), 0).take();
  CHECK_EQ(view.byteLength(), 0u);
  CHECK_EQ(view.privateBytes(), 0u);
  CHECK(view.changes().empty());
  CHECK_EQ(view.snapshot(*world.pool).value().byteLength(), 0u);
}

TEST(changesAreFoundInEveryWay) {
  World world;
  Aggregate source = world.one(40 * kMiB);
  (void)source.adopt(world.make(10, 3));
  for (sys::PageFinder finder :
       {sys::PageFinder::Scan, sys::PageFinder::Pagemap, sys::PageFinder::None}) {
    PrivateView view = PrivateView::create(source, kNoLimit).take();
    view.setPageFinder(finder);
    view.bytes()[5] ^= 1;
    view.bytes()[kPage] ^= 1;
    view.bytes()[39 * kMiB] ^= 1;
    view.bytes()[40 * kMiB + 9] ^= 1;
    const std::vector<ByteRange> changes = view.changes();
    REQUIRE(changes.size() == 3);
    CHECK_EQ(changes[0].from, 0u);
    CHECK_EQ(changes[0].to, 2 * kPage);
    CHECK_EQ(changes[1].from, 39 * kMiB);
    CHECK_EQ(changes[1].to, 39 * kMiB + kPage);
    CHECK_EQ(changes[2].from, 40 * kMiB);
    CHECK_EQ(changes[2].to, 40 * kMiB + 10);
    const Copies mapped(CopyReason::Map);
    CHECK(textOf(view.snapshot(*world.pool).value()) == textOf(view));
    if (finder == sys::PageFinder::None) continue;  // It knows what differs, not what is ours.
    CHECK_EQ(view.privateBytes(), 4 * kPage);
    CHECK_EQ(mapped.bytes(), 3 * kPage);
    (void)view.snapshot(*world.pool).value();
    CHECK_EQ(mapped.bytes(), 3 * kPage);  // Counted once.
  }
}

TEST(aSealedPoolCanBeMapped) {
  World world;
  Pool::Options options;
  options.sealed = true;
  auto pool = Pool::create(*world.domain, options).take();
  {
    Aggregate source(*world.domain);
    Draft draft = pool->allocate(kMiB).take();
    std::memset(draft.bytes(), 7, kMiB);
    (void)source.adopt(draft.seal());
    PrivateView view = PrivateView::create(source, kNoLimit).take();
    view.bytes()[9] = 8;
    CHECK_EQ(view.privateBytes(), kPage);
    CHECK_EQ(source.sliceAt(0).data()[9], 7);
  }
}

TEST(limitsOfAMappingAreErrors) {
  World world;
  const Aggregate source = world.one(kMiB);
  const Result<PrivateView> tooLong = PrivateView::create(source, kMiB - 1);
  REQUIRE(!tooLong.isOk());
  CHECK(tooLong.status().code() == Code::TooLarge);
  CHECK_EQ(tooLong.status().limit(), kMiB - 1);

  Aggregate many(*world.domain);
  for (uint64_t index = 0; index <= sys::overlaysMax(); index++) (void)many.append(source);
  const Result<PrivateView> tooMany = PrivateView::create(many, kNoLimit);
  REQUIRE(!tooMany.isOk());
  CHECK(tooMany.status().code() == Code::TooManySlices);
  CHECK_EQ(tooMany.status().limit(), sys::overlaysMax());
  // Nothing of the budget is lost with the refusal.
  many.truncateBack(sys::overlaysMax() / 2 * kMiB);
  CHECK(PrivateView::create(many, kNoLimit).isOk());
}

// What this process has mapped, which is what RLIMIT_AS bounds.
uint64_t mappedBytes() {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * kPage;
}

TEST(anAddressSpaceThatIsFullIsAnError) {
  if (test::kIsSanitized) SKIP("a sanitizer needs the address space");
  World world;
  const Aggregate source = gibibyte(world);
  rlimit before;
  REQUIRE(::getrlimit(RLIMIT_AS, &before) == 0);
  // Room for everything but the view.
  const rlimit small{mappedBytes() + 512 * kMiB, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_AS, &small) == 0);
  const Result<PrivateView> view = PrivateView::create(source, kNoLimit);
  REQUIRE(::setrlimit(RLIMIT_AS, &before) == 0);
  REQUIRE(!view.isOk());
  CHECK(view.status().code() == Code::NoMemory);
}

TEST(aFullPoolLeavesTheViewAsItWas) {
  World world;
  const Aggregate source = world.one(8 * kMiB);
  Pool::Options options;
  options.maxBytes = kMiB;
  auto small = Pool::create(*world.domain, options).take();
  PrivateView view = PrivateView::create(source, kNoLimit).take();
  std::memset(view.bytes() + 3, 0x5a, 5 * kMiB);
  const uint64_t holds = world.domain->liveHolds();
  const Result<Aggregate> refused = view.snapshot(*small);
  REQUIRE(!refused.isOk());
  CHECK(refused.status().code() == Code::PoolFull);
  CHECK_EQ(world.domain->liveHolds(), holds);
  CHECK(textOf(view.snapshot(*world.pool).value()) == textOf(view));
}

TEST(whoKeepsTheMemoryOfADiscardedViewSeesZerosAndHarmsNobody) {
  World world;
  const Aggregate source = world.one(kMiB);
  const std::string before = textOf(source);
  std::shared_ptr<sys::PrivateMap> memory;
  {
    PrivateView view = PrivateView::create(source, kNoLimit).take();
    memory = view.memory();
    view.bytes()[1] = 5;
    memory->discard();
  }
  CHECK_EQ(memory->base()[1], 0);
  std::memset(memory->base(), 9, kMiB);
  CHECK(textOf(source) == before);
}

TEST(aForkedChildHasNoMapping) {
  World world;
  const Aggregate source = world.one(kMiB);
  PrivateView view = PrivateView::create(source, kNoLimit).take();
  view.bytes()[0] = 42;
  const int pid = ::fork();
  if (pid == 0) {
    // An address that is not mapped is EFAULT to the kernel.
    int ends[2];
    if (::pipe(ends) != 0) ::_exit(2);
    ::_exit(::write(ends[1], view.bytes(), 1) == 1 ? 1 : 0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// A random program against plain bytes: slices of all sizes and places, stores, snapshots.
TEST(aViewIsTheBytesWhateverWasStored) {
  World world;
  std::mt19937 random(11);
  const Aggregate large = world.one(600000, 40);
  for (int round = 0; round < 60 && !test::hasFailed(); round++) {
    Aggregate source(*world.domain);
    for (uint32_t parts = random() % 8; parts > 0; parts--) {
      if (random() % 2 == 0) {
        const uint64_t from = random() % 3 == 0 ? random() % 100 * kPage : random() % 600000;
        (void)source.append(large.slice(from, from + random() % 300000));
      } else {
        (void)source.adopt(world.make(1 + random() % 9000, random()));
      }
    }
    PrivateView view = PrivateView::create(source, kNoLimit).take();
    std::string model = textOf(source);
    std::vector<std::pair<Aggregate, std::string>> snapshots;
    for (int step = 0; step < 20 && !model.empty(); step++) {
      const size_t from = random() % model.size();
      const size_t length = std::min<size_t>(model.size() - from, random() % 10000);
      const auto value = static_cast<char>(random());
      std::memset(view.bytes() + from, value, length);
      model.replace(from, length, length, value);
      if (step % 7 == 0) snapshots.emplace_back(view.snapshot(*world.pool).take(), model);
    }
    CHECK(textOf(view) == model);
    for (const auto& [bytes, text] : snapshots) CHECK(textOf(bytes) == text);
  }
}

}  // namespace
}  // namespace iol
