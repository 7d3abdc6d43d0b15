// SPDX-License-Identifier: MIT
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/peers/worker.h"

// The parts of the cases that are not a library's own: deadlines, socket
// pairs, threads that post, and the reading and writing of those libraries
// that say when and leave it to their user.

namespace peers {

/// Calls `work(count)` until `operations` are done, at most `size` a time.
template <class Work>
void in_batches(std::uint64_t operations, std::uint64_t size, Work&& work) {
  while (operations > 0) {
    const std::uint64_t count = std::min(operations, size);
    work(static_cast<std::size_t>(count));
    operations -= count;
  }
}

// -- timers ------------------------------------------------------------------

/// `count` whole milliseconds from `low` to below `high`, the same each time.
inline std::vector<std::uint32_t> random_delays_ms(std::size_t count,
                                                   std::uint32_t low,
                                                   std::uint32_t high) {
  std::mt19937_64 random(1);
  std::vector<std::uint32_t> delays(count);
  for (std::uint32_t& delay : delays) {
    delay = low + static_cast<std::uint32_t>(random() % (high - low));
  }
  return delays;
}

/// The longest of far_delays_ms(), and what an idle timeout is where all have
/// the same.
constexpr std::uint32_t kMinuteMs = 60'000;

/// Of timeouts that hardly ever come.
inline std::vector<std::uint32_t> far_delays_ms(std::size_t count) {
  return random_delays_ms(count, 1'000, kMinuteMs);
}
/// Of timers that fire now and in the next milliseconds.
inline std::vector<std::uint32_t> near_delays_ms(std::size_t count) {
  return random_delays_ms(count, 0, 10);
}

/// How far timer `index` is pushed back in pass `pass` (from 1) over timers
/// that were set to `delays`: a minute further each time, and as spread. So
/// every push is to a later time, and the last pass finds what the first found.
inline std::uint32_t pushed_delay_ms(const std::vector<std::uint32_t>& delays,
                                     std::size_t index, std::uint32_t pass) {
  const std::size_t other = index + delays.size() / 2;
  return pass * kMinuteMs +
         delays[other < delays.size() ? other : other - delays.size()];
}

/// Adds a case of timers, with 10,000 and with 100,000 of them. `function` is
/// called with the sample and how many.
template <class Function>
void add_timers(Program& program, const char* case_name, const char* contestant,
                std::uint64_t operations, Function function) {
  for (const std::size_t count : {10'000, 100'000}) {
    program.add(
        "timers/" + std::string(case_name) + "_" + std::to_string(count),
        contestant, std::max<std::uint64_t>(operations, count), Clock::kThread,
        [=](Sample& sample) { function(sample, count); });
  }
}

// -- pipe chain --------------------------------------------------------------

/// So many socket pairs, of which so many are active.
struct Chain {
  std::size_t pairs;
  std::size_t active;
  bool idle_timers;
};

/// What an idle timeout of a pair is.
constexpr std::uint32_t kPairIdleMs = 10'000;

/// The bytes on their way round the socket pairs: so many still to be written
/// and to be read.
class Relay {
 public:
  Relay(const Chain& chain, std::uint64_t events)
      : count_(chain.pairs),
        active_(chain.active),
        to_read_(events),
        to_write_(events) {
    make_pairs();
  }

  /// Sends the first bytes. Before that, register the readers and let the loop
  /// turn once without waiting: some tell epoll no sooner.
  void start() {
    const std::size_t apart = count_ / active_;
    for (std::size_t n = 0; n < active_; ++n) send(n * apart);
  }

  /// How many pairs there are.
  std::size_t count() const { return count_; }
  int read_end(std::size_t index) const { return pairs()[index].read_end; }

  /// What a reader does. Returns whether that was the last byte.
  bool relay(std::size_t index) {
    char byte;
    if (read(read_end(index), &byte, 1) != 1) fail("read");
    return pass_on(index);
  }
  /// The same for a byte that was read.
  bool pass_on(std::size_t index) {
    send(index + 1 == count_ ? 0 : index + 1);
    return --to_read_ == 0;
  }
  std::uint64_t left() const { return to_read_; }

 private:
  struct Pair {
    int read_end;
    int write_end;
  };

  /// Kept from sample to sample: making them takes longer than measuring.
  static std::vector<Pair>& pairs() {
    static std::vector<Pair> pairs;
    return pairs;
  }
  /// Fewer than asked for if the limit of descriptors is too low.
  void make_pairs() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    const std::size_t possible = (limit.rlim_cur - 100) / 2;
    if (possible < count_) {
      std::fprintf(stderr, "pipe_chain: %zu pairs, for want of descriptors\n",
                   possible);
      count_ = possible;
    }
    while (pairs().size() < count_) {
      int ends[2];
      checked(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends),
              "socketpair");
      pairs().push_back({ends[0], ends[1]});
    }
  }
  void send(std::size_t index) {
    if (to_write_ == 0) return;
    --to_write_;
    if (write(pairs()[index].write_end, "x", 1) != 1) fail("write");
  }

  std::size_t count_;
  std::size_t active_;
  std::uint64_t to_read_;
  std::uint64_t to_write_;
};

/// Adds the chains; `function` is called with the sample and the chain.
template <class Function>
void add_chains(Program& program, const char* contestant, Function function) {
  for (const bool idle_timers : {false, true}) {
    for (const std::size_t pairs : {1'000, 9'900}) {
      for (const std::size_t active : {1, 100}) {
        program.add("pipe_chain/" + std::to_string(pairs) + "_" +
                        std::to_string(active) + (idle_timers ? "_idle" : ""),
                    contestant, 10'000, Clock::kThread, [=](Sample& sample) {
                      function(sample, Chain{pairs, active, idle_timers});
                    });
      }
    }
  }
}

// -- other threads -----------------------------------------------------------

// How far the poster runs ahead. Without a bound, what is measured is how fast
// a queue of a million callbacks grows.
constexpr std::uint64_t kAhead = 16'384;

/// A queue for libraries that can be woken from other threads, but leave it to
/// their user what to hand over: a vector under a mutex, swapped whole. Wake
/// the loop if post() says so; it shall call run().
class Mailbox {
 public:
  using Function = void (*)(void*);

  /// Whether the loop is to be woken: nothing was in there.
  bool post(Function function, void* data) {
    const std::lock_guard lock(mutex_);
    incoming_.push_back({function, data});
    return incoming_.size() == 1;
  }
  void run() {
    {
      const std::lock_guard lock(mutex_);
      taken_.swap(incoming_);
    }
    for (const Item& item : taken_) item.function(item.data);
    taken_.clear();
  }

 private:
  struct Item {
    Function function;
    void* data;
  };
  std::mutex mutex_;
  std::vector<Item> incoming_;
  std::vector<Item> taken_;
};

/// Keeps this thread, and those it starts, on the first processor that it may
/// use.
class OneProcessor {
 public:
  OneProcessor() {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &before_)) continue;
      CPU_SET(cpu, &one);
      break;
    }
    sched_setaffinity(0, sizeof one, &one);
  }
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;
  ~OneProcessor() { sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

/// remote/post_1, both threads on one processor. A `Loop` has post(function,
/// data), which other threads may call, run(), and stop(), which its own thread
/// calls.
template <class Loop>
void post_1(Sample& sample) {
  struct Counter {
    Loop loop;
    std::uint64_t total;
    std::atomic<std::uint64_t> done{0};

    // Written by one thread, so a store does.
    static void count(void* data) {
      auto& self = *static_cast<Counter*>(data);
      const std::uint64_t sum = self.done.load(std::memory_order_relaxed) + 1;
      self.done.store(sum, std::memory_order_relaxed);
      if (sum == self.total) self.loop.stop();
    }
  };
  const auto counter = std::make_unique<Counter>();
  counter->total = sample.operations();
  std::atomic<bool> go{false};
  std::atomic<bool> waiting{false};
  const OneProcessor one_processor;
  std::thread poster([&] {
    waiting = true;
    while (!go) std::this_thread::yield();
    for (std::uint64_t n = 0; n < counter->total; ++n) {
      if (n % 256 == 0) {
        while (n > counter->done + kAhead) std::this_thread::yield();
      }
      counter->loop.post(&Counter::count, counter.get());
    }
  });
  while (!waiting) std::this_thread::yield();
  sample.measure([&] {
    go = true;
    counter->loop.run();
  });
  poster.join();
  sample.done(counter->done);
}

/// remote/ping_pong: two loops throw a callback at each other.
template <class Loop>
void ping_pong(Sample& sample) {
  struct Player {
    Loop loop;
    Player* other = nullptr;
    std::uint64_t to_catch = 0;
    std::uint64_t caught = 0;

    static void hit(void* data) {
      auto& self = *static_cast<Player*>(data);
      if (++self.caught < self.to_catch) {
        self.other->loop.post(&hit, self.other);
        return;
      }
      // The far one's last goes back, the near one's last is the end.
      if (self.sends_last) self.other->loop.post(&hit, self.other);
      self.loop.stop();
    }
    bool sends_last = false;
  };
  const OneProcessor one_processor;
  const auto near = std::make_unique<Player>();
  const auto far = std::make_unique<Player>();
  near->other = far.get();
  far->other = near.get();
  near->to_catch = far->to_catch = sample.operations();
  far->sends_last = true;
  std::atomic<bool> ready{false};
  std::thread thread([&] {
    ready = true;
    far->loop.run();
  });
  while (!ready) std::this_thread::yield();
  sample.measure([&] {
    far->loop.post(&Player::hit, far.get());
    near->loop.run();
  });
  thread.join();
  sample.done(std::min(near->caught, far->caught));
}

// -- servers -----------------------------------------------------------------

constexpr int kBacklog = 4096;

/// A listening socket on a port of 127.0.0.1 that the kernel chooses.
inline int listen_local() {
  const int fd = checked(
      socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  checked(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address),
          "bind");
  checked(listen(fd, kBacklog), "listen");
  return fd;
}

inline unsigned port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  checked(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size),
          "getsockname");
  return ntohs(address.sin_port);
}

inline void set_no_delay(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// A connection of an echo server whose library says when to read and write,
/// and leaves both to its user.
class EchoSocket {
 public:
  /// What is to be waited for next.
  enum class Next { kReadable, kWritable, kClosed };

  explicit EchoSocket(int fd) : fd_(fd) { set_no_delay(fd); }
  EchoSocket(const EchoSocket&) = delete;
  EchoSocket& operator=(const EchoSocket&) = delete;
  ~EchoSocket() { close(fd_); }

  int fd() const { return fd_; }

  /// Reads what has come and sends it back.
  Next on_readable() {
    static char memory[64 * 1024];
    const ssize_t size = recv(fd_, memory, sizeof memory, 0);
    if (size <= 0) return size < 0 && again() ? Next::kReadable : Next::kClosed;
    const ssize_t sent = send(fd_, memory, static_cast<std::size_t>(size), 0);
    if (sent == size) return Next::kReadable;
    if (sent < 0 && !again()) return Next::kClosed;
    const ssize_t from = std::max<ssize_t>(sent, 0);
    unsent_.assign(memory + from, static_cast<std::size_t>(size - from));
    return Next::kWritable;
  }
  /// Sends what could not be sent at once. Nothing is read meanwhile: who does
  /// not fetch gets no more.
  Next on_writable() {
    const ssize_t sent = send(fd_, unsent_.data(), unsent_.size(), 0);
    if (sent < 0) return again() ? Next::kWritable : Next::kClosed;
    unsent_.erase(0, static_cast<std::size_t>(sent));
    if (!unsent_.empty()) return Next::kWritable;
    unsent_ = std::string();
    return Next::kReadable;
  }

 private:
  static bool again() { return errno == EAGAIN || errno == EINTR; }

  const int fd_;
  std::string unsent_;
};

}  // namespace peers
