// channel/host_facts.h: the host's page for those who look on: who is in, and who was not let in.
//
// Ownership   owns the memory.
// Threads     the host's.
// Failure     System at creation.
// Cost        a few stores per domain for each publish().
// May include base/ sys/ window/ pool/
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "channel/host_facts_layout.h"
#include "pool/facts.h"

namespace iol {

class HostFactsPage {
 public:
  struct Limits {
    uint64_t domainMaxBytes;
    uint32_t domainsMax;
  };
  static Result<std::unique_ptr<HostFactsPage>> create(const Window& window,
                                                       std::string_view address, Limits limits);
  ~HostFactsPage();
  HostFactsPage(const HostFactsPage&) = delete;
  HostFactsPage& operator=(const HostFactsPage&) = delete;

  HostCounts counts;
  IncidentLog incidents;

  // The table as it is from now on; what is too much for it is left out.
  void publish(std::span<const HostDomainFacts> domains, uint32_t handshakes, uint64_t segments);

 private:
  HostFactsPage() = default;
  sys::Fd readOnlyFd_;
  uint8_t* base_ = nullptr;
};

}  // namespace iol
