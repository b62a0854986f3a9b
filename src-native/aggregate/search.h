// aggregate/search.h: questions about the bytes of an aggregate, across slice borders.
//
// Threads     the aggregate's domain's own.
// Failure     none: kNotFound.
// Cost        no payload is moved; indexOf is memchr/memmem within slices, borders apart.
// May include base/ sys/ window/ pool/
#pragma once

#include <cstddef>
#include <cstdint>

#include "aggregate/aggregate.h"

namespace iol {

constexpr uint64_t kNotFound = ~0ull;

// First place >= `from` where `needle` begins; of an empty needle min(from, byteLength).
uint64_t indexOf(const Aggregate& bytes, const uint8_t* needle, size_t length, uint64_t from);
// Last place <= `from` where `needle` begins; of an empty needle min(from, byteLength).
uint64_t lastIndexOf(const Aggregate& bytes, const uint8_t* needle, size_t length, uint64_t from);
// Whether bytes [at, at + length) are these.
bool equalsAt(const Aggregate& bytes, uint64_t at, const uint8_t* other, size_t length);
// < 0, 0, > 0 as memcmp of all bytes, then by length.
int compare(const Aggregate& left, const Aggregate& right);

}  // namespace iol
