// launcher/launch_message.h: what the server and its launcher say to each other, one message each
// over a socket that keeps messages apart.
//
//   server -> launcher   LaunchHead, then the texts path, folder, arguments, environment, each
//                        ended by a zero; three descriptors (or two, without an input) beside it
//                        LaunchHead alone: a signal to a program
//   launcher -> server   LaunchReport
//
// Both sides are of one build, on one machine.
// Threads     none of its own; values.
// May include base/
#pragma once

#include <cstdint>

namespace iol::launcher {

constexpr uint32_t kLaunchBytesMax = 160 << 10;  // A message fits the socket's buffer.

enum class Order : uint32_t { Start = 1, Terminate = 2, Kill = 3 };

struct LaunchHead {
  uint32_t order;
  uint32_t id;  // The server's name for the program; reports have it.
  uint32_t argumentCount;
  uint32_t environmentCount;
};

enum class Event : uint32_t { Started = 1, Failed = 2, Ended = 3 };

struct LaunchReport {
  uint32_t event;
  uint32_t id;
  int32_t value;   // Started: process number. Failed: errno. Ended: exit code.
  int32_t signal;  // Ended: what ended it, or 0.
};

}  // namespace iol::launcher
