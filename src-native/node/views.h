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
// Failure     System, NoMemory; Unsupported where the runtime refuses external ArrayBuffers;
//             BadDescriptor for a foreign slice whose owner changed its tables under a view.
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
    const Segment* segment;
    ViewSpan span;  // What the ArrayBuffer covers.
  };
  // The slice must be held.
  Result<View> viewOf(const Slice& slice);
  Result<View> unsafeViewOf(const Slice& slice);
  // The slice's own view would be of the same ArrayBuffer; then its offset there.
  bool covers(const View& view, const Slice& slice, uint64_t* offset) const;

  void onViewIdle(Segment& segment, uint32_t firstChunk) override;
  void onSegmentRetired(Segment& segment) override;

  // Puts the shared pages back; `report` gets the window address and the generation of the buffer
  // of each store that was undone.
  void heal(const std::function<void(uint64_t address, uint64_t generation)>& report);

 private:
  struct SpanView {
    napi_ref arrayBuffer = nullptr;
    uint64_t bytes = 0;
  };
  struct Mapping {
    Segment* segment = nullptr;
    uint8_t* base = nullptr;
    int guard = -1;
    napi_ref whole = nullptr;
    std::vector<SpanView> spans;  // By first chunk.
    bool wasTransferred = false;  // Some ArrayBuffer over it cannot be detached by us.
  };
  Result<Mapping*> mappingOf(Segment& segment);
  // Null when there is none that still has the memory.
  napi_value known(Mapping& mapping, napi_ref* reference);
  void detach(Mapping& mapping, napi_ref* reference);
  void unmap(Mapping& mapping);
  uint64_t generationAt(Segment& segment, uint64_t offset) const;
  uint64_t heldGenerationAt(const Segment& foreign, uint64_t offset) const;

  EnvState& state_;
  std::unordered_map<Segment*, std::unique_ptr<Mapping>> mappings_;
  Mapping* last_ = nullptr;  // The mapping used last.
};

}  // namespace iol::node
