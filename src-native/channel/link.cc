#include "channel/link.h"

#include <new>

#include "base/crash_point.h"
#include "sys/memory.h"
#include "sys/process.h"

namespace iol {

Result<std::unique_ptr<Link>> Link::open(Doorbell& doorbell, PeerHandles handles) {
  IOL_TRY(sys::checkForeignMemory(handles.block, kDomainBlockBytes));
  std::unique_ptr<Link> link(new (std::nothrow) Link(doorbell));
  if (link == nullptr) return Status(Code::NoMemory, "link");
  Result<uint8_t*> mapped = sys::mapReadOnly(handles.block, kDomainBlockBytes);
  if (!mapped.isOk()) return mapped.status();
  link->block_ = reinterpret_cast<const DomainBlock*>(mapped.value());
  const BlockHeader header = link->block_->header;
  if (header.magic != kBlockMagic || header.byteOrder != kByteOrder || header.format != kFormat) {
    return Status(Code::Format, "domain block", header.format, kFormat);
  }
  if (header.windowId != doorbell.domain().window().id() ||
      header.domainSlot != handles.name.slot || header.domainEpoch != handles.name.epoch) {
    return Status(Code::BadDescriptor, "domain block of another domain", header.domainSlot,
                  handles.name.slot);
  }
  link->name_ = handles.name;
  link->button_ = std::move(handles.button);
  link->pidfd_ = std::move(handles.pidfd);
  IOL_TRY(doorbell.deaths_.add(link->pidfd_, sys::Interest::Read,
                               reinterpret_cast<uint64_t>(link.get())));
  doorbell.links_.push_back(link.get());
  return link;
}

Link::~Link() {
  std::erase(doorbell_.links_, this);
  if (pidfd_.isOpen()) doorbell_.deaths_.remove(pidfd_);
  sys::unmap(reinterpret_cast<uint8_t*>(const_cast<DomainBlock*>(block_)), kDomainBlockBytes);
}

void Link::ringIfAsleep() {
  const uint64_t sleep = block_->sleep.load(std::memory_order_relaxed);
  if ((sleep & 1) == 0 || sleep == rungFor_ || isDead_) return;
  rungFor_ = sleep;
  IOL_CRASH_POINT(DoorbellRing);
  sys::pressButton(button_);
  doorbell_.block_->figures.rings++;
}

void Link::checkDeath() {
  if (!isDead_ && sys::processHasEnded(pidfd_)) markDead();
}

void Link::markDead() {
  if (isDead_) return;
  isDead_ = true;
  doorbell_.deaths_.remove(pidfd_);  // Readable for ever from now on.
}

}  // namespace iol
