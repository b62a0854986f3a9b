// node/env.h: what one JavaScript environment (the main thread or a worker) has of the library.
//
//   environment -> EnvState -> Domain -> default Pool, further pools
//                           -> Participant: its part in a window with a host (guest, channels)
//                           -> handle tables: drafts, aggregates, file caches, files
//                           -> Views: the mappings that JavaScript sees
//                           -> DiskPool: libuv's threads, for whatever waits for a disk
//
// Every native function gets its EnvState as callback data; Call (node/call.h) unpacks it.
//
// Ownership   the environment owns it. On a natural exit, a worker's exit or terminate() it shuts
//             down: hooks run, uv handles close, holds are dropped, then it is deleted. After
//             process.exit() nothing runs: the kernel takes everything back.
// Threads     the environment's own, but for post().
// Failure     start() answers WindowFull, NoMemory, Forked or System; nothing else can fail.
// May include everything below node/
#pragma once

#include <node_api.h>
#include <uv.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "aggregate/aggregate.h"
#include "aggregate/derived.h"
#include "aggregate/private_view.h"
#include "base/copy.h"
#include "base/status.h"
#include "cache/file_cache.h"
#include "node/disk_pool.h"
#include "node/external_bytes.h"
#include "node/handles.h"
#include "node/host_thread.h"
#include "node/participant.h"
#include "node/waits.h"
#include "pool/domain.h"
#include "pool/pool.h"

namespace iol::node {

class Views;

// What is known of the memory behind a draft's ArrayBuffer. It may outlive the ArrayBuffer:
// ArrayBuffer.prototype.transfer() moves it to another one, which nobody here can detach.
struct DraftStore {
  bool isFreed = false;
  Draft parked;  // A draft that was given up before: its memory is free when this is.
};

// A draft, and the ArrayBuffer through which JavaScript fills it.
struct DraftEntry {
  Draft draft;
  napi_ref bytes = nullptr;  // Weak; null until bytes() was called on a large draft.
  std::shared_ptr<DraftStore> store = {};
};

// A writable view of an aggregate, and the ArrayBuffer through which JavaScript changes it.
struct MappedEntry {
  PrivateView view;
  ExternalBytes bytes;
};

// A file cache, and the poll that hears of outside changes.
struct CacheEntry {
  std::shared_ptr<FileCache> cache;
  uv_poll_t* watch = nullptr;
};

class EnvState {
 public:
  // Made by addon.cc once per environment; lives as its instance data.
  static EnvState& create(napi_env env);
  static EnvState& of(napi_env env);
  EnvState(const EnvState&) = delete;
  EnvState& operator=(const EnvState&) = delete;

  // Makes domain and default pool at first use; cheap afterwards. Call (node/call.h) does it for
  // every native function that says it needs memory; whoever has passed it may use domain() etc.
  Status start() { return domain_ != nullptr && !isWindowClosed_ ? Status() : startSlowly(); }
  bool isStarted() const { return domain_ != nullptr; }
  bool isShuttingDown() const { return isShuttingDown_; }

  napi_env env() const { return env_; }
  uv_loop_t* loop() const { return loop_; }
  Domain& domain() { return *domain_; }
  // Null while this thread's window is its process's alone.
  Participant* participant() { return participant_.get(); }
  HostThread* host() { return host_.get(); }
  Pool& defaultPool() { return *defaultPool_; }
  Views& views() { return *views_; }
  // Made at first use: until then a release costs nothing for it.
  DerivedValues& derived() {
    if (derived_ == nullptr) derived_ = std::make_unique<DerivedValues>(*domain_);
    return *derived_;
  }
  DiskPool& disk() { return disk_; }

  // Gives up everything that JavaScript has a handle of; until reopen() start() answers Closed.
  // What native code holds for itself (connections, jobs) stays as it is, and if there is any, so
  // does the domain. Otherwise a window with a host is left.
  void closeWindow();
  // Makes this process's window one that others attach to.
  Status hostWindow(Host::Options options, const std::string& label);
  // The address that start() joins when this process has no window yet: IOL_WINDOW's.
  void setWindowAddress(std::string address) { windowAddress_ = std::move(address); }
  const std::string& windowAddress() const { return windowAddress_; }
  // Busy while something here uses the memory of the domain that there is.
  Status checkMayJoin();
  // The participant's domain becomes this environment's.
  Status join(std::unique_ptr<Participant> participant);
  // The same with a domain of this process, which hosts the window.
  Status joinOwnProcess(const std::string& label);
  Status reopenWindow();

  Handles<Aggregate>& aggregates() { return aggregates_; }
  Handles<DraftEntry>& drafts() { return drafts_; }
  Handles<MappedEntry>& mapped() { return mapped_; }
  Handles<std::unique_ptr<Pool>>& pools() { return pools_; }
  Handles<CacheEntry>& caches() { return caches_; }
  Handles<CachedFilePtr>& files() { return files_; }
  Waits& waits() { return waits_; }
  // For every cache that is made: its pool outlives it.
  void noteCache(const std::shared_ptr<FileCache>& cache) { cachesMade_.push_back(cache); }
  // Polls the cache's inotify descriptor as soon as it has one.
  void updateWatch(CacheEntry& entry);
  // Before the cache is closed: its descriptor must leave the loop while it is open.
  void endWatch(CacheEntry& entry);
  // Detaches the draft's ArrayBuffer. False when somebody may still store into its memory.
  bool detachBytes(DraftEntry& entry);
  // Before a draft is dropped: its memory is given back now, or when nobody can store there.
  void giveUp(DraftEntry& entry);
  // Before a mapping is dropped: who still has its memory sees zeros, and stores into nothing.
  void giveUp(MappedEntry& entry);
  // The default pool for kDefaultPool; null for a stale handle.
  static constexpr int32_t kDefaultPool = -1;
  Pool* poolOf(int32_t handle);
  // Ends a pool as soon as its last buffer is gone: whatever may have released one reaps.
  void retirePool(std::unique_ptr<Pool> pool);
  void reapRetiredPools() {
    if (!retiredPools_.empty()) reapSlowly();
  }

  // Puts the shared pages back under stray stores. Call does it before every native function.
  void healIfPending() {
    if (healIsPending_.load(std::memory_order_relaxed)) heal();
  }
  void heal();
  // Signal context: a store into sealed bytes was caught.
  void onStoreCaught();
  // Tells JavaScript of the stores that were healed; the loop does it, or the last turn of it.
  void deliverReports();

  // Runs `work` on the environment's thread; any thread may call. Does not keep the loop alive.
  void post(std::function<void()> work);
  // Runs at shutdown, before handles and holds go, last added first. JavaScript cannot be called.
  void atShutdown(std::function<void()> work) { shutdownHooks_.push_back(std::move(work)); }
  // Every uv handle and every queued uv request has one claim from its start until its close (or
  // after-work) callback: the state is deleted only when all were given back.
  void claim() { ++claims_; }
  void unclaim();

  // For LoopScope: made once, because making one costs more than a small callback.
  napi_async_context asyncContext() const { return asyncContext_; }
  napi_value asyncResource() const;

  // Errors are made by lib/errors.ts, so that native and TypeScript ones are the same class.
  void setErrorFactory(napi_value factory);
  napi_value errorFactory() const;
  void setImmutableReporter(napi_value reporter);
  static constexpr int32_t kHostEvents = 16;  // Behind Participant::Event; HostThread::Happened.
  // Told of channels that have something (scratch: their handles), and of a window's events.
  void setWindowReporters(napi_value onReady, napi_value onEvent);
  void tellChannelsReady(uint32_t count);
  void tellWindowEvent(const WindowEvent& event);

  // Numbers that do not fit one return value: a Float64Array shared with TypeScript.
  static constexpr size_t kScratchNumbers = 64;
  double* scratch() { return scratch_; }
  // Its last number but one is the 8 bytes that aggregatePeek() answers with.
  uint8_t* peeked() { return reinterpret_cast<uint8_t*>(scratch_ + kScratchNumbers - 2); }
  // Its last one begins with a 32-bit count that moves on whenever views that TypeScript has kept
  // may show something else than the shared bytes: a store was caught, or the window was closed.
  void noteStaleViews();
  // The two before are the copies to the program (CopyOut) that TypeScript made: times, bytes.
  static constexpr size_t kCopiedAt = kScratchNumbers - 4;
  napi_value scratchArray();
  // What crosses beside messages, in a Uint8Array shared with TypeScript (channel-memory.ts).
  struct ChannelMemory {
    static constexpr size_t kBatchMax = 64;
    struct Batched {
      double aggregate;
      double byteLength;
      double metadataBytes;
    };
    uint8_t received[kMetadataBytesMax];  // The metadata of the message that was received last.
    uint8_t sent[kMetadataBytesMax];      // Of what is to be sent.
    Batched batch[kBatchMax];
    uint8_t batchMetadata[4096];  // Of all of a batch, one after the other.
  };
  ChannelMemory& channelMemory() { return *channelMemory_; }
  napi_value makeChannelMemory();

 private:
  explicit EnvState(napi_env env);
  ~EnvState();
  static void onCleanup(napi_async_cleanup_hook_handle handle, void* data);
  static void onWake(uv_async_t* handle);
  Status startSlowly();
  void shutDown();
  void finish();
  void runPosted();
  void closeCaches();
  void reapSlowly();
  Status adoptDomain(Domain& domain);
  Status startHosted(const HostAddress& address, const std::string& label);
  void leaveWindow();
  bool isInUse(size_t inFlight);
  void endDomain();
  void call(napi_ref function, size_t count, const napi_value* arguments);

  napi_env env_;
  uv_loop_t* loop_ = nullptr;
  uv_async_t* wake_ = nullptr;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  bool isShuttingDown_ = false;
  bool isWindowClosed_ = false;
  uint32_t claims_ = 0;

  // Declared in the order in which they are needed: destroyed the other way round.
  std::unique_ptr<HostThread> host_;
  std::unique_ptr<Participant> participant_;  // Its domain, unless there was one before.
  std::unique_ptr<Domain> ownDomain_;
  Domain* domain_ = nullptr;
  std::string windowAddress_;
  std::unique_ptr<DerivedValues> derived_;
  std::unique_ptr<Views> views_;
  std::unique_ptr<Pool> defaultPool_;
  std::vector<std::unique_ptr<Pool>> retiredPools_;
  Handles<std::unique_ptr<Pool>> pools_;
  DiskPool disk_;
  std::vector<std::weak_ptr<FileCache>> cachesMade_;
  Handles<CacheEntry> caches_;
  Handles<CachedFilePtr> files_;
  Handles<DraftEntry> drafts_;
  std::vector<std::weak_ptr<DraftStore>> parked_;
  Handles<MappedEntry> mapped_;
  Handles<Aggregate> aggregates_;
  Waits waits_;

  std::vector<std::function<void()>> shutdownHooks_;
  std::mutex postedMutex_;
  std::vector<std::function<void()>> posted_;

  std::atomic<bool> healIsPending_{false};
  struct Report {
    uint64_t address;
    uint64_t generation;
  };
  std::vector<Report> reports_;  // Healed stores that JavaScript has not been told of.

  napi_async_context asyncContext_ = nullptr;
  napi_ref asyncResource_ = nullptr;
  napi_ref errorFactory_ = nullptr;
  napi_ref immutableReporter_ = nullptr;
  napi_ref onReady_ = nullptr;
  napi_ref onEvent_ = nullptr;
  napi_ref scratchArray_ = nullptr;
  double* scratch_ = nullptr;
  std::unique_ptr<CopyTally> copied_;
  napi_ref channelMemoryArray_ = nullptr;
  ChannelMemory* channelMemory_ = nullptr;
};

}  // namespace iol::node
