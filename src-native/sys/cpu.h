// sys/cpu.h: what this processor can do beyond its architecture's least.
//
// Threads     any.
// Cost        asked once by whoever needs it.
// May include base/
#pragma once

namespace iol::sys {

// An instruction for CRC-32C: SSE 4.2 on x86-64, the CRC extension on arm64.
bool cpuHasCrc32c();

}  // namespace iol::sys
