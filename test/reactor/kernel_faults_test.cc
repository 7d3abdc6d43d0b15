// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <signal.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <system_error>
#include <vector>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/thread_pool.h"
#include "test/support/descriptors.h"
#include "test/support/log_capture.h"
#include "test/support/passes.h"
#include "test/support/reports.h"
#include "test/support/staged_kernel.h"

// R8, R10, R16, R21 by brute force. Each story below is run once to count its
// system calls. Then it is run again for each of these calls and each errno
// that its man page documents: with that call failing, and with that call and
// all later ones of its kind failing. Whatever fails:
//
//   the process lives, and no descriptor leaks;
//   a callback that the loop accepted runs once the fault is over, unless the
//   exception handler was told that its descriptor was lost;
//   the error surfaces where it belongs, if it matters at all;
//   the loop neither spins nor sleeps for ever, and works afterwards.
//
// Time is virtual, and all happens on one thread: see StagedKernel.

namespace rondo {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// -- what can go wrong -------------------------------------------------------

struct Failures {
  KernelCall call;
  std::vector<int> error_numbers;
};

/// From the man pages of section 2; of read(2) and write(2) what eventfd(2)
/// documents. EAGAIN of write(2) is not here, as it says that the eventfd is
/// readable, which a script cannot make true: see Signals.WakeTheLoopEven...
const Failures kFailures[] = {
    {KernelCall::kEpollCreate, {EMFILE, ENFILE, ENOMEM}},
    {KernelCall::kEpollAdd,
     {EBADF, EEXIST, EINVAL, ELOOP, ENOMEM, ENOSPC, EPERM}},
    {KernelCall::kEpollModify, {EBADF, EINVAL, ENOENT, ENOMEM, EPERM}},
    {KernelCall::kEpollRemove, {EBADF, EINVAL, ENOENT, ENOMEM, EPERM}},
    {KernelCall::kEpollWait, {EBADF, EFAULT, EINTR, EINVAL}},
    {KernelCall::kEpollPwait2, {EBADF, EFAULT, EINTR, EINVAL, ENOSYS, EPERM}},
    {KernelCall::kEventfd, {EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM}},
    {KernelCall::kRead, {EAGAIN, EBADF, EINTR, EINVAL, EIO}},
    {KernelCall::kWrite, {EBADF, EINTR, EINVAL, EIO}},
    {KernelCall::kClose, {EBADF, EDQUOT, EINTR, EIO, ENOSPC}},
    {KernelCall::kDup3, {EBADF, EBUSY, EINTR, EINVAL, EMFILE}},
    {KernelCall::kSigaction, {EFAULT, EINVAL}},
    {KernelCall::kSleepNs, {EFAULT, EINTR, EINVAL}},
    {KernelCall::kThreadCreate, {EAGAIN, EINVAL, EPERM}},
};

struct Fault {
  KernelCall call;
  int error_number;
  ScriptedKernel::When when;

  std::string description() const {
    return std::string(rondo::to_string(call)) + " number " +
           std::to_string(when.from_call) + " fails with " +
           ::strerrorname_np(error_number) +
           (when.times == 1 ? "" : ", and those after it");
  }
};

/// An interruption is an event, not a state: thirty in a row are a storm, and
/// "for ever" would be a processor that runs nothing but signal handlers.
std::uint64_t for_long(int error_number) {
  return error_number == EINTR ? 30 : ScriptedKernel::kForever;
}

// -- a story -----------------------------------------------------------------

/// What a story works with: a loop on a kernel that fails, and a record of
/// what was promised.
class Stage {
 public:
  Stage(StagedKernel& on, const LoopOptions& options)
      : kernel(on), loop(options), reports(loop) {}

  /// A callback that the loop has to run, if it takes it.
  Callback promise(const std::string& name, Callback then = [] {}) {
    return [this, name, then = std::move(then)]() mutable {
      ++kept[name];
      then();
    };
  }
  /// Says that the loop has taken it; `fd` is the descriptor it waits for.
  void promised(const std::string& name, int fd = -1) { promises[name] = fd; }

  /// Makes a call that may be refused. Returns whether it was taken.
  template <class Call>
  bool attempt(Call&& call) {
    try {
      call();
      return true;
    } catch (const std::system_error& error) {
      refusals.push_back(error.code().value());
    } catch (const RuntimeError&) {
      refusals.push_back(0);  // what a lost descriptor's next caller is told
    }
    return false;
  }

  /// Two acts: ten seconds with the fault, ten without it.
  void run() {
    run_ten_seconds();
    EXPECT_FALSE(kernel.spun());
    EXPECT_FALSE(kernel.stalled());
    end_the_fault();
    run_ten_seconds();
    EXPECT_FALSE(kernel.spun());
    EXPECT_FALSE(kernel.stalled());
  }

  /// The end of the first act. What was called until then can be made to fail.
  void end_the_fault() {
    for (const Failures& row : kFailures) {
      calls[row.call] = kernel.calls(row.call);
    }
    kernel.stop_failing();
    kernel.begin_again();
  }

  StagedKernel& kernel;
  EventLoop loop;
  Reports reports;
  std::map<std::string, int> promises;        // name -> descriptor or -1
  std::map<std::string, int> kept;            // name -> how often it ran
  std::vector<int> refusals;                  // the errnos that calls threw
  std::map<KernelCall, std::uint64_t> calls;  // made in the first act

 private:
  void run_ten_seconds() {
    const ScopedHandle end(loop.call_later(seconds(10), [&] { loop.stop(); }));
    attempt([&] { loop.run_forever(); });
  }
};

struct Story {
  friend std::ostream& operator<<(std::ostream& out, const Story& story) {
    return out << story.name;
  }
  const char* name;
  void (*play)(Stage& stage);
  void (*set)(LoopOptions& options) = [](LoopOptions&) {};
};

void call_soon_and_later(Stage& stage) {
  EventLoop& loop = stage.loop;
  loop.call_soon(stage.promise("soon"));
  stage.promised("soon");
  loop.call_later(milliseconds(5), stage.promise("later"));
  stage.promised("later");
  loop.call_later(microseconds(1500), stage.promise("fine"));
  stage.promised("fine");
  loop.call_later(milliseconds(7), [] { FAIL(); }).cancel();
  stage.run();
}

/// Registers a reader that takes what there is and goes.
void read_once(Stage& stage, int fd) {
  const auto on_readable = [&stage, fd] {
    read_text(fd);
    stage.loop.remove_reader(fd);
  };
  if (stage.attempt([&] {
        stage.loop.add_reader(fd, stage.promise("reader", on_readable));
      })) {
    stage.promised("reader", fd);
  }
}

void read_a_pipe(Stage& stage) {
  const Pipe pipe;
  read_once(stage, pipe.reader.get());
  stage.kernel.when_asleep([] {});  // a sleep that ends without an event
  stage.kernel.when_asleep([&] { write_text(pipe.writer.get(), "x"); });
  stage.run();
  stage.loop.remove_reader(pipe.reader.get());
}

void read_and_write_a_socket(Stage& stage) {
  EventLoop& loop = stage.loop;
  const SocketPair pair;
  const int fd = pair.a.get();
  stage.attempt([&] { loop.add_reader(fd, [fd] { read_text(fd); }); });
  const auto on_writable = [&] { loop.remove_writer(fd); };
  if (stage.attempt(
          [&] { loop.add_writer(fd, stage.promise("writer", on_writable)); })) {
    stage.promised("writer", fd);
  }
  read_once(stage, fd);
  stage.kernel.when_asleep([&] { write_text(pair.b.get(), "x"); });
  stage.run();
  loop.remove_writer(fd);
  loop.remove_reader(fd);
}

void watch_in_all_ways(Stage& stage) {
  EventLoop& loop = stage.loop;
  const SocketPair pair;
  const int fd = pair.a.get();
  stage.attempt([&] { loop.watch(fd, Events::kNone, [](Events) {}); });
  stage.attempt([&] { loop.modify_watch(fd, Events::kPriority); });
  stage.attempt([&] {
    loop.watch(fd, Events::kNone, [&](Events events) {
      ++stage.kept["watch"];
      if (has(events, Events::kRead)) read_text(fd);
    });
  });
  if (stage.attempt(
          [&] { loop.modify_watch(fd, Events::kRead | Events::kOneShot); })) {
    stage.promised("watch", fd);
  }
  stage.kernel.when_asleep([&] { write_text(pair.b.get(), "x"); });
  stage.run();
  loop.unwatch(fd);
}

void post_while_it_sleeps(Stage& stage) {
  for (const char* name : {"first", "second"}) {
    stage.kernel.when_asleep([&stage, name] {
      if (stage.loop.remote_queue()->post(stage.promise(name))) {
        stage.promised(name);
      }
    });
  }
  stage.run();
}

void raise_a_signal_while_it_sleeps(Stage& stage) {
  EventLoop& loop = stage.loop;
  ::signal(SIGUSR2, SIG_IGN);  // in case the loop's handler is refused
  if (stage.attempt(
          [&] { loop.add_signal_handler(SIGUSR2, stage.promise("signal")); })) {
    stage.promised("signal");
  }
  stage.kernel.when_asleep([] { ::raise(SIGUSR2); });
  stage.run();
  loop.remove_signal_handler(SIGUSR2);
  ::signal(SIGUSR2, SIG_DFL);
}

/// A registration that cannot be taken out of the set any more (R5), beside
/// others that have to survive the new set.
void renew_the_set(Stage& stage) {
  EventLoop& loop = stage.loop;
  UniqueFd stale = make_eventfd(1);
  const UniqueFd copy = duplicate(stale.get());
  const int number = stale.get();
  const SocketPair pair;
  stage.attempt([&] { loop.add_reader(number, [] {}); });
  read_once(stage, pair.a.get());
  stale.reset();
  loop.remove_reader(number);
  stage.kernel.when_asleep([&] { write_text(pair.b.get(), "x"); });
  stage.kernel.when_asleep([&] {
    if (loop.remote_queue()->post(stage.promise("post"))) {
      stage.promised("post");
    }
  });
  stage.run();
  loop.remove_reader(pair.a.get());
}

void run_a_job(Stage& stage) {
  ThreadPool pool(2, "job", stage.kernel);
  if (stage.attempt([&] {
        pool.submit(
            stage.loop, [] {},
            [&](std::exception_ptr error) {
              ++stage.kept["job"];
              EXPECT_EQ(error, nullptr);
            });
      })) {
    stage.promised("job");
  }
  stage.kernel.when_asleep([&] { pool.shutdown(); });
  stage.run();
}

void close_with_everything_pending(Stage& stage) {
  EventLoop& loop = stage.loop;
  const Pipe pipe;
  const UniqueFd watched = make_eventfd();
  stage.attempt([&] { loop.add_reader(pipe.reader.get(), [] { FAIL(); }); });
  stage.attempt([&] {
    loop.watch(watched.get(), Events::kRead, [](Events) { FAIL(); });
  });
  stage.attempt([&] { loop.add_signal_handler(SIGUSR2, [] { FAIL(); }); });
  loop.call_later(seconds(1), [] { FAIL(); });
  loop.call_soon([] { FAIL(); });
  loop.remote_queue()->post([] { FAIL(); });
  loop.close();
  stage.end_the_fault();
  ::signal(SIGUSR2, SIG_DFL);  // in case the fault kept it from being put back
}

void use_fine_timers(LoopOptions& options) {
  options.timer_resolution(microseconds(50));
}
void use_busy_poll(LoopOptions& options) {
  options.busy_poll(microseconds(20));
}

const Story kStories[] = {
    {"CallSoonAndLater", call_soon_and_later},
    {"CallSoonAndLaterWithFineTimers", call_soon_and_later, use_fine_timers},
    {"CallSoonAndLaterWithBusyPoll", call_soon_and_later, use_busy_poll},
    {"ReadAPipe", read_a_pipe},
    {"ReadAPipeWithFineTimers", read_a_pipe, use_fine_timers},
    {"ReadAndWriteASocket", read_and_write_a_socket},
    {"WatchInAllWays", watch_in_all_ways},
    {"PostWhileItSleeps", post_while_it_sleeps},
    {"RaiseASignalWhileItSleeps", raise_a_signal_while_it_sleeps},
    {"RenewTheSet", renew_the_set},
    {"RunAJob", run_a_job},
    {"CloseWithEverythingPending", close_with_everything_pending},
};

// -- what has to hold --------------------------------------------------------

/// A loop whose fault is over does everything that a new one does.
void expect_that_it_works(Stage& stage) {
  EventLoop& loop = stage.loop;
  stage.kernel.begin_again();
  const UniqueFd ready = make_eventfd(1);
  int reads = 0;
  bool woken = false;
  loop.add_reader(ready.get(), [&] {
    ++reads;
    loop.remove_reader(ready.get());
  });
  stage.kernel.when_asleep([&] {
    loop.remote_queue()->post([&] {
      woken = true;
      loop.stop();
    });
  });
  const ScopedHandle end(loop.call_later(seconds(10), [&] { loop.stop(); }));
  EXPECT_NO_THROW(loop.run_forever());
  EXPECT_EQ(reads, 1) << "a new reader";
  EXPECT_TRUE(woken) << "a post while it sleeps";
}

void expect_promises_kept(const Stage& stage) {
  for (const auto& [name, fd] : stage.promises) {
    if (stage.kept.count(name) != 0) continue;
    EXPECT_EQ(stage.reports.lost(fd), 1)
        << "'" << name << "' was taken, never ran, and nobody was told";
  }
}

/// What reached the caller is what the kernel said, and a single fault is not
/// said to more than two: who asked, and who lost a callback by it.
void expect_truth(const Stage& stage, const Fault& fault) {
  for (const int error : stage.refusals) {
    const bool said = error == fault.error_number || error == 0 ||
                      // Taking a registration over finds none.
                      (fault.error_number == EEXIST && error == ENOENT);
    EXPECT_TRUE(said) << ::strerrorname_np(error) << " was thrown";
  }
  if (fault.when.times == 1) {
    EXPECT_LE(stage.refusals.size() + stage.reports.messages.size(), 2u);
  }
}

/// The calls made with a fault that may still come, by kind.
using Calls = std::map<KernelCall, std::uint64_t>;

Calls play_on(StagedKernel& kernel, const Story& story,
              const std::optional<Fault>& fault) {
  LoopOptions options;
  story.set(options.kernel(kernel));
  std::optional<Stage> stage;
  try {
    stage.emplace(kernel, options);
  } catch (const std::system_error& error) {
    EXPECT_TRUE(fault && error.code().value() == fault->error_number)
        << error.what();
    return {};
  }
  story.play(*stage);
  if (!stage->loop.is_closed()) expect_that_it_works(*stage);
  expect_promises_kept(*stage);
  if (fault) {
    expect_truth(*stage, *fault);
  } else {
    EXPECT_TRUE(stage->refusals.empty());
    EXPECT_TRUE(stage->reports.messages.empty());
    EXPECT_EQ(kernel.stages_left(), 0u);
  }
  return stage->calls;
}

Calls play(const Story& story, const std::optional<Fault>& fault) {
  StagedKernel kernel;
  if (fault) kernel.fail(fault->call, fault->error_number, fault->when);
  const Calls calls = play_on(kernel, story, fault);
  EXPECT_TRUE(kernel.open_descriptors().empty()) << "leaked";
  EXPECT_TRUE(kernel.ledger_errors().empty()) << kernel.ledger_errors()[0];
  return calls;
}

class KernelFaults : public ::testing::TestWithParam<Story> {};

TEST_P(KernelFaults, NeitherAbortNorLoseNorLeakNorSpin) {
  const Story& story = GetParam();
  LogCapture silence;
  const auto open = count_open_descriptors();
  const auto calls = play(story, std::nullopt);
  ASSERT_FALSE(HasFailure()) << "without any fault";
  int runs = 0;
  for (const auto& [call, error_numbers] : kFailures) {
    const std::uint64_t count = calls.at(call) + 1;  // and when it ends
    for (const int error_number : error_numbers) {
      for (std::uint64_t nth = 1; nth <= count; ++nth) {
        for (const std::uint64_t times :
             {std::uint64_t{1}, for_long(error_number)}) {
          const Fault fault{call, error_number, {nth, times}};
          SCOPED_TRACE(fault.description());
          play(story, fault);
          ++runs;
          if (HasFailure()) return;  // the first one is enough to read
        }
      }
    }
  }
  EXPECT_EQ(count_open_descriptors(), open);
  EXPECT_GT(runs, 100) << "there was something to fail";
}

INSTANTIATE_TEST_SUITE_P(Story, KernelFaults, ::testing::ValuesIn(kStories),
                         [](const auto& story) {
                           return std::string(story.param.name);
                         });

}  // namespace
}  // namespace rondo
