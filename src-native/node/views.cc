#include "node/views.h"

#include <algorithm>

#include "base/check.h"
#include "node/env.h"
#include "sys/fault_guard.h"
#include "sys/memory.h"

namespace iol::node {

Result<napi_value> externalArrayBuffer(napi_env env, void* data, size_t bytes,
                                       napi_finalize onFreed, void* hint) {
  napi_value arrayBuffer = nullptr;
  const napi_status status =
      napi_create_external_arraybuffer(env, data, bytes, onFreed, hint, &arrayBuffer);
  if (status == napi_ok) return arrayBuffer;
  if (status == napi_no_external_buffers_allowed) {
    return Status(Code::Unsupported, "external ArrayBuffer");
  }
  bool isPending = false;
  if (napi_is_exception_pending(env, &isPending) == napi_ok && isPending) {
    napi_value ignored;  // Why: our own coded error is thrown in its place.
    napi_get_and_clear_last_exception(env, &ignored);
  }
  return Status(Code::NoMemory, "ArrayBuffer", bytes);
}

Views::~Views() {
  // No JavaScript can run any more: unmapping is enough, nobody is left to look.
  for (auto& [segment, mapping] : mappings_) {
    sys::unguardRegion(mapping->guard);
    sys::unmap(mapping->base, segment->totalBytes());
  }
}

Result<Views::Mapping*> Views::mappingOf(Segment& segment) {
  if (last_ != nullptr && last_->segment == &segment) return last_;
  if (auto found = mappings_.find(&segment); found != mappings_.end()) {
    last_ = found->second.get();
    return last_;
  }
  Result<uint8_t*> base = sys::mapReadOnly(segment.readOnlyFd(), segment.totalBytes());
  if (!base.isOk()) return base.status();
  sys::GuardedRegion region{};
  region.base = base.value();
  region.bytes = segment.totalBytes();
  region.readOnlyFd = segment.readOnlyFd().get();
  region.notify = [](void* data) { static_cast<EnvState*>(data)->onStoreCaught(); };
  region.data = &state_;
  Result<int> guard = sys::guardRegion(region);
  if (!guard.isOk()) {
    sys::unmap(base.value(), segment.totalBytes());
    return guard.status();
  }
  auto mapping = std::make_unique<Mapping>();
  mapping->segment = &segment;
  mapping->base = base.value();
  mapping->guard = guard.value();
  mapping->spans.resize(segment.chunks() > 0 ? segment.chunks() : 1);
  last_ = mapping.get();
  mappings_.emplace(&segment, std::move(mapping));
  return last_;
}

Result<Views::View> Views::viewOf(const Slice& slice) {
  Segment& segment = *slice.segment;
  Result<Mapping*> mapped = mappingOf(segment);
  if (!mapped.isOk()) return mapped.status();
  Mapping& mapping = *mapped.value();
  View view{nullptr, 0, &segment, state_.domain().viewSpan(slice)};
  SpanView& cached = mapping.spans[view.span.firstChunk];
  view.arrayBuffer = known(mapping, &cached.arrayBuffer);
  // As it was when the ArrayBuffer was made: what a foreign owner says now is not believed.
  if (view.arrayBuffer != nullptr) view.span.bytes = cached.bytes;
  view.offset = segment.slotOffset(slice.slot) + slice.offset - view.span.offset;
  const uint64_t end = view.offset + slice.length;
  if (end > view.span.bytes) return Status(Code::BadDescriptor, "view", end, view.span.bytes);
  if (view.arrayBuffer != nullptr) return view;
  Result<napi_value> made =
      externalArrayBuffer(state_.env(), mapping.base + view.span.offset, view.span.bytes);
  if (!made.isOk()) return made.status();
  view.arrayBuffer = made.value();
  cached.bytes = view.span.bytes;
  napi_create_reference(state_.env(), view.arrayBuffer, 1, &cached.arrayBuffer);
  state_.domain().markViewed(slice);
  return view;
}

bool Views::covers(const View& view, const Slice& slice, uint64_t* offset) const {
  if (slice.segment != view.segment) return false;
  if (state_.domain().viewSpan(slice).firstChunk != view.span.firstChunk) return false;
  *offset = slice.segment->slotOffset(slice.slot) + slice.offset - view.span.offset;
  return *offset + slice.length <= view.span.bytes;
}

Result<Views::View> Views::unsafeViewOf(const Slice& slice) {
  Segment& segment = *slice.segment;
  Result<Mapping*> mapped = mappingOf(segment);
  if (!mapped.isOk()) return mapped.status();
  Mapping& mapping = *mapped.value();
  View view{nullptr,
            segment.slotOffset(slice.slot) + slice.offset,
            &segment,
            {0, segment.totalBytes(), 0}};
  view.arrayBuffer = known(mapping, &mapping.whole);
  if (view.arrayBuffer != nullptr) return view;
  Result<napi_value> made = externalArrayBuffer(state_.env(), mapping.base, segment.totalBytes());
  if (!made.isOk()) return made.status();
  view.arrayBuffer = made.value();
  napi_create_reference(state_.env(), view.arrayBuffer, 1, &mapping.whole);
  return view;
}

// An ArrayBuffer that is detached already was transferred: another one has its memory.
napi_value Views::known(Mapping& mapping, napi_ref* reference) {
  if (*reference == nullptr) return nullptr;
  napi_value arrayBuffer = nullptr;
  napi_get_reference_value(state_.env(), *reference, &arrayBuffer);
  bool isDetached = true;
  if (arrayBuffer != nullptr) {
    napi_is_detached_arraybuffer(state_.env(), arrayBuffer, &isDetached);
  }
  if (!isDetached) return arrayBuffer;
  mapping.wasTransferred = true;
  napi_delete_reference(state_.env(), *reference);
  *reference = nullptr;
  return nullptr;
}

void Views::detach(Mapping& mapping, napi_ref* reference) {
  if (*reference == nullptr) return;
  napi_handle_scope scope;
  napi_open_handle_scope(state_.env(), &scope);
  if (napi_value arrayBuffer = known(mapping, reference)) {
    napi_detach_arraybuffer(state_.env(), arrayBuffer);
    napi_delete_reference(state_.env(), *reference);
    *reference = nullptr;
  }
  napi_close_handle_scope(state_.env(), scope);
}

void Views::onViewIdle(Segment& segment, uint32_t firstChunk) {
  if (state_.isShuttingDown()) return;
  const auto found = mappings_.find(&segment);
  if (found == mappings_.end()) return;
  detach(*found->second, &found->second->spans[firstChunk].arrayBuffer);
}

void Views::onSegmentRetired(Segment& segment) {
  auto found = mappings_.find(&segment);
  if (found == mappings_.end()) return;
  Mapping& mapping = *found->second;
  if (!state_.isShuttingDown()) {
    detach(mapping, &mapping.whole);
    for (SpanView& span : mapping.spans) detach(mapping, &span.arrayBuffer);
  }
  sys::unguardRegion(mapping.guard);
  if (mapping.wasTransferred) {
    sys::replaceByZeros(mapping.base, segment.totalBytes());
  } else {
    sys::unmap(mapping.base, segment.totalBytes());
  }
  if (last_ == &mapping) last_ = nullptr;
  mappings_.erase(found);
}

uint64_t Views::generationAt(Segment& segment, uint64_t offset) const {
  if (offset < segment.dataOffset()) return 0;
  if (!segment.isOwn()) return heldGenerationAt(segment, offset);
  if (segment.slots() == 1) return segment.generation(0).load(std::memory_order_relaxed);
  Slice slice;
  slice.segment = &segment;
  slice.slot = segment.slotAt(offset);
  const uint64_t bufferBytes =
      segment.chunkEntry(segment.chunkOf(slice.slot)).load(std::memory_order_relaxed);
  if (bufferBytes == 0) return 0;  // Not carved: nobody's bytes.
  const ViewSpan span = state_.domain().viewSpan(slice);
  const uint64_t start = (offset - span.offset) / bufferBytes * bufferBytes;
  return segment.generation(segment.slotAt(span.offset + start)).load(std::memory_order_relaxed);
}

// Where a foreign owner's buffers begin only our own holds tell: the next one below.
uint64_t Views::heldGenerationAt(const Segment& foreign, uint64_t offset) const {
  const HoldTable& holds = state_.domain().holdsOf(foreign);
  const uint32_t last = std::min(foreign.slotAt(offset), foreign.slots() - 1);
  for (uint32_t slot = last + 1; slot-- > 0;) {
    const uint32_t chunk = foreign.chunkOf(slot);
    if (holds.heldInChunk(foreign.ordinal(), chunk) == 0) {
      slot = foreign.slotAt(foreign.dataOffset() + chunk * kChunkBytes);  // On to the chunk below.
    } else if (holds.count(foreign.ordinal(), slot) != 0) {
      const uint64_t bufferBytes = foreign.chunkEntry(chunk).load(std::memory_order_relaxed);
      if (offset - foreign.slotOffset(slot) >= bufferBytes) return 0;
      return foreign.generation(slot).load(std::memory_order_relaxed);
    }
  }
  return 0;
}

void Views::heal(const std::function<void(uint64_t, uint64_t)>& report) {
  for (auto& [segment, mapping] : mappings_) {
    constexpr size_t kBatch = 64;
    sys::HealedStore healed[kBatch];
    while (sys::healIsPending(mapping->guard)) {
      const size_t count = sys::heal(mapping->guard, healed, kBatch);
      for (size_t i = 0; i < count && i < kBatch; ++i) {
        const uint64_t offset = healed[i].offset;
        report(segment->address() + offset, generationAt(*segment, offset));
      }
      if (count < kBatch) break;
    }
  }
}

}  // namespace iol::node
