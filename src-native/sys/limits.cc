#include "sys/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>

#include "sys/fd.h"

namespace iol::sys {
namespace {

// The text of small files. One that is not there is empty; what kept us from looking is `error`.
class SmallFiles {
 public:
  std::string read(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.isOpen()) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) error_ = errno;
      return {};
    }
    char buffer[8192];
    const ssize_t length = ::read(fd.get(), buffer, sizeof buffer);
    return length > 0 ? std::string(buffer, static_cast<size_t>(length)) : std::string();
  }
  int error() const { return error_; }

 private:
  int error_ = 0;
};

// The number after `key` in `text`, in kibibytes.
uint64_t kibibytesAfter(const std::string& text, const char* key) {
  const size_t at = text.find(key);
  if (at == std::string::npos) return 0;
  return ::strtoull(text.c_str() + at + ::strlen(key), nullptr, 10) * 1024;
}

// "max", an absent file and v1's huge default all mean no limit.
uint64_t limitIn(const std::string& text) {
  if (text.empty() || text[0] == 'm') return UINT64_MAX;
  const uint64_t value = ::strtoull(text.c_str(), nullptr, 10);
  return value >= (1ull << 60) ? UINT64_MAX : value;
}

// Narrows `room` by the cgroup at root + path and all its ancestors.
void narrow(MemoryRoom& room, SmallFiles& files, const std::string& root, std::string path,
            const char* limitName, const char* usageName) {
  while (true) {
    const std::string folder = root + path;
    const uint64_t limit = limitIn(files.read(folder + limitName));
    if (limit != UINT64_MAX) {
      const uint64_t used = ::strtoull(files.read(folder + usageName).c_str(), nullptr, 10);
      // Clean page cache is charged to the group and is given up before anybody is killed.
      const std::string facts = files.read(folder + "/memory.stat");
      const size_t at = facts.find("\ninactive_file ");
      const uint64_t reclaimable =
          at == std::string::npos ? 0 : ::strtoull(facts.c_str() + at + 15, nullptr, 10);
      const uint64_t held = used > reclaimable ? used - reclaimable : 0;
      room.totalBytes = std::min(room.totalBytes, limit);
      room.availableBytes = std::min(room.availableBytes, limit > held ? limit - held : 0);
    }
    if (path.empty() || path == "/") break;
    path.resize(path.rfind('/'));
  }
}

}  // namespace

Result<MemoryRoom> memoryRoom() {
  SmallFiles files;
  const std::string facts = files.read("/proc/meminfo");
  MemoryRoom room{kibibytesAfter(facts, "MemTotal:"), kibibytesAfter(facts, "MemAvailable:")};
  const std::string groups = files.read("/proc/self/cgroup");
  for (size_t start = 0; start < groups.size();) {
    const size_t end = std::min(groups.find('\n', start), groups.size());
    const std::string line = groups.substr(start, end - start);
    start = end + 1;
    const size_t path = line.find(":/");
    if (path == std::string::npos) continue;
    if (line.compare(0, 3, "0::") == 0) {
      narrow(room, files, "/sys/fs/cgroup", line.substr(path + 1), "/memory.max",
             "/memory.current");
    } else if (line.find(":memory:") != std::string::npos) {
      narrow(room, files, "/sys/fs/cgroup/memory", line.substr(path + 1), "/memory.limit_in_bytes",
             "/memory.usage_in_bytes");
    }
  }
  // What could not be read would count as no limit, or as no memory.
  if (files.error() != 0) return Status::system("open", files.error());
  return room;
}

uint64_t descriptorsMax() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

std::atomic<bool> forkedChild{false};

void watchForks() {
  static std::once_flag once;
  std::call_once(once, [] {
    ::pthread_atfork(nullptr, nullptr, [] { forkedChild.store(true, std::memory_order_relaxed); });
  });
}

uint64_t randomId() {
  uint64_t id = 0;
  while (id == 0) {
    if (::getrandom(&id, sizeof id, 0) != sizeof id) continue;
  }
  return id;
}

}  // namespace iol::sys
