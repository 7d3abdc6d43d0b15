// SPDX-License-Identifier: MIT
// shows: SIGINT during run: the main task is cancelled, can clean up, then run
//   throws KeyboardInterrupt; a main task that swallows the cancellation
//   returns normally; a second SIGINT throws at once; a callback that throws
//   KeyboardInterrupt
#include <signal.h>
#include <unistd.h>

#include <exception>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::CancelledError;
using rondo::Coro;
using rondo::create_task;
using rondo::current_task;
using rondo::Delay;
using rondo::EventLoop;
using rondo::gather;
using rondo::KeyboardInterrupt;
using rondo::run;
using rondo::run_until_complete;
using rondo::sleep;
using rondo::Task;

static std::vector<std::jthread> timers;

static void later(double d) {
  timers.emplace_back([d] {
    std::this_thread::sleep_for(Delay(d).value());
    ::kill(::getpid(), SIGINT);
  });
}

class Finally {
 public:
  explicit Finally(std::string text) : text_(std::move(text)) {}
  Finally(const Finally&) = delete;
  Finally& operator=(const Finally&) = delete;
  ~Finally() { print(text_); }

 private:
  std::string text_;
};

static Coro<std::string> main_coroutine(std::string mode) {
  later(0.05);
  const Finally finally(mode + " finally");
  std::exception_ptr cancelled;  // there is no co_await in a handler
  try {
    co_await sleep(5);
  } catch (const CancelledError& e) {
    print(mode, "main cancelled", python::args(e),
          "cancelling:", current_task().cancelling());
    cancelled = std::current_exception();
  }
  if (!cancelled) co_return "None";
  if (mode == "swallow") co_return "value";
  if (mode == "slow") {
    later(0.05);
    try {
      co_await sleep(5);
    } catch (const CancelledError&) {
      print(mode, "cleanup cancelled");
      throw;
    }
  }
  std::rethrow_exception(cancelled);
}

static Coro<> child(int n) {
  const Finally finally("child " + std::to_string(n) + " finally");
  co_await sleep(5);
}

static Coro<> with_children() {
  later(0.05);
  co_await gather(child(1), child(2));
}

static Coro<> plain() {
  later(0.05);
  try {
    co_await sleep(0.2);
    print("plain went on after the interrupt");
  } catch (const CancelledError&) {
    print("must not happen");
  }
}

static bool has_default_action(int signal_number) {
  struct sigaction action{};
  ::sigaction(signal_number, nullptr, &action);
  return action.sa_handler == SIG_DFL;
}

int main() {
  for (const char* mode : {"plain", "swallow", "slow"}) {
    try {
      print(mode, "run returned", run(main_coroutine(mode)));
    } catch (const KeyboardInterrupt&) {
      // It knows of no other exception.
      static_assert(std::is_empty_v<KeyboardInterrupt>);
      print(mode, "KeyboardInterrupt () context NoneType");
    }
  }

  try {
    run(with_children());
  } catch (const KeyboardInterrupt&) {
    print("children: KeyboardInterrupt");
  }

  // run_until_complete without run: KeyboardInterrupt is thrown inside the
  // loop, tasks stay pending. In C++ nobody throws it unless told to.
  EventLoop loop;
  loop.add_signal_handler(SIGINT, [] { throw KeyboardInterrupt(); });
  Task<void> t = create_task(loop, plain());
  try {
    run_until_complete(loop, t);
  } catch (const KeyboardInterrupt&) {
    print("run_until_complete: KeyboardInterrupt; task pending:", !t.done());
  }
  run_until_complete(loop, t);
  loop.close();
  print("SIGINT handler is back to the default one:",
        has_default_action(SIGINT));
}
