// bench/native/aggregate_bench.cc: nanoseconds per operation on aggregates of 1 to 65,536 slices,
// best of several rounds. It uses only what an aggregate of any make has.
//
//   g++ -std=c++20 -O2 -iquote src-native bench/native/aggregate_bench.cc \
//     src-native/{base,sys,window,pool,aggregate}/*.cc -lpthread -o /tmp/aggregate_bench

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <vector>

#include "aggregate/aggregate.h"
#include "aggregate/search.h"
#include "pool/pool.h"
#include "sys/iovec.h"

namespace {

using iol::Aggregate;

constexpr uint32_t kSliceBytes = 1024;
constexpr double kRoundNs = 5e6;  // A round repeats the operation for about as long.
uint64_t sink = 0;

template <typename Operation>
double nanoseconds(Operation operation) {
  double best = 1e18;
  uint64_t repeats = 1;
  for (int round = 0; round < 7;) {
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t count = 0; count < repeats; count++) operation();
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    if (taken.count() < kRoundNs && round == 0 && repeats < 1u << 24) {
      repeats *= 2;
      continue;
    }
    best = std::min(best, taken.count() / static_cast<double>(repeats));
    round++;
  }
  return best;
}

struct Row {
  const char* name;
  std::vector<double> figures;
};

class Bench {
 public:
  Bench() : window_({4ull << 30}), domain_(iol::Domain::create(window_).take()) {
    pool_ = iol::Pool::create(*domain_, {}).take();
    // Every second piece of one buffer and another, so that no two neighbours touch.
    for (auto& buffer : buffers_) buffer = pool_->allocate(2 * kSliceBytes).take().seal();
  }
  ~Bench() {
    for (const auto& buffer : buffers_) domain_->release(buffer);
  }

  Aggregate make(uint32_t slices) {
    Aggregate bytes(*domain_);
    for (uint32_t at = 0; at < slices; at++) {
      sink += bytes.append(buffers_[at % 2].part(0, kSliceBytes)).isOk();
    }
    return bytes;
  }

  void run(uint32_t slices) {
    const Aggregate bytes = make(slices);
    const Aggregate one = make(1);
    const uint64_t length = bytes.byteLength();
    const uint64_t half = length / 2 + 100;
    iovec vectors[64];
    uint64_t at = 0;
    Aggregate edited = bytes.clone();
    note("append, gather 64, destroy: of each slice",
         nanoseconds([&] { sink += make(slices).gather(0, vectors, 64); }) / slices);
    note("clone, destroy", nanoseconds([&] { sink += bytes.clone().byteLength(); }));
    note("slice of the middle half, destroy",
         nanoseconds([&] { sink += bytes.slice(length / 4, length / 4 * 3).byteLength(); }));
    note("slice of a tenth in the middle, destroy",
         nanoseconds([&] { sink += bytes.slice(half - length / 10, half).byteLength(); }));
    note("append one slice, truncate it", nanoseconds([&] {
           sink += edited.append(one).isOk();
           edited.truncateBack(length);
         }));
    note("prepend one slice, truncate it", nanoseconds([&] {
           sink += edited.prepend(one).isOk();
           edited.truncateFront(kSliceBytes);
         }));
    note("insert in the middle, remove it", nanoseconds([&] {
           sink += edited.insert(half, one).isOk();
           edited.remove(half, half + kSliceBytes);
         }));
    note("split in the middle, append", nanoseconds([&] {
           Aggregate front = edited.split(half);
           sink += edited.append(front).isOk();
         }));
    note("consume in bites of 100: of a bite", nanoseconds([&] {
                                                 Aggregate rest = bytes.clone();
                                                 for (int bite = 0; bite < 10; bite++)
                                                   rest.truncateFront(100);
                                                 sink += rest.byteLength();
                                               }) / 10);
    note("sliceOf anywhere", nanoseconds([&] {
           uint64_t start;
           at = (at + 7919 * kSliceBytes) % length;
           sink += bytes.sliceOf(at, &start).length;
         }));
    note("gather 64 from the middle",
         nanoseconds([&] { sink += bytes.gather(half, vectors, 64); }));
    std::vector<iovec> all(slices);
    note("gather all: of each slice",
         nanoseconds([&] { sink += bytes.gather(0, all.data(), slices); }) / slices);
    const uint8_t needle[] = {'n', 'o', 't', 'h', 'e', 'r', 'e'};
    note("indexOf, not found: of each KiB",
         nanoseconds([&] { sink += iol::indexOf(bytes, needle, sizeof(needle), 0); }) / slices);
  }

  void print() const {
    for (const Row& row : rows_) {
      std::printf("%-45s", row.name);
      for (const double figure : row.figures) std::printf(" %11.1f", figure);
      std::printf("\n");
    }
  }

 private:
  void note(const char* name, double figure) {
    const auto found =
        std::find_if(rows_.begin(), rows_.end(), [&](const Row& row) { return row.name == name; });
    (found != rows_.end() ? *found : rows_.emplace_back(Row{name, {}})).figures.push_back(figure);
  }

  iol::Window window_;
  std::unique_ptr<iol::Domain> domain_;
  std::unique_ptr<iol::Pool> pool_;
  iol::Slice buffers_[2];
  std::vector<Row> rows_;
};

}  // namespace

int main() {
  Bench bench;
  constexpr uint32_t kSizes[] = {1, 3, 1024, 65'536};
  std::printf("%-45s", "nanoseconds, by slices");
  for (const uint32_t slices : kSizes) {
    std::printf(" %11u", slices);
    bench.run(slices);
  }
  std::printf("\n");
  bench.print();
  return sink == 0;
}
