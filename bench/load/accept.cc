// SPDX-License-Identifier: MIT
//
// Asks an accept server: connects, reads one byte and the end, closes, and
// connects again, on so many connections at once.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "bench/load/support.h"

namespace load {
namespace {

struct Visit {
  int fd = -1;
  std::int64_t began_ns = 0;
  bool greeted = false;
};

class Visits {
 public:
  explicit Visits(const Options& options)
      : options_(options), visits_(options.connections) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) fail_errno("epoll_create1");
  }
  Visits(const Visits&) = delete;
  Visits& operator=(const Visits&) = delete;
  ~Visits() { close(epoll_); }

  Report run(const Order& order) {
    latency_.clear();
    order_ = order;
    began_ = 0;
    start_ns_ = now_ns();
    std::size_t open = 0;
    for (Visit& visit : visits_) open += begin(visit);
    epoll_event events[256];
    while (open > 0) {
      const int count = epoll_wait(epoll_, events, 256, 10'000);
      if (count < 0) fail_errno("epoll_wait");
      if (count == 0) fail("a connection was not greeted");
      for (int n = 0; n < count; ++n) {
        open -= !go_on(*static_cast<Visit*>(events[n].data.ptr));
      }
    }
    return {latency_.count(), latency_.count(), now_ns() - start_ns_, latency_,
            none_};
  }

 private:
  bool may_begin() const {
    if (order_.messages > 0) return began_ < order_.messages;
    return now_ns() <
           start_ns_ + static_cast<std::int64_t>(order_.seconds * 1e9);
  }

  /// Whether there was one to begin.
  bool begin(Visit& visit) {
    if (!may_begin()) return false;
    ++began_;
    visit.began_ns = now_ns();
    visit.greeted = false;
    visit.fd = connect_to(options_.port);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &visit;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, visit.fd, &event) != 0) {
      fail_errno("epoll_ctl");
    }
    return true;
  }

  /// Whether it, or the next in its place, is still open.
  bool go_on(Visit& visit) {
    char bytes[2];
    const ssize_t size = recv(visit.fd, bytes, sizeof bytes, 0);
    if (size < 0 && errno == EAGAIN) return true;
    if (size < 0) fail_errno("recv");
    if (size > 0) {
      if (visit.greeted || size > 1 || bytes[0] != 'x') {
        fail("it says something else than one x");
      }
      visit.greeted = true;
      return true;
    }
    if (!visit.greeted) fail("a connection was closed without the x");
    close(visit.fd);
    latency_.add(now_ns() - visit.began_ns);
    return begin(visit);
  }

  const Options options_;
  std::vector<Visit> visits_;
  int epoll_;
  Order order_;
  std::uint64_t began_ = 0;
  std::int64_t start_ns_ = 0;
  Histogram latency_;
  const Histogram none_;
};

}  // namespace

void run_accept(const Options& options) {
  Visits visits(options);
  Order first;
  first.messages = options.connections;
  visits.run(first);
  say_begin();
  for (Order order; next_order(order);) print(visits.run(order));
}

}  // namespace load
