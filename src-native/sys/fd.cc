#include "sys/fd.h"

#include <unistd.h>

namespace iol::sys {

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace iol::sys
