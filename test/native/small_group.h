// test/native/small_group.h: a memory control group for one child.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "sys/fd.h"

namespace iol::test {

inline bool writeFile(const std::string& path, const char* text) {
  sys::Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd.isOpen() && ::write(fd.get(), text, std::strlen(text)) > 0;
}

// A memory control group of 64 MiB, v1 or v2; empty when this machine has none. rmdir() it.
inline std::string makeSmallGroup() {
  const std::string v1 = "/sys/fs/cgroup/memory/io-lite-test-" + std::to_string(::getpid());
  const std::string v2 = "/sys/fs/cgroup/io-lite-test-" + std::to_string(::getpid());
  if (::mkdir(v1.c_str(), 0755) == 0) {
    if (writeFile(v1 + "/memory.limit_in_bytes", "67108864")) return v1;
    ::rmdir(v1.c_str());
  }
  if (::access("/sys/fs/cgroup/cgroup.controllers", R_OK) == 0 && ::mkdir(v2.c_str(), 0755) == 0) {
    if (writeFile(v2 + "/memory.max", "67108864")) return v2;
    ::rmdir(v2.c_str());
  }
  return "";
}

// From here on this process is in the group.
inline bool enterGroup(const std::string& group) { return writeFile(group + "/cgroup.procs", "0"); }

}  // namespace iol::test
