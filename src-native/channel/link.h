// channel/link.h: what this domain knows of a peer: its sleep word, its button, its life.
//
// One for each peer, shared by all channels with it.
//
// Ownership   owns the mapping of the peer's domain block, the button and the pidfd.
// Threads     the domain's own.
// Failure     BadDescriptor, Format for what a peer sent; System.
// Cost        ringIfAsleep: one load; one system call for each time that the peer sleeps.
// May include base/ sys/ window/ pool/
#pragma once

#include <memory>

#include "base/status.h"
#include "channel/doorbell.h"

namespace iol {

// As they came from the control plane; not yet checked.
struct PeerHandles {
  DomainName name;
  sys::Fd block;
  sys::Fd button;
  sys::Fd pidfd;
};

class Link {
 public:
  static Result<std::unique_ptr<Link>> open(Doorbell& doorbell, PeerHandles handles);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  DomainName name() const { return name_; }

  // After the full fence that follows what the peer is to find. One press for each sleep.
  void ringIfAsleep();

  // Known dead: by the kernel's word, or because the control plane says that the domain ended.
  bool isDead() const { return isDead_; }
  void checkDeath();
  void markDead();

 private:
  explicit Link(Doorbell& doorbell) : doorbell_(doorbell) {}

  Doorbell& doorbell_;
  DomainName name_;
  sys::Fd button_;
  sys::Fd pidfd_;
  const DomainBlock* block_ = nullptr;
  uint64_t rungFor_ = 0;
  bool isDead_ = false;
};

}  // namespace iol
