// Counts of copies, those that others make included.
#include "base/copy.h"

#include "test.h"

namespace iol {
namespace {

TEST(whatATallyCountsIsInTheFiguresWhileItIsThereAndAfterwards) {
  const CopyCount before = copyCount(CopyReason::CopyOut);
  const CopyCount others = copyCount(CopyReason::Linearize);
  double numbers[] = {0, 0};
  {
    const CopyTally tally(numbers, CopyReason::CopyOut);
    CHECK_EQ(copyCount(CopyReason::CopyOut).times, before.times);
    numbers[0] = 3;
    numbers[1] = 5'000'000'000.0;
    countCopy(7, CopyReason::CopyOut);
    CHECK_EQ(copyCount(CopyReason::CopyOut).times, before.times + 4);
    CHECK_EQ(copyCount(CopyReason::CopyOut).bytes, before.bytes + 5'000'000'007u);
  }
  numbers[0] = 1000;
  CHECK_EQ(copyCount(CopyReason::CopyOut).times, before.times + 4);
  CHECK_EQ(copyCount(CopyReason::CopyOut).bytes, before.bytes + 5'000'000'007u);
  CHECK_EQ(copyCount(CopyReason::Linearize).times, others.times);
}

}  // namespace
}  // namespace iol
