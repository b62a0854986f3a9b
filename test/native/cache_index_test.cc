// The shared index: what is in it is found, what is not is not, and never half an entry.
#include "cache/index.h"

#include <atomic>
#include <map>
#include <random>
#include <thread>
#include <vector>

#include "sys/memory.h"
#include "test.h"
#include "window/window.h"

namespace iol::test {
namespace {

// Every field follows from the number, so that a mixture of two records shows.
IndexRecord recordOf(uint32_t number) {
  IndexRecord record;
  record.file.dev = 1;
  record.file.ino = number % 97;
  record.file.size = 100 << 20;
  record.file.mtimeNs = 5;
  record.file.ctimeNs = 6;
  record.offset = uint64_t{number} * 1000;
  record.generation = uint64_t{number} * 2;
  record.segmentNumber = number + 1;
  record.slot = number + 2;
  record.sliceOffset = number + 3;
  record.length = 1000;
  return record;
}

bool isRecordOf(const IndexRecord& record, uint32_t number) {
  const IndexRecord wanted = recordOf(number);
  return record.file.sameVersion(wanted.file) && record.offset == wanted.offset &&
         record.generation == wanted.generation && record.segmentNumber == wanted.segmentNumber &&
         record.slot == wanted.slot && record.sliceOffset == wanted.sliceOffset &&
         record.length == wanted.length;
}

struct IndexWorld {
  explicit IndexWorld(uint32_t slots = kIndexSlotsMin)
      : writer(IndexWriter::create(window, {3, 4}, slots).take()) {}
  IndexReader reader() const {
    return IndexReader::attach(writer->base(), indexBytes(writer->slots()), window.id()).take();
  }
  Window window{{64ull << 20}};
  std::unique_ptr<IndexWriter> writer;
};

TEST(whatIsInsertedIsFoundUntilItIsErased) {
  IndexWorld world;
  const IndexReader reader = world.reader();
  std::map<uint32_t, uint32_t> places;
  std::mt19937 random(11);
  for (int step = 0; step < 20000; ++step) {
    const uint32_t number = random() % 3000;
    if (const auto there = places.find(number); there != places.end()) {
      world.writer->erase(there->second);
      places.erase(there);
    } else if (const auto place = world.writer->insert(recordOf(number))) {
      places[number] = *place;
    }
    const uint32_t asked = random() % 3000;
    const IndexRecord wanted = recordOf(asked);
    const auto found = reader.find(wanted.file, wanted.offset + random() % 1000);
    CHECK_EQ(found.has_value(), places.contains(asked));
    if (found) CHECK(isRecordOf(found->record, asked));
    if (hasFailed()) return;
  }
  CHECK_EQ(world.writer->live(), places.size());
  for (const auto& [number, place] : places) world.writer->erase(place);
  CHECK_EQ(world.writer->live(), 0u);
}

TEST(anExtentThatStartsInTheBlockBeforeIsFound) {
  IndexWorld world;
  IndexRecord record = recordOf(1);
  record.offset = kExtentBytesMax - 10;
  record.length = kExtentBytesMax;
  CHECK(world.writer->insert(record).has_value());
  const IndexReader reader = world.reader();
  CHECK(!reader.find(record.file, record.offset - 1));
  CHECK(reader.find(record.file, record.offset).has_value());
  CHECK(reader.find(record.file, record.offset + kExtentBytesMax - 1).has_value());
  CHECK(!reader.find(record.file, record.offset + kExtentBytesMax));
  sys::FileFacts later = record.file;
  ++later.mtimeNs;
  CHECK(!reader.find(later, record.offset));
}

TEST(aHalfFullIndexTakesNoMore) {
  IndexWorld world;
  uint32_t number = 0;
  while (number <= kIndexSlotsMin && world.writer->insert(recordOf(number))) ++number;
  CHECK(number <= kIndexSlotsMin / 2);
  CHECK(number > kIndexSlotsMin / 8);
}

TEST(aReaderSeesThatItsFindHasChanged) {
  IndexWorld world;
  const IndexReader reader = world.reader();
  const auto place = world.writer->insert(recordOf(7));
  const auto found = reader.find(recordOf(7).file, 7000);
  REQUIRE(found.has_value());
  CHECK(reader.isUnchanged(*found));
  world.writer->erase(*place);
  CHECK(!reader.isUnchanged(*found));
  CHECK(world.writer->insert(recordOf(7)).has_value());
  CHECK(!reader.isUnchanged(*found));  // The same again is still another entry.
  CHECK(!reader.isRetired());
  world.writer->retire();
  CHECK(reader.isRetired());
}

TEST(aReaderMissesWhatADeadOwnerLeftHalfWritten) {
  IndexWorld world;
  const auto place = world.writer->insert(recordOf(7));
  auto* entry = reinterpret_cast<IndexEntry*>(const_cast<uint8_t*>(world.writer->base()) +
                                              kIndexEntriesOffset) +
                *place;
  entry->sequence.fetch_add(1);
  CHECK(!world.reader().find(recordOf(7).file, 7000));
}

TEST(foreignMemoryThatIsNoIndexIsRefused) {
  IndexWorld world;
  const uint64_t bytes = indexBytes(kIndexSlotsMin);
  const uint8_t* base = world.writer->base();
  auto* header = reinterpret_cast<IndexHeader*>(const_cast<uint8_t*>(base));
  CHECK_EQ(IndexReader::attach(base, bytes, world.window.id() + 1).status().code(), Code::Format);
  CHECK_EQ(IndexReader::attach(base, bytes - 128, world.window.id()).status().code(), Code::Format);
  header->slots *= 2;
  CHECK_EQ(IndexReader::attach(base, bytes, world.window.id()).status().code(), Code::Format);
  header->slots = 4095;
  CHECK_EQ(IndexReader::attach(base, bytes, world.window.id()).status().code(), Code::Format);
}

TEST(aReaderBesideAWriterNeverSeesHalfAnEntry) {
  IndexWorld world;
  std::atomic<bool> isDone{false};
  std::atomic<uint64_t> hits{0};
  const auto read = [&](uint32_t seed) {
    const IndexReader reader = world.reader();
    std::mt19937 random(seed);
    while (!isDone) {
      const uint32_t number = random() % 64;
      const auto found = reader.find(recordOf(number).file, uint64_t{number} * 1000);
      if (!found) continue;
      ++hits;
      CHECK(isRecordOf(found->record, number));
    }
  };
  std::thread first(read, 1);
  std::thread second(read, 2);
  std::map<uint32_t, uint32_t> places;
  std::mt19937 random(3);
  // Until both readers have had their share, however the machine schedules them.
  for (int step = 0; step < 300000 || (hits < 1000 && step < 100'000'000); ++step) {
    const uint32_t number = random() % 64;
    if (const auto there = places.find(number); there != places.end()) {
      world.writer->erase(there->second);
      places.erase(there);
    } else if (const auto place = world.writer->insert(recordOf(number))) {
      places[number] = *place;
    }
  }
  isDone = true;
  first.join();
  second.join();
  CHECK(hits > 0);
}

}  // namespace
}  // namespace iol::test
