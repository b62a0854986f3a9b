// bench/native/channel_bench.cc: channels between two processes that share nothing but a window.
//
//   round trip   a message of one 64-byte buffer there and back, the buffer by reference: on two
//                processors, on one, and with several bounds of spinning before sleep
//   one way      nanoseconds per message, published one by one and sixteen at a time
//   bare         one shared cache line, there and back between two processors: the floor
//
// Rounds are short and the best one counts: other work on the machine shows as little as it can.
//
//   npm run build && g++ -std=gnu++20 -O2 -iquote src-native bench/native/channel_bench.cc
//     build/Release/obj.target/iolite_core.a -lpthread -o /tmp/channel_bench

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>

#include "channel/channels.h"
#include "channel/host.h"

namespace {

using namespace iol;  // NOLINT: a bench of this library.

double now() {
  return std::chrono::duration<double, std::nano>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

bool pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

constexpr int kRounds = 20;

// The first message of a phase says what the other side is to do with the rest.
struct Order {
  enum What : uint64_t { Echo, Sink, Quit } what;
  uint64_t messages;
  int64_t spinNs;
  int64_t cpu;
};

struct Side : GuestListener, ChannelsListener {
  explicit Side(const HostAddress& address, const char* label) {
    Guest::Options options;
    options.label = label;
    guest = Guest::connect(address, options, this).take();
  }
  void begin() {
    pool = Pool::create(guest->domain(), {}).take();
    doorbell = Doorbell::create(guest->domain()).take();
    channels = std::make_unique<Channels>(*guest, *doorbell, *pool, *this);
    message = std::make_unique<Message>(guest->domain());
  }
  void onFound(const char*, DomainName name) override { found = name; }
  void onRelay(DomainName from, const uint8_t* body, std::vector<sys::Fd> fds) override {
    channels->onRelay(from, body, fds);
  }
  void onChannel(Channel& opened) override { channel = &opened; }
  void turn() {
    pollfd fd{guest->fd().get(), POLLIN, 0};
    ::poll(&fd, 1, 1);
    guest->onReady();
  }
  void send(const Aggregate& body, std::span<const uint8_t> metadata = {}) {
    while (channel->sender->trySend(body, metadata).value() != SendOutcome::Sent) {
      doorbell->wait(1000);
    }
  }
  Message& receive(Host* host = nullptr) {
    while (true) {
      const ReceiveOutcome outcome = channel->receiver->tryReceive(*message);
      if (outcome == ReceiveOutcome::Received) return *message;
      if (outcome == ReceiveOutcome::PeerDead || outcome == ReceiveOutcome::Closed) ::_exit(1);
      if (outcome == ReceiveOutcome::AwaitingGrant) {
        turn();
      } else {
        doorbell->wait(host != nullptr ? 1 : 1000);
      }
      if (host != nullptr) host->onReady();
    }
  }
  Aggregate buffer(uint32_t length) {
    Aggregate aggregate(guest->domain());
    Draft draft = pool->allocate(length).take();
    std::memset(draft.bytes(), 1, length);
    (void)aggregate.adopt(draft.seal());
    return aggregate;
  }
  DomainName found{};
  std::unique_ptr<Guest> guest;
  std::unique_ptr<Pool> pool;
  std::unique_ptr<Doorbell> doorbell;
  std::unique_ptr<Message> message;
  std::unique_ptr<Channels> channels;
  Channel* channel = nullptr;
};

int answer(const char* address) {
  Side side(HostAddress::parse(address).take(), "far");
  if (!side.guest->awaitAttached(10'000).isOk()) return 2;
  side.begin();
  (void)side.guest->find("near");
  while (side.found.epoch == 0) side.turn();
  if (!side.channels->open(side.found, "bench").isOk()) return 3;
  while (side.channel == nullptr) side.turn();
  const Aggregate nothing(side.guest->domain());
  while (true) {
    Order order;
    const Message& first = side.receive();
    std::memcpy(&order, first.metadata.data(), sizeof order);
    if (order.what == Order::Quit) return 0;
    pin(static_cast<int>(order.cpu));
    side.doorbell->setSpinNs(order.spinNs);
    side.send(nothing);
    for (uint64_t count = 0; count < order.messages; count++) {
      Message& message = side.receive();
      if (order.what == Order::Echo) side.send(message.aggregate);
    }
    if (order.what == Order::Sink) side.send(nothing);
  }
}

struct Bench {
  explicit Bench(const char* program) : window({256ull << 20}) {
    host = Host::create(window, {}).take();
    side = std::make_unique<Side>(host->address(), "near");
    while (side->guest->state() == Guest::State::Attaching) turn();
    side->begin();
    const std::string address = host->address().format();
    pid = ::vfork();
    if (pid == 0) {
      ::execl("/proc/self/exe", program, "--answer", address.c_str(), nullptr);
      ::_exit(127);
    }
    while (side->channel == nullptr) turn();
    body = std::make_unique<Aggregate>(side->buffer(64));
    run(Order::Echo, 10, 0, 0);  // The grant.
  }
  ~Bench() {
    const Order quit{Order::Quit, 0, 0, 0};
    side->send(Aggregate(side->guest->domain()),
               {reinterpret_cast<const uint8_t*>(&quit), sizeof quit});
    ::waitpid(pid, nullptr, 0);
    body.reset();
    side->message.reset();
    side->channels.reset();
    side->doorbell.reset();
    side->pool.reset();
  }
  void turn() {
    host->onReady();
    side->turn();
  }
  // Nanoseconds per message, best of several rounds.
  double run(Order::What what, uint64_t messages, int64_t spinNs, int cpu, uint32_t batch = 1) {
    double best = 1e18;
    side->doorbell->setSpinNs(spinNs);
    for (int round = 0; round < kRounds; round++) {
      const Order order{what, messages, spinNs, cpu};
      side->send(Aggregate(side->guest->domain()),
                 {reinterpret_cast<const uint8_t*>(&order), sizeof order});
      side->receive(host.get());
      const double start = now();
      if (what == Order::Echo) {
        for (uint64_t count = 0; count < messages; count++) {
          side->send(*body);
          side->receive(count < 10 ? host.get() : nullptr);
        }
      } else {
        sendAll(messages, batch);
        side->receive();
      }
      best = std::min(best, (now() - start) / static_cast<double>(messages));
    }
    return best;
  }
  void sendAll(uint64_t messages, uint32_t batch) {
    Sender& sender = *side->channel->sender;
    for (uint64_t count = 0; count < messages;) {
      if (sender.enqueue(*body).value() == SendOutcome::Sent) {
        if (++count % batch == 0) sender.publish();
      } else {
        sender.publish();
        side->doorbell->wait(1000);
      }
    }
    sender.publish();
  }

  Window window;
  std::unique_ptr<Host> host;
  std::unique_ptr<Side> side;
  std::unique_ptr<Aggregate> body;
  int pid = -1;
};

double bareCacheLine() {
  alignas(64) static std::atomic<uint64_t> line{0};
  constexpr uint64_t kRounds = 5'000;
  double best = 1e18;
  for (int round = 0; round < 100; round++) {
    line.store(0);
    std::thread other([] {
      pin(1);
      for (uint64_t count = 1; count < 2 * kRounds; count += 2) {
        while (line.load(std::memory_order_acquire) != count) __builtin_ia32_pause();
        line.store(count + 1, std::memory_order_release);
      }
    });
    const double start = now();
    for (uint64_t count = 0; count < 2 * kRounds; count += 2) {
      line.store(count + 1, std::memory_order_release);
      while (line.load(std::memory_order_acquire) != count + 2) __builtin_ia32_pause();
    }
    best = std::min(best, (now() - start) / kRounds);
    other.join();
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 2 && std::strcmp(argv[1], "--answer") == 0) return answer(argv[2]);
  constexpr int64_t kLongNs = 10'000'000;
  pin(0);
  Bench bench(argv[0]);
  const bool hasTwo = std::thread::hardware_concurrency() > 1 && pin(0);
  if (hasTwo) {
    const double bare = bareCacheLine();
    const double awake = bench.run(Order::Echo, 5'000, kLongNs, 1);
    std::printf("bare cache line, round trip  %.1f ns\n", bare);
    std::printf("round trip, two CPUs, awake  %.1f ns\n", awake);
    std::printf("round trip, two CPUs, over the bare line  %.2f times\n", awake / bare);
    const auto rings = bench.side->doorbell->stats().rings;
    std::printf("one way, two CPUs, one by one  %.1f ns\n",
                bench.run(Order::Sink, 20'000, kLongNs, 1));
    std::printf("one way, two CPUs, sixteen at a time  %.1f ns\n",
                bench.run(Order::Sink, 20'000, kLongNs, 1, 16));
    std::printf("doorbell calls in 800,000 messages: %llu\n",
                static_cast<unsigned long long>(bench.side->doorbell->stats().rings - rings));
    for (const int64_t spinNs :
         {int64_t{0}, int64_t{2'000}, int64_t{10'000}, int64_t{50'000}, int64_t{200'000}}) {
      std::printf("round trip, two CPUs, spin %lld us  %.1f ns\n",
                  static_cast<long long>(spinNs / 1000), bench.run(Order::Echo, 500, spinNs, 1));
    }
  }
  for (const int64_t spinNs : {int64_t{0}, int64_t{10'000}}) {
    std::printf("round trip, one CPU, spin %lld us  %.1f ns\n",
                static_cast<long long>(spinNs / 1000), bench.run(Order::Echo, 1'000, spinNs, 0));
  }
  std::printf("one way, one CPU  %.1f ns\n", bench.run(Order::Sink, 10'000, 0, 0));
  return 0;
}
