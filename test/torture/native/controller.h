// test/torture/native/controller.h: starts the participants, kills one every 50 ms, replaces it, and
// now and then has everybody stop and account for every buffer.
#pragma once

#include <string>
#include <vector>

#include "base/crash_point.h"
#include "scoreboard.h"

namespace iol::torture {

struct Options {
  double seconds = 30;
  uint64_t kills = 0;  // Ends after so many; 0: after the time.
  uint64_t seed = 1;
  uint32_t participants = 10;
  uint32_t nodes = 0;  // Node processes, in the seats behind.
  int64_t everyMs = 50;
  int64_t stallMsMax = 1000;
  uint32_t hostDeathMs = 6000;  // On average; 0: the host lives.
  bool json = false;
  uint32_t seats() const { return participants + nodes; }
  // False: there is no such option.
  bool set(const char* name, double value);
};

class Controller {
 public:
  explicit Controller(const Options& options);
  ~Controller();
  // The exit code.
  int run();

 private:
  static constexpr size_t kPoints = std::size(kCrashPointNames);
  // What the controller has in mind for a seat.
  struct Plan {
    uint32_t armedPoint = 0;  // Above 0: it is to die by itself.
    int64_t armedNs = 0;
    int64_t continueNs = 0;  // When a stopped one goes on.
    bool isKilled = false;
  };

  // What the Node participants have done, over all that ever were.
  struct NodeSums {
    uint64_t sent = 0, received = 0, stale = 0, forwarded = 0, opened = 0;
  };

  bool isNode(uint32_t seat) const { return seat > options_.participants; }
  NodeSums nodeSums() const;
  bool nodesHaveWorked();
  void start(uint32_t seat);
  bool reap();
  bool onExit(uint32_t seat, int status);
  void killOne();
  void killAtRandom(uint32_t seat);
  void armOne(uint32_t seat);
  void stopOne();
  void keepPlans();
  bool killHost();
  bool quiet();
  bool checkCounts();
  bool leave();
  bool turnsAreShort();
  void sleepMs(int64_t ms);
  bool waitFor(const char* what, int64_t timeoutMs, bool isLeaving, bool (Controller::*isTrue)());
  bool allAreQuiet();
  bool noGhosts();
  bool allHaveLeft();
  void setPhase(Phase phase);
  Phase phaseOf() const { return static_cast<Phase>(board_.phase.load()); }
  void continueAll();
  uint32_t anySeat();
  bool fail(const std::string& why);
  void killEverybody();
  std::string progress() const;
  void report(bool isRight) const;
  void reportJson(bool isRight) const;
  bool nothingIsLeftBehind();

  Options options_;
  SharedScoreboard shared_;
  Scoreboard& board_;
  Random random_;
  Plan plans_[kSeatsMax] = {};
  uint32_t uids_ = 0;
  int64_t beganNs_ = 0;
  int64_t hostDiesNs_ = 0;
  uint64_t killsAtRandom_ = 0;
  uint64_t killsAtPoints_ = 0;
  uint64_t hostKills_ = 0;
  uint64_t nodeKills_ = 0;
  uint64_t exits_ = 0;
  uint64_t stops_ = 0;
  uint64_t rounds_ = 0;
  uint64_t killsAt_[kPoints] = {};
  int64_t lateMostNs_ = 0;
  int64_t excusedUntilNs_ = 0;
  double excusedMs_ = 0;
  uint32_t descriptorsMost_ = 0;
  uint32_t mappingsMost_ = 0;
  std::string failure_;
  std::string folder_;
  std::vector<std::string> filesBefore_;
};

// Files of /dev/shm, and of the folder for temporary files that the participants were given.
std::vector<std::string> filesThatStay(const std::string& folder);

}  // namespace iol::torture
