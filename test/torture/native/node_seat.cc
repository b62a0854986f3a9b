// A seat for a Node participant (test/torture/node): this process becomes Node, which knows the
// scoreboard as a file, descriptor 3, and the places in it by what it is told here.
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "participant.h"

namespace iol::torture {
namespace {

// It cannot count `recordsTaken` up: for channels that it opens it gets its records beforehand.
constexpr uint32_t kRecordsEach = 2048;

std::string layoutFor(const Scoreboard& board, uint32_t seat, uint32_t firstRecord, uint64_t seed) {
  std::string text = "{";
  const auto add = [&text](const char* name, uint64_t value) {
    text += (text.size() > 1 ? ",\"" : "\"") + std::string(name) + "\":" + std::to_string(value);
  };
#define BOARD(field) add(#field, offsetof(Scoreboard, field))
#define SEAT(field) add("seat_" #field, offsetof(Seat, field))
#define RECORD(field) add("record_" #field, offsetof(Record, field))
  BOARD(phase), BOARD(round), BOARD(windowsMade), BOARD(isHostAlive), BOARD(address);
  BOARD(seats), BOARD(records);
  SEAT(uid), SEAT(state), SEAT(round), SEAT(domain), SEAT(windowId), SEAT(sent), SEAT(received);
  SEAT(stale), SEAT(forwarded), SEAT(opened), SEAT(refused), SEAT(closed), SEAT(channels);
  SEAT(held), SEAT(descriptors), SEAT(doing), SEAT(complaint);
  RECORD(intended), RECORD(sent), RECORD(taken), RECORD(hasForeign), RECORD(senderSeat);
  RECORD(receiverSeat);
#undef BOARD
#undef SEAT
#undef RECORD
  add("addressBytes", sizeof board.address);
  add("doingBytes", sizeof board.seats[0].doing);
  add("complaintBytes", sizeof board.seats[0].complaint);
  add("seatBytes", sizeof(Seat));
  add("seatsMax", kSeatsMax);
  add("recordBytes", sizeof(Record));
  add("recordsMax", kRecords);
  add("firstRecord", firstRecord);
  add("recordsEach", kRecordsEach);
  add("seat", seat);
  add("seed", seed & 0xffff'ffff);
  return text + "}";
}

}  // namespace

int runNode(Scoreboard& board, uint32_t number, uint64_t seed) {
  const char* const program = ::getenv("TORTURE_NODE");
  const char* const script = ::getenv("TORTURE_NODE_SCRIPT");
  if (program != nullptr && script != nullptr) {
    const uint32_t first = board.recordsTaken.fetch_add(kRecordsEach);
    const std::string layout = layoutFor(board, number, first, seed);
    ::execl(program, program, script, layout.c_str(), static_cast<char*>(nullptr));
  }
  Seat& seat = board.seats[number];
  std::snprintf(seat.complaint, sizeof seat.complaint, "no Node: %s (TORTURE_NODE, _SCRIPT)",
                std::strerror(errno));
  seat.state.store(static_cast<uint32_t>(State::Failed));
  return 3;
}

}  // namespace iol::torture
