// SPDX-License-Identifier: MIT
//
// The same pass, taken by hand. Between its pieces the program is free to
// look: snapshot() gives the queue, the timers and the descriptors as data.
// A game loop, a debugger or another event loop runs the pieces like this.
//
// New against 08: no observer and no run_forever(); poll_events(), collect()
// and run_ready() in their place. The callbacks run in the same order.
//
// Expected output:
//   pass 1 begins: 1 ready, 0 timers, 1 descriptor
//     collected:   2 ready, 0 timers, 1 descriptor
//       next is <Handle set_timer() at <any>09_stepping.cc:<line>>
//       next is <Handle read_it() at <any>09_stepping.cc:<line>>
//   pass 2 begins: 0 ready, 1 timer, 0 descriptors
//     collected:   1 ready, 0 timers, 0 descriptors
//       next is <TimerHandle when=0.010000000 stop() at <any>.cc:<line>>
//   at the end:    0 ready, 0 timers, 0 descriptors

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "reactor/snapshot.h"
#include "reactor/testing/virtual_time.h"

using namespace std::chrono_literals;
using rondo::get_running_loop;

static int pipe_ends[2];

static void stop() { get_running_loop().stop(); }
static void set_timer() { get_running_loop().call_later(10ms, stop); }
static void read_it() { get_running_loop().remove_reader(pipe_ends[0]); }

static std::string count(std::size_t number, const char* what) {
  return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

static void show(const char* when, const rondo::EventLoop& loop) {
  const rondo::Snapshot now = loop.snapshot();
  std::printf("%s %zu ready, %s, %s\n", when, now.ready.size(),
              count(now.timers.size(), "timer").c_str(),
              count(now.descriptors.size(), "descriptor").c_str());
}

int main() {
  if (::pipe2(pipe_ends, O_NONBLOCK | O_CLOEXEC) < 0) return 1;
  if (::write(pipe_ends[1], "word", 4) < 0) return 1;
  rondo::VirtualTimeLoop loop;
  loop.add_reader(pipe_ends[0], read_it);
  loop.call_soon(set_timer);

  for (int pass = 1; !loop.is_stopping(); ++pass) {
    show(pass == 1 ? "pass 1 begins:" : "pass 2 begins:", loop);
    loop.poll_events();  // steps 1 to 3
    loop.collect();      // steps 4 and 5
    show("  collected:  ", loop);
    for (const rondo::Handle& handle : loop.snapshot().ready) {
      std::printf("    next is %s\n", to_string(handle).c_str());
    }
    loop.run_ready();  // step 6
  }
  show("at the end:   ", loop);
}
