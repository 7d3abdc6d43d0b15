// SPDX-License-Identifier: MIT
#include "reactor/testing/scripted_kernel.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "test/support/descriptors.h"

namespace rondo {
namespace {

/// What `call` fails with; zero if it does not. `call` answers as the C
/// library does.
template <class Call>
int failure_of(Call&& call) {
  errno = 0;
  return call() < 0 ? errno : 0;
}

/// An eventfd made and closed again.
int try_eventfd(ScriptedKernel& kernel) {
  return failure_of([&] {
    const int fd = kernel.eventfd();
    if (fd >= 0) kernel.close(fd);
    return fd;
  });
}

/// What the next `count` calls of eventfd() fail with.
std::vector<int> failures(ScriptedKernel& kernel, int count) {
  std::vector<int> all;
  for (int i = 0; i < count; ++i) all.push_back(try_eventfd(kernel));
  return all;
}

using Errors = std::vector<int>;

// -- the script --------------------------------------------------------------

TEST(ScriptedKernel, PassesEverythingOnWithoutAScript) {
  ScriptedKernel kernel;
  EXPECT_EQ(failures(kernel, 3), (Errors{0, 0, 0}));
  EXPECT_EQ(kernel.failures(), 0u);
  EXPECT_EQ(kernel.calls(KernelCall::kEventfd), 3u);
}

TEST(ScriptedKernel, FailsTheNextCallOnce) {
  ScriptedKernel kernel;
  try_eventfd(kernel);
  kernel.fail(KernelCall::kEventfd, EMFILE);
  EXPECT_EQ(failures(kernel, 3), (Errors{EMFILE, 0, 0}));
  EXPECT_EQ(kernel.failures(), 1u);
  EXPECT_EQ(kernel.calls(KernelCall::kEventfd), 4u) << "failed ones counted";
}

TEST(ScriptedKernel, FailsTheCallsThatItIsTold) {
  ScriptedKernel kernel;
  kernel.fail(KernelCall::kEventfd, ENFILE, {.from_call = 2, .times = 3});
  EXPECT_EQ(failures(kernel, 6), (Errors{0, ENFILE, ENFILE, ENFILE, 0, 0}));
}

TEST(ScriptedKernel, FailsForEver) {
  ScriptedKernel kernel;
  kernel.fail(KernelCall::kEventfd, ENOMEM,
              {.from_call = 3, .times = ScriptedKernel::kForever});
  EXPECT_EQ(failures(kernel, 5), (Errors{0, 0, ENOMEM, ENOMEM, ENOMEM}));
  kernel.stop_failing();
  EXPECT_EQ(failures(kernel, 2), (Errors{0, 0}));
}

TEST(ScriptedKernel, TakesTheLaterScriptForTheSameCall) {
  ScriptedKernel kernel;
  kernel.fail(KernelCall::kEventfd, ENOMEM, {.times = 5});
  EXPECT_EQ(failures(kernel, 1), (Errors{ENOMEM}));
  kernel.fail(KernelCall::kEventfd, EMFILE, {.from_call = 2});
  EXPECT_EQ(failures(kernel, 3), (Errors{0, EMFILE, 0}));
}

TEST(ScriptedKernel, TellsTheThreeOperationsOfEpollCtlApart) {
  ScriptedKernel kernel;
  const UniqueFd epoll(kernel.epoll_create(), kernel);
  const UniqueFd fd(kernel.eventfd(), kernel);
  const auto control = [&](int operation) {
    ::epoll_event event{};
    return failure_of([&] {
      return kernel.epoll_ctl(epoll.get(), operation, fd.get(), &event);
    });
  };
  kernel.fail(KernelCall::kEpollModify, EPERM);
  EXPECT_EQ(control(EPOLL_CTL_ADD), 0);
  EXPECT_EQ(control(EPOLL_CTL_MOD), EPERM);
  EXPECT_EQ(control(EPOLL_CTL_MOD), 0);
  kernel.fail(KernelCall::kEpollRemove, EBADF);
  EXPECT_EQ(control(EPOLL_CTL_DEL), EBADF);
  EXPECT_EQ(control(EPOLL_CTL_DEL), 0);
  kernel.fail(KernelCall::kEpollAdd, ENOSPC);
  EXPECT_EQ(control(EPOLL_CTL_ADD), ENOSPC);
}

void* do_nothing(void*) { return nullptr; }

// "Answers as the C library does", each in its own way.
TEST(ScriptedKernel, FailsEachCallAsTheRealOneWould) {
  ScriptedKernel kernel;
  const UniqueFd epoll(kernel.epoll_create(), kernel);
  const UniqueFd eventfd(kernel.eventfd(), kernel);
  ::epoll_event event{};
  std::uint64_t count = 1;
  struct ::sigaction action{};
  ::pthread_t thread{};
  const std::pair<KernelCall, std::function<long()>> calls[] = {
      {KernelCall::kEpollCreate, [&] { return kernel.epoll_create(); }},
      {KernelCall::kEpollWait,
       [&] { return kernel.epoll_wait(epoll.get(), &event, 1, 0); }},
      {KernelCall::kEpollPwait2,
       [&] { return kernel.epoll_pwait2(epoll.get(), &event, 1, 0); }},
      {KernelCall::kRead,
       [&] { return kernel.read(eventfd.get(), &count, sizeof count); }},
      {KernelCall::kWrite,
       [&] { return kernel.write(eventfd.get(), &count, sizeof count); }},
      {KernelCall::kDup3,
       [&] { return kernel.dup3(epoll.get(), epoll.get()); }},
      {KernelCall::kSigaction,
       [&] { return kernel.sigaction(SIGUSR1, nullptr, &action); }},
  };
  for (const auto& [call, make] : calls) {
    kernel.fail(call, ENOTRECOVERABLE);
    EXPECT_EQ(failure_of(make), ENOTRECOVERABLE) << to_string(call);
    EXPECT_EQ(kernel.calls(call), call == KernelCall::kEpollCreate ? 2u : 1u);
  }
  // These return the error number itself, as the man pages have it.
  kernel.fail(KernelCall::kSleepNs, EINTR);
  EXPECT_EQ(kernel.sleep_ns(1), EINTR);
  EXPECT_EQ(kernel.sleep_ns(1), 0);
  kernel.fail(KernelCall::kThreadCreate, EAGAIN);
  EXPECT_EQ(kernel.thread_create(&thread, do_nothing, nullptr), EAGAIN);
  EXPECT_EQ(kernel.thread_create(&thread, do_nothing, nullptr), 0);
  ::pthread_join(thread, nullptr);
}

TEST(ScriptedKernel, PassesEachCallOnToTheKernelBelow) {
  ScriptedKernel below;
  ScriptedKernel kernel(static_cast<Kernel&>(below));
  const UniqueFd epoll(kernel.epoll_create(), kernel);
  const UniqueFd eventfd(kernel.eventfd(), kernel);
  ::epoll_event event{};
  event.events = EPOLLIN;
  std::uint64_t count = 7;
  struct ::sigaction action{};
  EXPECT_EQ(kernel.epoll_ctl(epoll.get(), EPOLL_CTL_ADD, eventfd.get(), &event),
            0);
  EXPECT_EQ(kernel.write(eventfd.get(), &count, sizeof count), 8);
  EXPECT_EQ(kernel.epoll_wait(epoll.get(), &event, 1, -1), 1);
  EXPECT_EQ(kernel.epoll_pwait2(epoll.get(), &event, 1, 1'000'000'000), 1);
  count = 0;
  EXPECT_EQ(kernel.read(eventfd.get(), &count, sizeof count), 8);
  EXPECT_EQ(count, 7u);
  EXPECT_EQ(kernel.dup3(eventfd.get(), epoll.get()), epoll.get());
  EXPECT_EQ(kernel.sigaction(SIGUSR1, nullptr, &action), 0);
  const std::int64_t before = kernel.monotonic_ns();
  EXPECT_EQ(kernel.sleep_ns(1000), 0);
  kernel.yield();
  EXPECT_GE(kernel.monotonic_ns(), before + 1000);
  for (const KernelCall call :
       {KernelCall::kEpollCreate, KernelCall::kEpollAdd, KernelCall::kEpollWait,
        KernelCall::kEpollPwait2, KernelCall::kEventfd, KernelCall::kRead,
        KernelCall::kWrite, KernelCall::kDup3, KernelCall::kSigaction,
        KernelCall::kMonotonicNs, KernelCall::kSleepNs}) {
    EXPECT_EQ(below.calls(call), kernel.calls(call)) << to_string(call);
    EXPECT_GT(below.calls(call), 0u) << to_string(call);
  }
}

TEST(ScriptedKernel, NamesItsCallsAsTheManPagesDo) {
  EXPECT_STREQ(to_string(KernelCall::kEpollCreate), "epoll_create1");
  EXPECT_STREQ(to_string(KernelCall::kEpollAdd), "epoll_ctl(ADD)");
  EXPECT_STREQ(to_string(KernelCall::kSleepNs), "clock_nanosleep");
  EXPECT_STREQ(to_string(KernelCall::kThreadCreate), "pthread_create");
  std::set<std::string> names;
  for (int call = 0; call <= static_cast<int>(KernelCall::kThreadCreate);
       ++call) {
    names.insert(to_string(static_cast<KernelCall>(call)));
  }
  EXPECT_EQ(names.size(), 15u);
}

TEST(ScriptedKernel, MayBeUsedByManyThreadsAtOnce) {
  ScriptedKernel kernel;
  kernel.fail(KernelCall::kEventfd, EMFILE, {.times = 100});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { failures(kernel, 100); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(kernel.calls(KernelCall::kEventfd), 400u);
  EXPECT_EQ(kernel.failures(), 100u);
  EXPECT_EQ(kernel.calls(KernelCall::kClose), 300u);
  EXPECT_TRUE(kernel.open_descriptors().empty());
}

// -- the ledger --------------------------------------------------------------

TEST(Ledger, ListsWhatIsOpen) {
  ScriptedKernel kernel;
  const int first = kernel.eventfd();
  const int second = kernel.epoll_create();
  EXPECT_EQ(kernel.open_descriptors(), (std::vector<int>{first, second}));
  kernel.close(first);
  EXPECT_EQ(kernel.open_descriptors(), std::vector<int>{second});
  kernel.close(second);
  EXPECT_TRUE(kernel.open_descriptors().empty());
  EXPECT_TRUE(kernel.ledger_errors().empty());
}

TEST(Ledger, DoesNotListWhatCouldNotBeOpened) {
  ScriptedKernel kernel;
  kernel.fail(KernelCall::kEventfd, EMFILE);
  kernel.fail(KernelCall::kEpollCreate, EMFILE);
  kernel.eventfd();
  kernel.epoll_create();
  EXPECT_TRUE(kernel.open_descriptors().empty());
  // Nor what the kernel below could not.
  ScriptedKernel above(static_cast<Kernel&>(kernel));
  kernel.fail(KernelCall::kEventfd, EMFILE);
  EXPECT_EQ(failure_of([&] { return above.eventfd(); }), EMFILE);
  EXPECT_TRUE(above.open_descriptors().empty());
}

TEST(Ledger, NoticesADescriptorThatIsClosedTwice) {
  ScriptedKernel kernel;
  const int fd = kernel.eventfd();
  kernel.close(fd);
  kernel.close(fd);
  ASSERT_EQ(kernel.ledger_errors().size(), 1u);
  EXPECT_EQ(kernel.ledger_errors()[0],
            "fd " + std::to_string(fd) + " was closed but is not open here");
}

TEST(Ledger, NoticesADescriptorThatIsNotOurs) {
  ScriptedKernel kernel;
  UniqueFd foreign = make_eventfd();
  kernel.close(foreign.release());
  EXPECT_EQ(kernel.ledger_errors().size(), 1u);
}

TEST(Ledger, NoticesThatSomebodyElseClosedOurs) {
  ScriptedKernel kernel;
  const int fd = kernel.eventfd();
  ::close(fd);
  const int again = kernel.eventfd();
  ASSERT_EQ(again, fd) << "the lowest free number";
  ASSERT_EQ(kernel.ledger_errors().size(), 1u);
  EXPECT_EQ(kernel.ledger_errors()[0],
            "fd " + std::to_string(fd) +
                " was opened again: somebody else closed it");
  kernel.close(again);
  EXPECT_TRUE(kernel.open_descriptors().empty());
}

// "A call that fails is not made, but for close()."
TEST(Ledger, TakesAFailedCloseForAClose) {
  ScriptedKernel kernel;
  const int fd = kernel.eventfd();
  kernel.fail(KernelCall::kClose, EINTR);
  EXPECT_EQ(failure_of([&] { return kernel.close(fd); }), EINTR);
  EXPECT_TRUE(kernel.open_descriptors().empty());
  EXPECT_EQ(failure_of([&] { return ::close(fd); }), EBADF) << "it is gone";
}

// -- the spin detector -------------------------------------------------------

struct SpinDetector : ::testing::Test {
  SpinDetector() {
    ::epoll_event event{};
    event.events = EPOLLIN;
    kernel.epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event);
  }
  void make_readable() {
    const std::uint64_t one = 1;
    kernel.write(fd.get(), &one, sizeof one);
  }
  void make_unreadable() {
    std::uint64_t count;
    kernel.read(fd.get(), &count, sizeof count);
  }
  int wait(int timeout_ms) {
    ::epoll_event event;
    return kernel.epoll_wait(epoll.get(), &event, 1, timeout_ms);
  }

  ScriptedKernel kernel;
  UniqueFd epoll{kernel.epoll_create(), kernel};
  UniqueFd fd{kernel.eventfd(), kernel};
};

TEST_F(SpinDetector, CountsWaitsWithEventsThatNobodyTook) {
  make_readable();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(wait(-1), 1);
  EXPECT_EQ(kernel.spins_max(), 3u);
  kernel.callback_ran();
  for (int i = 0; i < 2; ++i) EXPECT_EQ(wait(-1), 1);
  EXPECT_EQ(kernel.spins_max(), 3u) << "two in a row are fewer";
  for (int i = 0; i < 2; ++i) EXPECT_EQ(wait(-1), 1);
  EXPECT_EQ(kernel.spins_max(), 4u);
}

TEST_F(SpinDetector, TakesAWaitWithoutEventsForTheEndOfTheRow) {
  make_readable();
  for (int i = 0; i < 3; ++i) wait(-1);
  make_unreadable();
  EXPECT_EQ(wait(0), 0);
  make_readable();
  for (int i = 0; i < 2; ++i) wait(-1);
  EXPECT_EQ(kernel.spins_max(), 3u);
}

TEST_F(SpinDetector, CountsSleepsThatEndedForNothing) {
  EXPECT_EQ(wait(0), 0);
  EXPECT_EQ(kernel.idle_wakeups_max(), 0u) << "it was asked not to sleep";
  for (int i = 0; i < 3; ++i) EXPECT_EQ(wait(1), 0);
  EXPECT_EQ(kernel.idle_wakeups_max(), 3u);
  kernel.callback_ran();
  EXPECT_EQ(wait(1), 0);
  EXPECT_EQ(kernel.idle_wakeups_max(), 3u);
  make_readable();
  EXPECT_EQ(wait(1), 1);
}

TEST_F(SpinDetector, CountsInterruptionsAsSleepsThatEndedForNothing) {
  kernel.fail(KernelCall::kEpollWait, EINTR, {.times = 2});
  EXPECT_EQ(failure_of([&] { return wait(-1); }), EINTR);
  EXPECT_EQ(failure_of([&] { return wait(-1); }), EINTR);
  EXPECT_EQ(kernel.idle_wakeups_max(), 2u);
  EXPECT_EQ(kernel.spins_max(), 0u);
}

TEST_F(SpinDetector, SeesBothKindsOfWait) {
  ::epoll_event event;
  EXPECT_EQ(kernel.epoll_pwait2(epoll.get(), &event, 1, 1000), 0);
  EXPECT_EQ(kernel.idle_wakeups_max(), 1u);
  make_readable();
  EXPECT_EQ(kernel.epoll_pwait2(epoll.get(), &event, 1, 1000), 1);
  EXPECT_EQ(kernel.spins_max(), 1u);
}

}  // namespace
}  // namespace rondo
