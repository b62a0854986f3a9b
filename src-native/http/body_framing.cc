// http/body_framing.cc: RFC 9112 section 7.1, one state per grammar element.

#include "http/body_framing.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "http/byte_classes.h"

namespace iol::http {

namespace {

// RFC 9110 section 6.5.1: what a message's end or its connection depends on is no trailer.
constexpr std::array<std::string_view, 3> kForbiddenTrailers = {"connection", "content-length",
                                                                "transfer-encoding"};

uint64_t hexValue(uint8_t byte) { return byte <= '9' ? byte - '0' : lowerAscii(byte) - 'a' + 10u; }

}  // namespace

BodyFraming::BodyFraming(const RequestHead& head, const BodyLimits& limits)
    : limits_(limits), state_(State::kDone) {
  if (head.method == Method::kConnect) return;
  if (head.isChunked) {
    state_ = State::kSizeStart;
  } else if (head.hasContentLength && head.contentLength > 0) {
    state_ = State::kLengthData;
    remaining_ = head.contentLength;
  }
}

BodyStep BodyFraming::step(ByteSpan bytes) {
  BodyStep result;
  uint32_t at = 0;
  while (at < bytes.length && state_ > State::kChunkData && state_ < State::kDone) {
    error_ = stepFraming(bytes.data[at]);
    if (error_ != BodyError::kNone) {
      state_ = State::kRefused;
      break;
    }
    ++at;
  }
  result.framingBytes = at;
  if (state_ <= State::kChunkData) {
    result.bodyBytes = static_cast<uint32_t>(std::min<uint64_t>(remaining_, bytes.length - at));
    remaining_ -= result.bodyBytes;
    bodyBytes_ += result.bodyBytes;
    if (remaining_ == 0) {
      state_ = state_ == State::kLengthData ? State::kDone : State::kChunkDataCr;
    }
  }
  result.error = error_;
  if (state_ == State::kDone) result.status = BodyStatus::kDone;
  if (state_ == State::kRefused) result.status = BodyStatus::kRefused;
  return result;
}

BodyError BodyFraming::stepFraming(uint8_t byte) {
  if (state_ >= State::kTrailerStart) return stepTrailer(byte);
  if (state_ >= State::kExtensionStart) return stepExtension(byte);
  if (state_ >= State::kSizeStart) return stepSize(byte);
  if (state_ == State::kChunkDataCr) {
    if (byte != '\r') return BodyError::kBadChunkEnd;
    state_ = State::kChunkDataLf;
  } else {
    if (byte != '\n') return BodyError::kBadChunkEnd;
    state_ = State::kSizeStart;
  }
  return BodyError::kNone;
}

BodyError BodyFraming::stepSize(uint8_t byte) {
  if (state_ == State::kSizeLf) {
    if (byte != '\n') return BodyError::kBadChunkSize;
    state_ = remaining_ > 0 ? State::kChunkData : State::kTrailerStart;
    return BodyError::kNone;
  }
  if (isByte(byte, kHexByte)) {
    if (state_ == State::kSizeStart) {
      remaining_ = 0;
      sizeDigits_ = 0;
      state_ = State::kSize;
    }
    // 16 digits are 64 bits; leading zeros count, so that the line stays short.
    if (++sizeDigits_ > 16) return BodyError::kChunkTooLarge;
    remaining_ = remaining_ << 4 | hexValue(byte);
    return BodyError::kNone;
  }
  if (state_ == State::kSizeStart) return BodyError::kBadChunkSize;
  return endSizeLine(byte, BodyError::kBadChunkSize);
}

// What may follow a chunk size or a whole extension: another extension or the end of the line.
BodyError BodyFraming::endSizeLine(uint8_t byte, BodyError otherwise) {
  if (byte == ';') {
    state_ = State::kExtensionStart;
    return BodyError::kNone;
  }
  if (byte != '\r') return otherwise;
  state_ = State::kSizeLf;
  return BodyError::kNone;
}

BodyError BodyFraming::stepExtension(uint8_t byte) {
  constexpr BodyError kBad = BodyError::kBadChunkExtension;
  if (++extensionBytes_ > limits_.extensionBytesMax) return BodyError::kChunkExtensionsTooLong;
  const bool isToken = isByte(byte, kTokenByte);
  switch (state_) {
    case State::kExtensionStart:
      state_ = State::kExtensionName;
      return isToken ? BodyError::kNone : kBad;
    case State::kExtensionName:
      if (isToken) return BodyError::kNone;
      if (byte != '=') return endSizeLine(byte, kBad);
      state_ = State::kExtensionValueStart;
      return BodyError::kNone;
    case State::kExtensionValueStart:
      state_ = byte == '"' ? State::kExtensionQuoted : State::kExtensionToken;
      return isToken || byte == '"' ? BodyError::kNone : kBad;
    case State::kExtensionToken: return isToken ? BodyError::kNone : endSizeLine(byte, kBad);
    case State::kExtensionQuoted:
      if (byte == '"') state_ = State::kExtensionQuotedEnd;
      if (byte == '\\') state_ = State::kExtensionEscape;
      return isByte(byte, kValueByte) ? BodyError::kNone : kBad;
    case State::kExtensionEscape:
      state_ = State::kExtensionQuoted;
      return isByte(byte, kValueByte) ? BodyError::kNone : kBad;
    default:  // kExtensionQuotedEnd
      return endSizeLine(byte, kBad);
  }
}

// Compares the name of a trailer with the forbidden ones as it comes; true at the end of one.
bool BodyFraming::isForbiddenTrailer(uint8_t byte) {
  bool isForbidden = false;
  for (uint32_t index = 0; index < kForbiddenTrailers.size(); ++index) {
    const std::string_view name = kForbiddenTrailers[index];
    const uint32_t bit = 1u << index;
    if ((trailerMatches_ & bit) == 0) continue;
    if (byte == ':') {
      isForbidden = isForbidden || trailerNameAt_ == name.size();
    } else if (trailerNameAt_ >= name.size() ||
               lowerAscii(byte) != static_cast<uint8_t>(name[trailerNameAt_])) {
      trailerMatches_ &= ~bit;
    }
  }
  ++trailerNameAt_;
  return isForbidden;
}

BodyError BodyFraming::stepTrailer(uint8_t byte) {
  if (++trailerBytes_ > limits_.trailerBytesMax) return BodyError::kTrailersTooLong;
  switch (state_) {
    case State::kTrailerStart:
      state_ = byte == '\r' ? State::kEndLf : State::kTrailerName;
      if (byte == '\r') return BodyError::kNone;
      trailerNameAt_ = 0;
      trailerMatches_ = (1u << kForbiddenTrailers.size()) - 1;
      (void)isForbiddenTrailer(byte);
      return isByte(byte, kTokenByte) ? BodyError::kNone : BodyError::kBadTrailer;
    case State::kTrailerName:
      if (isForbiddenTrailer(byte)) return BodyError::kForbiddenTrailer;
      if (byte == ':') state_ = State::kTrailerValue;
      return byte == ':' || isByte(byte, kTokenByte) ? BodyError::kNone : BodyError::kBadTrailer;
    case State::kTrailerValue:
      if (byte == '\r') state_ = State::kTrailerLf;
      return byte == '\r' || isByte(byte, kValueByte) ? BodyError::kNone : BodyError::kBadTrailer;
    case State::kTrailerLf:
      state_ = State::kTrailerStart;
      return byte == '\n' ? BodyError::kNone : BodyError::kBadTrailer;
    default:  // kEndLf
      state_ = State::kDone;
      return byte == '\n' ? BodyError::kNone : BodyError::kBadTrailer;
  }
}

const char* bodyErrorName(BodyError error) {
  switch (error) {
#define IOL_BODY_ERROR(name, status, text) \
  case BodyError::k##name:                 \
    return #name;
#include "http/body_errors.def"
#undef IOL_BODY_ERROR
  }
  return "";
}

const char* bodyErrorText(BodyError error) {
  switch (error) {
#define IOL_BODY_ERROR(name, status, text) \
  case BodyError::k##name:                 \
    return text;
#include "http/body_errors.def"
#undef IOL_BODY_ERROR
  }
  return "";
}

uint16_t bodyErrorHttpStatus(BodyError error) {
  switch (error) {
#define IOL_BODY_ERROR(name, status, text) \
  case BodyError::k##name:                 \
    return status;
#include "http/body_errors.def"
#undef IOL_BODY_ERROR
  }
  return 500;
}

}  // namespace iol::http
