// node/wrap_io.cc: iolRead and iolWrite on descriptors: try now, wait by the loop, or a disk job.
//
//   pipe, socket, terminal   ioTryRead / ioTryWrite; on kNotNow ioWait, then again (lib/io.ts)
//   regular file             ioReadFile / ioWriteFile: a promise; the Sync forms wait for the disk
//
// A position is for regular files; anything else with one is ESPIPE, before a byte moves.

#include <cerrno>
#include <optional>

#include "io/iol.h"
#include "node/call.h"
#include "node/exports.h"
#include "node/settle.h"
#include "sys/poll_set.h"

namespace iol::node {
namespace {

constexpr int32_t kEnd = 0;
constexpr int32_t kNotNow = -1;
constexpr int32_t kRegularFile = -2;
constexpr int kIllegalSeek = ESPIPE;

std::optional<uint64_t> positionFrom(double position) {
  if (position < 0) return std::nullopt;
  return static_cast<uint64_t>(position);
}

template <size_t N>
bool inspectAt(const Call<N>& call, size_t i, Endpoint* endpoint) {
  Result<Endpoint> found = inspect(call.intAt(i));
  if (!found.isOk()) {
    call.fail(found.status());
    return false;
  }
  *endpoint = found.value();
  return true;
}

// ioTryRead(pool, fd, size, position or -1) -> aggregate, kEnd, kNotNow or kRegularFile
napi_value ioTryRead(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(0));
  if (pool == nullptr) return call.failClosed("pool");
  Endpoint source;
  if (!inspectAt(call, 1, &source)) return nullptr;
  if (source.isRegular()) return call.int32(kRegularFile);
  if (call.doubleAt(3) >= 0) return call.fail(Status::system("pread", kIllegalSeek));
  Result<Aggregate> bytes = tryRead(*pool, source, call.bytesAt(2));
  if (!bytes.isOk()) {
    if (bytes.status().code() == Code::WouldBlock) return call.int32(kNotNow);
    return call.fail(bytes.status());
  }
  if (bytes.value().byteLength() == 0) return call.int32(kEnd);
  return call.newAggregate(bytes.take());
}

struct Writing {
  Endpoint sink;
  const Aggregate* bytes = nullptr;
  uint64_t from = 0;
  std::optional<uint64_t> position;
};

// (fd, aggregate, from, position or -1)
template <size_t N>
bool writingFrom(const Call<N>& call, Writing* writing) {
  writing->bytes = call.state().aggregates().get(call.handle(1));
  if (writing->bytes == nullptr) {
    call.failClosed("aggregate");
    return false;
  }
  writing->from = call.bytesAt(2);
  writing->position = positionFrom(call.doubleAt(3));
  return inspectAt(call, 0, &writing->sink);
}

// ioTryWrite(fd, aggregate, from, position or -1) -> bytes written, kNotNow or kRegularFile
napi_value ioTryWrite(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  Writing writing;
  if (!call.isReady() || !writingFrom(call, &writing)) return nullptr;
  if (writing.sink.isRegular()) return call.int32(kRegularFile);
  if (writing.position) return call.fail(Status::system("pwrite", kIllegalSeek));
  Result<uint64_t> written = tryWrite(writing.sink, *writing.bytes, writing.from);
  if (written.isOk()) return call.number(static_cast<double>(written.value()));
  if (written.status().code() == Code::WouldBlock) return call.int32(kNotNow);
  return call.fail(written.status());
}

struct FileRead {
  Pool* pool = nullptr;
  Endpoint source;
  FileReadOptions options;
};

// (pool, fd, size, position or -1, cache or 0)
template <size_t N>
bool fileReadFrom(const Call<N>& call, FileRead* read) {
  read->pool = call.state().poolOf(call.handle(0));
  if (read->pool == nullptr) {
    call.failClosed("pool");
    return false;
  }
  if (!inspectAt(call, 1, &read->source)) return false;
  read->options.size = call.bytesAt(2);
  read->options.position = positionFrom(call.doubleAt(3));
  if (call.handle(4) != 0) {
    CacheEntry* entry = call.state().caches().get(call.handle(4));
    if (entry == nullptr) {
      call.failClosed("file cache");
      return false;
    }
    read->options.cache = entry->cache.get();
  }
  return true;
}

// ioReadFile(pool, fd, size, position, cache) -> promise of an aggregate, empty at the end
napi_value ioReadFile(napi_env env, napi_callback_info info) {
  Call<5> call(env, info);
  FileRead read;
  if (!call.isReady() || !fileReadFrom(call, &read)) return nullptr;
  const Promise promise(env);
  readFile(*read.pool, call.state().disk(), read.source, read.options,
           [promise](Result<Aggregate> bytes) {
             if (!bytes.isOk()) return promise.reject(bytes.status());
             promise.resolveAggregate(bytes.take());
           });
  return promise.value();
}

// ioReadFileSync(pool, fd, size, position, cache) -> aggregate, empty at the end
napi_value ioReadFileSync(napi_env env, napi_callback_info info) {
  Call<5> call(env, info);
  FileRead read;
  if (!call.isReady() || !fileReadFrom(call, &read)) return nullptr;
  Result<Aggregate> bytes = readFileSync(*read.pool, read.source, read.options);
  if (!bytes.isOk()) return call.fail(bytes.status());
  return call.newAggregate(bytes.take());
}

// ioWriteFile(fd, aggregate, from, position) -> promise of the bytes written
napi_value ioWriteFile(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  Writing writing;
  if (!call.isReady() || !writingFrom(call, &writing)) return nullptr;
  const Promise promise(env);
  writeFile(call.state().disk(), writing.sink, *writing.bytes, writing.from, writing.position,
            [promise](Result<uint64_t> written) {
              if (!written.isOk()) return promise.reject(written.status());
              promise.resolve(static_cast<double>(written.value()));
            });
  return promise.value();
}

// ioWriteFileSync(fd, aggregate, from, position) -> bytes written
napi_value ioWriteFileSync(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  Writing writing;
  if (!call.isReady() || !writingFrom(call, &writing)) return nullptr;
  Result<uint64_t> written =
      writeFileSync(writing.sink, *writing.bytes, writing.from, writing.position);
  if (!written.isOk()) return call.fail(written.status());
  return call.number(static_cast<double>(written.value()));
}

// ioWaitSync(fd, isWrite): on this thread, without bound.
napi_value ioWaitSync(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  Endpoint endpoint;
  if (!inspectAt(call, 0, &endpoint)) return nullptr;
  const Direction direction = call.boolAt(1) ? Direction::Write : Direction::Read;
  if (Status status = waitUntilReady(endpoint, direction, -1); !status.isOk()) {
    return call.fail(status);
  }
  return call.undefined();
}

// ioWait(fd, isWrite, done) -> id. `done` is called once, when an attempt is worth while.
napi_value ioWait(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  const sys::Interest interest = call.boolAt(1) ? sys::Interest::Write : sys::Interest::Read;
  Result<int32_t> id = call.state().waits().start(call.intAt(0), interest, call.value(2));
  if (!id.isOk()) return call.fail(id.status());
  return call.int32(id.value());
}

// ioCancel(id): `done` is not called any more. Idempotent.
napi_value ioCancel(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  call.state().waits().cancel(call.handle(0));
  return nullptr;
}

constexpr Export kExports[] = {
    {"ioTryRead", ioTryRead},     {"ioTryWrite", ioTryWrite},
    {"ioReadFile", ioReadFile},   {"ioReadFileSync", ioReadFileSync},
    {"ioWriteFile", ioWriteFile}, {"ioWriteFileSync", ioWriteFileSync},
    {"ioWaitSync", ioWaitSync},   {"ioWait", ioWait},
    {"ioCancel", ioCancel},
};

}  // namespace

void exportIo(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
