// http/prebuilt.h: the parts of answers that the connections have ready: the end of every head,
// and whole answers for when there is nobody to ask.
//
//   answer   [status line, header lines]  [Date: ... CRLF Connection: ... CRLF CRLF]  [body]
//             the program's, or Errors     HeadEnds, made once a second               ...
//
// Ownership   owns aggregates in the window; whoever sends takes holds of his own.
// Threads     the domain's own.
// Failure     create: what Pool::allocate answers. renew keeps the old date while the pool is full.
// Cost        a look-up, or nothing.
// May include base/ sys/ window/ pool/ aggregate/
#pragma once

#include <optional>
#include <vector>

#include "aggregate/aggregate.h"
#include "base/status.h"
#include "pool/pool.h"

namespace iol::http {

enum class Persistence : uint8_t { KeepAlive, Close };

class HeadEnds {
 public:
  explicit HeadEnds(Pool& pool);

  // To be asked once per turn; does something once per second.
  Status renew(int64_t wallSeconds);
  const Aggregate& end(Persistence persistence) const {
    return persistence == Persistence::KeepAlive ? keepAlive_ : close_;
  }

 private:
  Pool& pool_;
  Aggregate keepAlive_;
  Aggregate close_;
  int64_t wallSeconds_ = -1;
};

// Answers that need no memory when they are needed: short text, no caching.
class ErrorAnswers {
 public:
  struct Answer {
    uint16_t httpStatus = 0;
    Aggregate head;
    Aggregate body;
    explicit Answer(Domain& domain) : head(domain), body(domain) {}
  };

  explicit ErrorAnswers(Pool& pool) : pool_(pool), goOn_(pool.domain()) {}
  Status prepare();
  // Another one for `httpStatus` from now on, which is kept; null: our own text. False: there is
  // no answer of that status.
  Result<bool> set(uint16_t httpStatus, const Aggregate* head, const Aggregate* body);
  // The answer for `httpStatus`, or the one for 500 when there is none such.
  const Answer& of(uint16_t httpStatus) const;
  // "100 Continue", a head and its empty line.
  const Aggregate& goOn() const { return goOn_; }

 private:
  size_t placeOf(uint16_t httpStatus) const;

  Pool& pool_;
  std::vector<Answer> answers_;
  std::vector<std::optional<Answer>> others_;  // In the place of those.
  Aggregate goOn_;
};

// "Sun, 06 Nov 1994 08:49:37 GMT", RFC 9110 section 5.6.7.
constexpr uint32_t kHttpDateBytes = 29;
void formatHttpDate(int64_t wallSeconds, char (&text)[kHttpDateBytes + 1]);

}  // namespace iol::http
