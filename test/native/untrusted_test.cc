// Bytes of another domain's pool: whoever looks twice looks at a copy, and no cache keeps them.
#include "aggregate/trusted.h"

#include <optional>
#include <random>

#include "aggregate/derived.h"
#include "cache_world.h"
#include "channel_world.h"
#include "io/iol.h"
#include "sys/file.h"

namespace iol::test {
namespace {

struct UntrustedWorld {
  explicit UntrustedWorld(FileCache::Options options = {}) : folder("/tmp") {
    cache = FileCache::create(*reader.pool, queue, std::move(options)).take();
    writeFile(folder.at("a"), pattern(10'000, 1));
    fd = sys::Fd(::open(folder.at("a").c_str(), O_RDWR | O_CLOEXEC));
  }
  ~UntrustedWorld() {
    cache->close();
    queue.drain();
  }

  // A buffer of the owner's, as the reader has it once it was sent.
  Aggregate received(const std::string& text) {
    Draft draft = owner.pool->allocate(text.size()).take();
    std::memcpy(draft.bytes(), text.data(), text.size());
    const Slice slice = draft.seal();
    CHECK(owner.domain->exportSlice(slice).isOk());
    if (reader.domain->segment(slice.segment->number()) == nullptr) {
      CHECK(reader.request(slice.segment->number()).isOk());
    }
    Slice named = slice;
    named.segment = reader.domain->segment(slice.segment->number());
    CHECK(reader.domain->takeNamed(*named.segment, named.slot).isOk());
    Aggregate bytes(*reader.domain);
    CHECK(bytes.adopt(named).isOk());
    sent.push_back(slice);
    return bytes;
  }
  // What the owner can do at any time.
  void rewrite() {
    for (const Slice& slice : sent) {
      uint8_t* bytes = slice.segment->writable() + slice.segment->slotOffset(slice.slot);
      std::memset(bytes, 0xee, slice.length);
    }
  }
  void dropSent() {
    for (const Slice& slice : sent) owner.domain->release(slice);
    sent.clear();
    owner.pool->collect();
  }
  Endpoint endpoint() const { return inspect(fd.get()).take(); }
  std::string onDisk(size_t bytes, size_t from) const {
    std::string text(bytes, '\0');
    CHECK_EQ(::pread(fd.get(), text.data(), bytes, static_cast<off_t>(from)),
             static_cast<ssize_t>(bytes));
    return text;
  }
  Result<Aggregate> cached(uint64_t size, uint64_t position) {
    return readCached(endpoint(), {size, position, cache.get(), {}});
  }

  Neighbours neighbours;
  Participant owner{neighbours};
  Participant reader{neighbours};
  Folder folder;
  ManualQueue queue;
  std::shared_ptr<FileCache> cache;
  sys::Fd fd;
  std::vector<Slice> sent;
};

uint64_t untrustedBytes() { return copyCount(CopyReason::Untrusted).bytes; }

TEST(receivedBytesThatAreWrittenToAFileAreCopiedOnceBeforeTheWrite) {
  UntrustedWorld world;
  const std::string text = pattern(70'000, 2);
  const uint64_t before = untrustedBytes();
  {
    const Aggregate bytes = world.received(text);
    writeFile(world.queue, world.endpoint(), bytes, 0, {2000, world.cache.get(), {}},
              [](Result<uint64_t> written) { CHECK_EQ(written.value(), 70'000u); });
    const std::unique_ptr<DiskJob> job = world.queue.take();
    job->run();
    world.rewrite();  // After the kernel has read: the file and the cache must not differ.
    job->finish();
  }
  CHECK_EQ(untrustedBytes() - before, 70'000u);
  CHECK(world.onDisk(70'000, 2000) == text);
  const Result<Aggregate> cached = world.cached(70'000, 2000);
  REQUIRE(cached.isOk());
  CHECK(textOf(cached.value()) == text);
  CHECK(!isForeign(cached.value()));
  // Nothing of the owner's stays mapped here, nor held.
  world.dropSent();
  CHECK_EQ(world.owner.pool->stats().buffers, 0u);
  CHECK(world.reader.domain->forgetSegment(1) || world.reader.domain->segment(1)->isOwn());
  CHECK(textOf(world.cached(70'000, 2000).value()) == text);
}

TEST(whatTheOwnerChangesBeforeTheWriteIsInTheFileAndTheCacheAlike) {
  UntrustedWorld world;
  const Aggregate bytes = world.received(pattern(5000, 2));
  writeFile(world.queue, world.endpoint(), bytes, 0, {0, world.cache.get(), {}},
            [](Result<uint64_t>) {});
  world.rewrite();
  world.queue.drain();
  CHECK(textOf(world.cached(5000, 0).value()) == world.onDisk(5000, 0));
  world.dropSent();
}

TEST(withoutRoomForTheCopyReceivedBytesAreWrittenAndNotCached) {
  FileCache::Options options;
  options.maxBytes = 20'000;
  UntrustedWorld world(std::move(options));
  {
    const Aggregate bytes = world.received(pattern(30'000, 3));
    writeFile(world.queue, world.endpoint(), bytes, 0, {0, world.cache.get(), {}},
              [](Result<uint64_t> written) { CHECK_EQ(written.value(), 30'000u); });
    world.queue.drain();
  }
  CHECK(world.onDisk(30'000, 0) == pattern(30'000, 3));
  CHECK_EQ(world.cached(30'000, 0).status().code(), Code::WouldBlock);
  CHECK_EQ(world.cache->stats().entries, 0u);
  world.dropSent();
  CHECK_EQ(world.owner.pool->stats().buffers, 0u);
}

TEST(aWriteWithoutACacheTakesReceivedBytesByReference) {
  UntrustedWorld world;
  const uint64_t before = untrustedBytes();
  const Aggregate bytes = world.received(pattern(5000, 4));
  CHECK_EQ(writeFileSync(world.endpoint(), bytes, 0, {0, nullptr, {}}).value(), 5000u);
  CHECK_EQ(untrustedBytes(), before);
  CHECK(world.onDisk(5000, 0) == pattern(5000, 4));
  world.dropSent();
}

TEST(whatIsInsertedIsTheCachesOwn) {
  UntrustedWorld world;
  auto file = world.cache->openDescriptor(world.fd.get());
  REQUIRE(file.isOk());
  const Aggregate bytes = world.received(pattern(10'000, 1));
  const uint64_t before = untrustedBytes();
  REQUIRE(world.cache->insert(*file.value(), 0, bytes).isOk());
  CHECK_EQ(untrustedBytes() - before, 10'000u);
  world.rewrite();
  CHECK(textOf(world.cached(10'000, 0).value()) == pattern(10'000, 1));
  world.dropSent();
}

// Own slices stay where they are; foreign ones, tiny ones too, are in own memory afterwards.
TEST(anyMixtureOfOwnAndForeignSlicesIsTheSameBytes) {
  UntrustedWorld world;
  std::mt19937 random(11);
  for (int round = 0; round < 40; round++) {
    Aggregate bytes(*world.reader.domain);
    std::string text;
    uint64_t foreign = 0;
    for (int slice = 0; slice < 60; slice++) {
      const uint32_t length = 1 + random() % (round % 2 == 0 ? 40 : 4000);
      const uint8_t fill = static_cast<uint8_t>(random());
      if (random() % 2 == 0) {
        CHECK(bytes.append(world.received(std::string(length, static_cast<char>(fill)))).isOk());
        foreign += length;
      } else {
        CHECK(bytes.append(world.reader.bytes(length, fill)).isOk());
      }
      text.append(length, static_cast<char>(fill));
    }
    const uint64_t before = untrustedBytes();
    const Result<Aggregate> trusted = trustedCopy(bytes, *world.reader.pool);
    REQUIRE(trusted.isOk());
    CHECK_EQ(untrustedBytes() - before, foreign);
    world.rewrite();
    CHECK(!isForeign(trusted.value()));
    CHECK(textOf(trusted.value()) == text);
    bytes.clear();
    world.dropSent();
  }
}

TEST(aFullPoolRefusesTheCopyAndTakesNothing) {
  UntrustedWorld world;
  Pool::Options options;
  options.maxBytes = 1 << 20;
  const std::unique_ptr<Pool> small = Pool::create(*world.reader.domain, options).take();
  const Aggregate bytes = world.received(pattern(3 << 20, 5));
  CHECK_EQ(trustedCopy(bytes, *small).status().code(), Code::PoolFull);
  CHECK_EQ(small->stats().buffers, 0u);
  world.dropSent();
}

// What was computed of bytes that their owner can change is not remembered (A8).
TEST(valuesOfForeignBytesAreComputedEachTime) {
  UntrustedWorld world;
  DerivedValues values(*world.reader.domain);
  const Aggregate bytes = world.received(pattern(50'000, 6));
  const uint32_t first = values.crc32c(bytes);
  const uint16_t sum = values.internetChecksum(bytes);
  Sha256 digest{};
  values.keepSha256(bytes, digest);
  CHECK(!values.findSha256(bytes, &digest));
  world.rewrite();
  CHECK(values.crc32c(bytes) != first);
  CHECK(values.internetChecksum(bytes) != sum);
  CHECK_EQ(values.stats().entries, 0u);
  CHECK_EQ(values.stats().reused, 0u);
  world.dropSent();
}

}  // namespace
}  // namespace iol::test
