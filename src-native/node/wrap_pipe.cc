// node/wrap_pipe.cc: pipes whose two ends are in one window: who is there, and what is in between.
//
// A mark says which domain has that end: 16 bits of the window's id, 12 of the slot, 32 of the
// epoch. What is not true of the peer is found out by connecting to it.

#include <algorithm>

#include "aggregate/slice_iterator.h"
#include "node/aggregate_call.h"
#include "node/call.h"
#include "node/exports.h"
#include "sys/pipe.h"

namespace iol::node {
namespace {

// What pipeLook answers; lib/io/pipe-link.ts has the same numbers.
constexpr int32_t kNoPipe = -1;
constexpr int32_t kHasData = 1;
constexpr int32_t kHasEnded = 2;
constexpr int32_t kIsBroken = 4;

constexpr uint64_t kMarksOfWindow = uint64_t{1} << 44;

uint64_t firstMark(EnvState& state) {
  return (state.domain().window().id() & 0xffff) * kMarksOfWindow;
}

uint64_t markOf(EnvState& state, DomainName name) {
  return firstMark(state) | (uint64_t{name.slot} & 0xfff) << 32 | name.epoch;
}

template <size_t N>
sys::PipeEnd endAt(const Call<N>& call, size_t i) {
  return call.boolAt(i) ? sys::PipeEnd::Writing : sys::PipeEnd::Reading;
}

// pipeLook(fd) -> flags. scratch: the pipe's device and inode (low and high 32 bits), bytes in it
napi_value pipeLook(napi_env env, napi_callback_info info) {
  Call<1> call(env, info, Needs::Nothing);
  const Result<sys::PipeLook> look = sys::lookAtPipe(call.intAt(0));
  if (!look.isOk()) return call.fail(look.status());
  if (!look.value().isPipe) return call.int32(kNoPipe);
  double* out = call.state().scratch();
  for (const uint64_t number : {look.value().dev, look.value().ino}) {
    *out++ = static_cast<double>(number & 0xffff'ffff);
    *out++ = static_cast<double>(number >> 32);
  }
  *out = look.value().bytes;
  return call.int32((look.value().hasData ? kHasData : 0) |
                    (look.value().hasEnded ? kHasEnded : 0) |
                    (look.value().isBroken ? kIsBroken : 0));
}

// pipeMark(fd, isWriting, isSet): this domain's own.
napi_value pipeMark(napi_env env, napi_callback_info info) {
  Call<3> call(env, info);
  if (!call.isReady()) return nullptr;
  const uint64_t mark = markOf(call.state(), call.state().domain().name());
  const Status status = call.boolAt(2) ? sys::markPipe(call.intAt(0), endAt(call, 1), mark)
                                       : sys::unmarkPipe(call.intAt(0), endAt(call, 1), mark);
  return status.isOk() ? call.undefined() : call.fail(status);
}

// pipePeer(fd, isWriting) -> whether a domain of this window has marked that end. scratch: slot,
// epoch
napi_value pipePeer(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  const Result<std::optional<uint64_t>> mark =
      sys::markOfPipe(call.intAt(0), endAt(call, 1), firstMark(call.state()), kMarksOfWindow);
  if (!mark.isOk()) return call.fail(mark.status());
  if (!mark.value()) return call.boolean(false);
  call.state().scratch()[0] = static_cast<double>(*mark.value() >> 32 & 0xfff);
  call.state().scratch()[1] = static_cast<double>(*mark.value() & 0xffff'ffff);
  return call.boolean(true);
}

// pipeIsPeer(fd, isWriting, slot, epoch) -> whether that domain has marked that end
napi_value pipeIsPeer(napi_env env, napi_callback_info info) {
  Call<4> call(env, info);
  if (!call.isReady()) return nullptr;
  const DomainName name{static_cast<uint32_t>(call.bytesAt(2)),
                        static_cast<uint32_t>(call.bytesAt(3))};
  const Result<std::optional<uint64_t>> mark =
      sys::markOfPipe(call.intAt(0), endAt(call, 1), markOf(call.state(), name), 1);
  if (!mark.isOk()) return call.fail(mark.status());
  return call.boolean(mark.value().has_value());
}

template <size_t N>
Channel* channelAt(const Call<N>& call, size_t i) {
  Participant* const participant = call.state().participant();
  ChannelEntry* const entry =
      participant == nullptr ? nullptr : participant->entries().get(call.handle(i));
  if (entry == nullptr) call.failClosed("channel");
  return entry == nullptr ? nullptr : entry->channel;
}

// channelKeep(channel, bytesMax): nothing that is sent is lost to a refusal or an end.
napi_value channelKeep(napi_env env, napi_callback_info info) {
  Call<2> call(env, info);
  if (!call.isReady()) return nullptr;
  Channel* const channel = channelAt(call, 0);
  if (channel == nullptr) return nullptr;
  channel->sender->keepUntaken(call.bytesAt(1));
  channel->receiver->keepRefused();
  return call.undefined();
}

// channelTakeBack(channel) -> an aggregate of what was sent and not taken. scratch: its length
napi_value channelTakeBack(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  Channel* const channel = channelAt(call, 0);
  if (channel == nullptr) return nullptr;
  return call.newAggregate(channel->sender->takeBack());
}

// channelLook(channel) -> flags: 1 something to receive, 2 closed by the peer, 4 something in
// flight
napi_value channelLook(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  Channel* const channel = channelAt(call, 0);
  if (channel == nullptr) return nullptr;
  channel->sender->settle();
  return call.int32((channel->receiver->hasUntaken() ? 1 : 0) |
                    (channel->receiver->isSenderClosed() ? 2 : 0) |
                    (channel->sender->isSettled() ? 0 : 4));
}

// aggregateSegments(aggregate) -> how many segments it lies in; 0: more than 16. scratch: the
// number of each, and where in the aggregate it begins
napi_value aggregateSegments(napi_env env, napi_callback_info info) {
  Call<1> call(env, info);
  if (!call.isReady()) return nullptr;
  const Aggregate* const aggregate = aggregateAt(call, 0);
  if (aggregate == nullptr) return nullptr;
  constexpr int32_t kMost = 16;
  uint32_t numbers[kMost];
  int32_t count = 0;
  uint64_t at = 0;
  for (SliceIterator each(*aggregate); !each.isAtEnd(); each.next()) {
    const uint32_t number = each.slice().segment->number();
    const bool isLast = count > 0 && numbers[count - 1] == number;
    if (!isLast && std::find(numbers, numbers + count, number) == numbers + count) {
      if (count == kMost) return call.int32(0);
      numbers[count] = number;
      call.state().scratch()[count * 2] = number;
      call.state().scratch()[count * 2 + 1] = static_cast<double>(at);
      count++;
    }
    at += each.slice().length;
  }
  return call.int32(count);
}

constexpr Export kExports[] = {
    {"pipeLook", pipeLook},       {"pipeMark", pipeMark},
    {"pipePeer", pipePeer},       {"pipeIsPeer", pipeIsPeer},
    {"channelKeep", channelKeep}, {"channelTakeBack", channelTakeBack},
    {"channelLook", channelLook}, {"aggregateSegments", aggregateSegments},
};

}  // namespace

void exportPipes(EnvState& state, napi_value exports) {
  defineExports(state, exports, kExports, std::size(kExports));
}

}  // namespace iol::node
