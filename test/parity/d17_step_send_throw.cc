// SPDX-License-Identifier: MIT
// shows: how a task resumes its body: with nothing, or with the exception of
//   the future that it waited for, or with a CancelledError; the value of a
//   future does not travel with it, the body reads it from the future. A Spy
//   stands between the task and the body, which is written by hand, as a Coro
//   has no step() that another body could call
#include <stdexcept>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/wait.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_future;
using rondo::create_task;
using rondo::EventLoop;
using rondo::Future;
using rondo::get_running_loop;
using rondo::Resumption;
using rondo::sleep;
using rondo::Step;

template <class Body>
class Spy {
 public:
  explicit Spy(Body body) : body_(std::move(body)) {}

  Step step(Resumption& resumption) {
    if (resumption.error() == nullptr) {
      print("send(None)");
    } else {
      print("throw(" + python::repr(resumption.error()) + ")");
    }
    return body_.step(resumption);
  }
  void result() { body_.result(); }

 private:
  Body body_;
};

class Body {
 public:
  Body(Future<int> ok, Future<int> bad, Future<int> never)
      : ok_(std::move(ok)), bad_(std::move(bad)), never_(std::move(never)) {}

  Step step(Resumption& resumption) {
    switch (at_++) {
      case 0:
        resumption.check();
        return Step::wait(ok_);
      case 1:
        resumption.check();
        print("value", ok_.result());
        return Step::wait(bad_);
      case 2:
        try {
          resumption.check();
        } catch (const std::out_of_range&) {
          print("caught", repr(python::Error()));
        }
        return Step::yield();
      case 3:
        resumption.check();
        return Step::wait(never_);
      default:
        resumption.check();
        return Step::done();
    }
  }
  void result() {}

 private:
  Future<int> ok_;
  Future<int> bad_;
  Future<int> never_;
  int at_ = 0;
};

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  auto ok = create_future<int>(loop);
  auto bad = create_future<int>(loop);
  auto never = create_future<int>(loop);
  auto t = create_task(loop, Spy(Body(ok, bad, never)));
  co_await sleep(0);
  ok.set_result(42);
  co_await sleep(0.01);
  bad.set_exception(std::out_of_range("k"));
  co_await sleep(0.01);
  t.cancel();
  co_await rondo::wait(python::set(t));
  print("cancelled:", t.cancelled());
  t = create_task(loop, Spy(Body(ok, bad, never)));
  t.cancel();
  co_await rondo::wait(python::set(t));
  print(
      "cancelled before the first step: even that is a throw, into a coroutine "
      "that has not started");
}

int main() { rondo::run(main_function()); }
