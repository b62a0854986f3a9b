#include "http/answer_log.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/copy.h"
#include "http/connections.h"
#include "sys/tcp_socket.h"

namespace iol::http {
namespace {

// As much of a part as a field of Facts can count.
constexpr uint32_t kPartBytesMax = 0xffff;

HeadRange valueOf(const RequestHead& head, const HeadText& text, std::string_view name) {
  for (uint32_t i = 0; i < head.fieldCount; ++i) {
    if (text.equalsIgnoringCase(head.fields[i].name, name)) return head.fields[i].value;
  }
  return {};
}

}  // namespace

void AnswerLog::set(Format format, uint32_t bytesMax) {
  dropped_ += waiting_;
  waiting_ = used_ = 0;
  bytes_ = {};
  joined_ = {};
  format_ = format;
  bytesMax_ = bytesMax;
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
  LoggedAnswer answer;
  answer.wallSeconds = wallSeconds;
  answer.bodyBytes =
      exchange.sentBytes > exchange.headBytes ? exchange.sentBytes - exchange.headBytes : 0;
  answer.durationMs = static_cast<uint32_t>(
      std::clamp<int64_t>(exchange.startedMs == 0 ? 0 : nowMs - exchange.startedMs, 0, UINT32_MAX));
  answer.httpStatus = exchange.httpStatus;
  answer.versionMinor = head.versionMinor;
  answer.isComplete = exchange.phase == Phase::Complete && exchange.out.byteLength() == 0;
  if (connection.client) answer.client = connection.client->host;
  joined_.clear();
  if (exchange.received.length > 0) {  // Else it was refused before it was a request.
    answer.method = partOf(text, head.methodToken);
    answer.target = partOf(text, head.target);
    if (head.has(KnownHeader::kHost)) answer.host = partOf(text, head.valueOf(KnownHeader::kHost));
    if (format_ != Format::Common) {
      answer.referer = partOf(text, valueOf(head, text, "referer"));
      answer.userAgent = partOf(text, valueOf(head, text, "user-agent"));
    }
  }
  hasLines() ? addLine(answer) : addRecord(answer);
}

// The bytes in one piece, until the next answer.
std::string_view AnswerLog::partOf(const HeadText& text, HeadRange range) {
  if (range.length == 0) return {};
  range.length = std::min(range.length, kPartBytesMax);
  if (const uint8_t* bytes = text.contiguous(range); bytes != nullptr) {
    return {reinterpret_cast<const char*>(bytes), range.length};
  }
  joined_.reserve(kHeadBytesLimit);  // Of all parts, so that it never moves.
  const size_t from = joined_.size();
  ByteWalk walk = text.walk(range);
  for (int byte = walk.next(); byte >= 0; byte = walk.next()) {
    joined_.push_back(static_cast<char>(byte));
  }
  countCopy(range.length, CopyReason::Log);
  return {joined_.data() + from, range.length};
}

uint8_t* AnswerLog::roomFor(size_t bytes) {
  if (bytes_.size() < used_ + bytes) bytes_.resize(used_ + bytes);
  return bytes_.data() + used_;
}

void AnswerLog::addRecord(const LoggedAnswer& answer) {
  const std::string_view parts[] = {answer.client, answer.method,  answer.target,
                                    answer.host,   answer.referer, answer.userAgent};
  Facts facts{};
  static_assert(std::size(parts) == std::size(facts.partBytes));
  size_t length = sizeof facts;
  for (size_t i = 0; i < std::size(parts); ++i) {
    facts.partBytes[i] = static_cast<uint16_t>(parts[i].size());
    length += parts[i].size();
  }
  length = (length + 7) & ~size_t{7};
  facts.wallSeconds = static_cast<double>(answer.wallSeconds);
  facts.bodyBytes = static_cast<double>(answer.bodyBytes);
  facts.recordBytes = static_cast<uint32_t>(length);
  facts.durationMs = answer.durationMs;
  facts.httpStatus = answer.httpStatus;
  facts.versionMinor = answer.versionMinor;
  facts.isComplete = answer.isComplete ? 1 : 0;
  uint8_t* to = roomFor(length);
  to = std::copy_n(reinterpret_cast<const uint8_t*>(&facts), sizeof facts, to);
  for (const std::string_view part : parts) {
    to = std::copy_n(reinterpret_cast<const uint8_t*>(part.data()), part.size(), to);
  }
  keep(length);
}

void AnswerLog::addLine(const LoggedAnswer& answer) {
  time_.renew(answer.wallSeconds);
  uint8_t* const from = roomFor(lineBytesMax(answer));
  uint8_t* end = from;
  switch (format_) {
    case Format::Common: end = writeCommon(from, answer, time_); break;
    case Format::Combined: end = writeCombined(from, answer, time_); break;
    case Format::Json: end = writeJson(from, answer, time_); break;
    case Format::Records: break;
  }
  keep(static_cast<size_t>(end - from));
}

// What was written behind the others is one more of them, if that many may be.
void AnswerLog::keep(size_t bytes) {
  if (used_ + bytes > bytesMax_) {
    ++dropped_;
    return;
  }
  used_ += static_cast<uint32_t>(bytes);
  ++waiting_;
  countCopy(bytes, CopyReason::Log);
}

uint32_t AnswerLog::take(uint8_t* to, uint32_t bytesMax) {
  const uint32_t length = used_;
  if (length == 0 || length > bytesMax) return 0;
  copyBytes(to, bytes_.data(), length, CopyReason::Log);
  taken_ += waiting_;
  waiting_ = used_ = 0;
  return length;
}

}  // namespace iol::http
