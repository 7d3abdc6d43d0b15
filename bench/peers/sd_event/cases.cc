// SPDX-License-Identifier: MIT
//
// systemd's loop, sd-event(3). A callback for later is a "defer" source, made
// once and enabled for one time whenever it is to run. Timers are sources with
// an accuracy; the default, a quarter of a second, would fire none in time, so
// they ask for a microsecond.

#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <vector>

#include "bench/peers/loads.h"
#include "bench/peers/worker.h"

namespace {

using peers::checked;
using peers::Clock;
using peers::Sample;

int ok(int answer, const char* what) {
  if (answer < 0) errno = -answer;
  return checked(answer < 0 ? -1 : answer, what);
}

class Loop {
 public:
  Loop() { ok(sd_event_new(&event_), "sd_event_new"); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() { sd_event_unref(event_); }

  sd_event* get() const { return event_; }
  void run() const { ok(sd_event_loop(event_), "sd_event_loop"); }
  void stop() const { sd_event_exit(event_, 0); }

 private:
  sd_event* event_ = nullptr;
};

void run_once_more(sd_event_source* source) {
  ok(sd_event_source_set_enabled(source, SD_EVENT_ONESHOT), "set_enabled");
}

// -- soon --------------------------------------------------------------------

struct Batches {
  Loop loop;
  std::vector<sd_event_source*> sources{1000};
  sd_event_source* pump = nullptr;
  std::uint64_t left = 0;
  std::uint64_t ran = 0;

  static int on_call(sd_event_source*, void* data) {
    ++static_cast<Batches*>(data)->ran;
    return 0;
  }
  static int on_pump(sd_event_source* source, void* data) {
    auto& self = *static_cast<Batches*>(data);
    if (self.left == 0) {
      self.loop.stop();
      return 0;
    }
    for (sd_event_source* one : self.sources) run_once_more(one);
    self.left -= self.sources.size();
    run_once_more(source);
    return 0;
  }
};

void batch(Sample& sample) {
  Batches batches;
  batches.left = sample.operations();
  sd_event* event = batches.loop.get();
  for (sd_event_source*& one : batches.sources) {
    ok(sd_event_add_defer(event, &one, Batches::on_call, &batches), "defer");
    sd_event_source_set_enabled(one, SD_EVENT_OFF);
  }
  ok(sd_event_add_defer(event, &batches.pump, Batches::on_pump, &batches),
     "defer");
  // After all that it has asked for.
  sd_event_source_set_priority(batches.pump, SD_EVENT_PRIORITY_IDLE);
  sample.measure([&] { batches.loop.run(); });
  sample.done(batches.ran);
  for (sd_event_source* one : batches.sources) sd_event_source_unref(one);
  sd_event_source_unref(batches.pump);
}

struct Link {
  Loop loop;
  std::uint64_t left = 0;
  std::uint64_t ran = 0;

  static int on_call(sd_event_source* source, void* data) {
    auto& self = *static_cast<Link*>(data);
    ++self.ran;
    if (--self.left == 0) {
      self.loop.stop();
    } else {
      run_once_more(source);
    }
    return 0;
  }
};

void chain(Sample& sample) {
  Link link;
  link.left = sample.operations();
  sd_event_source* source = nullptr;
  ok(sd_event_add_defer(link.loop.get(), &source, Link::on_call, &link),
     "defer");
  sample.measure([&] { link.loop.run(); });
  sample.done(link.ran);
  sd_event_source_unref(source);
}

// -- timers ------------------------------------------------------------------

struct Timers {
  explicit Timers(std::size_t count) : sources(count) {}

  Loop loop;
  std::vector<sd_event_source*> sources;
  std::uint64_t ran = 0;
  std::uint64_t wanted = 0;

  static int on_time(sd_event_source*, std::uint64_t, void* data) {
    auto& self = *static_cast<Timers*>(data);
    if (++self.ran == self.wanted) self.loop.stop();
    return 0;
  }
  void add(std::size_t index, std::uint64_t delay_us) {
    ok(sd_event_add_time_relative(loop.get(), &sources[index], CLOCK_MONOTONIC,
                                  delay_us, 1, on_time, this),
       "add_time");
  }
  void remove_all(std::size_t count) {
    for (std::size_t n = 0; n < count; ++n) {
      sources[n] = sd_event_source_unref(sources[n]);
    }
  }
};

void insert_cancel(Sample& sample, std::size_t count) {
  const auto delays_ms = peers::far_delays_ms(count);
  Timers timers(count);
  peers::in_batches(sample.operations(), count, [&](std::size_t size) {
    sample.measure([&] {
      for (std::size_t n = 0; n < size; ++n) {
        timers.add(n, delays_ms[n] * std::uint64_t{1000});
      }
    });
    std::uint64_t armed = 0;
    for (std::size_t n = 0; n < size; ++n) {
      int enabled = SD_EVENT_OFF;
      sd_event_source_get_enabled(timers.sources[n], &enabled);
      armed += enabled == SD_EVENT_ONESHOT;
    }
    sample.measure([&] { timers.remove_all(size); });
    sample.done(armed);
  });
  if (timers.ran > 0) peers::fail("timers that ran though cancelled");
}

/// sd_event_exit() ends a loop for good, so each batch has its own.
void insert_expire(Sample& sample, std::size_t count) {
  const auto delays_ms = peers::near_delays_ms(count);
  peers::in_batches(sample.operations(), count, [&](std::size_t size) {
    Timers timers(size);
    timers.wanted = size;
    sample.measure([&] {
      for (std::size_t n = 0; n < size; ++n) {
        timers.add(n, delays_ms[n] * std::uint64_t{1000});
      }
      timers.loop.run();
    });
    sample.done(timers.ran);
    timers.remove_all(size);
  });
}

void reschedule(Sample& sample, std::size_t live) {
  const auto delays_ms = peers::far_delays_ms(live);
  Timers timers(live);
  for (std::size_t n = 0; n < live; ++n) {
    timers.add(n, delays_ms[n] * std::uint64_t{1000});
  }
  std::uint64_t now = 0;
  sd_event_now(timers.loop.get(), CLOCK_MONOTONIC, &now);
  std::uint32_t pass = 0;
  const auto due_us = [&](std::size_t n) {
    return now +
           peers::pushed_delay_ms(delays_ms, n, pass) * std::uint64_t{1000};
  };
  peers::in_batches(sample.operations(), live, [&](std::size_t size) {
    ++pass;
    sample.measure([&] {
      for (std::size_t n = 0; n < size; ++n) {
        sd_event_source_set_time(timers.sources[n], due_us(n));
      }
    });
    std::uint64_t moved = 0;
    for (std::size_t n = 0; n < size; ++n) {
      std::uint64_t found = 0;
      sd_event_source_get_time(timers.sources[n], &found);
      moved += found == due_us(n);
    }
    sample.done(moved);
  });
  if (timers.ran > 0) peers::fail("timers that ran too early");
  timers.remove_all(live);
}

// -- pipe chain --------------------------------------------------------------

struct Pair {
  sd_event_source* source;
  std::size_t index;
  peers::Relay* relay;
  Loop* loop;
};

int on_readable(sd_event_source*, int, std::uint32_t, void* data) {
  auto& pair = *static_cast<Pair*>(data);
  if (pair.relay->relay(pair.index)) pair.loop->stop();
  return 0;
}

void pipe_chain(Sample& sample, const peers::Chain& chain) {
  peers::Relay relay(chain, sample.operations());
  Loop loop;
  std::vector<Pair> pairs(relay.count());
  for (std::size_t index = 0; index < pairs.size(); ++index) {
    Pair& pair = pairs[index];
    pair = {nullptr, index, &relay, &loop};
    ok(sd_event_add_io(loop.get(), &pair.source, relay.read_end(index), EPOLLIN,
                       on_readable, &pair),
       "add_io");
  }
  ok(sd_event_run(loop.get(), 0), "sd_event_run");
  relay.start();
  sample.measure([&] { loop.run(); });
  sample.done(sample.operations() - relay.left());
  for (const Pair& pair : pairs) sd_event_source_unref(pair.source);
}

// -- servers -----------------------------------------------------------------

struct Connection {
  explicit Connection(int fd) : socket(fd) {}
  ~Connection() { sd_event_source_unref(source); }

  static int on_ready(sd_event_source* source, int, std::uint32_t events,
                      void* data) {
    auto* self = static_cast<Connection*>(data);
    const auto next = (events & EPOLLOUT) != 0 ? self->socket.on_writable()
                                               : self->socket.on_readable();
    if (next == peers::EchoSocket::Next::kClosed) {
      delete self;
      return 0;
    }
    // Nothing is said to the kernel if it is what it was.
    return sd_event_source_set_io_events(
        source,
        next == peers::EchoSocket::Next::kReadable ? EPOLLIN : EPOLLOUT);
  }

  peers::EchoSocket socket;
  sd_event_source* source = nullptr;
};

int on_connections(sd_event_source* listener, int fd, std::uint32_t, void*) {
  for (int one = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
       one >= 0;
       one = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) {
    auto* connection = new Connection(one);
    ok(sd_event_add_io(sd_event_source_get_event(listener), &connection->source,
                       one, EPOLLIN, Connection::on_ready, connection),
       "add_io");
  }
  return 0;
}

void serve() {
  Loop loop;
  const int fd = peers::listen_local();
  ok(sd_event_add_io(loop.get(), nullptr, fd, EPOLLIN, on_connections, nullptr),
     "add_io");
  const auto on_input = [](sd_event_source*, int, std::uint32_t, void* data) {
    if (peers::input_ended()) static_cast<Loop*>(data)->stop();
    return 0;
  };
  ok(sd_event_add_io(loop.get(), nullptr, STDIN_FILENO, EPOLLIN, on_input,
                     &loop),
     "add_io");
  peers::print_listening(peers::port_of(fd));
  loop.run();
}

}  // namespace

int main(int argc, char** argv) {
  const char* name = "sd_event";
  peers::Program program("sd-event " SD_EVENT_VERSION);
  program.add("soon/batch_1000", name, 100'000, Clock::kThread, batch);
  program.add("soon/chain_1", name, 100'000, Clock::kThread, chain);
  peers::add_timers(program, "insert_cancel", name, 100'000, insert_cancel);
  peers::add_timers(program, "insert_expire", name, 100'000, insert_expire);
  peers::add_timers(program, "reschedule", name, 100'000, reschedule);
  for (const std::size_t pairs : {1'000, 9'900}) {
    for (const std::size_t active : {1, 100}) {
      program.add(
          "pipe_chain/" + std::to_string(pairs) + "_" + std::to_string(active),
          name, 10'000, Clock::kThread,
          [=](Sample& sample) { pipe_chain(sample, {pairs, active, false}); });
    }
  }
  program.add_server("echo", name, serve);
  return program.run(argc, argv);
}
