// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "futures/run.h"
#include "futures/sleep.h"
#include "reactor/errors.h"
#include "test/futures/bodies.h"
#include "test/support/child_process.h"

// Ctrl-C while run() runs: probe p53. Each in a process of its own, as a
// signal's disposition is the process's.

namespace rondo {
namespace {

using test::body;
using test::end_of;
using test::Lines;
using test::Returns;
using test::thrown_by;

bool sigint_is_default() {
  struct ::sigaction now{};
  ::sigaction(SIGINT, nullptr, &now);
  return now.sa_handler == SIG_DFL;
}

std::string joined(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "; ";
  return text;
}

/// Raises SIGINT in its first step, then waits; notes what comes.
auto interrupted(Lines& log, bool swallows) {
  return body([&log, swallows, begun = false](Resumption& r) mutable {
    if (!std::exchange(begun, true)) {
      ::raise(SIGINT);
      return test::wait_for_ever(r);
    }
    log.push_back("main: " + end_of(r.error()) +
                  ", cancelling: " + std::to_string(r.task().cancelling()));
    if (!swallows) r.check();
    return Step::done();
  });
}

// "the first Ctrl-C cancels the main task, which may clean up; run() then
// throws KeyboardInterrupt"
TEST(RunInterrupt, CancelsTheMainTaskThenThrows) {
  EXPECT_EQ(in_child([] {
              Lines log;
              log.push_back(thrown_by([&] { run(interrupted(log, false)); }));
              log.push_back(sigint_is_default() ? "put back" : "left");
              return joined(log);
            }),
            "main: CancelledError(), cancelling: 1; KeyboardInterrupt(); "
            "put back; ");
}

// "(unless the task returned all the same)"
TEST(RunInterrupt, ThrowsNothingIfTheMainTaskReturnsAllTheSame) {
  EXPECT_EQ(in_child([] {
              Lines log;
              log.push_back(thrown_by([&] { run(interrupted(log, true)); }));
              return joined(log);
            }),
            "main: CancelledError(), cancelling: 1; nothing; ");
}

// "A second one throws KeyboardInterrupt at once."
TEST(RunInterrupt, TheSecondThrowsAtOnce) {
  EXPECT_EQ(in_child([] {
              Lines log;
              log.push_back(thrown_by([&] {
                run(body([&, state = 0](Resumption& r) mutable {
                  switch (state++) {
                    case 0:
                    case 1:
                      ::raise(SIGINT);
                      log.push_back(end_of(r.take_error()));
                      return test::wait_for_ever(r);
                    default:
                      // The end of run(): it is cancelled as one that is left.
                      log.push_back("left: " + end_of(r.error()));
                      r.check();
                      return Step::done();
                  }
                }));
              }));
              return joined(log);
            }),
            "done; CancelledError(); left: CancelledError(); "
            "KeyboardInterrupt(); ");
}

// A cancel that somebody else asks for as well is no KeyboardInterrupt.
TEST(RunInterrupt, StaysACancelIfSomebodyElseHasAskedToo) {
  EXPECT_EQ(in_child([] {
              Lines log;
              log.push_back(thrown_by([&] {
                run(body([&, begun = false](Resumption& r) mutable {
                  if (!std::exchange(begun, true)) {
                    ::raise(SIGINT);
                    return test::wait_for_ever(r);
                  }
                  r.task().cancel();
                  r.check();
                  return Step::done();
                }));
              }));
              return joined(log);
            }),
            "CancelledError(); ");
}

// "While run() runs on a thread that has SIGINT's default disposition"
TEST(RunInterrupt, LeavesAHandlerThatIsThere) {
  EXPECT_EQ(in_child([] {
              static volatile ::sig_atomic_t count;
              count = 0;
              ::signal(SIGINT, [](int) { count = count + 1; });
              const std::string thrown = thrown_by([&] {
                run(body([](Resumption&) {
                  ::raise(SIGINT);
                  return Step::done();
                }));
              });
              return thrown + " " + std::to_string(count);
            }),
            "nothing 1");
}

// As in asyncio: there is nothing left to cancel.
TEST(RunInterrupt, ThrowsAtOnceIfTheMainTaskIsDone) {
  EXPECT_EQ(in_child([] {
              return thrown_by([] {
                // Done in this very pass; the signal is seen in the next.
                run(body([](Resumption&) {
                  ::raise(SIGINT);
                  return Step::done();
                }));
              });
            }),
            "KeyboardInterrupt()");
}

TEST(RunInterrupt, OfAFutureIsACancelOfIt) {
  EXPECT_EQ(in_child([] {
              Runner runner;
              const Future<int> future(runner.get_loop());
              runner.get_loop().call_soon([] { ::raise(SIGINT); });
              return thrown_by([&] { runner.run(future); });
            }),
            "CancelledError()");
}

}  // namespace
}  // namespace rondo
