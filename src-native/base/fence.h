// base/fence.h: the full fence of the hold protocol and of the rings.
//
// ThreadSanitizer does not know fences, so its build uses a locked read-modify-write, which is one.
// May include nothing of ours.
#pragma once

#include <atomic>

namespace iol {

inline void fullFence() {
#ifdef IOL_ONE_MAPPING
  static std::atomic<int> anchor{0};
  anchor.fetch_add(0, std::memory_order_seq_cst);
#else
  std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
}

}  // namespace iol
