// Who can read shared memory can have its pages merged, but not those that are kept small.
#include "sys/small_pages.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "huge_pages.h"
#include "sys/memory.h"
#include "test.h"

namespace iol::test {
namespace {

constexpr uint64_t kMiB = 1 << 20;

struct Memory {
  Memory() : owned(sys::createMemory("small-pages", 8 * kMiB).take()) {
    // Written, since of a page that is only allocated the kernel hands out another, of zeros.
    const std::string bytes(8 * kMiB, 'a');
    CHECK(::pwrite(owned.get(), bytes.data(), bytes.size(), 0) == ssize_t{8 * kMiB});
    readOnly = sys::reopenReadOnly(owned).take();
  }
  bool canBeMerged() const { return mergePages(readOnly, 3) == 0; }
  sys::Fd owned;
  sys::Fd readOnly;
};

TEST(keptPagesAreNotMerged) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  const Memory memory;
  if (!memory.canBeMerged()) SKIP("nobody's pages are merged here");
  Result<sys::Fd> kept = sys::keepPagesSmall(memory.readOnly, 3 * kMiB, 1 * kMiB + 4096);
  REQUIRE(kept.isOk());
  CHECK_EQ(mergePages(memory.readOnly, 1), EAGAIN);
  CHECK_EQ(mergePages(memory.readOnly, 2), EAGAIN);  // Its first page alone is of the range.
  CHECK_EQ(mergePages(memory.readOnly, 0), 0);       // None is.
  kept.value().reset();
  CHECK_EQ(mergePages(memory.readOnly, 1), 0);
  CHECK_EQ(mergePages(memory.readOnly, 2), 0);
}

TEST(pagesThatAreHugeAlreadyCannotBeKeptSmall) {
  const Memory memory;
  if (!memory.canBeMerged()) SKIP("nobody's pages are merged here");
  CHECK_EQ(mergePages(memory.readOnly, 1), 0);
  const Result<sys::Fd> kept = sys::keepPagesSmall(memory.readOnly, kMiB, 2 * kMiB);
  CHECK(kept.status().code() == Code::BadDescriptor);
}

// Why all of this: a hole in a part of a huge page leaves the page where it is.
TEST(aHoleInAHugePageThatIsOnItsWayIsNone) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  const Memory memory;
  if (!memory.canBeMerged()) SKIP("nobody's pages are merged here");
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  const sys::Fd sender(ends[0]);
  const sys::Fd receiver(ends[1]);
  constexpr uint64_t kBytes = 64 << 10;
  for (const uint64_t at : {6 * kMiB, 0 * kMiB}) {  // The first of them is huge.
    off_t from = static_cast<off_t>(at);
    REQUIRE(::sendfile(sender.get(), memory.readOnly.get(), &from, kBytes) == kBytes);
    CHECK(sys::punchHole(memory.owned, at, kBytes).isOk());
    CHECK_EQ(sys::isHole(memory.owned, at, kBytes), at == 0);
  }
}

TEST(whatKeepsPagesSmallTakesOfTheUsersPipesWhatItNeeds) {
  if (sys::areNewPagesLarge()) SKIP("pages are large here");
  const Memory memory;
  const Result<sys::Fd> one = sys::keepPagesSmall(memory.readOnly, 3 * kMiB, kMiB);
  const Result<sys::Fd> two = sys::keepPagesSmall(memory.readOnly, 3 * kMiB, kMiB + 4096);
  REQUIRE(one.isOk() && two.isOk());
  CHECK_EQ(::fcntl(one.value().get(), F_GETPIPE_SZ), 4096);
  CHECK_EQ(::fcntl(two.value().get(), F_GETPIPE_SZ), 2 * 4096);
}

TEST(whatIsNoMemoryIsRefused) {
  const sys::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(!sys::keepPagesSmall(null, 0, 4096).isOk());
}

}  // namespace
}  // namespace iol::test
