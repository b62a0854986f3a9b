#include "pool/facts.h"

#include <algorithm>
#include <new>

#include "sys/clock.h"
#include "sys/memory.h"
#include "sys/process.h"

namespace iol {

void setText(char* to, size_t capacity, std::string_view text) {
  const size_t length = std::min(text.size(), capacity - 1);
  std::copy_n(text.data(), length, to);
  std::fill_n(to + length, capacity - length, '\0');
}

// The number is 0 while the rest is written, so that an observer does not take half for the whole.
void IncidentLog::note(IncidentKind kind, DomainName who, const Credentials& credentials,
                       const Status& why) {
  if (entries_ == nullptr) return;
  Incident& entry = entries_[count_++ % kIncidentsMax];
  entry.number.store(0, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  entry.atMs = static_cast<uint64_t>(sys::wallMs());
  entry.kind = static_cast<uint32_t>(kind);
  entry.code = static_cast<uint32_t>(why.code());
  entry.slot = who.slot;
  entry.epoch = who.epoch;
  entry.pid = credentials.pid;
  entry.uid = credentials.uid;
  const bool isSystem = why.code() == Code::System;
  entry.value = isSystem ? static_cast<uint64_t>(why.systemErrno()) : why.value();
  entry.limit = why.limit();
  std::copy_n(credentials.label, kDomainLabelBytes, entry.label);
  setText(entry.subject, kIncidentSubjectBytes, why.subject());
  entry.number.store(count_, std::memory_order_release);
}

Result<std::unique_ptr<Facts>> Facts::create(const Window& window, DomainName name) {
  std::unique_ptr<Facts> facts(new (std::nothrow) Facts());
  if (facts == nullptr) return Status(Code::NoMemory, "facts");
  Result<sys::Fd> memory = sys::createMemory("io-lite-facts", kFactsBytes);
  if (!memory.isOk()) return memory.status();
  facts->memory_ = memory.take();
  IOL_TRY(sys::commit(facts->memory_, 0, kFactsPoolsOffset));
  Result<uint8_t*> mapped = sys::mapWritable(facts->memory_, kFactsBytes);
  if (!mapped.isOk()) return mapped.status();
  facts->base_ = mapped.value();
  auto* header = new (facts->base_) DomainFacts{};
  header->format = kFormat;
  header->byteOrder = kByteOrder;
  header->windowId = window.id();
  header->domainSlot = name.slot;
  header->domainEpoch = name.epoch;
  header->pid = static_cast<uint32_t>(sys::processId());
  header->threadId = static_cast<uint32_t>(sys::threadId());
  header->startedMs = static_cast<uint64_t>(sys::wallMs());
  header->windowMaxBytes = window.maxBytes();
  header->magic = kFactsMagic;
  facts->incidents_ =
      IncidentLog(reinterpret_cast<Incident*>(facts->base_ + kFactsIncidentsOffset));
  return facts;
}

Facts::~Facts() { sys::unmap(base_, kFactsBytes); }

void Facts::setAttached(const char (&label)[kDomainLabelBytes], std::string_view address,
                        uint64_t domainMaxBytes) {
  auto& header = *reinterpret_cast<DomainFacts*>(base_);
  std::copy_n(label, kDomainLabelBytes, header.label);
  setText(header.address, kFactsAddressBytes, address);
  header.domainMaxBytes = domainMaxBytes;
}

PoolFacts* Facts::describe(const PoolDescription& pool) {
  auto* const places = reinterpret_cast<PoolFacts*>(base_ + kFactsPoolsOffset);
  for (uint32_t index = 0; index < kPoolFactsMax; index++) {
    const uint64_t offset = kFactsPoolsOffset + index * sizeof(PoolFacts);
    // Committed before it is looked at: a hole could not be filled when memory is short.
    if (index == placesCommitted_) {
      if (!sys::commit(memory_, offset, sizeof(PoolFacts)).isOk()) return nullptr;
      placesCommitted_++;
    }
    PoolFacts& place = places[index];
    if (place.number.load(std::memory_order_relaxed) != 0) continue;
    place.isSealed = pool.isSealed ? 1 : 0;
    place.maxBytes = pool.maxBytes;
    place.idleBytesMax = pool.idleBytesMax;
    place.figures = {};
    setText(place.name, kFactsNameBytes, pool.name);
    place.access = pool.access;
    place.number.store(pool.number, std::memory_order_release);
    return &place;
  }
  return nullptr;
}

void Facts::giveBack(PoolFacts* pool) {
  if (pool != nullptr) pool->number.store(0, std::memory_order_release);
}

}  // namespace iol
