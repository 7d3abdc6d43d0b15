// SPDX-License-Identifier: MIT
//
// One await, seen through the loop: what is in the ready queue when a pass
// begins, and what runs. README.md walks through this very output.
//
//   step()    runs the body until it waits, and leaves wakeup() with the Future
//   wakeup()  is that Future's callback: it learns how the wait has ended, and
//             calls step() again
//
// A Task prints as "step" while its handle stands in the queue to be run, and
// as "wakeup" once it waits for a Future.
//
// New against 12: nothing but the observer; see the reactor's 08.
//
// Expected output:
//   pass 1, ready: [Task.task_step('Task-1'), set_answer()]
//     run Task.task_step('Task-1')
//       body: begins, and awaits <Future pending>
//     run set_answer()
//       answer: <Future pending cb=[Task.task_wakeup()]>
//       answer: <Future finished result=41>
//   pass 2, ready: [Task.task_wakeup()]
//     run Task.task_wakeup()
//       body: goes on with 41
//   pass 3, ready: [show()]
//     run show()
//       task: its result is 42

#include <cstdio>
#include <string>

#include "futures/coro/coro.h"
#include "futures/future.h"
#include "reactor/event_loop.h"
#include "reactor/loop_observer.h"
#include "reactor/snapshot.h"

using rondo::Coro;
using rondo::Future;
using rondo::Handle;

// `<Handle set_answer() at file.cc:7>` without what would distract here.
static std::string name_of(const Handle& handle) {
  std::string text = to_string(handle);
  text = text.substr(0, text.find(" at ")).substr(sizeof "<Handle " - 1);
  if (text.ends_with('>')) text.pop_back();
  return text;
}

class Narrator : public rondo::LoopObserver {
 public:
  void on_pass_begin(rondo::EventLoop& loop) override {
    std::string ready;
    for (const Handle& handle : loop.snapshot().ready) {
      ready += (ready.empty() ? "" : ", ") + name_of(handle);
    }
    std::printf("pass %d, ready: [%s]\n", ++passes_, ready.c_str());
  }
  void on_callback_begin(rondo::EventLoop&, const Handle& handle) override {
    std::printf("  run %s\n", name_of(handle).c_str());
  }

 private:
  int passes_ = 0;
};

static Future<int> answer;

static Coro<int> add_one() {
  std::printf("    body: begins, and awaits %s\n", to_string(answer).c_str());
  const int n = co_await answer;
  std::printf("    body: goes on with %d\n", n);
  co_return n + 1;
}

static void set_answer() {
  std::printf("    answer: %s\n", to_string(answer).c_str());
  answer.set_result(41);
  std::printf("    answer: %s\n", to_string(answer).c_str());
}

static void show(Future<int> task) {
  std::printf("    task: its result is %d\n", task.result());
  task.get_loop().stop();
}

int main() {
  rondo::EventLoop loop;
  Narrator narrator;
  loop.add_observer(narrator);
  answer = Future<int>(loop);
  create_task(loop, add_one()).add_done_callback(show);
  loop.call_soon(set_answer);
  loop.run_forever();
  answer = Future<int>();
}
