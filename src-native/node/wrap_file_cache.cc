// node/wrap_file_cache.cc: file caches, and the files that JavaScript has of them.
//
// A file's handle is the same for everybody who asks for it while it is open, so that lib/ keeps
// one object for it.

#include <string>

#include "node/call.h"
#include "node/exports.h"
#include "node/settle.h"

namespace iol::node {
namespace {

template <size_t N>
CacheEntry* cacheAt(const Call<N>& call, size_t i) {
  CacheEntry* entry = call.state().caches().get(call.handle(i));
  if (entry == nullptr) call.failClosed("file cache");
  return entry;
}

template <size_t N>
CachedFilePtr fileAt(const Call<N>& call, size_t i) {
  CachedFilePtr* file = call.state().files().get(call.handle(i));
  if (file == nullptr) {
    call.failClosed("cached file");
    return nullptr;
  }
  return *file;
}

std::string pathFrom(napi_env env, napi_value value) {
  size_t length = 0;
  char buffer[512];
  napi_get_value_string_utf8(env, value, buffer, sizeof buffer, &length);
  if (length < sizeof buffer - 4) return std::string(buffer, length);
  napi_get_value_string_utf8(env, value, nullptr, 0, &length);
  std::string path(length + 1, '\0');
  napi_get_value_string_utf8(env, value, path.data(), path.size(), &length);
  path.resize(length);
  return path;
}

// 0 when the table is full.
int32_t handleOf(EnvState& state, const CachedFilePtr& file) {
  if (state.files().get(file->scriptHandle) == nullptr) {
    file->scriptHandle = state.files().insert(file);
  }
  return file->scriptHandle;
}

// fileCacheCreate(pool, maxBytes, checkIntervalMs, openFilesMax, watches) -> handle
napi_value fileCacheCreate(napi_env env, napi_callback_info info) {
  Call<5> call(env, info);
  if (!call.isReady()) return nullptr;
  Pool* pool = call.state().poolOf(call.handle(0));
  if (pool == nullptr) return call.failClosed("pool");
  FileCache::Options options;
  options.maxBytes = call.bytesAt(1);
  options.checkIntervalMs = static_cast<uint32_t>(call.bytesAt(2));
  options.openFilesMax = static_cast<uint32_t>(call.bytesAt(3));
  options.watches = call.boolAt(4);
  Result<std::shared_ptr<FileCache>> cache =
      FileCache::create(*pool, call.state().disk(), std::move(options));
  if (!cache.isOk()) return call.fail(cache.status());
  call.state().noteCache(cache.value());
  const int32_t handle = call.state().caches().insert(CacheEntry{cache.take(), nullptr});
  if (handle == 0) return call.fail(Status(Code::NoMemory, "cache table"));
  call.state().updateWatch(*call.state().caches().get(handle));
  return call.int32(handle);
}

// fileCacheClose(cache): idempotent.
napi_value fileCacheClose(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  EnvState& state = call.state();
  if (std::optional<CacheEntry> entry = state.caches().take(call.handle(0))) {
    state.endWatch(*entry);
    entry->cache->close();
    entry.reset();
    state.reapRetiredPools();
  }
  return nullptr;
}

// fileCacheTryOpen(cache, path) -> file, or 0 when only open() can tell
napi_value fileCacheTryOpen(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  CacheEntry* entry = cacheAt(call, 0);
  if (entry == nullptr) return nullptr;
  FileCache& cache = *entry->cache;
  char path[1024];
  size_t length = 0;
  napi_get_value_string_utf8(env, call.value(1), path, sizeof path, &length);
  const CachedFilePtr file = length < sizeof path - 4 ? cache.tryOpen({path, length})
                                                      : cache.tryOpen(pathFrom(env, call.value(1)));
  if (file == nullptr) return call.int32(0);
  if (cache.wantsRefresh()) cache.refresh();
  return call.int32(handleOf(call.state(), file));
}

// fileCacheOpen(cache, path) -> promise of a file
napi_value fileCacheOpen(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  CacheEntry* entry = cacheAt(call, 0);
  if (entry == nullptr) return nullptr;
  EnvState* state = &call.state();
  const int32_t cacheHandle = call.handle(0);
  const Promise promise(env);
  const std::string path = pathFrom(env, call.value(1));
  entry->cache->open(path, [state, cacheHandle, promise, path](Result<CachedFilePtr> file) {
    if (CacheEntry* still = state->caches().get(cacheHandle)) state->updateWatch(*still);
    if (!file.isOk()) return promise.reject(file.status(), path.c_str());
    const int32_t handle = handleOf(*state, file.value());
    if (handle == 0) return promise.reject(Status(Code::NoMemory, "file table"));
    promise.resolve(handle);
  });
  return promise.value();
}

// fileInfo(file) -> etag; scratch: byteLength, mtimeMs
napi_value fileInfo(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  const CachedFilePtr file = fileAt(call, 0);
  if (file == nullptr) return nullptr;
  call.state().scratch()[0] = static_cast<double>(file->byteLength());
  call.state().scratch()[1] = static_cast<double>(file->mtimeMs());
  napi_value etag = nullptr;
  napi_create_string_latin1(env, file->etag().data(), file->etag().size(), &etag);
  return etag;
}

// fileRealPath(file) -> path
napi_value fileRealPath(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  const CachedFilePtr file = fileAt(call, 0);
  if (file == nullptr) return nullptr;
  const Result<std::string> path = file->realPath();
  if (!path.isOk()) return call.fail(path.status());
  napi_value value = nullptr;
  napi_create_string_utf8(env, path.value().data(), path.value().size(), &value);
  return value;
}

napi_value fileIsFresh(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  const CachedFilePtr file = fileAt(call, 0);
  return file == nullptr ? nullptr : call.boolean(file->isFresh());
}

// fileTryRead(cache, file, offset, length) -> aggregate, or 0 when the disk is needed
napi_value fileTryRead(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  CacheEntry* entry = cacheAt(call, 0);
  if (entry == nullptr) return nullptr;
  CachedFilePtr* file = call.state().files().get(call.handle(1));
  if (file == nullptr) return call.failClosed("cached file");
  Result<Aggregate> bytes = entry->cache->tryRead(**file, call.bytesAt(2), call.bytesAt(3));
  if (bytes.isOk()) return call.newAggregate(bytes.take());
  if (bytes.status().code() == Code::WouldBlock) return call.int32(0);
  return call.fail(bytes.status(), (*file)->path().c_str());
}

// fileRead(cache, file, offset, length) -> promise of an aggregate
napi_value fileRead(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  CacheEntry* entry = cacheAt(call, 0);
  if (entry == nullptr) return nullptr;
  const CachedFilePtr file = fileAt(call, 1);
  if (file == nullptr) return nullptr;
  const Promise promise(env);
  entry->cache->read(file, call.bytesAt(2), call.bytesAt(3),
                     [promise, file](Result<Aggregate> bytes) {
                       if (!bytes.isOk()) {
                         return promise.reject(bytes.status(), file->path().c_str());
                       }
                       promise.resolveAggregate(bytes.take());
                     });
  return promise.value();
}

// fileRelease(file): idempotent.
napi_value fileRelease(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  if (CachedFilePtr* file = call.state().files().get(call.handle(0))) {
    (*file)->scriptHandle = 0;
    call.state().files().remove(call.handle(0));
  }
  return nullptr;
}

// scratch: the numbers of FileCache::Stats in their order.
napi_value fileCacheStats(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  CacheEntry* entry = cacheAt(call, 0);
  if (entry == nullptr) return nullptr;
  const FileCache::Stats stats = entry->cache->stats();
  const uint64_t numbers[] = {stats.entries,        stats.bytes,         stats.maxBytes,
                              stats.openFiles,      stats.hits,          stats.misses,
                              stats.evictions,      stats.invalidations, stats.alsoInPageCacheBytes,
                              stats.readsDontCache, stats.readsDirect,   stats.readsBuffered,
                              stats.watches,        stats.jobsInFlight};
  double* out = call.state().scratch();
  for (uint64_t number : numbers) *out++ = static_cast<double>(number);
  return call.undefined();
}

constexpr Export kExports[] = {
    {"fileCacheCreate", fileCacheCreate},
    {"fileCacheClose", fileCacheClose},
    {"fileCacheTryOpen", fileCacheTryOpen},
    {"fileCacheOpen", fileCacheOpen},
    {"fileCacheStats", fileCacheStats},
    {"fileInfo", fileInfo},
    {"fileIsFresh", fileIsFresh},
    {"fileTryRead", fileTryRead},
    {"fileRead", fileRead},
    {"fileRelease", fileRelease},
    {"fileRealPath", fileRealPath},
};

}  // namespace

void exportFileCaches(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
