// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "futures/future.h"
#include "reactor/errors.h"
#include "reactor/partial.h"
#include "test/futures/bodies.h"
#include "test/support/log_capture.h"
#include "test/support/one_pass.h"
#include "test/support/reports.h"

// add_done_callback: probe p10.

namespace rondo {
namespace {

using test::Lines;

TEST(DoneCallback, RunsInTheNextPassWithTheFuture) {
  EventLoop loop;
  const Future<int> future(loop);
  int seen = 0;
  future.add_done_callback([&](Future<int> f) {
    EXPECT_TRUE(f == future);
    seen = f.result();
  });
  future.set_result(7);
  // "never from inside this call or set_result()"
  EXPECT_EQ(seen, 0);
  run_one_pass(loop);
  EXPECT_EQ(seen, 7);
  run_one_pass(loop);
  EXPECT_EQ(seen, 7);
}

// "from the ready queue, ... in the order in which callbacks were added"
TEST(DoneCallback, RunsInTheOrderAddedAmongTheOtherCallbacks) {
  EventLoop loop;
  const Future<void> future(loop);
  std::string order;
  future.add_done_callback([&](AnyFuture) { order += 'a'; });
  loop.call_soon([&] { order += '1'; });
  future.add_done_callback([&](AnyFuture) { order += 'b'; });
  future.set_result();
  loop.call_soon([&] { order += '2'; });
  run_one_pass(loop);
  EXPECT_EQ(order, "1ab2");
}

// "If it is done already, the callback is queued at once."
TEST(DoneCallback, IsQueuedAtOnceIfTheFutureIsDone) {
  EventLoop loop;
  const Future<void> future(loop);
  future.set_result();
  std::string order;
  loop.call_soon([&] { order += '1'; });
  future.add_done_callback([&](AnyFuture f) {
    order += f.done() ? 'a' : '?';
    // From inside a callback too.
    f.add_done_callback([&](AnyFuture) { order += 'b'; });
  });
  EXPECT_EQ(order, "");
  run_one_pass(loop);
  EXPECT_EQ(order, "1a");
  run_one_pass(loop);
  EXPECT_EQ(order, "1ab");
}

TEST(DoneCallback, RunsForEachWayToEnd) {
  EventLoop loop;
  Lines ends;
  const auto note = [&](AnyFuture f) { ends.push_back(test::end_of(f)); };
  const Future<void> finished(loop);
  const Future<void> failed(loop);
  const Future<void> cancelled(loop);
  for (const auto& future : {finished, failed, cancelled}) {
    future.add_done_callback(note);
  }
  failed.set_exception(std::runtime_error("bad"));
  cancelled.cancel("why");
  finished.set_result();
  run_one_pass(loop);
  EXPECT_EQ(ends, (Lines{"std::runtime_error('bad')", "CancelledError('why')",
                         "done"}));
}

TEST(DoneCallback, MayBeAddedMoreThanOnce) {
  EventLoop loop;
  const Future<void> future(loop);
  int calls = 0;
  const auto count = [&](AnyFuture) { ++calls; };
  future.add_done_callback(count);
  future.add_done_callback(count);
  future.set_result();
  run_one_pass(loop);
  EXPECT_EQ(calls, 2);
}

TEST(DoneCallback, ThatThrowsDoesNotKeepTheOthersFromRunning) {
  EventLoop loop;
  Reports reports(loop);
  const Future<void> future(loop);
  int calls = 0;
  future.add_done_callback(
      [](AnyFuture) { throw std::runtime_error("in it"); });
  future.add_done_callback([&](AnyFuture) { ++calls; });
  future.set_result();
  run_one_pass(loop);
  EXPECT_EQ(calls, 1);
  ASSERT_EQ(reports.messages.size(), 1u);
  EXPECT_NE(reports.messages[0].find("Exception in callback"),
            std::string::npos);
}

TEST(DoneCallback, OwnsWhatItCaptures) {
  EventLoop loop;
  auto captured = std::make_unique<int>(7);
  const int* const address = captured.get();
  const int* seen = nullptr;
  const Future<void> future(loop);
  future.add_done_callback(
      [&seen, own = std::move(captured)](AnyFuture) { seen = own.get(); });
  future.set_result();
  run_one_pass(loop);
  EXPECT_EQ(seen, address);
}

TEST(DoneCallback, KeepsTheFutureUntilItHasRun) {
  EventLoop loop;
  int seen = 0;
  {
    const Future<int> future(loop);
    future.add_done_callback([&](Future<int> f) { seen = f.result(); });
    future.set_result(7);
  }
  run_one_pass(loop);
  EXPECT_EQ(seen, 7);
}

TEST(DoneCallback, GoesWithAFutureThatIsNeverDone) {
  EventLoop loop;
  const auto captured = std::make_shared<int>(7);
  {
    const Future<void> future(loop);
    for (int i = 0; i < 3; ++i) {
      future.add_done_callback([captured](AnyFuture) { ADD_FAILURE(); });
    }
    EXPECT_EQ(captured.use_count(), 4);
  }
  EXPECT_EQ(captured.use_count(), 1);
}

TEST(DoneCallback, IsDroppedUncalledWhenTheLoopCloses) {
  EventLoop loop;
  const auto captured = std::make_shared<int>(7);
  const Future<void> future(loop);
  future.add_done_callback([captured](AnyFuture) { ADD_FAILURE(); });
  future.set_result();
  loop.close();
  EXPECT_EQ(captured.use_count(), 1);
  EXPECT_NO_THROW(future.result());
}

// "RuntimeError if the future is done and the loop closed."
TEST(DoneCallback, IsRefusedByAFutureThatIsDoneOnAClosedLoop) {
  EventLoop loop;
  const auto captured = std::make_shared<int>(7);
  const Future<void> done(loop);
  done.set_result();
  const Future<void> pending(loop);
  loop.close();
  EXPECT_THROW(done.add_done_callback([captured](AnyFuture) {}), RuntimeError);
  EXPECT_EQ(captured.use_count(), 1);
  pending.add_done_callback([captured](AnyFuture) {});
  EXPECT_THROW(pending.set_result(), RuntimeError);
  EXPECT_FALSE(pending.done());
}

// -- taking one back ---------------------------------------------------------

// "Dropping the Handle changes nothing; its cancel() takes the callback back,
// even when it is queued already."
TEST(DoneCallback, IsTakenBackByItsHandle) {
  EventLoop loop;
  const Future<void> future(loop);
  std::string order;
  const auto captured = std::make_shared<int>(7);
  Handle first =
      future.add_done_callback([&, captured](AnyFuture) { order += 'a'; });
  Handle second = future.add_done_callback([&](AnyFuture) { order += 'b'; });
  future.add_done_callback([&](AnyFuture) { order += 'c'; });
  first.cancel();
  EXPECT_EQ(captured.use_count(), 1);
  future.set_result();
  second.cancel();
  run_one_pass(loop);
  EXPECT_EQ(order, "c");
}

TEST(DoneCallback, MayTakeBackTheOnesBehindIt) {
  EventLoop loop;
  const Future<void> future(loop);
  Handle second;
  bool first_ran = false;
  future.add_done_callback([&](AnyFuture) {
    first_ran = true;
    second.cancel();
  });
  second = future.add_done_callback([](AnyFuture) { ADD_FAILURE(); });
  future.set_result();
  run_one_pass(loop);
  EXPECT_TRUE(first_ran);
}

TEST(RemoveDoneCallback, TakesOneBackByItsHandle) {
  EventLoop loop;
  const Future<void> future(loop);
  std::string order;
  std::vector<Handle> handles;
  for (const char name : {'a', 'b', 'c', 'd'}) {
    handles.push_back(
        future.add_done_callback([&, name](AnyFuture) { order += name; }));
  }
  EXPECT_EQ(future.remove_done_callback(handles[3]), 1u);  // the last
  EXPECT_EQ(future.remove_done_callback(handles[0]), 1u);  // the first
  EXPECT_EQ(future.remove_done_callback(handles[0]), 0u);
  EXPECT_EQ(future.remove_done_callback(Handle()), 0u);
  EXPECT_EQ(future.remove_done_callback(loop.call_soon([] {})), 0u);
  future.add_done_callback([&](AnyFuture) { order += 'e'; });
  future.set_result();
  run_one_pass(loop);
  EXPECT_EQ(order, "bce");
}

TEST(RemoveDoneCallback, TakesTheOnlyOneBack) {
  EventLoop loop;
  const Future<void> future(loop);
  const auto captured = std::make_shared<int>(7);
  const Handle handle =
      future.add_done_callback([captured](AnyFuture) { ADD_FAILURE(); });
  EXPECT_EQ(future.remove_done_callback(handle), 1u);
  // Its captures go now, though the handle is kept.
  EXPECT_EQ(captured.use_count(), 1);
  EXPECT_EQ(future.remove_done_callback(handle), 0u);
  future.set_result();
  run_one_pass(loop);
}

// "As in asyncio it has no effect on one that is queued already."
TEST(RemoveDoneCallback, LeavesOneThatIsQueued) {
  EventLoop loop;
  const Future<void> future(loop);
  bool ran = false;
  const Handle handle =
      future.add_done_callback([&](AnyFuture) { ran = true; });
  future.set_result();
  EXPECT_EQ(future.remove_done_callback(handle), 0u);
  run_one_pass(loop);
  EXPECT_TRUE(ran);
}

int function_calls = 0;
void count_call(Future<int>) { ++function_calls; }
void count_other(Future<int>) { function_calls += 100; }

// "Takes every callback back that is this function, as asyncio does for equal
// ones. Returns how many."
TEST(RemoveDoneCallback, TakesEveryOneBackThatIsTheSameFunction) {
  EventLoop loop;
  function_calls = 0;
  const Future<int> future(loop);
  int lambda_calls = 0;
  future.add_done_callback(count_call);
  future.add_done_callback([&](Future<int>) { ++lambda_calls; });
  future.add_done_callback(count_other);
  future.add_done_callback(&count_call);
  EXPECT_EQ(future.remove_done_callback(count_call), 2u);
  EXPECT_EQ(future.remove_done_callback(count_call), 0u);
  future.add_done_callback(count_call);
  future.set_result(1);
  EXPECT_EQ(future.remove_done_callback(count_call), 0u);
  run_one_pass(loop);
  EXPECT_EQ(function_calls, 101);
  EXPECT_EQ(lambda_calls, 1);
}

/// What its destructor does to the future that owns it as a callback.
class Meddles {
 public:
  explicit Meddles(std::function<void()> meddle) : meddle_(std::move(meddle)) {}
  Meddles(Meddles&&) = default;
  ~Meddles() {
    if (meddle_) meddle_();
  }
  void operator()(AnyFuture) const {}

 private:
  std::function<void()> meddle_;
};

// A callback may cancel, close or destroy anything: when it goes, too.
TEST(RemoveDoneCallback, MayDestroyWhatAsksTheFuture) {
  EventLoop loop;
  const Future<void> future(loop);
  Handle second;
  const Handle first = future.add_done_callback(Meddles([&] {
    future.remove_done_callback(second);
    future.add_done_callback([](AnyFuture) {});
  }));
  second = future.add_done_callback([](AnyFuture) { ADD_FAILURE(); });
  EXPECT_EQ(future.remove_done_callback(first), 1u);
  EXPECT_EQ(future.remove_done_callback(second), 0u);
  future.set_result();
  run_one_pass(loop);
}

}  // namespace
}  // namespace rondo
