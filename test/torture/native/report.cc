// What a torture has to say, and what it must not leave behind.
#include <dirent.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "controller.h"
#include "sys/clock.h"

namespace iol::torture {
namespace {

using Number = unsigned long long;

void list(const std::string& folder, std::vector<std::string>& to) {
  DIR* entries = ::opendir(folder.c_str());
  if (entries == nullptr) return;
  while (const dirent* entry = ::readdir(entries)) {
    if (entry->d_name[0] != '.') to.push_back(folder + "/" + entry->d_name);
  }
  ::closedir(entries);
}

}  // namespace

bool Options::set(const char* name, double value) {
  const std::string wanted = name;
  const uint64_t whole = static_cast<uint64_t>(value);
  if (wanted == "--seconds") {
    seconds = value;
  } else if (wanted == "--kills") {
    kills = whole;
  } else if (wanted == "--seed") {
    seed = whole;
  } else if (wanted == "--participants") {
    participants = static_cast<uint32_t>(whole);
  } else if (wanted == "--node") {
    nodes = static_cast<uint32_t>(whole);
  } else if (wanted == "--every-ms") {
    everyMs = static_cast<int64_t>(whole);
  } else if (wanted == "--host-death-ms") {
    hostDeathMs = static_cast<uint32_t>(whole);
  } else if (wanted == "--stall-ms") {
    stallMsMax = static_cast<int64_t>(whole);
  } else {
    return false;
  }
  return true;
}

std::vector<std::string> filesThatStay(const std::string& folder) {
  std::vector<std::string> files;
  list("/dev/shm", files);
  list(folder, files);
  std::sort(files.begin(), files.end());
  return files;
}

bool Controller::nothingIsLeftBehind() {
  for (const std::string& file : filesThatStay(folder_)) {
    if (!std::binary_search(filesBefore_.begin(), filesBefore_.end(), file)) {
      return fail(file + " was left behind");
    }
  }
  return true;
}

std::string Controller::progress() const {
  char line[300];
  const Totals& totals = board_.totals;
  std::snprintf(line, sizeof line,
                "%6.1f s  %llu kills (%llu at named points, %llu hosts)  %llu messages, %.1f GB  "
                "%llu stale  %llu rounds  stall p99.9 %.1f ms, max %.1f ms",
                static_cast<double>(sys::monotonicNs() - beganNs_) / 1e9,
                Number{killsAtRandom_ + killsAtPoints_ + hostKills_}, Number{killsAtPoints_},
                Number{hostKills_}, Number{totals.messages.load()},
                static_cast<double>(totals.bytes.load()) / 1e9, Number{totals.stale.load()},
                Number{rounds_}, board_.stalls.ms(0.999), board_.stalls.maxMs());
  return line;
}

Controller::NodeSums Controller::nodeSums() const {
  NodeSums sums;
  for (uint32_t number = 1; number <= options_.seats(); number++) {
    if (!isNode(number)) continue;
    const Seat& seat = board_.seats[number];
    sums.sent += seat.sent.load();
    sums.received += seat.received.load();
    sums.stale += seat.stale.load();
    sums.forwarded += seat.forwarded.load();
    sums.opened += seat.opened.load();
  }
  return sums;
}

void Controller::report(bool isRight) const {
  const Totals& totals = board_.totals;
  std::printf("%s\n", progress().c_str());
  for (const auto& [name, histogram] :
       {std::pair{"publish to receive", &board_.transit},
        std::pair{"  less waits for CPU", &board_.stalls},
        std::pair{"wait for a grant", &board_.waits}, std::pair{"turn", &board_.turns}}) {
    std::printf("%-21s p50 %.3f  p99 %.3f  p99.9 %.3f  max %.3f ms, %llu times\n", name,
                histogram->ms(0.5), histogram->ms(0.99), histogram->ms(0.999), histogram->maxMs(),
                Number{histogram->count()});
  }
  std::printf(
      "%llu channels, %llu refused; %llu forwarded, %llu times "
      "full; %llu attached, %llu left in order, %llu exits, %llu stops\n",
      Number{totals.opened.load()}, Number{totals.refused.load()}, Number{totals.forwarded.load()},
      Number{totals.notNow.load()}, Number{totals.attached.load()}, Number{totals.left.load()},
      Number{exits_}, Number{stops_});
  std::printf(
      "at most %u descriptors and %u mappings in a survivor; the controller itself was up to "
      "%.1f ms late\n",
      descriptorsMost_, mappingsMost_, static_cast<double>(lateMostNs_) / 1e6);
  if (options_.nodes > 0) {
    const NodeSums node = nodeSums();
    std::printf(
        "Node: %u seats, %llu kills, %llu messages sent, %llu received, %llu stale, %llu "
        "forwarded, %llu channels\n",
        options_.nodes, Number{nodeKills_}, Number{node.sent}, Number{node.received},
        Number{node.stale}, Number{node.forwarded}, Number{node.opened});
  }
  std::string points;
  for (size_t point = 0; point < kPoints; point++) {
    points += std::string(kCrashPointNames[point]) + " " + std::to_string(killsAt_[point]) + "  ";
  }
  std::printf("killed at: %s\n", points.c_str());
  if (!isRight) {
    std::printf("\nFAILED with --seed %llu: %s\n", Number{options_.seed}, failure_.c_str());
    for (uint32_t number = 0; number <= options_.seats(); number++) {
      const Seat& seat = board_.seats[number];
      const Number domain = seat.domain.load();
      std::printf(
          "  seat %2u %-9s %-8s process %d domain %llu.%llu%s: %llu sent, %llu received, %llu "
          "stale, %u channels, %u held; %s %s\n",
          number, nameOf(static_cast<Role>(seat.role.load())),
          nameOf(static_cast<State>(seat.state.load())), seat.pid.load(), domain & 0xffff'ffff,
          domain >> 32, seat.isStopped.load() != 0 ? " stopped" : "", Number{seat.sent.load()},
          Number{seat.received.load()}, Number{seat.stale.load()}, seat.channels.load(),
          seat.held.load(), seat.doing, seat.complaint);
    }
  }
  std::printf("torture: %d passed, %d failed, 0 skipped\n", isRight ? 1 : 0, isRight ? 0 : 1);
}

void Controller::reportJson(bool isRight) const {
  const Totals& totals = board_.totals;
  std::printf("{\"ok\":%s,\"seed\":%llu,\"seconds\":%.1f,\"failure\":\"",
              isRight ? "true" : "false", Number{options_.seed},
              static_cast<double>(sys::monotonicNs() - beganNs_) / 1e9);
  for (const char c : failure_) {
    if (c != '"' && c != '\\' && c >= ' ') std::putchar(c);
  }
  std::printf("\",\"kills\":%llu,\"killsAtPoints\":%llu,\"hostKills\":%llu,\"messages\":%llu,",
              Number{killsAtRandom_ + killsAtPoints_ + hostKills_}, Number{killsAtPoints_},
              Number{hostKills_}, Number{totals.messages.load()});
  std::printf("\"bytes\":%llu,\"stale\":%llu,\"forwarded\":%llu,\"channels\":%llu,\"rounds\":%llu,",
              Number{totals.bytes.load()}, Number{totals.stale.load()},
              Number{totals.forwarded.load()}, Number{totals.opened.load()}, Number{rounds_});
  for (const auto& [name, histogram] :
       {std::pair{"transitMs", &board_.transit}, std::pair{"stallMs", &board_.stalls},
        std::pair{"waitMs", &board_.waits}, std::pair{"turnMs", &board_.turns}}) {
    std::printf("\"%s\":{\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f},", name,
                histogram->ms(0.5), histogram->ms(0.99), histogram->ms(0.999), histogram->maxMs());
  }
  std::printf("\"nodeKills\":%llu,\"nodeSent\":%llu,\"nodeReceived\":%llu,", Number{nodeKills_},
              Number{nodeSums().sent}, Number{nodeSums().received});
  std::printf("\"lateMs\":%.1f,\"killsAt\":{", static_cast<double>(lateMostNs_) / 1e6);
  for (size_t point = 0; point < kPoints; point++) {
    std::printf("%s\"%s\":%llu", point == 0 ? "" : ",", kCrashPointNames[point],
                Number{killsAt_[point]});
  }
  std::printf("}}\n");
}

}  // namespace iol::torture
