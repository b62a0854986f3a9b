// node/views.h: the read-only mapping of each segment that JavaScript sees, and nothing else does.
//
//   segment      |--span--|--span--|----span----| ...        one mapping per environment
//                 ArrayBuffer                                 view(): one span, cached
//                |------------ ArrayBuffer -----|             unsafeView(): the whole segment
//
// A stray store faults; sys/fault_guard lets it finish on a private page, and heal() puts the
// shared page back. The library itself reads Segment::readOnly(), never this mapping (I2).
//
// Ownership   owns mappings, guards and the references to ArrayBuffers. An ArrayBuffer is detached
//             when this domain's last hold in its span goes, so that a late view has length 0.
// Threads     the environment's own; a store may be caught on any thread.
// Failure     System, NoMemory; Unsupported where the runtime refuses external ArrayBuffers.
// Cost        a view of a span seen before: two look-ups. The first one: 2 us, and a mapping (two
//             system calls) for the first one of a segment.
// May include everything below node/
#pragma once

#include <node_api.h>

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "pool/domain.h"
#include "pool/pool.h"
#include "pool/slice.h"

namespace iol::node {

class EnvState;

// An external ArrayBuffer over memory that we keep; Unsupported where the runtime refuses one.
// `onFreed` is called once no ArrayBuffer has the memory any more; not after a failure.
Result<napi_value> externalArrayBuffer(napi_env env, void* data, size_t bytes,
                                       napi_finalize onFreed = nullptr, void* hint = nullptr);

class Views final : public ViewListener {
 public:
  explicit Views(EnvState& state) : state_(state) {}
  ~Views();
  Views(const Views&) = delete;
  Views& operator=(const Views&) = delete;

  struct View {
    napi_value arrayBuffer;
    uint64_t offset;  // Of the slice's first byte in the ArrayBuffer.
  };
  // The slice must be held.
  Result<View> viewOf(const Slice& slice);
  Result<View> unsafeViewOf(const Slice& slice);

  // What the ArrayBuffer of the slice's view covers of its segment: [from, to); and where the
  // slice's first byte is in the segment.
  struct Span {
    uint64_t from;
    uint64_t to;
  };
  Span spanOf(const Slice& slice) const;
  static uint64_t offsetOf(const Slice& slice);

  void onViewIdle(Segment& segment, uint32_t firstChunk) override;
  void onSegmentRetired(Segment& segment) override;

  // Puts the shared pages back; `report` gets the window address and the generation of the buffer
  // of each store that was undone.
  void heal(const std::function<void(uint64_t address, uint64_t generation)>& report);

 private:
  struct Mapping {
    Segment* segment = nullptr;
    uint8_t* base = nullptr;
    int guard = -1;
    napi_ref whole = nullptr;
    std::vector<napi_ref> spans;  // By first chunk.
    bool wasTransferred = false;  // Some ArrayBuffer over it cannot be detached by us.
  };
  Result<Mapping*> mappingOf(Segment& segment);
  // Null when there is none that still has the memory.
  napi_value known(Mapping& mapping, napi_ref* reference);
  void detach(Mapping& mapping, napi_ref* reference);
  void unmap(Mapping& mapping);
  uint64_t generationAt(Segment& segment, uint64_t offset) const;

  EnvState& state_;
  std::unordered_map<Segment*, std::unique_ptr<Mapping>> mappings_;
  Mapping* last_ = nullptr;  // The mapping used last.
};

}  // namespace iol::node
