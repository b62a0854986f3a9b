#include "http/answer_log.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>

#include "base/copy.h"
#include "http/connections.h"
#include "sys/tcp_socket.h"

namespace iol::http {
namespace {

// A part of a head that is to be logged: where it is, and no longer than a field of Facts says.
constexpr uint32_t kPartBytesMax = 0xffff;

HeadRange bounded(HeadRange range) { return {range.offset, std::min(range.length, kPartBytesMax)}; }

HeadRange valueOf(const RequestHead& head, const HeadText& text, std::string_view name) {
  for (uint32_t i = 0; i < head.fieldCount; ++i) {
    if (text.equalsIgnoringCase(head.fields[i].name, name)) return bounded(head.fields[i].value);
  }
  return {};
}

}  // namespace

void AnswerLog::setBytesMax(uint32_t bytesMax) {
  bytesMax_ = bytesMax;
  if (bytesMax == 0) bytes_ = {};
}

void AnswerLog::begin(Connection& connection, Exchange& exchange, int64_t nowMs) const {
  exchange.startedMs = nowMs;
  if (connection.client) return;
  const Result<sys::Endpoint> client = sys::remoteEndpoint(connection.fd);
  if (client.isOk()) connection.client = client.value();
}

void AnswerLog::add(const Connection& connection, const Exchange& exchange, int64_t nowMs,
                    int64_t wallSeconds) {
  ByteSpan storage[kSpansMax];
  const uint32_t count = exchange.received.fill(storage, kSpansMax);
  const HeadText text(std::span<const ByteSpan>(storage, count));
  const RequestHead& head = exchange.head;
  HeadRange parts[5] = {};
  if (exchange.received.length > 0) {  // Else it was refused before it was a request.
    parts[0] = bounded(head.methodToken);
    parts[1] = bounded(head.target);
    parts[2] =
        head.has(KnownHeader::kHost) ? bounded(head.valueOf(KnownHeader::kHost)) : HeadRange{};
    parts[3] = valueOf(head, text, "referer");
    parts[4] = valueOf(head, text, "user-agent");
  }
  const char* client = connection.client ? connection.client->host : "";
  const size_t clientBytes = std::strlen(client);
  size_t length = sizeof(Facts) + clientBytes;
  for (const HeadRange& part : parts) length += part.length;
  length = (length + 7) & ~size_t{7};
  if (length > bytesMax_ - bytes_.size()) {
    ++dropped_;
    return;
  }
  Facts facts{};
  facts.wallSeconds = static_cast<double>(wallSeconds);
  facts.bodyBytes = static_cast<double>(
      exchange.sentBytes > exchange.headBytes ? exchange.sentBytes - exchange.headBytes : 0);
  facts.recordBytes = static_cast<uint32_t>(length);
  facts.durationMs = static_cast<uint32_t>(
      std::clamp<int64_t>(exchange.startedMs == 0 ? 0 : nowMs - exchange.startedMs, 0, UINT32_MAX));
  facts.httpStatus = exchange.httpStatus;
  facts.versionMinor = head.versionMinor;
  facts.isComplete = exchange.phase == Phase::Complete && exchange.out.byteLength() == 0 ? 1 : 0;
  facts.partBytes[0] = static_cast<uint16_t>(clientBytes);
  for (size_t i = 0; i < std::size(parts); ++i) {
    facts.partBytes[i + 1] = static_cast<uint16_t>(parts[i].length);
  }
  const size_t from = bytes_.size();
  bytes_.resize(from + length);
  uint8_t* to = bytes_.data() + from;
  to = std::copy_n(reinterpret_cast<const uint8_t*>(&facts), sizeof facts, to);
  to = std::copy_n(reinterpret_cast<const uint8_t*>(client), clientBytes, to);
  for (const HeadRange& part : parts) {
    if (const uint8_t* bytes = text.contiguous(part); bytes != nullptr && part.length > 0) {
      to = std::copy_n(bytes, part.length, to);
    } else {
      ByteWalk walk = text.walk(part);
      for (int byte = walk.next(); byte >= 0; byte = walk.next())
        *to++ = static_cast<uint8_t>(byte);
    }
  }
  countCopy(length, CopyReason::Log);
}

uint32_t AnswerLog::take(uint8_t* to, uint32_t bytesMax) {
  const uint32_t length = byteLength();
  if (length == 0 || length > bytesMax) return 0;
  copyBytes(to, bytes_.data(), length, CopyReason::Log);
  bytes_.clear();
  return length;
}

}  // namespace iol::http
