// test/native/aggregate_world.h: a domain with one pool, and aggregates made in it.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "aggregate/aggregate.h"
#include "pool/domain.h"
#include "pool/pool.h"

namespace iol {

struct AggregateWorld {
  explicit AggregateWorld(Pool::Options options = {})
      : window({4ull << 30}), domain(Domain::create(window).take()) {
    pool = Pool::create(*domain, options).take();
  }

  // A buffer of its own, with one hold.
  Slice make(const std::string& bytes) { return makeIn(*pool, bytes); }
  static Slice makeIn(Pool& pool, const std::string& bytes) {
    Draft draft = pool.allocate(bytes.size()).take();
    std::memcpy(draft.bytes(), bytes.data(), bytes.size());
    return draft.seal();
  }

  // `text` in buffers of `sliceBytes`.
  Aggregate cut(const std::string& text, size_t sliceBytes) {
    Aggregate bytes(*domain);
    for (size_t at = 0; at < text.size(); at += sliceBytes) {
      (void)bytes.adopt(make(text.substr(at, sliceBytes)));
    }
    return bytes;
  }

  // Bytes that differ from place to place and from seed to seed.
  static std::string text(uint32_t length, uint32_t seed) {
    std::string bytes(length, '\0');
    for (char& byte : bytes) {
      seed = seed * 1664525 + 1013904223;
      byte = static_cast<char>(seed >> 24);
    }
    return bytes;
  }

  Window window;
  std::unique_ptr<Domain> domain;
  std::unique_ptr<Pool> pool;
};

inline std::string contentOf(const Aggregate& bytes) {
  std::string text(bytes.byteLength(), '\0');
  bytes.copyTo(reinterpret_cast<uint8_t*>(text.data()), 0, text.size(), CopyReason::CopyOut);
  return text;
}

}  // namespace iol
