// node/wrap_channel.cc: the window's host and guests, and channels.

#include <algorithm>
#include <span>
#include <string>

#include "base/copy.h"
#include "cache/disk_job.h"
#include "node/aggregate_call.h"
#include "node/call.h"
#include "node/exports.h"
#include "node/settle.h"
#include "sys/process.h"

namespace iol::node {
namespace {

// What channelSend and channelReceive answer beside a handle; lib/channel/channel.ts has the same
// numbers.
constexpr int32_t kNotNow = 0;
constexpr int32_t kSent = 1;
constexpr int32_t kEnded = -1;
constexpr int32_t kPeerDead = -2;

// Of payload that is taken before the program asks for it: so much more than the ring's messages
// may be held by a receiver that has stopped.
constexpr uint64_t kBatchBytes = 64 << 10;

std::string textAt(napi_env env, napi_value value) {
  size_t length = 0;
  napi_get_value_string_utf8(env, value, nullptr, 0, &length);
  std::string text(length, '\0');
  napi_get_value_string_utf8(env, value, text.data(), length + 1, &length);
  return text;
}

// windowAddress(address or ''): what the first use of memory joins.
napi_value windowAddress(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  call.state().setWindowAddress(textAt(env, call.value(0)));
  return call.undefined();
}

// windowHost(label, socket or '', domainsMax, domainMaxBytes)
napi_value windowHost(napi_env env, napi_callback_info info) {
  Call<4> call(env, info, Needs::Nothing);
  Host::Options options;
  options.socket = textAt(env, call.value(1));
  options.domainsMax = static_cast<uint32_t>(call.bytesAt(2));
  options.domainBytesMax = call.bytesAt(3);
  const std::string socket = options.socket;
  const Status status = call.state().hostWindow(std::move(options), textAt(env, call.value(0)));
  if (!status.isOk()) return call.fail(status, socket.empty() ? nullptr : socket.c_str());
  return call.undefined();
}

class AttachJob final : public DiskJob {
 public:
  AttachJob(EnvState& state, const Promise& promise, std::string address, std::string label,
            uint64_t maxBytes, int64_t timeoutMs)
      : state_(state),
        promise_(promise),
        address_(std::move(address)),
        label_(std::move(label)),
        maxBytes_(maxBytes),
        timeoutMs_(timeoutMs) {}

  void run() override {
    const Result<HostAddress> address = HostAddress::parse(address_);
    status_ = address.status();
    if (!status_.isOk()) return;
    socket_ = address.value().socket;
    Guest::Options options;
    options.label = label_.c_str();
    options.window.maxBytes = maxBytes_;
    Result<std::unique_ptr<Participant>> joined =
        Participant::join(address.value(), options, timeoutMs_);
    status_ = joined.status();
    if (joined.isOk()) participant_ = joined.take();
  }

  void finish() override {
    if (status_.isOk()) {
      status_ = state_.reopenWindow();
      if (status_.isOk()) status_ = state_.join(std::move(participant_));
    }
    if (!status_.isOk()) return promise_.reject(status_, socket_.c_str());
    setAttachedWindow(address_);
    promise_.resolve(0);
  }

 private:
  EnvState& state_;
  Promise promise_;
  std::string address_;
  std::string label_;
  std::string socket_;
  uint64_t maxBytes_;
  int64_t timeoutMs_;
  Status status_;
  std::unique_ptr<Participant> participant_;
};

// windowAttach(address, label, maxBytes, timeoutMs) -> promise
napi_value windowAttach(napi_env env, napi_callback_info info) {
  Call<4> call(env, info, Needs::Nothing);
  EnvState& state = call.state();
  if (Status status = state.checkMayJoin(); !status.isOk()) return call.fail(status);
  std::string address = textAt(env, call.value(0));
  std::string label = textAt(env, call.value(1));
  Promise promise(env);
  const ProcessWindow process = processWindow();
  if (process.isHosted && process.address == address) {
    Status status = state.reopenWindow();
    if (status.isOk()) status = state.joinOwnProcess(label);
    status.isOk() ? promise.resolve(0) : promise.reject(status);
    return promise.value();
  }
  state.disk().start(std::make_unique<AttachJob>(state, promise, std::move(address),
                                                 std::move(label), call.bytesAt(2),
                                                 static_cast<int64_t>(call.bytesAt(3))));
  return promise.value();
}

// windowFacts() -> address or ''; scratch: 0 no host | 1 hosted here | 2 attached | 3 host gone,
// slot, epoch
napi_value windowFacts(napi_env env, napi_callback_info info) {
  Call<0> call(env, info);
  if (!call.isReady()) return nullptr;
  EnvState& state = call.state();
  double* const out = state.scratch();
  out[0] = 0;
  if (const Participant* participant = state.participant()) {
    const bool isAttached = participant->guest().state() == Guest::State::Attached;
    out[0] = isAttached ? (state.host() != nullptr ? 1 : 2) : 3;
  }
  out[1] = state.domain().name().slot;
  out[2] = state.domain().name().epoch;
  std::string address = state.host() != nullptr ? state.host()->address().format() : std::string();
  if (address.empty() && state.participant() != nullptr) {
    address = processWindow().address;
    if (address.empty()) address = state.windowAddress();
  }
  napi_value value = nullptr;
  napi_create_string_utf8(env, address.data(), address.size(), &value);
  return value;
}

napi_value windowUndumpable(napi_env env, napi_callback_info info) {
  Call<0> call(env, info, Needs::Nothing);
  const Status status = sys::makeUndumpable();
  return status.isOk() ? call.undefined() : call.fail(status);
}

// windowReporters(onReady(count), onEvent(what, text, label, error; scratch: its numbers))
napi_value windowReporters(napi_env env, napi_callback_info info) {
  Call<2> call(env, info, Needs::Nothing);
  call.state().setWindowReporters(call.value(0), call.value(1));
  return call.undefined();
}

// Null and an exception when this thread's window has no host.
template <size_t N>
Participant* participantOf(const Call<N>& call) {
  Participant* const participant = call.state().participant();
  if (participant != nullptr && participant->isOpen()) return participant;
  call.fail(Status(Code::NoDomain, "window"));
  return nullptr;
}

// windowConnect(label or '', slot, epoch, name, ringBytes) -> request
napi_value windowConnect(napi_env env, napi_callback_info info) {
  Call<5> call(env, info);
  if (!call.isReady()) return nullptr;
  Participant* const participant = participantOf(call);
  if (participant == nullptr) return nullptr;
  const DomainName to{static_cast<uint32_t>(call.bytesAt(1)),
                      static_cast<uint32_t>(call.bytesAt(2))};
  const Result<uint64_t> request = participant->connect(
      textAt(env, call.value(0)), to, textAt(env, call.value(3)), call.bytesAt(4));
  if (!request.isOk()) return call.fail(request.status());
  return call.number(static_cast<double>(request.value()));
}

// windowListen(accepts channels, keeps the loop alive, spinUs)
napi_value windowListen(napi_env env, napi_callback_info info) {
  Call<3> call(env, info, Needs::Nothing);
  Participant* const participant = call.state().participant();
  if (participant == nullptr || !participant->isOpen()) return call.undefined();
  participant->setAcceptsChannels(call.boolAt(0));
  participant->setReferenced(call.boolAt(1));
  participant->setSpinNs(static_cast<int64_t>(call.bytesAt(2)) * 1000);
  return call.undefined();
}

template <size_t N>
ChannelEntry* channelAt(const Call<N>& call, size_t i) {
  Participant* const participant = call.state().participant();
  ChannelEntry* const entry =
      participant == nullptr ? nullptr : participant->entries().get(call.handle(i));
  if (entry == nullptr) call.failClosed("channel");
  return entry;
}

template <size_t N>
napi_value send(const Call<N>& call, std::span<const uint8_t> metadata) {
  ChannelEntry* const entry = channelAt(call, 0);
  if (entry == nullptr) return nullptr;
  const Aggregate* const aggregate = aggregateAt(call, 1);
  if (aggregate == nullptr) return nullptr;
  const Result<SendOutcome> sent = entry->channel->sender->trySend(*aggregate, metadata);
  if (!sent.isOk()) {
    if (sent.status().code() != Code::WouldBlock) return call.fail(sent.status());
    entry->mustRetry = true;
    return call.int32(kNotNow);
  }
  switch (sent.value()) {
    case SendOutcome::Sent: return call.int32(kSent);
    case SendOutcome::Full: return call.int32(kNotNow);
    case SendOutcome::PeerDead: return call.int32(kPeerDead);
    case SendOutcome::Closed: break;
  }
  return call.int32(kEnded);
}

// channelSend(channel, aggregate, metadata or undefined) -> kSent, kNotNow, kEnded or kPeerDead
napi_value channelSend(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  const auto metadata = call.spanAt(2);
  return send(call, {metadata.data, metadata.length});
}

// channelSendFrame(channel, aggregate, bytes of the metadata, which are `sent` of
// channelMemory) -> as channelSend
napi_value channelSendFrame(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  return send(call, {call.state().channelMemory().sent, static_cast<size_t>(call.intAt(2))});
}

// channelCork(channel, is corked)
napi_value channelCork(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  ChannelEntry* const entry = channelAt(call, 0);
  if (entry == nullptr) return nullptr;
  entry->channel->sender->setCorked(call.boolAt(1));
  return call.undefined();
}

template <size_t N>
napi_value notReceived(const Call<N>& call, const Receiver& receiver, ReceiveOutcome outcome) {
  switch (outcome) {
    case ReceiveOutcome::Denied: return call.fail(Status(Code::AccessDenied, "message"));
    case ReceiveOutcome::Stale: return call.fail(Status(Code::Stale, "message"));
    case ReceiveOutcome::Corrupt: return call.fail(receiver.failure());
    case ReceiveOutcome::PeerDead: return call.int32(kPeerDead);
    case ReceiveOutcome::Closed: return call.int32(kEnded);
    default: return call.int32(kNotNow);
  }
}

// channelReceive(channel) -> aggregate, kNotNow, kEnded or kPeerDead; scratch: its length, bytes of
// its metadata, which are `received` of channelMemory
napi_value channelReceive(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  ChannelEntry* const entry = channelAt(call, 0);
  if (entry == nullptr) return nullptr;
  EnvState& state = call.state();
  if (state.aggregates().isFull()) return call.failHandlesFull();  // Before it is taken.
  Receiver& receiver = *entry->channel->receiver;
  Message message(state.domain());
  const ReceiveOutcome outcome = receiver.tryReceive(message);
  if (outcome != ReceiveOutcome::Received) return notReceived(call, receiver, outcome);
  const size_t bytes = message.metadata.size();
  std::copy_n(message.metadata.data(), bytes, state.channelMemory().received);
  state.scratch()[1] = static_cast<double>(bytes);
  return call.newAggregate(std::move(message.aggregate));
}

// channelReceiveBatch(channel) -> how many, in channelMemory; or kNotNow, kEnded, kPeerDead
napi_value channelReceiveBatch(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  ChannelEntry* const entry = channelAt(call, 0);
  if (entry == nullptr) return nullptr;
  EnvState& state = call.state();
  Handles<Aggregate>& handles = state.aggregates();
  if (handles.isFull()) return call.failHandlesFull();
  Receiver& receiver = *entry->channel->receiver;
  // What must arrive by this way or another is taken when it is asked for, not before.
  const size_t most =
      receiver.keepsRefused() ? 1 : Handles<Aggregate>::kLiveMax - size_t{handles.size()};
  EnvState::ChannelMemory& memory = state.channelMemory();
  const std::span<Message> batch = state.participant()->batch();
  size_t count = 0;
  const ReceiveOutcome outcome = receiver.receiveBatch(
      batch.first(std::min(most, batch.size())), count, {kBatchBytes, sizeof memory.batchMetadata});
  if (outcome != ReceiveOutcome::Received) return notReceived(call, receiver, outcome);
  uint8_t* metadata = memory.batchMetadata;
  for (size_t index = 0; index < count; index++) {
    Message& message = batch[index];
    const auto bytes = static_cast<double>(message.aggregate.byteLength());
    metadata = std::copy(message.metadata.begin(), message.metadata.end(), metadata);
    memory.batch[index] = {static_cast<double>(handles.insert(std::move(message.aggregate))), bytes,
                           static_cast<double>(message.metadata.size())};
  }
  return call.int32(static_cast<int32_t>(count));
}

// channelAwait(channel, kAwait... flags)
napi_value channelAwait(napi_env env, napi_callback_info info) {
  Call<2> call(env, info, Needs::Nothing);
  if (Participant* const participant = call.state().participant()) {
    participant->await(call.handle(0), static_cast<uint32_t>(call.intAt(1)));
  }
  return call.undefined();
}

napi_value channelClose(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  if (Participant* const participant = call.state().participant()) {
    participant->close(call.handle(0));
  }
  return call.undefined();
}

// scratch: bytes queued, ring's size, and of the whole thread: rings, sleeps, wakes, vain spins
napi_value channelStats(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  ChannelEntry* const entry = channelAt(call, 0);
  if (entry == nullptr) return nullptr;
  entry->channel->sender->settle();
  const Doorbell::Stats& stats = call.state().participant()->doorbell().stats();
  const uint64_t numbers[] = {entry->channel->sender->bytesQueued(),
                              entry->channel->ringBytes,
                              stats.rings,
                              stats.sleeps,
                              stats.wakes,
                              stats.spinsInVain};
  double* out = call.state().scratch();
  for (const uint64_t number : numbers) *out++ = static_cast<double>(number);
  return call.undefined();
}

constexpr Export kExports[] = {
    {"windowAddress", windowAddress},       {"windowHost", windowHost},
    {"windowAttach", windowAttach},         {"windowFacts", windowFacts},
    {"windowUndumpable", windowUndumpable}, {"windowReporters", windowReporters},
    {"windowConnect", windowConnect},       {"windowListen", windowListen},
    {"channelSend", channelSend},           {"channelReceive", channelReceive},
    {"channelAwait", channelAwait},         {"channelClose", channelClose},
    {"channelStats", channelStats},         {"channelSendFrame", channelSendFrame},
    {"channelCork", channelCork},           {"channelReceiveBatch", channelReceiveBatch},
};

}  // namespace

void exportChannels(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
  napi_set_named_property(state.env(), exports, "channelMemory", state.makeChannelMemory());
}

}  // namespace iol::node
