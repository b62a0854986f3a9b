#include "cache/file_gate.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <utility>

namespace iol {

struct FileGate::Door {
  std::pair<uint64_t, uint64_t> inode;
  std::condition_variable changed;
  uint32_t readers = 0;
  uint32_t writersWaiting = 0;
  uint32_t users = 0;  // Inside or waiting.
  bool hasWriter = false;
};

struct FileGate::Doors {
  std::mutex mutex;
  std::map<std::pair<uint64_t, uint64_t>, Door> all;
};

FileGate::Doors& FileGate::doors() {
  // Why never destroyed: helper threads may outlive static destructors.
  static auto* doors = new Doors;
  return *doors;
}

FileGate::FileGate(const sys::FileFacts& file, Pass pass) : pass_(pass) {
  Doors& all = doors();
  std::unique_lock<std::mutex> lock(all.mutex);
  Door& door = all.all[{file.dev, file.ino}];
  door_ = &door;
  door.inode = {file.dev, file.ino};
  ++door.users;
  if (pass == Pass::Write) {
    ++door.writersWaiting;
    door.changed.wait(lock, [&] { return !door.hasWriter && door.readers == 0; });
    --door.writersWaiting;
    door.hasWriter = true;
  } else {
    door.changed.wait(lock, [&] { return !door.hasWriter && door.writersWaiting == 0; });
    ++door.readers;
  }
}

FileGate::~FileGate() {
  Doors& all = doors();
  const std::lock_guard<std::mutex> lock(all.mutex);
  if (pass_ == Pass::Write) {
    door_->hasWriter = false;
  } else {
    --door_->readers;
  }
  if (--door_->users == 0) {
    all.all.erase(door_->inode);
  } else {
    door_->changed.notify_all();
  }
}

}  // namespace iol
