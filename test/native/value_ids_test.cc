// test/native/value_ids_test.cc: equal values, equal numbers; never one number for two values.

#include <string>

#include "http/value_ids.h"
#include "test.h"

namespace {

using iol::http::kIdValueBytesMax;
using iol::http::kValueIdsMax;
using iol::http::ValueIds;

uint64_t idOf(ValueIds& ids, const std::string& value) {
  return ids.idOf(reinterpret_cast<const uint8_t*>(value.data()),
                  static_cast<uint32_t>(value.size()));
}

TEST(equalValuesHaveTheSameNumber) {
  ValueIds ids;
  const uint64_t gzip = idOf(ids, "gzip");
  const uint64_t none = idOf(ids, "");
  CHECK(gzip != 0 && none != 0 && gzip != none);
  CHECK(idOf(ids, "gzi") != gzip && idOf(ids, "gzip ") != gzip && idOf(ids, "gziq") != gzip);
  CHECK_EQ(idOf(ids, "gzip"), gzip);
  CHECK_EQ(idOf(ids, ""), none);
}

TEST(aValueThatWasForgottenHasANewNumber) {
  ValueIds ids;
  const uint64_t first = idOf(ids, "first");
  uint64_t last = first;
  for (uint32_t i = 1; i < kValueIdsMax; ++i) last = idOf(ids, "value " + std::to_string(i));
  CHECK_EQ(last, first + kValueIdsMax - 1);
  CHECK_EQ(idOf(ids, "first"), first);
  idOf(ids, "one more");
  CHECK(idOf(ids, "first") > last);
}

TEST(longValuesHaveNone) {
  ValueIds ids;
  CHECK(idOf(ids, std::string(kIdValueBytesMax, 'x')) != 0);
  CHECK_EQ(idOf(ids, std::string(kIdValueBytesMax + 1, 'x')), 0u);
}

}  // namespace
