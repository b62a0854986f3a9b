// Two C++ processes share one copy of some bytes, without Node: the parent makes them, the child
// reads them where they are.
//
//   npm run build && g++ -std=gnu++20 -O2 -iquote src-native examples/native/two_processes.cc
//     build/Release/obj.target/iolite_core.a -pthread -o two_processes && ./two_processes [BYTES]
//
// Both print the window address of the first byte, which is the same. Host, guests and channels are
// what the TypeScript face uses: a Node program could be at the other end.

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "aggregate/slice_iterator.h"
#include "channel/channels.h"
#include "channel/host.h"

namespace {

using namespace iol;  // NOLINT: a program that uses this library.

// A domain with a pool of its own and, in time, one channel. Its loop is the program's: turn().
class Participant : public GuestListener, public ChannelsListener {
 public:
  Participant(const HostAddress& address, const char* label) {
    Guest::Options options;
    options.label = label;
    guest_ = Guest::connect(address, options, this).take();
  }
  ~Participant() {
    channels_.reset();
    doorbell_.reset();
    pool_.reset();
  }

  // Everything beside the socket exists once the host has answered.
  void open() {
    pool_ = Pool::create(guest_->domain(), {}).take();
    doorbell_ = Doorbell::create(guest_->domain()).take();
    channels_ = std::make_unique<Channels>(*guest_, *doorbell_, *pool_, *this);
  }

  Guest& guest() { return *guest_; }
  Pool& pool() { return *pool_; }
  Channel* channel() { return channel_; }
  bool isAttached() const { return guest_->state() == Guest::State::Attached; }

  // Waits for the host, for bells, and, in the process that has one, for the host's own sockets.
  void turn(Host* host = nullptr) {
    pollfd waiting[3] = {{guest_->fd().get(), POLLIN, 0},
                         {doorbell_ == nullptr ? -1 : doorbell_->fd().get(), POLLIN, 0},
                         {host == nullptr ? -1 : host->fd().get(), POLLIN, 0}};
    // Announcing sleep looks at all rings once more, so that no bell is missed.
    const bool maySleep = doorbell_ == nullptr || doorbell_->prepareToSleep();
    ::poll(waiting, 3, maySleep ? 1000 : 0);
    if (doorbell_ != nullptr) doorbell_->withdraw();
    if (host != nullptr) host->onReady();
    guest_->onReady();
    if (waiting[1].revents != 0) doorbell_->wake();
  }

  void connectTo(const char* label) { (void)guest_->find(label); }

 private:
  void onFound(const char* label, DomainName name) override {
    if (name.epoch == 0 || !channels_->open(name, "example").isOk()) {
      std::fprintf(stderr, "nobody answers as %s\n", label);
      std::exit(1);
    }
  }
  void onRelay(DomainName from, const uint8_t* body, std::vector<sys::Fd> fds) override {
    if (channels_ != nullptr) (void)channels_->onRelay(from, body, fds);
  }
  void onRelayRefused(DomainName to, const Status& why) override {
    channels_->onRelayRefused(to, why);
  }
  void onEnded(DomainName name) override {
    if (channels_ != nullptr) channels_->onEnded(name);
  }
  void onChannel(Channel& channel) override { channel_ = &channel; }

  std::unique_ptr<Guest> guest_;  // Has window and domain: made first, gone last.
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<Doorbell> doorbell_;
  std::unique_ptr<Channels> channels_;
  Channel* channel_ = nullptr;
};

unsigned long long addressOf(const Aggregate& bytes) { return bytes.sliceAt(0).address(); }

int child(const char* address) {
  Participant self(HostAddress::parse(address).take(), "child");
  if (!self.guest().awaitAttached(5000).isOk()) return 1;
  self.open();
  self.connectTo("parent");
  while (self.channel() == nullptr) self.turn();
  Message message(self.guest().domain());
  while (true) {
    const ReceiveOutcome outcome = self.channel()->receiver->tryReceive(message);
    if (outcome == ReceiveOutcome::Closed || outcome == ReceiveOutcome::PeerDead) break;
    if (outcome != ReceiveOutcome::Received) {
      self.turn();
      continue;
    }
    uint64_t sum = 0;
    for (SliceIterator each(message.aggregate); !each.isAtEnd(); each.next()) {
      for (uint32_t i = 0; i < each.slice().length; i++) sum += each.slice().data()[i];
    }
    std::printf("child: %llu bytes at %llu, sum %llu\n",
                static_cast<unsigned long long>(message.aggregate.byteLength()),
                addressOf(message.aggregate), static_cast<unsigned long long>(sum));
    message.aggregate.clear();
  }
  return 0;
}

int parent(const char* program, uint32_t length) {
  Window window({1ull << 30});
  const std::unique_ptr<Host> host = Host::create(window, {}).take();
  Participant self(host->address(), "parent");
  while (!self.isAttached()) self.turn(host.get());
  self.open();

  const std::string address = host->address().format();
  const pid_t pid = ::vfork();
  if (pid == 0) {
    ::execl("/proc/self/exe", program, "--child", address.c_str(), nullptr);
    ::_exit(127);
  }
  while (self.channel() == nullptr) self.turn(host.get());

  Draft draft = self.pool().allocate(length).take();
  std::memset(draft.bytes(), 1, length);
  Aggregate bytes(self.guest().domain());
  (void)bytes.adopt(draft.seal());
  std::printf("parent: %u bytes at %llu\n", length, addressOf(bytes));
  std::fflush(stdout);

  Sender& sender = *self.channel()->sender;
  while (true) {
    const Result<SendOutcome> sent = sender.trySend(bytes);
    if (sent.isOk() && sent.value() != SendOutcome::Full) break;
    self.turn(host.get());
  }
  sender.close();
  // Its hold is ours until the child has taken the message.
  while (!sender.isSettled()) {
    self.turn(host.get());
    sender.settle();
  }
  int status = 1;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::strcmp(argv[1], "--child") == 0) return child(argv[2]);
  return parent(argv[0], argc > 1 ? static_cast<uint32_t>(std::atoi(argv[1])) : 1 << 20);
}
