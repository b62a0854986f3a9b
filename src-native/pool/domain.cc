#include "pool/domain.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "pool/pool.h"
#include "pool/span.h"

namespace iol {

Result<std::unique_ptr<Domain>> Domain::create(Window& window) {
  Result<DomainName> name = window.takeDomain();
  if (!name.isOk()) return name.status();
  std::unique_ptr<Domain> domain(new (std::nothrow) Domain(window, name.value()));
  if (domain == nullptr) return Status(Code::NoMemory, "domain");
  Result<std::unique_ptr<HoldTable>> holds =
      HoldTable::create(window.id(), name.value(), name.value());
  if (!holds.isOk()) return holds.status();
  domain->ownHolds_ = holds.take();
  return domain;
}

Domain::Domain(Window& window, DomainName name)
    : window_(window), name_(name), ordinalsUsed_(kOrdinalsMax, false) {}

Domain::~Domain() {
  IOL_CHECK(pools_.empty());
  window_.returnDomain(name_);
}

void Domain::retain(const Slice& slice) {
  const Segment& segment = *slice.segment;
  ownHolds_->take(segment.ordinal(), segment.chunkOf(slice.slot), slice.slot);
}

void Domain::release(const Slice& slice) {
  const Segment& segment = *slice.segment;
  const bool isLast = ownHolds_->drop(segment.ordinal(), segment.chunkOf(slice.slot), slice.slot);
  if (isLast) Pool::ownOf(segment).pool->onLastHold(slice);
}

}  // namespace iol
