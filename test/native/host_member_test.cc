// The program that members in other processes run.
#include <fcntl.h>
#include <grp.h>
#include <sys/resource.h>

#include "host_world.h"

namespace iol {
namespace {

using namespace test;

Answer answerOf(const Status& status) { return {static_cast<uint32_t>(status.code()), 0, {}}; }

// "uid:7" or "label:x"; empty: everybody.
AccessList accessOf(const std::string& text) {
  AccessList list;
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return list;
  const std::string kind = text.substr(0, colon);
  const std::string value = text.substr(colon + 1);
  const auto number = static_cast<uint32_t>(::atoi(value.c_str()));
  if (kind == "uid") list.add(AccessEntry::Kind::Uid, number);
  if (kind == "gid") list.add(AccessEntry::Kind::Gid, number);
  if (kind == "pid") list.add(AccessEntry::Kind::Pid, number);
  if (kind == "label") list.addLabel(value.c_str());
  return list;
}

Answer perform(Member& member, const Instruction& instruction) {
  const BufferName& name = instruction.name;
  Domain& domain = member.guest->domain();
  switch (instruction.deed) {
    case Deed::Make: {
      Answer answer;
      answer.code = static_cast<uint32_t>(
          member.make(name.length, static_cast<uint8_t>(name.fill), &answer.name).code());
      return answer;
    }
    case Deed::Take: {
      Status status = member.take(name);
      while (status.code() == Code::WouldBlock) {
        pollfd entry{member.guest->fd().get(), POLLIN, 0};
        ::poll(&entry, 1, 20);  // A revoking owner rings no bell.
        member.guest->onReady();
        status = member.take(name);
      }
      return answerOf(status);
    }
    case Deed::Request: return answerOf(member.guest->request(name.number));
    case Deed::Drop:
    case Deed::Release: member.drop(name); return {};
    case Deed::Check: return {255, member.isRight(name) ? 1u : 0u, {}};
    case Deed::Collect:
      member.guest->onReady();
      member.pool->collect();
      return {255, static_cast<uint32_t>(member.pool->stats().pending), {}};
    case Deed::Arm: return {255, armCrashPoint(instruction.text) ? 1u : 0u, {}};
    case Deed::CloseAll:
      for (int fd = 4; fd < 1024; fd++) ::close(fd);
      return {};
    case Deed::Detach: member.pool.reset(); return answerOf(member.guest->detach());
    case Deed::Mapped:
      member.guest->onReady();
      return {255, static_cast<uint32_t>(member.guest->grantedSegments()), {}};
  }
  (void)domain;
  return {};
}

CHILD(hostsAWindow) {
  sys::Fd socket(3);
  if (argv[0][0] != 0 && !armCrashPoint(argv[0])) return 2;
  Window window({1ull << 30});
  Result<std::unique_ptr<Host>> host = Host::create(window, {});
  if (!host.isOk()) return 3;
  const std::string address = host.value()->address().format();
  if (!sys::sendMessage(socket, address.data(), address.size()).isOk()) return 4;
  while (true) {
    pollfd entry{host.value()->fd().get(), POLLIN, 0};
    ::poll(&entry, 1, -1);
    host.value()->onReady();
  }
}

CHILD(member) {
  sys::Fd socket(3);
  const auto uid = static_cast<uint32_t>(::atoi(argv[3]));
  if (uid != 0 && (::setgroups(0, nullptr) != 0 || ::setgid(uid) != 0 || ::setuid(uid) != 0)) {
    return 9;
  }
  Result<HostAddress> address = HostAddress::parse(argv[0]);
  if (!address.isOk()) return 2;
  Member member(address.value(), argv[1]);
  if (member.guest == nullptr) return 3;
  if (!member.guest->awaitAttached(10'000).isOk()) return 4;
  if (!member.makePool(accessOf(argv[2])).isOk()) return 5;
  while (true) {
    pollfd entries[2] = {{socket.get(), POLLIN, 0}, {member.guest->fd().get(), POLLIN, 0}};
    ::poll(entries, 2, -1);
    if (entries[1].revents != 0) member.guest->onReady();
    if (entries[0].revents == 0) continue;
    Instruction instruction;
    if (!sys::receiveMessage(socket, &instruction, sizeof instruction).isOk()) return 0;
    const Answer answer = perform(member, instruction);
    if (!sys::sendMessage(socket, &answer, sizeof answer).isOk()) return 0;
  }
}

}  // namespace
}  // namespace iol
