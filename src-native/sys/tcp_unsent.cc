#include "sys/tcp_unsent.h"

// Why not netinet/tcp.h: its tcp_info ends before the window.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>

namespace iol::sys {

uint32_t unsentBytesMaxOf(const Fd& socket) {
  int bytes = 0;
  socklen_t size = sizeof bytes;
  if (getsockopt(socket.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, &size) != 0) return 0;
  return static_cast<uint32_t>(std::max(bytes, 0));
}

void setUnsentBytesMax(const Fd& socket, uint32_t bytes) {
  const int value = static_cast<int>(bytes);
  (void)setsockopt(socket.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, sizeof value);
}

uint32_t clientWindowOf(const Fd& socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  if (size < offsetof(tcp_info, tcpi_snd_wnd) + sizeof info.tcpi_snd_wnd) return 0;
  return info.tcpi_snd_wnd;
}

}  // namespace iol::sys
