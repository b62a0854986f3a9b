// The environment's domain, and its part in a window with a host.
#include <algorithm>

#include "node/call.h"
#include "node/env.h"
#include "node/views.h"
#include "sys/fault_guard.h"

namespace iol::node {

namespace {

constexpr int64_t kAttachMs = 5000;

// The same failure, with the variable that led there.
Status ofVariable(const Status& status) {
  if (status.code() == Code::System) {
    return Status::system("connect (IOL_WINDOW)", status.systemErrno());
  }
  const bool isTimeOut = status.code() == Code::TimedOut;
  return isTimeOut ? Status(Code::TimedOut, "host (IOL_WINDOW)", status.value()) : status;
}

Result<std::unique_ptr<Participant>> joinAt(const std::string& text) {
  const Result<HostAddress> address = HostAddress::parse(text);
  if (!address.isOk()) return address.status();
  return Participant::join(address.value(), {}, kAttachMs);
}

}  // namespace

Status EnvState::startSlowly() {
  if (isWindowClosed_) return Status(Code::Closed, "window");
  if (domain_ != nullptr) return {};
  if (isShuttingDown_) return Status(Code::Closed, "environment");
  const ProcessWindow process = processWindow();
  if (process.isHosted) return joinOwnProcess("");
  const std::string& address = process.address.empty() ? windowAddress_ : process.address;
  if (!address.empty()) {
    Result<std::unique_ptr<Participant>> participant = joinAt(address);
    return participant.isOk() ? join(participant.take()) : ofVariable(participant.status());
  }
  Result<std::unique_ptr<Domain>> domain = Domain::create(Window::process());
  if (!domain.isOk()) return domain.status();
  ownDomain_ = domain.take();
  return adoptDomain(*ownDomain_);
}

Status EnvState::adoptDomain(Domain& domain) {
  IOL_TRY(sys::installFaultHandler());
  Result<std::unique_ptr<Pool>> pool = Pool::create(domain, Pool::Options{});
  if (!pool.isOk()) return pool.status();
  domain_ = &domain;
  defaultPool_ = pool.take();
  views_ = std::make_unique<Views>(*this);
  domain_->setViewListener(views_.get());
  return {};
}

Status EnvState::hostWindow(Host::Options options, const std::string& label) {
  if (participant_ != nullptr) return Status(Code::Busy, "window (this thread is in one already)");
  if (domain_ == nullptr) {
    Result<std::unique_ptr<Domain>> domain = Domain::create(Window::process());
    if (!domain.isOk()) return domain.status();
    ownDomain_ = domain.take();
    IOL_TRY(adoptDomain(*ownDomain_));
  }
  const auto tell = [this](const HostThread::Event& event) {
    post([this, event] {
      WindowEvent told{kHostEvents + static_cast<int32_t>(event.what), event.who.label, event.why};
      told.numbers[0] = event.domain.slot;
      told.numbers[1] = event.domain.epoch;
      told.numbers[2] = event.who.pid;
      told.numbers[3] = event.who.uid;
      tellWindowEvent(told);
    });
  };
  Result<std::unique_ptr<HostThread>> host = HostThread::start(std::move(options), tell);
  if (!host.isOk()) return host.status();
  host_ = host.take();
  const Status joined = startHosted(host_->address(), label);
  if (!joined.isOk()) host_.reset();
  return joined;
}

// The window's host is in this process; ownDomain_ joins under the name that it has.
Status EnvState::startHosted(const HostAddress& address, const std::string& label) {
  Guest::Options options;
  options.label = label.c_str();
  options.existing = ownDomain_.get();
  Result<std::unique_ptr<Participant>> joined = Participant::join(address, options, kAttachMs);
  if (!joined.isOk()) return joined.status();
  participant_ = joined.take();
  return participant_->open(*this, *defaultPool_);
}

Status EnvState::joinOwnProcess(const std::string& label) {
  IOL_TRY(checkMayJoin());
  const Result<HostAddress> address = HostAddress::parse(processWindow().address);
  if (!address.isOk()) return address.status();
  if (domain_ == nullptr) {
    Result<std::unique_ptr<Domain>> domain = Domain::create(Window::process());
    if (!domain.isOk()) return domain.status();
    ownDomain_ = domain.take();
    IOL_TRY(adoptDomain(*ownDomain_));
  }
  const Status status = startHosted(address.value(), label);
  if (!status.isOk()) endDomain();
  return status;
}

Status EnvState::checkMayJoin() {
  if (domain_ == nullptr) return {};
  if (participant_ != nullptr && participant_->isOpen()) {
    return Status(Code::Busy, "window (this thread is in one already)");
  }
  if (isInUse(0)) return Status(Code::Busy, "window (memory of another is in use)");
  endDomain();
  return {};
}

Status EnvState::join(std::unique_ptr<Participant> participant) {
  IOL_TRY(checkMayJoin());
  participant_ = std::move(participant);
  Status status = adoptDomain(participant_->domain());
  if (status.isOk()) status = participant_->open(*this, *defaultPool_);
  if (status.isOk()) return status;
  if (domain_ != nullptr) {
    endDomain();
  } else {
    participant_.reset();
  }
  return status;
}

Status EnvState::reopenWindow() {
  isWindowClosed_ = false;
  if (participant_ == nullptr || participant_->isOpen()) return {};
  return participant_->open(*this, *defaultPool_);
}

bool EnvState::isInUse(size_t inFlight) {
  reapRetiredPools();
  std::erase_if(parked_, [](const std::weak_ptr<DraftStore>& store) { return store.expired(); });
  return domain_->liveHolds() != inFlight || drafts_.size() > 0 || pools_.size() > 0 ||
         !retiredPools_.empty() || !cachesMade_.empty() || !parked_.empty() ||
         disk_.jobsInFlight() > 0 || !shutdownHooks_.empty();
}

// As far as it can be: what native code still uses stays as it is.
void EnvState::leaveWindow() {
  if (participant_ == nullptr) return;
  const size_t inFlight = participant_->shut(true);
  if (!isInUse(inFlight)) {
    endDomain();
  } else if (host_ != nullptr) {
    participant_.reset();
  }
  host_.reset();
}

void EnvState::endDomain() {
  // Why: no host is told that segments are gone, whose names may be on their way to others.
  if (participant_ != nullptr) domain_->setSegmentSource(nullptr);
  retiredPools_.clear();
  defaultPool_.reset();
  domain_->forgetSegments();
  domain_->setViewListener(nullptr);
  views_.reset();
  derived_.reset();
  if (participant_ != nullptr) participant_->leave();
  participant_.reset();
  ownDomain_.reset();
  domain_ = nullptr;
}

napi_value EnvState::makeChannelMemory() {
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  void* data = nullptr;
  napi_create_arraybuffer(env_, sizeof(ChannelMemory), &data, &buffer);
  napi_create_typedarray(env_, napi_uint8_array, sizeof(ChannelMemory), buffer, 0, &array);
  napi_create_reference(env_, array, 1, &channelMemoryArray_);
  channelMemory_ = static_cast<ChannelMemory*>(data);
  return array;
}

void EnvState::call(napi_ref function, size_t count, const napi_value* arguments) {
  napi_value callee = nullptr;
  napi_value receiver = nullptr;
  napi_get_reference_value(env_, function, &callee);
  napi_get_undefined(env_, &receiver);
  if (napi_call_function(env_, receiver, callee, count, arguments, nullptr) == napi_ok) return;
  napi_value error;
  if (napi_get_and_clear_last_exception(env_, &error) == napi_ok) napi_fatal_exception(env_, error);
}

void EnvState::tellChannelsReady(uint32_t count) {
  if (onReady_ == nullptr || isShuttingDown_) return;
  LoopScope scope(env_);
  healIfPending();
  napi_value argument;
  napi_create_uint32(env_, count, &argument);
  call(onReady_, 1, &argument);
}

void EnvState::tellWindowEvent(const WindowEvent& event) {
  if (onEvent_ == nullptr || isShuttingDown_) return;
  LoopScope scope(env_);
  napi_value arguments[4];
  napi_create_int32(env_, event.what, &arguments[0]);
  napi_create_string_utf8(env_, event.text.data(), event.text.size(), &arguments[1]);
  napi_create_string_utf8(env_, event.label.data(), event.label.size(), &arguments[2]);
  napi_get_undefined(env_, &arguments[3]);
  if (!event.why.isOk()) arguments[3] = makeError(env_, event.why);
  std::copy(std::begin(event.numbers), std::end(event.numbers), scratch_);
  call(onEvent_, 4, arguments);
}

}  // namespace iol::node
