// The lines of access logs, byte for byte, and the log that keeps them.
#include "http/answer_line.h"

#include "http_world.h"

namespace iol::test {
namespace {

using http::AnswerLog;
using http::LoggedAnswer;
using http::LogTime;
using Write = uint8_t* (*)(uint8_t*, const LoggedAnswer&, const LogTime&);

std::string lineOf(Write write, const LoggedAnswer& answer) {
  LogTime time;
  time.renew(answer.wallSeconds);
  std::string line(http::lineBytesMax(answer), '\0');
  auto* const from = reinterpret_cast<uint8_t*>(line.data());
  const auto written = static_cast<size_t>(write(from, answer, time) - from);
  CHECK(written <= line.size());
  line.resize(written);
  return line;
}

LoggedAnswer usualAnswer() {
  LoggedAnswer answer;
  answer.wallSeconds = 951'827'696;  // 2000-02-29T12:34:56Z
  answer.bodyBytes = 2326;
  answer.durationMs = 7;
  answer.httpStatus = 200;
  answer.versionMinor = 1;
  answer.isComplete = true;
  answer.client = "192.0.2.7";
  answer.method = "GET";
  answer.target = "/a?b";
  answer.host = "h:80";
  answer.referer = "http://r/";
  answer.userAgent = "me (1.0)";
  return answer;
}

TEST(eachFormatOfALogIsWhatToolsRead) {
  const LoggedAnswer answer = usualAnswer();
  const std::string common =
      "192.0.2.7 - - [29/Feb/2000:12:34:56 +0000] \"GET /a?b HTTP/1.1\" 200 2326";
  CHECK_EQ(lineOf(http::writeCommon, answer), common + "\n");
  CHECK_EQ(lineOf(http::writeCombined, answer), common + " \"http://r/\" \"me (1.0)\"\n");
  CHECK_EQ(lineOf(http::writeJson, answer),
           "{\"time\":\"2000-02-29T12:34:56.000Z\",\"status\":200,\"bodyBytes\":2326,"
           "\"durationMs\":7,\"versionMinor\":1,\"isComplete\":true,\"client\":\"192.0.2.7\","
           "\"method\":\"GET\",\"target\":\"/a?b\",\"host\":\"h:80\",\"referer\":\"http://r/\","
           "\"userAgent\":\"me (1.0)\"}\n");
}

TEST(whatALogDoesNotKnowIsADashAndWhoLeftIs499) {
  const LoggedAnswer nothing;
  const std::string common = "- - - [01/Jan/1970:00:00:00 +0000] \"-\" 499 -";
  CHECK_EQ(lineOf(http::writeCommon, nothing), common + "\n");
  CHECK_EQ(lineOf(http::writeCombined, nothing), common + " \"-\" \"-\"\n");
  CHECK_EQ(lineOf(http::writeJson, nothing),
           "{\"time\":\"1970-01-01T00:00:00.000Z\",\"status\":499,\"bodyBytes\":0,"
           "\"durationMs\":0,\"versionMinor\":0,\"isComplete\":false,\"client\":\"\","
           "\"method\":\"\",\"target\":\"\",\"host\":\"\",\"referer\":\"\",\"userAgent\":\"\"}\n");
}

TEST(theLargestNumbersOfALogHaveRoom) {
  LoggedAnswer answer;
  answer.bodyBytes = UINT64_MAX;
  answer.durationMs = UINT32_MAX;
  answer.httpStatus = 599;
  answer.versionMinor = UINT8_MAX;
  for (const Write write : {http::writeCommon, http::writeCombined, http::writeJson}) {
    CHECK(lineOf(write, answer).find("18446744073709551615") != std::string::npos);
  }
}

std::string hexOf(uint8_t byte) {
  char text[3];
  std::snprintf(text, sizeof text, "%02x", byte);
  return text;
}

TEST(everyByteIsEscapedAsHttpdDoes) {
  for (unsigned each = 0; each < 256; ++each) {
    const auto byte = static_cast<uint8_t>(each);
    const std::string text(1, static_cast<char>(byte));
    std::string wanted = "\\x" + hexOf(byte);
    if (byte >= 32 && byte < 127) wanted = text;
    if (byte == 34 || byte == 92) wanted = "\\" + text;
    LoggedAnswer answer = usualAnswer();
    answer.target = answer.referer = answer.userAgent = text;
    CHECK_EQ(lineOf(http::writeCombined, answer),
             "192.0.2.7 - - [29/Feb/2000:12:34:56 +0000] \"GET " + wanted +
                 " HTTP/1.1\" 200 2326 \"" + wanted + "\" \"" + wanted + "\"\n");
  }
}

// ECMA-262, QuoteJSONString; a byte is the character of that number, as UTF-8.
std::string jsonOf(uint8_t byte) {
  switch (byte) {
    case 8: return "\\b";
    case 9: return "\\t";
    case 10: return "\\n";
    case 12: return "\\f";
    case 13: return "\\r";
    case 34: return "\\\"";
    case 92: return "\\\\";
    default: break;
  }
  if (byte < 32) return "\\u00" + hexOf(byte);
  if (byte < 128) return std::string(1, static_cast<char>(byte));
  return std::string(byte < 192 ? "\xc2" : "\xc3") + static_cast<char>(128 + byte % 64);
}

TEST(everyByteIsEscapedAsJsonStringifyDoes) {
  const std::string usual = lineOf(http::writeJson, usualAnswer());
  const std::string before = usual.substr(0, usual.find("\"192.0.2.7\""));
  for (unsigned each = 0; each < 256; ++each) {
    const auto byte = static_cast<uint8_t>(each);
    const std::string text(1, static_cast<char>(byte));
    LoggedAnswer answer = usualAnswer();
    answer.client = answer.method = answer.target = answer.host = text;
    answer.referer = answer.userAgent = text;
    const std::string wanted = "\"" + jsonOf(byte) + "\"";
    CHECK_EQ(lineOf(http::writeJson, answer),
             before + wanted + ",\"method\":" + wanted + ",\"target\":" + wanted + ",\"host\":" +
                 wanted + ",\"referer\":" + wanted + ",\"userAgent\":" + wanted + "}\n");
  }
}

TEST(aLineThatIsAllEscapesHasRoom) {
  const std::string worst(5000, '\x01');
  LoggedAnswer answer = usualAnswer();
  answer.method = answer.target = answer.host = answer.referer = answer.userAgent = worst;
  CHECK(lineOf(http::writeJson, answer).size() > 5 * 6 * worst.size());
  answer.method = "GET";
  CHECK(lineOf(http::writeCombined, answer).size() > 3 * 4 * worst.size());
}

TEST(theTimeOfALogMovesWithTheClock) {
  LogTime time;
  time.renew(951'827'696);
  CHECK_EQ(std::string(time.common()), "29/Feb/2000:12:34:56 +0000");
  time.renew(951'827'696 + 86'400);
  CHECK_EQ(std::string(time.common()), "01/Mar/2000:12:34:56 +0000");
  CHECK_EQ(std::string(time.iso()), "2000-03-01T12:34:56.000Z");
}

std::string take(AnswerLog& log) {
  std::string bytes(log.byteLength(), '\0');
  const auto length = static_cast<uint32_t>(bytes.size());
  CHECK_EQ(log.take(reinterpret_cast<uint8_t*>(bytes.data()), length), length);
  return bytes;
}

// As MovedClock and get() have it.
std::string common(const std::string& target, const std::string& bytes) {
  return "127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] \"GET " + target + " HTTP/1.1\" 200 " + bytes;
}

TEST(aLogHasALineForEachAnswerInTheirOrder) {
  HttpWorld world;
  world.answerEverything("hello");
  AnswerLog& log = world.connections->log();
  log.set(AnswerLog::Format::Common, 1 << 20);
  Client client(world.port);
  client.send(get("/0") + get("/1"));
  REQUIRE(world.until([&] { return world.stats().requests == 2; }));
  uint8_t small[8];
  CHECK_EQ(log.take(small, sizeof small), 0u);  // Nothing is cut, and nothing lost.
  CHECK_EQ(take(log), common("/0", "5\n") + common("/1", "5\n"));
  CHECK_EQ(log.taken(), 2u);
  CHECK_EQ(log.byteLength(), 0u);
}

TEST(aHeadInSeveralBuffersIsLoggedWhole) {
  HttpWorld world;
  world.answerEverything("hello");
  AnswerLog& log = world.connections->log();
  log.set(AnswerLog::Format::Combined, 1 << 20);
  const std::string target = "/" + std::string(3000, 't');
  const std::string referer(6000, 'r');
  const std::string agent(5000, 'a');
  Client client(world.port);
  client.send(get(target, "referer: " + referer + "\r\nUSER-AGENT: " + agent + "\r\n"));
  REQUIRE(world.until([&] { return world.stats().requests == 1; }));
  CHECK(take(log) == common(target, "5 \"") + referer + "\" \"" + agent + "\"\n");
}

TEST(aLogThatIsFullDropsWholeLinesAndCountsThem) {
  HttpWorld world;
  world.answerEverything("hello");
  AnswerLog& log = world.connections->log();
  const std::string line = common("/0", "5\n");
  log.set(AnswerLog::Format::Common, static_cast<uint32_t>(2 * line.size()));
  Client client(world.port);
  for (int i = 0; i < 5; ++i) client.send(get("/0"));
  REQUIRE(world.until([&] { return world.stats().requests == 5; }));
  CHECK_EQ(log.dropped(), 3u);
  CHECK_EQ(take(log), line + line);
  client.send(get("/0"));
  REQUIRE(world.until([&] { return world.stats().requests == 6; }));
  CHECK_EQ(take(log), line);
  CHECK_EQ(log.taken(), 3u);
}

TEST(whatWaitsWhenALogIsSetAnewIsDroppedAndCounted) {
  HttpWorld world;
  world.answerEverything("hello");
  AnswerLog& log = world.connections->log();
  log.set(AnswerLog::Format::Common, 1 << 20);
  Client client(world.port);
  client.send(get("/0") + get("/0"));
  REQUIRE(world.until([&] { return world.stats().requests == 2; }));
  const std::string line = common("/0", "5\n");
  log.set(AnswerLog::Format::Common, static_cast<uint32_t>(line.size()));
  CHECK_EQ(log.dropped(), 2u);
  CHECK_EQ(log.byteLength(), 0u);
  client.send(get("/0") + get("/0"));  // The lower bound is kept.
  REQUIRE(world.until([&] { return world.stats().requests == 4; }));
  CHECK_EQ(log.dropped(), 3u);
  CHECK_EQ(take(log), line);
}

}  // namespace
}  // namespace iol::test
