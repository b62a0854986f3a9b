// Connections whose bytes the handler carries: what it is given, and what it is told.
#include <sys/resource.h>
#include <sys/socket.h>

#include "http/connections.h"
#include "http_world.h"

namespace iol::test {
namespace {

WorldOptions secure() {
  WorldOptions options;
  options.http.isSecure = true;
  return options;
}

void sendTo(const sys::Fd& plain, const std::string& text) {
  CHECK_EQ(::send(plain.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
}

std::string readAll(const sys::Fd& plain) {
  std::string text(4096, '\0');
  const ssize_t got = recv(plain.get(), text.data(), text.size(), MSG_DONTWAIT);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

TEST(aSecureConnectionIsReadFromItsPairAndHasTheAddressesOfItsClient) {
  HttpWorld world(secure());
  world.answerEverything("hello");
  Client client(world.port);
  REQUIRE(world.until([&] { return world.secure.size() == 1; }));
  sys::Endpoint theirs;
  sys::Endpoint ours;
  world.decide = [&](const http::RequestView& request) {
    theirs = world.connections->endpointOf(request.id, http::Connections::Side::Client).value();
    ours = world.connections->endpointOf(request.id, http::Connections::Side::Server).value();
    (void)world.respond(request.id, "hello").isOk();
  };
  sendTo(world.secure[0].plain, get("/"));
  REQUIRE(world.until([&] { return world.stats().requests == 1; }));
  CHECK_EQ(readAll(world.secure[0].plain), HttpWorld::answerText("hello"));
  CHECK_EQ(ours.port, world.port);
  CHECK_EQ(theirs.port, sys::remoteEndpoint(world.secure[0].network).value().port);
  CHECK_EQ(std::string(theirs.host), "127.0.0.1");
  CHECK_EQ(world.secureEnds.size(), 0u);
}

TEST(theEndOfASecureConnectionIsToldAndWhetherItWasCut) {
  HttpWorld world(secure());
  Client first(world.port);
  Client second(world.port);
  Client third(world.port);
  REQUIRE(world.until([&] { return world.secure.size() == 3; }));
  sendTo(world.secure[0].plain, get("/"));
  REQUIRE(world.until([&] { return world.ids.size() == 1; }));
  world.connections->abort(world.ids[0]);
  REQUIRE(world.secureEnds.size() == 1);
  CHECK_EQ(world.secureEnds[0].first.slot, world.secure[0].id.slot);
  CHECK_EQ(world.secureEnds[0].first.epoch, world.secure[0].id.epoch);
  CHECK(world.secureEnds[0].second);
  world.secure[1].plain.reset();  // Its client has left.
  REQUIRE(world.until([&] { return world.secureEnds.size() == 2; }));
  CHECK_EQ(world.secureEnds[1].first.slot, world.secure[1].id.slot);
  CHECK(!world.secureEnds[1].second);
  world.pass(70'000);  // It has never asked anything.
  REQUIRE(world.secureEnds.size() == 3);
  CHECK(!world.secureEnds[2].second);
  CHECK_EQ(world.stats().idleTimeouts, 1u);
  CHECK_EQ(world.stats().connectionsOpen, 0u);
}

TEST(withoutDescriptorsForItsPairASecureClientWaits) {
  HttpWorld world(secure());
  world.answerEverything("");
  Client client(world.port);
  rlimit old{};
  getrlimit(RLIMIT_NOFILE, &old);
  const int highest = dup(0);
  close(highest);
  const rlimit one{static_cast<rlim_t>(highest + 1), old.rlim_max};
  setrlimit(RLIMIT_NOFILE, &one);  // Enough for the client's, not for its pair.
  world.connections->turn();
  setrlimit(RLIMIT_NOFILE, &old);
  CHECK_EQ(world.stats().acceptPauses, 1u);
  CHECK_EQ(world.secure.size(), 0u);
  world.pass(200);
  REQUIRE(world.until([&] { return world.secure.size() == 1; }));
  client.read();
  CHECK(!client.isOver());
}

}  // namespace
}  // namespace iol::test
