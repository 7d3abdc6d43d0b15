// SPDX-License-Identifier: MIT
//
// Asks an echo server: so many connections, so many messages on their way on
// each. Every byte that comes back is compared.
#include <errno.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include "bench/load/payload.h"
#include "bench/load/support.h"

namespace load {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kPatience = 10 * kSecond;

class Echo {
 public:
  explicit Echo(const Options& options)
      : options_(options),
        connections_(options.connections),
        memory_(Payload::kPiece) {
    prctl(PR_SET_TIMERSLACK, 1UL);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) fail_errno("epoll_create1");
  }
  Echo(const Echo&) = delete;
  Echo& operator=(const Echo&) = delete;
  ~Echo() {
    for (const Connection& one : connections_) close(one.fd);
    close(epoll_);
  }

  /// Connects all, a hundred at a time, each with one message to and fro.
  void connect_all() {
    for (std::size_t index = 0; index < connections_.size(); ++index) {
      connections_[index].fd = connect_to(options_.port);
      watch(index, EPOLL_CTL_ADD, EPOLLIN);
      begin_message(index, now_ns());
      flush(index);
      if (index % 100 == 99) drain();
    }
    drain();
    latency_.clear();
    late_.clear();
    done_ = 0;
  }

  void run(const Order& order) {
    latency_.clear();
    late_.clear();
    done_ = 0;
    began_ = 0;
    order_ = order;
    running_ = true;
    start_ns_ = now_ns();
    end_ns_ = order.seconds > 0
                  ? start_ns_ + static_cast<std::int64_t>(order.seconds * 1e9)
                  : INT64_MAX;
    if (order.rate > 0) {
      run_at_rate();
    } else {
      run_closed();
    }
    running_ = false;
    drain();
    const std::int64_t took_ns = now_ns() - start_ns_;
    expect_silence();
    print({done_, done_ * options_.bytes, took_ns, latency_, late_});
  }

 private:
  struct Connection {
    int fd = -1;
    std::uint64_t queued = 0;  // bytes to be sent, of all messages begun
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::uint64_t answered = 0;  // bytes of messages that are complete
    bool blocked = false;        // until the kernel takes more
    std::deque<std::int64_t> intended;
  };

  // -- when to send ----------------------------------------------------------

  /// Each answer is followed by the next message.
  void run_closed() {
    for (std::size_t index = 0; index < connections_.size(); ++index) {
      for (std::size_t n = 0; n < options_.depth && may_begin(); ++n) {
        begin_message(index, now_ns());
      }
      flush(index);
    }
    while (may_begin() && outstanding_ > 0) turn(-1);
  }

  /// Each message has its time, whatever became of those before it: who is
  /// answered late has waited since then.
  void run_at_rate() {
    const double apart_ns = 1e9 / order_.rate;
    std::size_t index = 0;
    while (may_begin()) {
      const auto due = start_ns_ + static_cast<std::int64_t>(
                                       apart_ns * static_cast<double>(began_));
      const std::int64_t wait_ns = due - now_ns();
      if (wait_ns > 0) {
        turn(options_.spin ? 0 : wait_ns);
        continue;
      }
      late_.add(-wait_ns);
      begin_message(index, due);
      flush(index);
      if (++index == connections_.size()) index = 0;
      if (began_ % 64 == 0) turn(0);
    }
  }

  bool may_begin() const {
    if (order_.messages > 0 && began_ >= order_.messages) return false;
    return order_.messages > 0 || now_ns() < end_ns_;
  }

  void begin_message(std::size_t index, std::int64_t intended_ns) {
    Connection& one = connections_[index];
    one.queued += options_.bytes;
    one.intended.push_back(intended_ns);
    ++began_;
    ++outstanding_;
  }

  // -- to and fro ------------------------------------------------------------

  void watch(std::size_t index, int operation, std::uint32_t events) const {
    epoll_event event{};
    event.events = events;
    event.data.u64 = index;
    if (epoll_ctl(epoll_, operation, connections_[index].fd, &event) != 0) {
      fail_errno("epoll_ctl");
    }
  }

  void flush(std::size_t index) {
    Connection& one = connections_[index];
    while (one.sent < one.queued && !one.blocked) {
      const std::string_view piece =
          payload_.piece(index, one.sent, one.queued - one.sent);
      const ssize_t size =
          send(one.fd, piece.data(), piece.size(), MSG_NOSIGNAL);
      if (size >= 0) {
        one.sent += static_cast<std::uint64_t>(size);
      } else if (errno == EAGAIN) {
        one.blocked = true;
        watch(index, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
      } else {
        fail_errno("send");
      }
    }
  }

  /// Says how many, and of the first connection how much.
  [[noreturn]] void fail_unanswered() const {
    std::string message =
        std::to_string(outstanding_) + " messages were not answered";
    for (std::size_t index = 0; index < connections_.size(); ++index) {
      const Connection& one = connections_[index];
      if (one.received == one.queued) continue;
      message += "; connection " + std::to_string(index) + ": " +
                 std::to_string(one.received) + " of " +
                 std::to_string(one.queued) + " bytes came back";
      break;
    }
    fail(message);
  }

  /// Waits so long for events (-1: until there is one), and handles them.
  void turn(std::int64_t wait_ns) {
    epoll_event events[256];
    const timespec limit{wait_ns / kSecond, wait_ns % kSecond};
    const timespec patience{kPatience / kSecond, 0};
    const int count = epoll_pwait2(epoll_, events, 256,
                                   wait_ns < 0 ? &patience : &limit, nullptr);
    if (count < 0) fail_errno("epoll_pwait2");
    if (count == 0 && wait_ns < 0) {
      fail_unanswered();
    }
    for (int n = 0; n < count; ++n) {
      const std::size_t index = events[n].data.u64;
      if ((events[n].events & EPOLLOUT) != 0) {
        connections_[index].blocked = false;
        watch(index, EPOLL_CTL_MOD, EPOLLIN);
        flush(index);
      }
      if ((events[n].events & ~EPOLLOUT) != 0) receive(index);
    }
  }

  void receive(std::size_t index) {
    Connection& one = connections_[index];
    const ssize_t got = recv(one.fd, memory_.data(), memory_.size(), 0);
    if (got == 0) fail("the server has closed a connection");
    if (got < 0 && errno == EAGAIN) return;
    if (got < 0) fail_errno("recv");
    const std::string_view data(memory_.data(), static_cast<std::size_t>(got));
    if (one.received + data.size() > one.sent) {
      fail("more came back than was sent");
    }
    const std::size_t good = payload_.matching(index, one.received, data);
    if (good < data.size()) {
      fail("connection " + std::to_string(index) + ": byte " +
           std::to_string(one.received + good) + " is not what was sent");
    }
    one.received += data.size();
    if (one.received - one.answered < options_.bytes) return;
    const std::int64_t now = now_ns();
    while (one.received - one.answered >= options_.bytes) {
      one.answered += options_.bytes;
      latency_.add(now - one.intended.front());
      one.intended.pop_front();
      --outstanding_;
      ++done_;
      if (running_ && order_.rate == 0 && may_begin()) {
        begin_message(index, now);
      }
    }
    flush(index);
  }

  /// Until all that was sent has come back.
  void drain() {
    const std::int64_t limit = now_ns() + 2 * kPatience;
    while (outstanding_ > 0) {
      turn(-1);
      if (now_ns() > limit) {
        fail_unanswered();
      }
    }
  }

  /// Nothing more may come.
  void expect_silence() { turn(0); }

  const Options options_;
  const Payload payload_;
  std::vector<Connection> connections_;
  std::vector<char> memory_;
  int epoll_;
  Order order_;
  bool running_ = false;
  std::int64_t start_ns_ = 0;
  std::int64_t end_ns_ = 0;
  std::uint64_t began_ = 0;
  std::uint64_t outstanding_ = 0;
  std::uint64_t done_ = 0;
  Histogram latency_;
  Histogram late_;
};

}  // namespace

void run_echo(const Options& options) {
  Echo echo(options);
  echo.connect_all();
  say_begin();
  for (Order order; next_order(order);) echo.run(order);
}

void run_idle(const Options& options) {
  Echo echo(options);
  echo.connect_all();
  say_begin();
  Order order;
  next_order(order);
}

}  // namespace load
