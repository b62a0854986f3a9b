// node/wrap_io.cc: iolRead and iolWrite on descriptors: try now, wait by the loop, or a disk job.
//
//   pipe, socket, terminal   ioTryRead / ioTryWrite; on kNotNow ioWait, then again (lib/io/io.ts)
//   file, block device       ioReadFile / ioWriteFile: a promise; the Sync forms wait for the disk.
//                            What is cached of a position is ioTryRead's answer already
//
// A position is for files; anything else with one is ESPIPE, and fsync of it EINVAL, before a byte
// moves.

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
constexpr int32_t kFile = -2;

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

// Of the cache whose handle is argument `i`; 0 is none.
template <size_t N>
bool cacheAt(const Call<N>& call, size_t i, FileCache** cache) {
  if (call.handle(i) == 0) return true;
  CacheEntry* entry = call.state().caches().get(call.handle(i));
  if (entry == nullptr) {
    call.failClosed("file cache");
    return false;
  }
  *cache = entry->cache.get();
  return true;
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
  // Why not the default one: the cache's bytes are everybody's who has it.
  if (call.handle(0) != EnvState::kDefaultPool) read->options.into = read->pool;
  read->options.size = call.bytesAt(2);
  read->options.position = positionFrom(call.doubleAt(3));
  return inspectAt(call, 1, &read->source) && cacheAt(call, 4, &read->options.cache);
}

// ioTryRead(pool, fd, size, position or -1, cache or 0) -> aggregate, kEnd, kNotNow or kFile
napi_value ioTryRead(napi_env env, napi_callback_info info) {
  Call<5> call(env, info);
  FileRead read;
  if (!call.isReady() || !fileReadFrom(call, &read)) return nullptr;
  // Why first: what is read and finds no handle is lost.
  if (call.state().aggregates().isFull()) return call.failHandlesFull();
  if (read.source.needsJob()) {
    // Why not at the own position: reads there have turns.
    if (!read.options.position) return call.int32(kFile);
    Result<Aggregate> cached = readCached(read.source, read.options);
    return cached.isOk() ? call.newAggregate(cached.take()) : call.int32(kFile);
  }
  if (read.options.position) return call.fail(Status::system("pread", ESPIPE));
  bool isEmptyMessage = false;
  Result<Aggregate> bytes =
      tryRead(*read.pool, read.source, read.options.size, kReadBytesMax, &isEmptyMessage);
  if (!bytes.isOk()) {
    if (bytes.status().code() == Code::WouldBlock) return call.int32(kNotNow);
    return call.fail(bytes.status());
  }
  if (bytes.value().byteLength() == 0 && !isEmptyMessage) return call.int32(kEnd);
  return call.newAggregate(bytes.take());
}

struct Writing {
  Endpoint sink;
  const Aggregate* bytes = nullptr;
  uint64_t from = 0;
  FileWriteOptions options;
};

// (fd, aggregate, from, position or -1, 0 | 1: sync data | 2: sync all, cache or 0)
template <size_t N>
bool writingFrom(const Call<N>& call, Writing* writing) {
  writing->bytes = call.state().aggregates().get(call.handle(1));
  if (writing->bytes == nullptr) {
    call.failClosed("aggregate");
    return false;
  }
  writing->from = call.bytesAt(2);
  writing->options.position = positionFrom(call.doubleAt(3));
  writing->options.sync = static_cast<sys::Sync>(call.intAt(4));
  return inspectAt(call, 0, &writing->sink) && cacheAt(call, 5, &writing->options.cache);
}

// ioTryWrite(fd, aggregate, from, position or -1, sync, 0) -> bytes written, kNotNow or kFile
napi_value ioTryWrite(napi_env env, napi_callback_info info) {
  Call<6> call(env, info);
  Writing writing;
  if (!call.isReady() || !writingFrom(call, &writing)) return nullptr;
  if (writing.sink.needsJob()) return call.int32(kFile);
  if (writing.options.position) return call.fail(Status::system("pwrite", ESPIPE));
  if (writing.options.sync != sys::Sync::None) return call.fail(Status::system("fsync", EINVAL));
  Result<uint64_t> written = tryWrite(writing.sink, *writing.bytes, writing.from);
  if (written.isOk()) return call.number(static_cast<double>(written.value()));
  if (written.status().code() == Code::WouldBlock) return call.int32(kNotNow);
  return call.fail(written.status());
}

// The first byte of a Uint8Array: 0 until JavaScript gives the read up or the job takes it.
class Flag {
 public:
  Flag(napi_env env, napi_value array) : env_(env) {
    napi_create_reference(env, array, 1, &array_);
  }
  ~Flag() { napi_delete_reference(env_, array_); }
  Flag(const Flag&) = delete;
  Flag& operator=(const Flag&) = delete;
  // True, and the byte is 2 from now on, unless JavaScript has set it.
  bool take() const {
    napi_value array = nullptr;
    void* data = nullptr;
    napi_get_reference_value(env_, array_, &array);
    napi_get_typedarray_info(env_, array, nullptr, nullptr, &data, nullptr, nullptr);
    if (data == nullptr || *static_cast<uint8_t*>(data) != 0) return false;
    *static_cast<uint8_t*>(data) = 2;
    return true;
  }

 private:
  napi_env env_;
  napi_ref array_ = nullptr;
};

// ioReadFile(pool, fd, size, position, cache, Uint8Array of 1 or undefined) -> promise of an
// aggregate, empty at the end. The own position moves at the end unless the byte says otherwise.
napi_value ioReadFile(napi_env env, napi_callback_info info) {
  Call<6> call(env, info);
  FileRead read;
  if (!call.isReady() || !fileReadFrom(call, &read)) return nullptr;
  if (call.spanAt(5).length > 0) {
    auto taken = std::make_shared<Flag>(env, call.value(5));
    read.options.isWanted = [taken] { return taken->take(); };
  }
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

// ioWriteFile(fd, aggregate, from, position, sync, cache) -> promise of the bytes written
napi_value ioWriteFile(napi_env env, napi_callback_info info) {
  Call<6> call(env, info);
  Writing writing;
  if (!call.isReady() || !writingFrom(call, &writing)) return nullptr;
  const Promise promise(env);
  writeFile(call.state().disk(), writing.sink, *writing.bytes, writing.from, writing.options,
            [promise](Result<uint64_t> written) {
              if (!written.isOk()) return promise.reject(written.status());
              promise.resolve(static_cast<double>(written.value()));
            });
  return promise.value();
}

// ioWriteFileSync(fd, aggregate, from, position, sync, cache) -> bytes written
napi_value ioWriteFileSync(napi_env env, napi_callback_info info) {
  Call<6> call(env, info);
  Writing writing;
  if (!call.isReady() || !writingFrom(call, &writing)) return nullptr;
  Result<uint64_t> written =
      writeFileSync(writing.sink, *writing.bytes, writing.from, writing.options);
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

// ioWait(fd, isWrite, done) -> id. `done` is called once, when an attempt is worth while, with
// whether the descriptor is still of the same open file.
napi_value ioWait(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  const sys::Interest interest = call.boolAt(1) ? sys::Interest::Write : sys::Interest::Read;
  Result<int32_t> id = call.state().waits().start(call.intAt(0), interest, call.value(2));
  if (!id.isOk()) return call.fail(id.status());
  return call.int32(id.value());
}

// ioPin(fd) -> id: keeps hold of what the descriptor is now, until ioCancel.
napi_value ioPin(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  Result<int32_t> id = call.state().waits().pin(call.intAt(0));
  if (!id.isOk()) return call.fail(id.status());
  return call.int32(id.value());
}

// ioIsSame(id) -> whether the number of that wait or pin is still of the same open file
napi_value ioIsSame(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  return call.boolean(call.state().waits().isSame(call.handle(0)));
}

// ioCancel(id), of a wait or pin: `done` is not called any more. Idempotent.
napi_value ioCancel(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  call.state().waits().cancel(call.handle(0));
  return nullptr;
}

constexpr Export kExports[] = {
    {"ioTryRead", ioTryRead},
    {"ioTryWrite", ioTryWrite},
    {"ioReadFile", ioReadFile},
    {"ioReadFileSync", ioReadFileSync},
    {"ioWriteFile", ioWriteFile},
    {"ioWriteFileSync", ioWriteFileSync},
    {"ioWaitSync", ioWaitSync},
    {"ioWait", ioWait},
    {"ioPin", ioPin},
    {"ioIsSame", ioIsSame},
    {"ioCancel", ioCancel},
};

}  // namespace

void exportIo(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
