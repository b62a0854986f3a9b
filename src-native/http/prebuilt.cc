#include "http/prebuilt.h"

#include <cstdio>
#include <ctime>
#include <iterator>
#include <string>
#include <utility>

#include "base/check.h"

namespace iol::http {
namespace {

struct ErrorText {
  uint16_t httpStatus;
  const char* reason;
};

constexpr ErrorText kErrorTexts[] = {
    {400, "Bad Request"},           {408, "Request Timeout"},
    {413, "Content Too Large"},     {414, "URI Too Long"},
    {417, "Expectation Failed"},    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"}, {501, "Not Implemented"},
    {502, "Bad Gateway"},           {503, "Service Unavailable"},
    {504, "Gateway Timeout"},       {505, "HTTP Version Not Supported"},
};

Result<Slice> sealText(Pool& pool, const std::string& text) {
  Result<Draft> draft = pool.allocate(text.size());
  if (!draft.isOk()) return draft.status();
  // Copy: CopyReason::Write.
  copyBytes(draft.value().bytes(), text.data(), text.size(), CopyReason::Write);
  return draft.value().seal(static_cast<uint32_t>(text.size()));
}

}  // namespace

void formatHttpDate(int64_t wallSeconds, char (&text)[kHttpDateBytes + 1]) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t seconds = static_cast<time_t>(wallSeconds);
  tm utc{};
  gmtime_r(&seconds, &utc);
  // Why the remainders: they tell the compiler that the text always fits.
  const int written = std::snprintf(
      text, sizeof text, "%s, %02u %s %04u %02u:%02u:%02u GMT", kDays[utc.tm_wday],
      static_cast<unsigned>(utc.tm_mday) % 100, kMonths[utc.tm_mon],
      static_cast<unsigned>(utc.tm_year + 1900) % 10000, static_cast<unsigned>(utc.tm_hour) % 100,
      static_cast<unsigned>(utc.tm_min) % 100, static_cast<unsigned>(utc.tm_sec) % 100);
  IOL_CHECK(written == static_cast<int>(kHttpDateBytes));
}

HeadEnds::HeadEnds(Pool& pool) : pool_(pool), keepAlive_(pool.domain()), close_(pool.domain()) {}

Status HeadEnds::renew(int64_t wallSeconds) {
  if (wallSeconds == wallSeconds_) return {};
  char date[kHttpDateBytes + 1];
  formatHttpDate(wallSeconds, date);
  const std::string line = std::string("Date: ") + date + "\r\nConnection: ";
  const Result<Slice> keepAlive = sealText(pool_, line + "keep-alive\r\n\r\n");
  if (!keepAlive.isOk()) return keepAlive.status();
  const Result<Slice> close = sealText(pool_, line + "close\r\n\r\n");
  if (!close.isOk()) {
    pool_.domain().release(keepAlive.value());
    return close.status();
  }
  keepAlive_.clear();
  close_.clear();
  IOL_TRY(keepAlive_.adopt(keepAlive.value()));
  IOL_TRY(close_.adopt(close.value()));
  wallSeconds_ = wallSeconds;
  return {};
}

Status ErrorAnswers::prepare() {
  answers_.reserve(std::size(kErrorTexts));
  others_.resize(std::size(kErrorTexts));
  for (const ErrorText& text : kErrorTexts) {
    const std::string body = std::to_string(text.httpStatus) + " " + text.reason + "\n";
    const std::string head = "HTTP/1.1 " + std::to_string(text.httpStatus) + " " + text.reason +
                             "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: " +
                             std::to_string(body.size()) + "\r\nCache-Control: no-store\r\n";
    const Result<Slice> both = sealText(pool_, head + body);
    if (!both.isOk()) return both.status();
    const auto headBytes = static_cast<uint32_t>(head.size());
    Answer answer(pool_.domain());
    answer.httpStatus = text.httpStatus;
    IOL_TRY(answer.head.append(both.value().part(0, headBytes)));
    IOL_TRY(answer.body.append(both.value().part(headBytes, static_cast<uint32_t>(body.size()))));
    pool_.domain().release(both.value());
    answers_.push_back(std::move(answer));
  }
  const Result<Slice> goOn = sealText(pool_, "HTTP/1.1 100 Continue\r\n\r\n");
  if (!goOn.isOk()) return goOn.status();
  return goOn_.adopt(goOn.value());
}

size_t ErrorAnswers::placeOf(uint16_t httpStatus) const {
  for (size_t i = 0; i < answers_.size(); ++i) {
    if (answers_[i].httpStatus == httpStatus) return i;
  }
  return answers_.size();
}

Result<bool> ErrorAnswers::set(uint16_t httpStatus, const Aggregate* head, const Aggregate* body) {
  const size_t place = placeOf(httpStatus);
  if (place == answers_.size()) return false;
  if (head == nullptr) {
    others_[place].reset();
    return true;
  }
  Answer answer(pool_.domain());
  answer.httpStatus = httpStatus;
  IOL_TRY(answer.head.append(*head));
  if (body != nullptr) IOL_TRY(answer.body.append(*body));
  others_[place].emplace(std::move(answer));
  return true;
}

const ErrorAnswers::Answer& ErrorAnswers::of(uint16_t httpStatus) const {
  size_t place = placeOf(httpStatus);
  if (place == answers_.size()) place = placeOf(500);
  return others_[place] ? *others_[place] : answers_[place];
}

}  // namespace iol::http
