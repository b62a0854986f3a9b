// IOL_WINDOW, access lists, and a process that nobody may look into.
#include <sys/prctl.h>

#include "channel/host_address.h"
#include "host_world.h"

namespace iol {
namespace {

using namespace test;

TEST(anAddressIsReadAsItIsWritten) {
  const HostAddress address{"@io-lite-x#y", {0x0123456789abcdef, 42}};
  const std::string text = address.format();
  CHECK_EQ(text, std::string("@io-lite-x#y#0123456789abcdef000000000000002a"));
  const HostAddress read = HostAddress::parse(text).take();
  CHECK_EQ(read.socket, address.socket);
  CHECK(sameToken(read.token, address.token));
  CHECK(HostAddress::parse("/run/a b/window#0123456789abcdef000000000000002a").isOk());
}

TEST(anAddressThatIsNoneIsRefused) {
  const std::string token = "#0123456789abcdef000000000000002a";
  const std::string wrong[] = {"",
                               "@name",
                               "name" + token,
                               "@" + token,
                               "@name" + token + "0",
                               "#" + token,
                               "@name#0123456789abcdef00000000000000zz",
                               std::string("@a\0b", 4) + token};
  for (const std::string& text : wrong) {
    CHECK(HostAddress::parse(text).status().code() == Code::BadDescriptor);
  }
  CHECK(HostAddress::parse("/" + std::string(106, 'x') + token).isOk());
  CHECK(HostAddress::parse("/" + std::string(107, 'x') + token).status().code() == Code::TooLarge);
}

TEST(anAccessListHoldsSixteenEntries) {
  AccessList list;
  Credentials who;
  who.uid = 1;
  who.gid = 2;
  who.pid = 3;
  who.groups = {20, 30};
  CHECK(setLabel(who.label, "worker"));
  CHECK(list.allows(who));
  CHECK(list.add(AccessEntry::Kind::Uid, 9));
  CHECK(!list.allows(who));
  for (const auto& [kind, id] :
       {std::pair{AccessEntry::Kind::Uid, 1u}, std::pair{AccessEntry::Kind::Gid, 2u},
        std::pair{AccessEntry::Kind::Gid, 30u}, std::pair{AccessEntry::Kind::Pid, 3u}}) {
    AccessList one;
    CHECK(one.add(kind, id));
    CHECK(one.allows(who));
    CHECK(one.isValid());
  }
  CHECK(list.addLabel("worker"));
  CHECK(list.allows(who));
  CHECK(!list.addLabel(""));
  CHECK(!list.addLabel("a label of more than thirty-one characters"));
  CHECK(!list.addLabel("two words"));
  while (list.count < kAccessEntriesMax) CHECK(list.add(AccessEntry::Kind::Uid, list.count));
  CHECK(!list.add(AccessEntry::Kind::Uid, 99));
  CHECK(list.isValid());
  list.entries[3].kind = static_cast<AccessEntry::Kind>(77);
  CHECK(!list.isValid());
}

TEST(aDomainsQuotaIsOfAllItsPoolsTogether) {
  Host::Options options;
  options.domainBytesMax = 3 << 20;
  HostWorld world(options);
  Member member(world.host->address());
  REQUIRE(world.attach(member));
  CHECK_EQ(member.guest->domain().maxBytes(), 3u << 20);
  REQUIRE(member.makePool().isOk());
  std::unique_ptr<Pool> other = Pool::create(member.guest->domain(), {}).take();
  Draft first = member.pool->allocate(1 << 20).take();
  Draft second = other->allocate(1 << 20).take();
  const Status full = other->allocate(2 << 20).status();
  CHECK(full.code() == Code::PoolFull);
  CHECK_EQ(full.limit(), 3u << 20);
  first.abandon();
  second.abandon();
}

CHILD(cannotBeLookedInto) {
  sys::Fd socket(3);
  if (!sys::makeUndumpable().isOk() || ::prctl(PR_GET_DUMPABLE) != 0) return 1;
  Window window({1ull << 30});
  std::unique_ptr<Domain> domain = Domain::create(window).take();
  std::unique_ptr<Pool> pool = Pool::create(*domain, {}).take();
  return pool->allocate(100).isOk() ? 0 : 2;
}

TEST(anUndumpableProcessHasPoolsAsBefore) {
  auto [mine, theirs] = sys::socketPair().take();
  CHECK_EQ(awaitChild(startChild("cannotBeLookedInto", {}, theirs.get())), 0);
}

}  // namespace
}  // namespace iol
