// SPDX-License-Identifier: MIT
//
// add_signal_handler() turns a signal into a callback like any other: it runs
// on the loop, between other callbacks, and may do what they may; a handler
// of sigaction(2) may do next to nothing. Several deliveries may become one
// call, as the kernel itself does it.
//
// New against 04: a reader became a signal handler; the writer is kill(2).
//
// Expected output:
//   process <number> waits; here it sends the signals itself
//   SIGUSR1
//   SIGINT, what Ctrl-C sends: clean up and stop
//   stopped by a signal

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "reactor/event_loop.h"

using namespace std::chrono_literals;

int main() {
  rondo::EventLoop loop;
  loop.add_signal_handler(SIGUSR1, [&] {
    std::puts("SIGUSR1");
    loop.call_later(5ms, [] { ::kill(::getpid(), SIGINT); });
  });
  loop.add_signal_handler(SIGINT, [&] {
    std::puts("SIGINT, what Ctrl-C sends: clean up and stop");
    loop.stop();
  });
  loop.call_soon([] { ::kill(::getpid(), SIGUSR1); });
  std::printf("process %d waits; here it sends the signals itself\n",
              static_cast<int>(::getpid()));
  loop.run_forever();
  std::puts("stopped by a signal");
}
