// The program of `npm run torture`: the controller, and with --seat one of its participants.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "controller.h"
#include "participant.h"

namespace iol::torture {
namespace {

void onWake(int) {}
[[noreturn]] void onEnd(int) { ::_exit(130); }  // The kernel ends the participants with us.

int runSeat(uint32_t number, uint64_t seed) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  struct sigaction wake {};
  wake.sa_handler = onWake;
  ::sigaction(SIGUSR1, &wake, nullptr);
  Scoreboard& board = *openScoreboard(3);
  if (static_cast<Role>(board.seats[number].role.load()) == Role::Node) {
    return runNode(board, number, seed);
  }
  ::close(3);
  if (number == kHostSeat) return runHost(board);
  return Participant(board, number, seed).run();
}

int usage(const char* wrong) {
  std::fprintf(stderr,
               "torture: %s\n"
               "  --seconds N        how long (30)\n"
               "  --kills N          ends after so many instead\n"
               "  --seed N           of everything that is chosen by chance (1)\n"
               "  --participants N   processes besides the host (10, at most %u)\n"
               "  --node N           Node processes besides those (0)\n"
               "  --every-ms N       between two kills (50)\n"
               "  --host-death-ms N  between two deaths of the host, on average; 0: none (6000)\n"
               "  --stall-ms N       how long nobody may stand still (1000)\n"
               "  --json             one line at the end, for programs\n",
               wrong, kSeatsMax - 1);
  return 2;
}

}  // namespace
}  // namespace iol::torture

int main(int argc, char** argv) {
  using namespace iol::torture;
  Options options;
  int64_t seat = -1;
  for (int index = 1; index < argc; index++) {
    const char* const name = argv[index];
    if (std::strcmp(name, "--json") == 0) {
      options.json = true;
      continue;
    }
    if (index + 1 == argc) return usage(name);
    char* end = nullptr;
    const double value = std::strtod(argv[++index], &end);
    if (*end != 0 || value < 0) return usage(argv[index]);
    const uint64_t whole = static_cast<uint64_t>(value);
    if (std::strcmp(name, "--seat") == 0)
      seat = static_cast<int64_t>(whole);
    else if (!options.set(name, value))
      return usage(name);
  }
  if (seat >= 0) return runSeat(static_cast<uint32_t>(seat), options.seed);
  if (options.participants < 2 || options.seats() >= kSeatsMax) return usage("--participants");
  ::signal(SIGUSR1, SIG_IGN);  // Of who is not yet ready for it; inherited.
  ::signal(SIGINT, onEnd);
  ::signal(SIGTERM, onEnd);
  return Controller(options).run();
}
