#include "http/incidents.h"

#include <utility>

namespace iol::http {
namespace {

constexpr int64_t kSecondMs = 1000;

// Of those that are nobody's in particular one says as much as ten.
uint32_t perSecond(IncidentKind kind) {
  return kind >= IncidentKind::ConnectionsMax ? 1 : Incidents::kPerSecond;
}

}  // namespace

bool Incidents::count(IncidentKind kind, int64_t nowMs) {
  if (!isOn_) return false;
  Second& second = seconds_[static_cast<size_t>(kind)];
  if (nowMs - second.startMs >= kSecondMs) {
    second.startMs = nowMs;
    second.count = 0;
  }
  if (second.count < perSecond(kind) && kept_.size() < kKeptMax) {
    ++second.count;
    return true;
  }
  ++second.missed;
  return false;
}

void Incidents::keep(Incident incident) {
  Second& second = seconds_[static_cast<size_t>(incident.kind)];
  incident.missed = std::exchange(second.missed, 0);
  kept_.push_back(incident);
}

}  // namespace iol::http
