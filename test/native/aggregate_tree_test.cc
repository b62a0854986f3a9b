// Aggregates as values: random programs against plain bytes, and what their trees cost.
#include <algorithm>
#include <bit>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "aggregate/aggregate.h"
#include "aggregate/coalesce.h"
#include "aggregate/slice_iterator.h"
#include "aggregate_world.h"
#include "sanitizer.h"
#include "test.h"

namespace iol {
namespace {

using Bytes = std::string;

// An aggregate and what it must be.
struct Value {
  Aggregate actual;
  Bytes wanted;
};

class Program {
 public:
  Program(uint32_t seed, uint32_t lengthMax, size_t bytesMax)
      : random_(seed), lengthMax_(lengthMax), bytesMax_(bytesMax) {
    for (int i = 0; i < 4; i++) values_.push_back({Aggregate(*world_.domain), ""});
  }

  void run(int steps) {
    for (int step = 0; step < steps && !test::hasFailed(); step++) {
      edit();
      if (step % 16 == 0) {
        for (const Value& value : values_) check(value);
      }
    }
    for (const Value& value : values_) check(value);
    values_.clear();
    CHECK_EQ(world_.domain->liveHolds(), 0u);
    CHECK_EQ(world_.pool->stats().buffers, 0u);
  }

 private:
  uint64_t upTo(uint64_t most) { return random_() % (most + 1); }
  Value& any() { return values_[random_() % values_.size()]; }

  void edit() {
    Value& value = any();
    Value& other = any();
    const uint64_t length = value.wanted.size();
    const uint64_t from = upTo(length);
    const uint64_t to = from + upTo(length - from);
    switch (random_() % 14) {
      case 0:
      case 1:
      case 2: return append(value);
      case 3: {
        value.actual = other.actual.clone();
        value.wanted = other.wanted;
        return;
      }
      case 4: {
        const Aggregate part = other.actual.slice(from, to);
        const Bytes bytes = other.wanted.substr(std::min(from, other.wanted.size()), to - from);
        return replace(value, length, length, part, from <= other.wanted.size() ? bytes : "");
      }
      case 5: return replace(value, from, from, other.actual, other.wanted);
      case 6: return replace(value, from, to, other.actual, other.wanted);
      case 7: return replace(value, 0, 0, other.actual, other.wanted);
      case 8: {
        value.actual.remove(from, to);
        value.wanted.erase(from, to - from);
        return;
      }
      case 9: {
        const uint64_t bite = random_() % 4 == 0 ? from : std::min<uint64_t>(upTo(9), length);
        value.actual.truncateFront(bite);
        value.wanted.erase(0, bite);
        return;
      }
      case 10: {
        const uint64_t keep = random_() % 4 == 0 ? from : length - std::min(upTo(9), length);
        value.actual.truncateBack(keep);
        value.wanted.resize(keep);
        return;
      }
      case 11: {
        if (&value == &other) return;
        other.actual = value.actual.split(from);
        other.wanted = value.wanted.substr(0, from);
        value.wanted.erase(0, from);
        return;
      }
      case 12: return insertPiece(value, from);
      default: {
        other.wanted = value.wanted.substr(from, to - from);
        other.actual = value.actual.slice(from, to);
      }
    }
  }

  void append(Value& value) {
    const Bytes bytes = world_.text(1 + static_cast<uint32_t>(upTo(lengthMax_ - 1)), random_());
    CHECK(value.actual.adopt(world_.make(bytes)).isOk());
    value.wanted += bytes;
    bound(value);
  }

  void insertPiece(Value& value, uint64_t at) {
    const Bytes bytes = world_.text(1 + static_cast<uint32_t>(upTo(lengthMax_ - 1)), random_());
    Aggregate piece(*world_.domain);
    CHECK(piece.adopt(world_.make(bytes)).isOk());
    replace(value, at, at, piece, bytes);
  }

  // By value: `bytes` may be those of `value`.
  void replace(Value& value, uint64_t from, uint64_t to, const Aggregate& other, Bytes bytes) {
    CHECK(value.actual.replace(from, to, other).isOk());
    value.wanted.replace(from, to - from, bytes);
    bound(value);
  }

  void bound(Value& value) {
    if (value.wanted.size() <= bytesMax_) return;
    value.actual.truncateBack(bytesMax_ / 2);
    value.wanted.resize(bytesMax_ / 2);
  }

  void check(const Value& value) {
    CHECK_EQ(value.actual.byteLength(), value.wanted.size());
    CHECK(contentOf(value.actual) == value.wanted);
    checkOrder(value.actual);
    if (value.wanted.empty()) return;
    const uint64_t at = upTo(value.wanted.size() - 1);
    uint64_t start = 0;
    const Slice slice = value.actual.sliceOf(at, &start);
    CHECK(slice.data()[at - start] == static_cast<uint8_t>(value.wanted[at]));
  }

  static bool isSame(const Slice& one, const Slice& other) {
    return one.address() == other.address() && one.length == other.length;
  }

  // Slices are not empty and do not touch; index, place and iterator agree, both ways.
  void checkOrder(const Aggregate& bytes) {
    uint32_t index = 0;
    uint64_t at = 0;
    Slice before;
    for (SliceIterator it(bytes); !it.isAtEnd(); it.next(), index++) {
      CHECK_EQ(it.start(), at);
      CHECK(isSame(it.slice(), bytes.sliceAt(index)));
      CHECK(it.slice().length > 0);
      if (index > 0) {
        CHECK(!before.sameBuffer(it.slice()) || before.offset + before.length != it.slice().offset);
      }
      before = it.slice();
      at += it.slice().length;
    }
    CHECK_EQ(index, bytes.sliceCount());
    CHECK_EQ(at, bytes.byteLength());
    if (at == 0) return;
    for (SliceIterator it(bytes, at - 1); !it.isAtEnd(); it.previous()) {
      CHECK(isSame(it.slice(), bytes.sliceAt(--index)));
      at -= it.slice().length;
      CHECK_EQ(it.start(), at);
    }
    CHECK_EQ(index, 0u);
  }

  AggregateWorld world_;
  std::mt19937 random_;
  const uint32_t lengthMax_;
  const size_t bytesMax_;
  std::vector<Value> values_;
};

TEST(aggregatesAreValues) {
  for (uint32_t seed = 1; seed <= 6; seed++) Program(seed, 4000, 200'000).run(2000);
}

TEST(aggregatesOfTinySlicesAreValues) {
  for (uint32_t seed = 1; seed <= 6; seed++) Program(seed, 12, 6000).run(3000);
}

TEST(aggregatesOfBytesAreValues) {
  for (uint32_t seed = 1; seed <= 4; seed++) Program(seed, 1, 3000).run(3000);
}

// Of four pools, so that the rule for tiny slices does not make them few.
class LongAggregate {
 public:
  LongAggregate() {
    for (auto& pool : pools_) pool = Pool::create(*world_.domain, {}).take();
  }

  // The worst number of steps for each doubling of slices that one edit took.
  double run(uint32_t slicesMax, uint32_t edits) {
    for (uint32_t at = 0; at < slicesMax; at++) {
      measure([&] { CHECK(bytes_.adopt(makeByte()).isOk()); });
    }
    for (uint32_t edit = 0; edit < edits && !test::hasFailed(); edit++) {
      editOnce();
      if (bytes_.sliceCount() > slicesMax) measure([&] { bytes_.truncateBack(slicesMax / 2); });
      if (bytes_.sliceCount() < slicesMax / 2) {
        measure([&] { CHECK(bytes_.append(bytes_).isOk()); });
      }
    }
    kept_.clear();
    bytes_.clear();
    CHECK_EQ(world_.domain->liveHolds(), 0u);
    return worst_;
  }

 private:
  Slice makeByte() { return AggregateWorld::makeIn(*pools_[random_() % 4], "x"); }

  template <typename Edit>
  void measure(Edit edit) {
    const uint32_t slices = std::max(bytes_.sliceCount(), 2u);
    const Aggregate::Steps before = Aggregate::steps();
    edit();
    const Aggregate::Steps after = Aggregate::steps();
    const uint64_t taken = after.nodes - before.nodes + after.entries - before.entries;
    worst_ = std::max(worst_, static_cast<double>(taken) / std::bit_width(slices));
  }

  void editOnce() {
    const uint64_t at = random_() % bytes_.byteLength();
    const uint64_t to = at + (random_() % 100 == 0 ? random_() % 20'000 : random_() % 40);
    Aggregate piece(*world_.domain);
    for (uint32_t slices = 1 + random_() % 30; slices > 0; slices--) {
      CHECK(piece.adopt(makeByte()).isOk());
    }
    switch (random_() % 9) {
      case 0: return measure([&] { CHECK(bytes_.adopt(makeByte()).isOk()); });
      case 1: return measure([&] { CHECK(bytes_.prepend(piece).isOk()); });
      case 2: return measure([&] { CHECK(bytes_.insert(at, piece).isOk()); });
      case 3: return measure([&] { bytes_.remove(at, to); });
      case 4: return measure([&] { CHECK(bytes_.replace(at, to, piece).isOk()); });
      case 5: return measure([&] { bytes_.truncateFront(1 + at % 3); });
      case 6: {
        Aggregate front(*world_.domain);
        measure([&] { front = bytes_.split(at); });
        return measure([&] { CHECK(bytes_.append(front).isOk()); });
      }
      case 7: {
        measure([&] { kept_.emplace_back(bytes_.slice(at, to)); });
        measure([&] { kept_.emplace_back(bytes_.clone()); });
        if (kept_.size() > 20) kept_.clear();
        return;
      }
      default: {
        uint64_t start = 0;
        measure([&] { (void)bytes_.sliceOf(at, &start); });
        measure([&] { (void)bytes_.sliceAt(static_cast<uint32_t>(at % bytes_.sliceCount())); });
        measure([&] { (void)bytes_.copyTo(copied_, at, sizeof(copied_), CopyReason::CopyOut); });
      }
    }
  }

  AggregateWorld world_;
  std::unique_ptr<Pool> pools_[4];
  std::mt19937 random_{11};
  Aggregate bytes_{*world_.domain};
  std::vector<Aggregate> kept_;
  uint8_t copied_[16];
  double worst_ = 0;
};

TEST(noEditOfALongAggregateTakesMoreThanLogarithmicallyManySteps) {
  const double few = LongAggregate().run(1000, 20'000);
  const uint32_t count = test::kIsSanitized ? 20'000 : 100'000;
  const double many = LongAggregate().run(count, count);
  // An edit of parts pays for the cuts that their slices did not.
  CHECK(few < 60);
  CHECK(many < 60);
}

}  // namespace
}  // namespace iol
