// sys/file.h: open, look at, read and write files and other descriptors, without ever hanging.
//
// Every call repeats itself when a signal interrupts it (EINTR). A number of bytes may be short;
// 0 from a read is the end. Not being able to move now is WouldBlock, where a call promises so.
//
// Ownership   borrows descriptors; open() returns one.
// Threads     any.
// Failure     System with the call's name and errno; WouldBlock.
// Cost        one system call each unless stated.
// May include base/
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/status.h"
#include "sys/fd.h"
#include "sys/iovec.h"

namespace iol::sys {

enum class FdKind : uint8_t {
  Regular,
  Directory,
  Pipe,
  Socket,         // A stream of bytes.
  MessageSocket,  // Datagrams, or messages in sequence: one at a time, never a part.
  Terminal,
  BlockDevice,
  Other,
};

// What identifies one version of a file's bytes, and what HTTP wants to know about it.
struct FileFacts {
  uint64_t dev = 0;
  uint64_t ino = 0;
  uint64_t size = 0;
  int64_t mtimeNs = 0;
  int64_t ctimeNs = 0;
  uint32_t mode = 0;
  FdKind kind = FdKind::Other;

  // The same bytes of the same file, as far as the kernel's time stamps tell.
  bool sameVersion(const FileFacts& other) const {
    return dev == other.dev && ino == other.ino && size == other.size && mtimeNs == other.mtimeNs &&
           ctimeNs == other.ctimeNs;
  }
};

// For reading, close-on-exec, and non-blocking so that a FIFO cannot hang us.
Result<Fd> openForRead(const char* path);
// A second, independent open file of the same inode; `direct` asks for O_DIRECT.
enum class Reopen : uint8_t { Plain, Direct };
Result<Fd> reopenForRead(int fd, Reopen how);
Result<Fd> duplicate(int fd);

Result<FileFacts> factsOf(int fd);
// Where the file of a descriptor is now, without symbolic links; " (deleted)" follows when nowhere.
Result<std::string> realPathOf(int fd);
Result<FileFacts> factsOf(const char* path);  // Follows symbolic links.

// How an fd may be used without waiting. Two system calls; three for sockets and devices.
struct FdModes {
  FdKind kind = FdKind::Other;
  bool canRead = false;
  bool canWrite = false;
  bool isNonBlocking = false;
  bool isAppending = false;
  bool isMaster = false;  // Of a pseudo-terminal: opening it again would make another one.
  FileFacts facts;
};
Result<FdModes> modesOf(int fd);

// Whether the kernel makes the file's bytes while they are read (procfs, sysfs and their like): its
// size and times then say nothing about them.
bool isSynthetic(int fd);

// May wait for the disk. `offset` is absolute.
Result<size_t> readAt(int fd, void* to, size_t length, uint64_t offset);
Result<size_t> readNext(int fd, void* to, size_t length);  // At the file's position.
Result<size_t> writeAt(int fd, const iovec* vectors, int count, uint64_t offset);
Result<size_t> writeNext(int fd, const iovec* vectors, int count);  // At the file's position.
// Waits until the bytes written so far are on the device; Data leaves out what only times need.
enum class Sync : uint8_t { None, Data, All };
Status syncFile(int fd, Sync what);
Result<uint64_t> position(int fd);
Status setPosition(int fd, uint64_t offset);

// Never wait, whatever the descriptor's own flags are (they may be shared with a peer: A9).
// One system call; up to four for a blocking descriptor that knows no per-call flag (a terminal).
// Of a message the kernel drops what is beyond `length`: ask nextMessage first.
Result<size_t> readNow(int fd, const FdModes& modes, void* to, size_t length);
// SIGPIPE: never from a socket; for pipes the process ignores it, as Node does.
Result<size_t> writeNow(int fd, const FdModes& modes, const iovec* vectors, int count);

// Of the message that is next in a MessageSocket; WouldBlock when none is.
struct NextMessage {
  uint64_t bytes = 0;
  // Not a message of no bytes: nothing will come any more. Empty messages that nothing but the end
  // of a sequence follows cannot be told from it.
  bool isEnd = false;
};
Result<NextMessage> nextMessage(int fd);

// Whether both descriptors are of one open file; when the kernel does not tell, of one inode.
bool isSameFile(int fd, int other);

// Waits until the descriptor can move bytes, has ended or failed; false: `timeoutMs` passed.
enum class Wait : uint8_t { Readable, Writable };
Result<bool> waitFor(int fd, Wait wait, int timeoutMs);

// For tests: files take `bytes` bytes more, in one piece or several; then writeAt and writeNext
// fail. `onSync`: syncFile fails instead. Process-wide; error 0: nothing fails.
struct WriteFault {
  int error = 0;
  uint64_t bytes = 0;
  bool onSync = false;
};
void setWriteFault(const WriteFault& fault);

constexpr int kVectorsMax = 1024;  // IOV_MAX of Linux.

}  // namespace iol::sys
