// SPDX-License-Identifier: MIT
// shows: the never-awaited warning is for coroutines that never STARTED; when
//   it comes and what it says; a started coroutine that is destroyed runs its
//   destructors (a started one always belongs to a task); close() silences
//   the warning; a pending task that is destroyed is reported differently
#include <memory>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/wait.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_task;
using rondo::EventLoop;
using rondo::new_event_loop;
using rondo::run_until_complete;
using rondo::sleep;
using rondo::Task;

static Coro<> nothing() { co_return; }

/// `except BaseException` that a destroyed coroutine comes by.
class Inside {
 public:
  Inside() = default;
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
  ~Inside() { print("inside: destroyed"); }
};

static Coro<> waits() {
  const Inside inside;
  co_await sleep(10);
}

static void make_and_drop() { static_cast<void>(nothing()); }

// c.send(None), gather(nothing(), 5), run(nothing) and run(sleep) are no
// programs.
template <class T>
concept CanBeStarted = requires(T coro) { coro.send(nullptr); };
static_assert(!CanBeStarted<Coro<>>);
template <class T>
concept CanBeGathered =
    requires(T value) { rondo::gather(nothing(), std::move(value)); };
static_assert(CanBeGathered<Coro<>> && !CanBeGathered<int>);
template <class T>
concept CanBeRun = requires(T value) { rondo::run(std::move(value)); };
static_assert(CanBeRun<Coro<>> && !CanBeRun<decltype(&nothing)> &&
              !CanBeRun<decltype(&sleep<int>)>);

static Coro<> main_coroutine() {
  print(
      "coroutine given to a task that is cancelled before it starts: "
      "no warning");
  Task<void> t = create_task(nothing());
  t.cancel();
  const std::vector cancelled{t};
  co_await rondo::wait(cancelled);
}

int main() {
  print("dropped at once");
  make_and_drop();
  print("closed");
  Coro<> c = nothing();
  c.close();
  print("started by hand and dropped");
  std::unique_ptr<EventLoop> loop = new_event_loop();
  run_until_complete(*loop, main_coroutine());
  print("pending task destroyed with its loop");
  Task<void> t = create_task(*loop, waits());
  run_until_complete(*loop, sleep(0));
  loop->close();
  t = Task<void>();
  loop = nullptr;
  print("asyncio.run with something else than a coroutine");
  static Coro<> last = nothing();
  print(
      "end of the script; one coroutine still referenced by a module "
      "variable");
}
