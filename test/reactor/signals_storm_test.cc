// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <new>
#include <stop_token>
#include <string>
#include <thread>

#include "reactor/event_loop.h"
#include "test/support/child_process.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"

// R10 and R18: signals by the hundred thousand.

namespace rondo {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// A number that a forked child counts up and its parent sees.
class SharedCounter {
 public:
  SharedCounter() {
    void* memory =
        ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    value_ = ::new (memory) std::atomic<int>(0);
  }
  SharedCounter(const SharedCounter&) = delete;
  SharedCounter& operator=(const SharedCounter&) = delete;
  ~SharedCounter() { ::munmap(value_, sizeof *value_); }
  std::atomic<int>& operator*() { return *value_; }

 private:
  std::atomic<int>* value_;
};

// R18: "each coalesced delivery at least one, never zero". The sender counts
// before each signal; so a callback that runs after the last delivery sees
// the whole count, and if that callback were lost nobody would ever see it.
TEST(SignalStorm, OfAnotherProcessLosesNoLastDelivery) {
  constexpr int kSignals = 100'000;
  SharedCounter sent;
  EventLoop loop;
  int seen = 0;
  int calls = 0;
  loop.add_signal_handler(SIGUSR1, [&] {
    ++calls;
    seen = (*sent).load();
    if (seen == kSignals) loop.stop();
  });
  const TimerHandle patience =
      loop.call_later(seconds(60), [&] { loop.stop(); });
  ChildProcess sender;
  if (sender.begin()) {
    const ::pid_t parent = ::getppid();
    for (int i = 0; i < kSignals; ++i) {
      ++*sent;
      ::kill(parent, SIGUSR1);
    }
    sender.end("sent all");
  }
  loop.run_forever();
  EXPECT_EQ(sender.story(), "sent all");
  EXPECT_EQ(seen, kSignals);
  EXPECT_GE(calls, 1);
}

// Handlers come and go, in this thread, while the signal arrives in another.
// Whichever loop has it at that moment gets it; nothing is touched that is
// gone (the sanitizers look).
TEST(SignalStorm, MeetsHandlersThatComeAndGo) {
  struct ::sigaction before;
  struct ::sigaction ignored{};
  ignored.sa_handler = SIG_IGN;
  ::sigaction(SIGUSR1, &ignored, &before);
  std::jthread victim([](const std::stop_token& enough) {
    while (!enough.stop_requested()) ::raise(SIGUSR1);
  });
  int calls = 0;
  for (int round = 0; round < 100; ++round) {
    EventLoop loop;
    loop.add_signal_handler(SIGUSR1, [&] { ++calls; });
    ASSERT_TRUE(run_until(loop, [&] { return calls > round; }));
    if (round % 2 == 0) loop.remove_signal_handler(SIGUSR1);
    if (round % 3 == 0) loop.close();
  }
  victim.request_stop();
  victim.join();
  ::sigaction(SIGUSR1, &before, nullptr);
}

std::atomic<int> alarms{0};
extern "C" void count_alarm(int) { ++alarms; }

/// SIGALRM ten thousand times a second, with a handler that interrupts.
class AlarmStorm {
 public:
  AlarmStorm() {
    alarms = 0;
    struct ::sigaction action{};
    action.sa_handler = count_alarm;
    action.sa_flags = 0;  // no SA_RESTART
    ::sigaction(SIGALRM, &action, &before_);
    const ::itimerval storm{{0, 100}, {0, 100}};
    ::setitimer(ITIMER_REAL, &storm, nullptr);
  }
  AlarmStorm(const AlarmStorm&) = delete;
  AlarmStorm& operator=(const AlarmStorm&) = delete;
  ~AlarmStorm() {
    const ::itimerval calm{};
    ::setitimer(ITIMER_REAL, &calm, nullptr);
    ::sigaction(SIGALRM, &before_, nullptr);
  }

 private:
  struct ::sigaction before_;
};

/// Counts the waits that a signal ended.
class InterruptedKernel : public LinuxKernel {
 public:
  int epoll_wait(int epoll_fd, ::epoll_event* events, int events_max,
                 int timeout_ms) override {
    return count(
        LinuxKernel::epoll_wait(epoll_fd, events, events_max, timeout_ms));
  }
  int epoll_pwait2(int epoll_fd, ::epoll_event* events, int events_max,
                   std::int64_t timeout_ns) override {
    return count(
        LinuxKernel::epoll_pwait2(epoll_fd, events, events_max, timeout_ns));
  }
  int interruptions = 0;

 private:
  int count(int answer) {
    if (answer < 0 && errno == EINTR) ++interruptions;
    return answer;
  }
};

// R10: EINTR is retried with a timeout that is worked out anew, so timers are
// neither early nor put off for ever, and descriptors are served.
TEST(SignalStorm, OfInterruptionsDelaysNothingAndLosesNothing) {
  for (const Duration resolution :
       {Duration(milliseconds(1)), Duration(microseconds(50))}) {
    InterruptedKernel kernel;
    EventLoop loop(LoopOptions().kernel(kernel).timer_resolution(resolution));
    SocketPair pair;
    int early = 0;
    int timers = 0;
    std::string received;
    const AlarmStorm storm;
    for (int i = 1; i <= 20; ++i) {
      const TimePoint due = loop.time() + milliseconds(i);
      loop.call_at(due, [&, due, i] {
        early += loop.time() < due ? 1 : 0;
        timers += timers == i - 1 ? 1 : 0;
        write_text(pair.b.get(), "x");
      });
    }
    loop.add_reader(pair.a.get(), [&] {
      received += read_text(pair.a.get());
      if (received.size() == 20) loop.stop();
    });
    loop.run_forever();
    EXPECT_EQ(early, 0);
    EXPECT_EQ(timers, 20) << "each once, in order";
    EXPECT_GT(alarms, 0);
    EXPECT_GT(kernel.interruptions, 0);
  }
}

}  // namespace
}  // namespace rondo
