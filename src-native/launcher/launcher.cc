#include "launcher/launcher.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/copy.h"
#include "sys/launch.h"

namespace iol::launcher {
namespace {

constexpr int kEndGraceMs = 1000;  // Between asking all programs to end and killing them.

// The next text of a message; null when there is none that ends.
char* nextText(std::span<char>& texts) {
  const size_t length = ::strnlen(texts.data(), texts.size());
  if (length == texts.size()) return nullptr;
  char* text = texts.data();
  texts = texts.subspan(length + 1);
  return text;
}

bool takeTexts(std::span<char>& texts, uint32_t count, std::vector<char*>& list) {
  if (count > texts.size()) return false;
  for (uint32_t i = 0; i < count; ++i) {
    char* text = nextText(texts);
    if (text == nullptr) return false;
    list.push_back(text);
  }
  list.push_back(nullptr);
  return true;
}

}  // namespace

Launcher::Launcher(sys::Fd socket, sys::Fd children)
    : socket_(std::move(socket)), children_(std::move(children)), message_(kLaunchBytesMax) {}

void Launcher::run() {
  // Orders first: started by hand there is no socket, and nothing would ever wake us.
  while (takeOrders()) {
    (void)sys::waitForEither(socket_, children_, -1);
    takeEnded();
  }
  endAll();
}

// False: the server is gone.
bool Launcher::takeOrders() {
  while (true) {
    Result<sys::Message> received =
        sys::tryReceiveMessage(socket_, message_.data(), message_.size());
    if (!received.isOk()) return received.status().code() == Code::WouldBlock;
    carryOut(std::span(message_).first(received.value().length), received.value().descriptors);
  }
}

void Launcher::carryOut(std::span<char> message, std::vector<sys::Fd>& descriptors) {
  LaunchHead head;
  if (message.size() < sizeof head) return;
  copyBytes(&head, message.data(), sizeof head, CopyReason::Head);
  switch (static_cast<Order>(head.order)) {
    case Order::Start: return start(head, message.subspan(sizeof head), descriptors);
    case Order::Terminate: return signal(head.id, false);
    case Order::Kill: return signal(head.id, true);
  }
}

void Launcher::start(const LaunchHead& head, std::span<char> texts,
                     std::vector<sys::Fd>& descriptors) {
  sys::Program program;
  std::vector<char*> arguments;
  std::vector<char*> environment;
  program.path = nextText(texts);
  program.folder = program.path != nullptr ? nextText(texts) : nullptr;
  const size_t count = descriptors.size();
  const bool isWhole = program.folder != nullptr && (count == 2 || count == 3) &&
                       takeTexts(texts, head.argumentCount, arguments) &&
                       takeTexts(texts, head.environmentCount, environment);
  if (!isWhole) return report(Event::Failed, head.id, EMFILE);
  program.arguments = arguments.data();
  program.environment = environment.data();
  for (size_t i = 0; i < count; ++i) program.descriptors[3 - count + i] = descriptors[i].get();
  const Result<int32_t> pid = sys::startProgram(program);
  if (!pid.isOk()) return report(Event::Failed, head.id, pid.status().systemErrno());
  running_.push_back({head.id, pid.value()});
  report(Event::Started, head.id, pid.value());
}

void Launcher::signal(uint32_t id, bool isKill) {
  for (const Running& each : running_) {
    if (each.id == id) sys::signalGroup(each.pid, isKill ? sys::Ask::Kill : sys::Ask::Terminate);
  }
}

void Launcher::takeEnded() {
  sys::clearChildren(children_);
  while (const std::optional<sys::EndedProgram> ended = sys::takeEndedProgram()) {
    for (size_t i = 0; i < running_.size(); ++i) {
      if (running_[i].pid != ended->pid) continue;
      report(Event::Ended, running_[i].id, ended->exitCode, ended->signal);
      running_.erase(running_.begin() + static_cast<ptrdiff_t>(i));
      break;
    }
  }
}

void Launcher::report(Event event, uint32_t id, int32_t value, int32_t signal) {
  const LaunchReport report{static_cast<uint32_t>(event), id, value, signal};
  // Why ignored: a server that is gone is seen by the next receive.
  (void)sys::sendMessage(socket_, &report, sizeof report).isOk();
}

void Launcher::endAll() {
  for (const Running& each : running_) sys::signalGroup(each.pid, sys::Ask::Terminate);
  const sys::Fd nobody;
  for (int waitedMs = 0; !running_.empty() && waitedMs < kEndGraceMs; waitedMs += 10) {
    (void)sys::waitForEither(children_, nobody, 10);
    takeEnded();
  }
  for (const Running& each : running_) sys::signalGroup(each.pid, sys::Ask::Kill);
}

}  // namespace iol::launcher
