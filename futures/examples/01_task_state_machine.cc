// SPDX-License-Identifier: MIT
//
// A Task drives a TaskBody: something with a step() that runs until it is done
// or names the Future that it waits for. The Task then waits for that Future,
// with a callback like any other, and calls step() again. Nothing else is
// needed to write a program that waits in the middle: a number that says where
// it stands, and members for what it must remember.
//
// Two of them run beside each other on one thread: each waits without holding
// the other up, so both take the time of one.
//
// New against 00: the Task. The Future's callback is now the Task's own.
//
// Expected output:
//   made, and nothing has run: <Task pending name='Task-1' coro=<<any>>>
//   hello
//   world
//   hello, again
//   world, again
//   greetings: 2 and 2
//   both took the time of one: 1

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include "futures/run.h"
#include "futures/task.h"

using namespace std::chrono_literals;
using rondo::Future;
using rondo::Step;

// Greets, waits, greets again, and gives how often it did.
class Say {
 public:
  explicit Say(std::string whom) : whom_(std::move(whom)) {}

  Step step(rondo::Resumption& resumption) {
    resumption.check();  // throws CancelledError if the task is cancelled
    switch (state_++) {
      case 0: {
        std::puts(whom_.c_str());
        // What sleep(0.2) does: a Future, and a timer that settles it.
        const Future<void> awake(resumption.loop());
        resumption.loop().call_later(200ms, [awake] {
          if (!awake.done()) awake.set_result();
        });
        return Step::wait(awake);
      }
      default:
        std::printf("%s, again\n", whom_.c_str());
        return Step::done();
    }
  }
  int result() { return state_; }  // asked for once, when step() said done

 private:
  const std::string whom_;
  int state_ = 0;
};

int main() {
  rondo::EventLoop loop;
  const rondo::TimePoint start = loop.time();
  const rondo::Task<int> hello = create_task(loop, Say("hello"));
  const rondo::Task<int> world = create_task(loop, Say("world"));
  std::printf("made, and nothing has run: %s\n", to_string(hello).c_str());

  const int greetings = run_until_complete(loop, hello);
  const int others = run_until_complete(loop, world);
  std::printf("greetings: %d and %d\n", greetings, others);
  std::printf("both took the time of one: %d\n", loop.time() - start < 400ms);
}
