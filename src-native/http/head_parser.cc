// http/head_parser.cc: the grammar of RFC 9112 sections 2 to 5, one state per element.

#include "http/head_parser.h"

#include <algorithm>

#include "http/byte_classes.h"
#include "http/head_meaning.h"

namespace iol::http {

namespace {

// Longer than every registered method; what exceeds it is nobody's method.
constexpr uint32_t kMethodBytesMax = 32;

// The first byte from `at` on that is not of the class.
inline const uint8_t* skipBytes(const uint8_t* at, const uint8_t* end, uint8_t byteClass) {
  while (at < end && (kByteClasses[*at] & byteClass) != 0) ++at;
  return at;
}

}  // namespace

// A place in one span. `at` and `end` are within it; offsets count over all spans.
struct HeadParser::Cursor {
  const uint8_t* at;
  const uint8_t* end;
  const uint8_t* begin;
  uint32_t beginOffset;

  uint32_t offset() const { return beginOffset + static_cast<uint32_t>(at - begin); }
};

void HeadParser::reset() {
  state_ = State::kStart;
  hasMethod_ = false;
  error_ = HeadError::kNone;
  scanned_ = 0;
  versionAt_ = 0;
}

HeadResult HeadParser::refuse(HeadError error) {
  state_ = State::kRefused;
  error_ = error;
  return {HeadStatus::kRefused, error, headErrorHttpStatus(error), true, 0};
}

HeadResult HeadParser::parse(std::span<const ByteSpan> spans, RequestHead& head) {
  if (state_ == State::kRefused) return refuse(error_);
  // Only what a new head does not write anyway; the rest is set when it is complete.
  if (scanned_ == 0) head.fieldCount = 0;

  uint64_t spanOffset = 0;
  for (const ByteSpan& span : spans) {
    const uint64_t endOffset = std::min<uint64_t>(spanOffset + span.length, limits_.headBytesMax);
    if (endOffset > scanned_) {
      Cursor cursor{span.data + (scanned_ - spanOffset), span.data + (endOffset - spanOffset),
                    span.data, static_cast<uint32_t>(spanOffset)};
      HeadError error = run(cursor, head);
      scanned_ = cursor.offset();
      if (error == HeadError::kNone && state_ == State::kComplete) {
        head.byteLength = scanned_;
        error = interpretHead(HeadText(spans), head);
        if (error == HeadError::kNone) {
          reset();
          return {HeadStatus::kComplete, HeadError::kNone, 0, false, head.byteLength};
        }
      }
      if (error != HeadError::kNone) return refuse(error);
    }
    spanOffset += span.length;
    if (spanOffset >= limits_.headBytesMax) break;
  }
  if (scanned_ >= limits_.headBytesMax) {
    return refuse(state_ == State::kTarget ? HeadError::kTargetTooLong : HeadError::kHeadTooLarge);
  }
  return {};
}

HeadError HeadParser::run(Cursor& cursor, RequestHead& head) {
  while (cursor.at < cursor.end && state_ != State::kComplete) {
    const HeadError error =
        state_ < State::kFieldStart ? stepRequestLine(cursor, head) : stepField(cursor, head);
    if (error != HeadError::kNone) return error;
  }
  return HeadError::kNone;
}

HeadError HeadParser::stepRequestLine(Cursor& cursor, RequestHead& head) {
  const uint8_t byte = *cursor.at;
  switch (state_) {
    case State::kStart:
      // RFC 9112 section 2.2: some clients send an empty line after a body. One is tolerated.
      state_ = byte == '\r' ? State::kStartLf : State::kFirstByte;
      if (byte == '\r') ++cursor.at;
      return HeadError::kNone;
    case State::kStartLf:
      if (byte != '\n') return HeadError::kBareCr;
      state_ = State::kFirstByte;
      ++cursor.at;
      return HeadError::kNone;
    case State::kFirstByte:
      head.methodToken = {cursor.offset(), 0};
      state_ = State::kMethod;
      return HeadError::kNone;
    case State::kMethod: return stepMethod(cursor, head);
    case State::kTarget: return stepTarget(cursor, head);
    case State::kVersion: ++cursor.at; return stepVersion(byte, head);
    case State::kRequestLineEnd:
      if (byte == '\n') return HeadError::kBareLf;
      if (byte != '\r') return HeadError::kBadVersion;
      state_ = State::kRequestLineLf;
      ++cursor.at;
      return HeadError::kNone;
    default:  // kRequestLineLf
      if (byte != '\n') return HeadError::kBareCr;
      state_ = State::kFieldStart;
      ++cursor.at;
      return HeadError::kNone;
  }
}

HeadError HeadParser::stepMethod(Cursor& cursor, RequestHead& head) {
  cursor.at = skipBytes(cursor.at, cursor.end, kTokenByte);
  head.methodToken.length = cursor.offset() - head.methodToken.offset;
  if (head.methodToken.length > kMethodBytesMax) return HeadError::kMethodTooLong;
  if (cursor.at == cursor.end) return HeadError::kNone;
  if (*cursor.at == '\n') return HeadError::kBareLf;
  if (*cursor.at != ' ' || head.methodToken.length == 0) return HeadError::kBadMethod;
  ++cursor.at;
  head.target = {cursor.offset(), 0};
  hasMethod_ = true;
  state_ = State::kTarget;
  return HeadError::kNone;
}

HeadError HeadParser::stepTarget(Cursor& cursor, RequestHead& head) {
  cursor.at = skipBytes(cursor.at, cursor.end, kTargetByte);
  head.target.length = cursor.offset() - head.target.offset;
  if (head.target.length > limits_.targetBytesMax) return HeadError::kTargetTooLong;
  if (cursor.at == cursor.end) return HeadError::kNone;
  if (*cursor.at == '\n') return HeadError::kBareLf;
  // Why not BadTarget: "GET /" and the end of the line is HTTP/0.9.
  if (*cursor.at == '\r') return HeadError::kBadVersion;
  if (*cursor.at != ' ' || head.target.length == 0) return HeadError::kBadTarget;
  ++cursor.at;
  versionAt_ = 0;
  state_ = State::kVersion;
  return HeadError::kNone;
}

HeadError HeadParser::stepVersion(uint8_t byte, RequestHead& head) {
  // '1' stands for any digit: a wrong one is another version, not another protocol.
  static constexpr char kVersion[] = "HTTP/1.1";
  const char wanted = kVersion[versionAt_];
  if (wanted != '1') {
    if (byte != wanted) return HeadError::kBadVersion;
  } else {
    if (!isByte(byte, kDigitByte)) return HeadError::kBadVersion;
    if (byte > '1' || (byte == '0' && versionAt_ == 5)) return HeadError::kVersionNotSupported;
    head.versionMinor = static_cast<uint8_t>(byte - '0');
  }
  if (++versionAt_ == sizeof(kVersion) - 1) state_ = State::kRequestLineEnd;
  return HeadError::kNone;
}

// Goes on through as many fields as there are bytes: the states follow each other in one order, and
// each begins where the one before has seen its last byte.
HeadError HeadParser::stepField(Cursor& cursor, RequestHead& head) {
  HeadError error = HeadError::kNone;
  while (cursor.at < cursor.end && error == HeadError::kNone) {
    switch (state_) {
      case State::kFieldStart: error = stepFieldStart(cursor, head); break;
      case State::kFieldName:
        error = stepFieldName(cursor, head);
        if (state_ != State::kValueStart) break;
        [[fallthrough]];
      case State::kValueStart:
        while (cursor.at < cursor.end && (*cursor.at == ' ' || *cursor.at == '\t')) ++cursor.at;
        if (cursor.at == cursor.end) break;
        head.fields[head.fieldCount].value = {cursor.offset(), 0};
        state_ = State::kValue;
        [[fallthrough]];
      case State::kValue:
        error = stepValue(cursor, head);
        if (state_ != State::kValueLf || cursor.at == cursor.end) break;
        [[fallthrough]];
      case State::kValueLf:
        if (*cursor.at != '\n') return HeadError::kBareCr;
        ++head.fieldCount;
        state_ = State::kFieldStart;
        ++cursor.at;
        break;
      case State::kHeadLf:
        if (*cursor.at != '\n') return HeadError::kBareCr;
        state_ = State::kComplete;
        ++cursor.at;
        return HeadError::kNone;
      default: return error;
    }
  }
  return error;
}

HeadError HeadParser::stepFieldStart(Cursor& cursor, RequestHead& head) {
  const uint8_t byte = *cursor.at;
  if (byte == '\r') {
    state_ = State::kHeadLf;
    ++cursor.at;
    return HeadError::kNone;
  }
  if (byte == '\n') return HeadError::kBareLf;
  if (byte == ' ' || byte == '\t') return HeadError::kFoldedLine;
  if (head.fieldCount >= std::min(limits_.fieldsMax, kHeaderFieldsMax)) {
    return HeadError::kTooManyFields;
  }
  head.fields[head.fieldCount].name = {cursor.offset(), 0};
  state_ = State::kFieldName;
  return HeadError::kNone;
}

HeadError HeadParser::stepFieldName(Cursor& cursor, RequestHead& head) {
  HeadRange& name = head.fields[head.fieldCount].name;
  cursor.at = skipBytes(cursor.at, cursor.end, kTokenByte);
  if (cursor.at == cursor.end) return HeadError::kNone;
  name.length = cursor.offset() - name.offset;
  if (*cursor.at == '\n') return HeadError::kBareLf;
  if (*cursor.at != ':' || name.length == 0) return HeadError::kBadFieldName;
  ++cursor.at;
  state_ = State::kValueStart;
  return HeadError::kNone;
}

HeadError HeadParser::stepValue(Cursor& cursor, RequestHead& head) {
  HeadRange& value = head.fields[head.fieldCount].value;
  const uint8_t* const first = cursor.at;
  cursor.at = skipBytes(cursor.at, cursor.end, kValueByte);
  // The value ends after the last byte that is no white space; this piece may have none.
  const uint8_t* last = cursor.at;
  while (last > first && (last[-1] == ' ' || last[-1] == '\t')) --last;
  if (last > first) {
    value.length = cursor.offset() - static_cast<uint32_t>(cursor.at - last) - value.offset;
  }
  if (cursor.at == cursor.end) return HeadError::kNone;
  if (*cursor.at == '\n') return HeadError::kBareLf;
  if (*cursor.at != '\r') return HeadError::kBadFieldValue;
  ++cursor.at;
  state_ = State::kValueLf;
  return HeadError::kNone;
}

const char* headErrorName(HeadError error) {
  switch (error) {
#define IOL_HEAD_ERROR(name, status, text) \
  case HeadError::k##name:                 \
    return #name;
#include "http/head_errors.def"
#undef IOL_HEAD_ERROR
  }
  return "";
}

const char* headErrorText(HeadError error) {
  switch (error) {
#define IOL_HEAD_ERROR(name, status, text) \
  case HeadError::k##name:                 \
    return text;
#include "http/head_errors.def"
#undef IOL_HEAD_ERROR
  }
  return "";
}

uint16_t headErrorHttpStatus(HeadError error) {
  switch (error) {
#define IOL_HEAD_ERROR(name, status, text) \
  case HeadError::k##name:                 \
    return status;
#include "http/head_errors.def"
#undef IOL_HEAD_ERROR
  }
  return 500;
}

}  // namespace iol::http
