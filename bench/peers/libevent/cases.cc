// SPDX-License-Identifier: MIT
//
// libevent, as its book writes it.
//
// soon: event_active. What is activated meanwhile runs in the same pass, so a
// chain never polls; "libevent_fair" limits the callbacks a poll, as
// event_config_set_max_dispatch_interval has it for programs whose descriptors
// must not starve.
// timers: events without a descriptor, set and cancelled from a callback as
// programs do. "libevent_common" moves timeouts of one common duration, which
// its documentation has for many events with the same timeout; so do the idle
// timers of pipe_chain.
// remote: event_active after evthread_use_pthreads; it coalesces, so a queue
// stands beside it.

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bench/peers/libevent/base.h"
#include "bench/peers/loads.h"
#include "bench/peers/worker.h"

namespace {

using peers::Clock;
using peers::Sample;

void count(evutil_socket_t, short, void* data) {
  ++*static_cast<std::uint64_t*>(data);
}

// -- soon --------------------------------------------------------------------

struct Batches {
  std::vector<event> events{1000};
  event pump;
  std::uint64_t left = 0;
  std::uint64_t ran = 0;

  static void on_pump(evutil_socket_t, short, void* data) {
    auto& self = *static_cast<Batches*>(data);
    if (self.left == 0) return;
    const auto size = std::min<std::uint64_t>(self.left, self.events.size());
    for (std::uint64_t n = 0; n < size; ++n) {
      event_active(&self.events[n], 0, 0);
    }
    self.left -= size;
    event_active(&self.pump, 0, 0);
  }
};

void batch(Sample& sample) {
  Batches batches;
  Base base;
  batches.left = sample.operations();
  for (event& one : batches.events) {
    event_assign(&one, base.get(), -1, 0, count, &batches.ran);
  }
  event_assign(&batches.pump, base.get(), -1, 0, Batches::on_pump, &batches);
  event_active(&batches.pump, 0, 0);
  sample.measure([&] { base.run(); });
  sample.done(batches.ran);
}

struct Link {
  event next;
  std::uint64_t left = 0;
  std::uint64_t ran = 0;

  static void on_event(evutil_socket_t, short, void* data) {
    auto& self = *static_cast<Link*>(data);
    ++self.ran;
    if (--self.left > 0) event_active(&self.next, 0, 0);
  }
};

void run_chain(Sample& sample, Base& base) {
  Link link;
  link.left = sample.operations();
  event_assign(&link.next, base.get(), -1, 0, Link::on_event, &link);
  event_active(&link.next, 0, 0);
  sample.measure([&] { base.run(); });
  sample.done(link.ran);
}

void chain(Sample& sample) {
  Base base;
  run_chain(sample, base);
}

void fair_chain(Sample& sample) {
  event_config* config = event_config_new();
  event_config_set_max_dispatch_interval(config, nullptr, 1, 0);
  Base base(event_base_new_with_config(config));
  event_config_free(config);
  run_chain(sample, base);
}

// -- timers ------------------------------------------------------------------

std::vector<timeval> timevals(const std::vector<std::uint32_t>& delays_ms) {
  std::vector<timeval> found;
  found.reserve(delays_ms.size());
  for (const std::uint32_t ms : delays_ms) found.push_back(timeval_of_ms(ms));
  return found;
}

struct Timers {
  explicit Timers(std::size_t count_of_them) : events(count_of_them) {
    for (event& one : events) evtimer_assign(&one, base.get(), count, &ran);
  }
  std::uint64_t pending() const {
    std::uint64_t sum = 0;
    for (const event& one : events) {
      sum += evtimer_pending(&one, nullptr) != 0;
    }
    return sum;
  }

  Base base;
  std::vector<event> events;
  std::uint64_t ran = 0;
};

void insert_cancel(Sample& sample, std::size_t count) {
  const auto delays = timevals(peers::far_delays_ms(count));
  Timers timers(count);
  peers::in_batches(sample.operations(), count, [&](std::size_t size) {
    std::function<void()> work = [&] {
      sample.measure([&] {
        for (std::size_t n = 0; n < size; ++n) {
          evtimer_add(&timers.events[n], &delays[n]);
        }
      });
      const std::uint64_t inserted = timers.pending();
      sample.measure([&] {
        for (std::size_t n = 0; n < size; ++n) evtimer_del(&timers.events[n]);
      });
      sample.done(inserted - timers.pending());
    };
    timers.base.soon(work);
    timers.base.run();
  });
  if (timers.ran > 0) peers::fail("timers that ran though cancelled");
}

void insert_expire(Sample& sample, std::size_t count) {
  const auto delays = timevals(peers::near_delays_ms(count));
  Timers timers(count);
  peers::in_batches(sample.operations(), count, [&](std::size_t size) {
    std::function<void()> work = [&] {
      for (std::size_t n = 0; n < size; ++n) {
        evtimer_add(&timers.events[n], &delays[n]);
      }
    };
    timers.base.soon(work);
    sample.measure([&] { timers.base.run(); });
  });
  sample.done(timers.ran);
}

/// Whole seconds until `timer` is due, one too many at most.
long due_in_s(const event& timer) {
  timeval now;
  timeval when;
  evutil_gettimeofday(&now, nullptr);
  if (!evtimer_pending(&timer, &when)) return -1;
  return when.tv_sec - now.tv_sec;
}

/// `timeout(n, pass)` is what timer `n` is set to at first (pass 0) and then
/// pushed back to. It is called in what is measured.
template <class Timeout>
void push_back(Sample& sample, Timers& timers, Timeout timeout) {
  const std::size_t live = timers.events.size();
  for (std::size_t n = 0; n < live; ++n) {
    evtimer_add(&timers.events[n], timeout(n, 0));
  }
  std::uint32_t pass = 0;
  std::uint64_t moved = 0;
  peers::in_batches(sample.operations(), live, [&](std::size_t size) {
    ++pass;
    std::function<void()> work = [&] {
      sample.measure([&] {
        for (std::size_t n = 0; n < size; ++n) {
          evtimer_add(&timers.events[n], timeout(n, pass));
        }
      });
    };
    timers.base.soon(work);
    event_base_loop(timers.base.get(), EVLOOP_NONBLOCK);
    for (std::size_t n = 0; n < size; ++n) {
      moved += due_in_s(timers.events[n]) >= timeout(n, pass)->tv_sec - 1;
    }
  });
  sample.done(moved);
  if (timers.ran > 0) peers::fail("timers that ran too early");
  for (event& one : timers.events) evtimer_del(&one);
}

void reschedule(Sample& sample, std::size_t live) {
  const auto delays = peers::far_delays_ms(live);
  Timers timers(live);
  timeval timeout;
  push_back(sample, timers, [&](std::size_t n, std::uint32_t pass) {
    timeout = timeval_of_ms(
        pass == 0 ? delays[n] : peers::pushed_delay_ms(delays, n, pass));
    return &timeout;
  });
}

void reschedule_common(Sample& sample, std::size_t live) {
  Timers timers(live);
  const timeval minute = timeval_of_ms(peers::kMinuteMs);
  const timeval* common =
      event_base_init_common_timeout(timers.base.get(), &minute);
  push_back(sample, timers, [=](std::size_t, std::uint32_t) { return common; });
}

// -- other threads -----------------------------------------------------------

class RemoteLoop {
 public:
  RemoteLoop() {
    event_assign(
        &arrived_, base_.get(), -1, 0,
        [](evutil_socket_t, short, void* data) {
          static_cast<RemoteLoop*>(data)->mailbox_.run();
        },
        this);
  }

  void post(peers::Mailbox::Function function, void* data) {
    if (mailbox_.post(function, data)) event_active(&arrived_, 0, 0);
  }
  void run() { event_base_loop(base_.get(), EVLOOP_NO_EXIT_ON_EMPTY); }
  void stop() { event_base_loopbreak(base_.get()); }

 private:
  /// A base that may be used from other threads.
  static event_base* shared_base() {
    peers::checked(evthread_use_pthreads(), "evthread_use_pthreads");
    return event_base_new();
  }

  peers::Mailbox mailbox_;
  Base base_{shared_base()};
  event arrived_;
};

// -- pipe chain --------------------------------------------------------------

struct Pair {
  event readable;
  std::size_t index;
  peers::Relay* relay;
  event_base* base;
};

void on_readable(evutil_socket_t, short what, void* data) {
  auto& pair = *static_cast<Pair*>(data);
  if ((what & EV_TIMEOUT) != 0) peers::fail("idle timeout");
  if (pair.relay->relay(pair.index)) event_base_loopbreak(pair.base);
}

void pipe_chain(Sample& sample, const peers::Chain& chain) {
  peers::Relay relay(chain, sample.operations());
  std::vector<Pair> pairs(relay.count());
  Base base;
  const timeval limit = timeval_of_ms(peers::kPairIdleMs);
  // A persistent event moves its own timeout whenever it happens.
  const timeval* idle = chain.idle_timers
                            ? event_base_init_common_timeout(base.get(), &limit)
                            : nullptr;
  for (std::size_t index = 0; index < relay.count(); ++index) {
    Pair& pair = pairs[index];
    pair.index = index;
    pair.relay = &relay;
    pair.base = base.get();
    event_assign(&pair.readable, base.get(), relay.read_end(index),
                 EV_READ | EV_PERSIST, on_readable, &pair);
    peers::checked(event_add(&pair.readable, idle), "event_add");
  }
  event_base_loop(base.get(), EVLOOP_NONBLOCK);
  relay.start();
  sample.measure([&] { base.run(); });
  sample.done(sample.operations() - relay.left());
  for (Pair& pair : pairs) event_del(&pair.readable);
}

}  // namespace

int main(int argc, char** argv) {
  peers::Program program(std::string("libevent ") + event_get_version());
  const char* name = "libevent";
  program.add("soon/batch_1000", name, 500'000, Clock::kThread, batch);
  program.add("soon/chain_1", name, 500'000, Clock::kThread, chain);
  program.add("soon/chain_1", "libevent_fair", 100'000, Clock::kThread,
              fair_chain);
  peers::add_timers(program, "insert_cancel", name, 200'000, insert_cancel);
  peers::add_timers(program, "insert_expire", name, 100'000, insert_expire);
  peers::add_timers(program, "reschedule", name, 300'000, reschedule);
  peers::add_timers(program, "reschedule", "libevent_common", 300'000,
                    reschedule_common);
  program.add("remote/post_1", name, 500'000, Clock::kProcess,
              peers::post_1<RemoteLoop>);
  program.add("remote/ping_pong", name, 5'000, Clock::kProcess,
              peers::ping_pong<RemoteLoop>);
  peers::add_chains(program, name, pipe_chain);
  add_servers(program);
  return program.run(argc, argv);
}
