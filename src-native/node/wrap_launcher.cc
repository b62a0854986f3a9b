// node/wrap_launcher.cc: the server's side of its launcher for lib/cgi/launcher.ts: one socket, and
// for each program the pipes to it.

#include <algorithm>
#include <iterator>

#include "io/iol.h"
#include "launcher/launch_message.h"
#include "node/call.h"
#include "node/exports.h"
#include "sys/handover.h"
#include "sys/launch.h"
#include "sys/tcp_socket.h"

namespace iol::node {
namespace {

constexpr uint32_t kPipeBytesMin = 1024;

// A descriptor that JavaScript owns.
class Borrowed {
 public:
  explicit Borrowed(int fd) : fd_(fd) {}
  ~Borrowed() { (void)fd_.release(); }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  const sys::Fd& operator*() const { return fd_; }

 private:
  sys::Fd fd_;
};

// launcherPair(): scratch[0] is our end of the socket, scratch[1] the launcher's.
napi_value launcherPair(napi_env env, napi_callback_info info) {
  Call<0> call(env, info, Needs::Nothing);
  Result<std::pair<sys::Fd, sys::Fd>> pair = sys::socketPair();
  if (!pair.isOk()) return call.fail(pair.status());
  call.state().scratch()[0] = pair.value().first.release();
  call.state().scratch()[1] = pair.value().second.release();
  return call.undefined();
}

struct Pipes {
  sys::PipeEnds input;
  sys::PipeEnds output;
  sys::PipeEnds errors;
};

Result<Pipes> makePipes(bool hasInput) {
  Pipes pipes;
  sys::PipeEnds* wanted[] = {&pipes.output, &pipes.errors, &pipes.input};
  for (size_t i = 0; i < (hasInput ? 3u : 2u); ++i) {
    Result<sys::PipeEnds> made = sys::makePipe();
    if (!made.isOk()) return made.status();
    *wanted[i] = made.take();
  }
  return pipes;
}

// launcherStart(socket, message, hasInput) -> false: not now
//   scratch: our ends of the program's input (-1 without one), output and errors
napi_value launcherStart(napi_env env, napi_callback_info info) {
  Call<3> call(env, info, Needs::Nothing);
  const Borrowed socket(call.intAt(0));
  const auto message = call.spanAt(1);
  const bool hasInput = call.boolAt(2);
  if (message.length > launcher::kLaunchBytesMax) {
    return call.fail(Status(Code::TooLarge, "arguments and environment of the program",
                            message.length, launcher::kLaunchBytesMax));
  }
  Result<Pipes> pipes = makePipes(hasInput);
  if (!pipes.isOk()) return call.fail(pipes.status());
  std::vector<int> theirs = {pipes.value().output.write.get(), pipes.value().errors.write.get()};
  if (hasInput) theirs.insert(theirs.begin(), pipes.value().input.read.get());
  const Status sent = sys::trySendMessage(*socket, message.data, message.length, theirs);
  if (sent.code() == Code::WouldBlock) return call.boolean(false);
  if (!sent.isOk()) return call.fail(sent);
  double* scratch = call.state().scratch();
  scratch[0] = pipes.value().input.write.release();
  scratch[1] = pipes.value().output.read.release();
  scratch[2] = pipes.value().errors.read.release();
  return call.boolean(true);
}

// launcherSignal(socket, order, id): best effort.
napi_value launcherSignal(napi_env env, napi_callback_info info) {
  Call<3> call(env, info, Needs::Nothing);
  const Borrowed socket(call.intAt(0));
  const launcher::LaunchHead head{static_cast<uint32_t>(call.intAt(1)),
                                  static_cast<uint32_t>(call.intAt(2)), 0, 0};
  return call.boolean(sys::trySendMessage(*socket, &head, sizeof head).isOk());
}

// launcherReceive(socket) -> false: nothing now. scratch: event, id, value, signal
napi_value launcherReceive(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  const Borrowed socket(call.intAt(0));
  launcher::LaunchReport report{};
  const Result<sys::Message> received = sys::tryReceiveMessage(*socket, &report, sizeof report);
  if (received.status().code() == Code::WouldBlock) return call.boolean(false);
  if (!received.isOk()) return call.fail(received.status());
  double* scratch = call.state().scratch();
  scratch[0] = report.event;
  scratch[1] = report.id;
  scratch[2] = report.value;
  scratch[3] = report.signal;
  return call.boolean(true);
}

// pipeTryRead(pool, fd, size) -> aggregate; 0: the end; -1: nothing now
napi_value pipeTryRead(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(0));
  if (pool == nullptr) return call.failClosed("pool");
  const Result<Endpoint> source = inspect(call.intAt(1));
  if (!source.isOk()) return call.fail(source.status());
  // Why asked: a buffer as large as what is there, not as what may come.
  const Borrowed fd(call.intAt(1));
  const uint64_t there = std::max(sys::bytesToReceive(*fd), kPipeBytesMin);
  Result<Aggregate> bytes = tryRead(*pool, source.value(), std::min(there, call.bytesAt(2)));
  if (bytes.status().code() == Code::WouldBlock) return call.int32(-1);
  if (!bytes.isOk()) return call.fail(bytes.status());
  if (bytes.value().byteLength() == 0) return call.int32(0);
  countCopy(bytes.value().byteLength(), CopyReason::PipeIn);
  return call.newAggregate(bytes.take());
}

constexpr Export kExports[] = {
    {"launcherPair", launcherPair},     {"launcherStart", launcherStart},
    {"launcherSignal", launcherSignal}, {"launcherReceive", launcherReceive},
    {"pipeTryRead", pipeTryRead},
};

}  // namespace

void exportLauncher(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
