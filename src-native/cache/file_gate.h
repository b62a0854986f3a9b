// cache/file_gate.h: who may touch the bytes of one inode now, among the library's own threads.
//
//   <dev, ino> ──> readers (fills, plain reads): any number
//                  writer (one whole iolWrite): alone; those who wait go before later readers
//
// It is why a write through the library is seen whole or not at all by reads through it: the
// kernel promises that for no write, and its time stamps change when a write begins.
//
// Ownership   a pass is held by the object.
// Threads     any; process-wide, so for all environments. Whoever has a pass waits for nothing but
//             the disk, so nobody waits for ever.
// Failure     none.
// Cost        one lock of a process-wide mutex to enter and one to leave.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <cstdint>

#include "sys/file.h"

namespace iol {

class FileGate {
 public:
  enum class Pass : uint8_t { Read, Write };
  FileGate(const sys::FileFacts& file, Pass pass);
  ~FileGate();
  FileGate(const FileGate&) = delete;
  FileGate& operator=(const FileGate&) = delete;

 private:
  struct Door;
  struct Doors;
  static Doors& doors();

  Door* door_;
  const Pass pass_;
};

}  // namespace iol
