// SPDX-License-Identifier: MIT
//
// The six steps of a pass, seen by a LoopObserver. Tracing, metrics and the
// inspector stand on this seam; with no observer it costs a branch.
//
//   1 drop cancelled timers      4 queue the callbacks of ready descriptors
//   2 work out how long to wait  5 queue the timers that are due
//   3 wait for events            6 run what is queued, as of now
//
// New against 07: a pipe again, so that there is an event to see, and the
// observer. The callbacks are plain functions, for their names to be printed;
// they find their loop with get_running_loop().
//
// Expected output:
//   pass 1
//     1, 2  wait for at most 0 ms
//     3     1 event
//     4     the pipe reports read
//     6     run <Handle set_timer() at <any>08_observing_a_pass.cc:<line>>
//     6     run <Handle read_it() at <any>08_observing_a_pass.cc:<line>>
//   pass 2
//     1, 2  wait for at most 10 ms
//     3     0 events
//     5     a timer is due
//     6     run <TimerHandle when=0.010000000 stop() at <any>.cc:<line>>

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "reactor/loop_observer.h"
#include "reactor/testing/virtual_time.h"

using namespace std::chrono_literals;
using rondo::get_running_loop;

static int pipe_ends[2];

static void stop() { get_running_loop().stop(); }
static void set_timer() { get_running_loop().call_later(10ms, stop); }
static void read_it() { get_running_loop().remove_reader(pipe_ends[0]); }

class Narrator : public rondo::LoopObserver {
  void on_pass_begin(rondo::EventLoop&) override {
    std::printf("pass %d\n", ++passes_);
  }
  void on_poll_begin(rondo::EventLoop&, rondo::Duration timeout) override {
    std::printf("  1, 2  wait for at most %d ms\n",
                static_cast<int>(timeout / 1ms));
  }
  void on_poll_end(rondo::EventLoop&, std::size_t events) override {
    std::printf("  3     %zu event%s\n", events, events == 1 ? "" : "s");
  }
  void on_event(rondo::EventLoop&, int, rondo::Events events) override {
    std::printf("  4     the pipe reports %s\n", to_string(events).c_str());
  }
  void on_timer_due(rondo::EventLoop&, const rondo::TimerHandle&) override {
    std::puts("  5     a timer is due");
  }
  void on_callback_begin(rondo::EventLoop&,
                         const rondo::Handle& handle) override {
    std::printf("  6     run %s\n", to_string(handle).c_str());
  }
  int passes_ = 0;
};

int main() {
  if (::pipe2(pipe_ends, O_NONBLOCK | O_CLOEXEC) < 0) return 1;
  if (::write(pipe_ends[1], "word", 4) < 0) return 1;
  rondo::VirtualTimeLoop loop;
  Narrator narrator;
  loop.add_observer(narrator);
  loop.add_reader(pipe_ends[0], read_it);
  loop.call_soon(set_timer);
  loop.run_forever();
}
