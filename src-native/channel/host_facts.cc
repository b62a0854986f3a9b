#include "channel/host_facts.h"

#include <algorithm>
#include <new>

#include "sys/clock.h"
#include "sys/memory.h"
#include "sys/process.h"

namespace iol {

Result<std::unique_ptr<HostFactsPage>> HostFactsPage::create(const Window& window,
                                                             std::string_view address,
                                                             Limits limits) {
  std::unique_ptr<HostFactsPage> page(new (std::nothrow) HostFactsPage());
  if (page == nullptr) return Status(Code::NoMemory, "host");
  Result<sys::Fd> memory = sys::createMemory("io-lite-host-facts", kHostFactsBytes);
  if (!memory.isOk()) return memory.status();
  IOL_TRY(sys::commit(memory.value(), 0, kHostFactsBytes));
  Result<uint8_t*> mapped = sys::mapWritable(memory.value(), kHostFactsBytes);
  if (!mapped.isOk()) return mapped.status();
  page->base_ = mapped.value();
  // A descriptor stays open: it is what an observer finds.
  Result<sys::Fd> readOnly = sys::reopenReadOnly(memory.value());
  if (!readOnly.isOk()) return readOnly.status();
  page->readOnlyFd_ = readOnly.take();
  auto* header = new (page->base_) HostFacts{};
  header->format = kFormat;
  header->byteOrder = kByteOrder;
  header->windowId = window.id();
  header->pid = static_cast<uint32_t>(sys::processId());
  header->uid = sys::userId();
  header->startedMs = static_cast<uint64_t>(sys::wallMs());
  header->windowMaxBytes = window.maxBytes();
  header->domainMaxBytes = limits.domainMaxBytes;
  header->domainsMax = limits.domainsMax;
  setText(header->address, kFactsAddressBytes, address);
  header->magic = kHostFactsMagic;
  page->incidents =
      IncidentLog(reinterpret_cast<Incident*>(page->base_ + kHostFactsIncidentsOffset));
  return page;
}

HostFactsPage::~HostFactsPage() { sys::unmap(base_, kHostFactsBytes); }

void HostFactsPage::publish(std::span<const HostDomainFacts> domains, uint32_t handshakes,
                            uint64_t segments) {
  auto& header = *reinterpret_cast<HostFacts*>(base_);
  auto* const table = reinterpret_cast<HostDomainFacts*>(base_ + kHostFactsDomainsOffset);
  const uint64_t sequence = header.sequence.load(std::memory_order_relaxed);
  header.sequence.store(sequence + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  const size_t count = std::min<size_t>(domains.size(), kHostDomainsMax);
  std::copy_n(domains.begin(), count, table);
  header.counts = counts;
  header.domains = static_cast<uint32_t>(count);
  header.handshakes = handshakes;
  header.segments = segments;
  header.sequence.store(sequence + 2, std::memory_order_release);
}

}  // namespace iol
