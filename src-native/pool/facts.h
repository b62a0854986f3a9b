// pool/facts.h: a domain's page for those who look on: its pools' figures, and who misbehaved.
//
// Ownership   owns the memory. A pool's figures lie in it until giveBack().
// Threads     the domain's.
// Failure     System at creation. A pool for which there is no place is not seen, that is all.
// Cost        creation: some ten system calls. Then nothing.
// May include base/ sys/ window/
#pragma once

#include <memory>
#include <string_view>

#include "base/status.h"
#include "pool/facts_layout.h"
#include "sys/fd.h"
#include "window/window.h"

namespace iol {

// A ring of the last ones, wherever it lies.
class IncidentLog {
 public:
  IncidentLog() = default;
  explicit IncidentLog(Incident* entries) : entries_(entries) {}
  void note(IncidentKind kind, DomainName who, const Credentials& credentials, const Status& why);

 private:
  Incident* entries_ = nullptr;
  uint64_t count_ = 0;
};

class Facts {
 public:
  static Result<std::unique_ptr<Facts>> create(const Window& window, DomainName name);
  ~Facts();
  Facts(const Facts&) = delete;
  Facts& operator=(const Facts&) = delete;

  // What the window's host knows this domain by, and where that one listens.
  void setAttached(const char (&label)[kDomainLabelBytes], std::string_view address,
                   uint64_t domainMaxBytes);
  void noteIncident(IncidentKind kind, DomainName peer, const Status& why) {
    incidents_.note(kind, peer, {}, why);
  }

  struct PoolDescription {
    uint32_t number;
    const char* name;
    bool isSealed;
    uint64_t maxBytes;
    uint64_t idleBytesMax;
    const AccessList& access;
  };
  // Null when there is no place left.
  PoolFacts* describe(const PoolDescription& pool);
  void giveBack(PoolFacts* pool);

 private:
  Facts() = default;
  sys::Fd memory_;
  uint8_t* base_ = nullptr;
  uint32_t placesCommitted_ = 0;
  IncidentLog incidents_;
};

// As much of the text as fits, zeros behind.
void setText(char* to, size_t capacity, std::string_view text);

}  // namespace iol
