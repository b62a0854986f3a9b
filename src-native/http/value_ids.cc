#include "http/value_ids.h"

#include <algorithm>

#include "base/copy.h"

namespace iol::http {

bool ValueIds::Value::is(const uint8_t* other, uint32_t otherLength) const {
  return id != 0 && length == otherLength && std::equal(other, other + otherLength, bytes);
}

uint64_t ValueIds::idOf(const uint8_t* bytes, uint32_t length) {
  if (length > kIdValueBytesMax) return 0;
  if (values_[recent_].is(bytes, length)) return values_[recent_].id;
  for (uint32_t index = 0; index < kValueIdsMax; ++index) {
    if (!values_[index].is(bytes, length)) continue;
    recent_ = index;
    return values_[index].id;
  }
  // The oldest makes room.
  recent_ = static_cast<uint32_t>(lastId_ % kValueIdsMax);
  Value& value = values_[recent_];
  value.id = ++lastId_;
  value.length = length;
  copyBytes(value.bytes, bytes, length, CopyReason::Head);
  return value.id;
}

}  // namespace iol::http
