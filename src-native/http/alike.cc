#include "http/alike.h"

#include <bit>
#include <cstring>
#include <functional>
#include <string_view>

#include "base/copy.h"

namespace iol::http {
namespace {

constexpr char kEnd = '\n';  // Is in no target and in no value.

bool hasBody(const RequestHead& head) {
  return head.hasContentLength || head.isChunked || head.expectation != Expectation::kNone;
}

// The headers among `bits`, the lowest first, while `visit` says to go on.
template <typename Visit>
bool forEachHeader(uint32_t bits, Visit visit) {
  for (; bits != 0; bits &= bits - 1) {
    if (!visit(static_cast<KnownHeader>(std::countr_zero(bits)))) return false;
  }
  return true;
}

}  // namespace

std::optional<uint64_t> Likeness::hashOf(const RequestHead& head, const HeadText& text) {
  if (hasBody(head) || head.method == Method::kOther) return std::nullopt;
  const uint8_t* bytes = text.contiguous(head.target);
  if (bytes == nullptr) return std::nullopt;
  const std::string_view target(reinterpret_cast<const char*>(bytes), head.target.length);
  return std::hash<std::string_view>()(target) + static_cast<uint64_t>(head.method);
}

std::optional<Likeness> Likeness::of(const RequestHead& head, const HeadText& text, uint32_t uses) {
  if (!hashOf(head, text) || (head.repeatedHeaders & uses) != 0) return std::nullopt;
  Likeness likeness;
  likeness.uses_ = uses;
  likeness.present_ = head.knownHeaders & uses;
  likeness.method_ = head.method;
  likeness.versionMinor_ = head.versionMinor;
  likeness.targetBytes_ = head.target.length;
  std::string& bytes = likeness.bytes_;
  const auto add = [&](HeadRange range) {
    const uint8_t* from = text.contiguous(range);
    if (from == nullptr || bytes.size() + range.length >= kLikenessBytesMax) return false;
    bytes.append(reinterpret_cast<const char*>(from), range.length).push_back(kEnd);
    return true;
  };
  const bool isShort = add(head.target) && forEachHeader(likeness.present_, [&](KnownHeader each) {
                         return add(head.valueOf(each));
                       });
  if (!isShort) return std::nullopt;
  countCopy(bytes.size(), CopyReason::Head);
  return likeness;
}

bool Likeness::isOf(const RequestHead& head, const HeadText& text) const {
  if (head.method != method_ || head.versionMinor != versionMinor_ || hasBody(head) ||
      (head.knownHeaders & uses_) != present_ || (head.repeatedHeaders & uses_) != 0 ||
      head.target.length != targetBytes_) {
    return false;
  }
  size_t at = 0;
  const auto isNext = [&](HeadRange range) {
    const uint8_t* bytes = text.contiguous(range);
    if (bytes == nullptr || bytes_.size() - at <= range.length ||
        bytes_[at + range.length] != kEnd ||
        std::memcmp(bytes_.data() + at, bytes, range.length) != 0) {
      return false;
    }
    at += range.length + 1;
    return true;
  };
  const bool isSame = isNext(head.target) && forEachHeader(present_, [&](KnownHeader each) {
                        return isNext(head.valueOf(each));
                      });
  return isSame && at == bytes_.size();
}

}  // namespace iol::http
