// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "reactor/testing/scripted_kernel.h"
#include "reactor/unique_fd.h"

// The calls of a Kernel that concern processes, and sockets to them. The
// others are in scripted_kernel_test.cc.

namespace rondo {
namespace {

/// The errno of a call that fails; zero if it does not.
int failure_of(const std::function<long()>& call) {
  errno = 0;
  return call() == -1 ? errno : 0;
}

/// A forked process that waits to be killed.
::pid_t fork_sleeper(Kernel& kernel) {
  const ::pid_t pid = kernel.fork();
  if (pid == 0) {
    for (;;) ::pause();
  }
  return pid;
}

struct ProcessCalls : ::testing::Test {
  ScriptedKernel below;
  ScriptedKernel kernel{static_cast<Kernel&>(below)};
};

TEST_F(ProcessCalls, ForkWatchKillAndReap) {
  const ::pid_t pid = fork_sleeper(kernel);
  ASSERT_GT(pid, 0);
  const UniqueFd process(kernel.pidfd_open(pid), kernel);
  ASSERT_GE(process.get(), 0);
  EXPECT_EQ(kernel.descriptor_flags(process.get()), FD_CLOEXEC);
  ::siginfo_t info{};
  EXPECT_EQ(kernel.waitid(P_PIDFD, static_cast<::id_t>(process.get()), &info,
                          WEXITED | WNOHANG),
            0);
  EXPECT_EQ(info.si_pid, 0) << "it runs";
  ::pollfd asked{process.get(), POLLIN, 0};
  EXPECT_EQ(kernel.poll(&asked, 1, 0), 0);
  EXPECT_EQ(kernel.pidfd_send_signal(process.get(), SIGTERM), 0);
  EXPECT_EQ(kernel.poll(&asked, 1, -1), 1);
  EXPECT_EQ(kernel.waitid(P_PIDFD, static_cast<::id_t>(process.get()), &info,
                          WEXITED | WNOHANG),
            0);
  EXPECT_EQ(info.si_pid, pid);
  EXPECT_EQ(info.si_code, CLD_KILLED);
  EXPECT_EQ(info.si_status, SIGTERM);
  EXPECT_EQ(kernel.open_descriptors(), std::vector<int>{process.get()});
}

TEST_F(ProcessCalls, KillByNumberAndWaitForIt) {
  const ::pid_t pid = fork_sleeper(kernel);
  EXPECT_EQ(kernel.kill(pid, SIGKILL), 0);
  ::siginfo_t info{};
  EXPECT_EQ(kernel.waitid(P_PID, static_cast<::id_t>(pid), &info, WEXITED), 0);
  EXPECT_EQ(info.si_status, SIGKILL);
}

TEST_F(ProcessCalls, TalkThroughAPairOfSockets) {
  int both[2];
  ASSERT_EQ(kernel.socketpair(both), 0);
  const UniqueFd a(both[0], kernel), b(both[1], kernel);
  EXPECT_EQ(kernel.descriptor_flags(a.get()), FD_CLOEXEC);
  EXPECT_EQ(kernel.open_descriptors().size(), 2u);
  char text[8] = {};
  EXPECT_EQ(failure_of([&] {
              return kernel.recv(b.get(), text, sizeof text, MSG_DONTWAIT);
            }),
            EAGAIN);
  EXPECT_EQ(kernel.send(a.get(), "hello", 5, MSG_NOSIGNAL), 5);
  EXPECT_EQ(kernel.recv(b.get(), text, sizeof text, 0), 5);
  EXPECT_STREQ(text, "hello");
}

TEST_F(ProcessCalls, KnowWhoIsWhoseParent) {
  EXPECT_EQ(kernel.getpid(), ::getpid());
  EXPECT_EQ(kernel.getppid(), ::getppid());
  EXPECT_EQ(kernel.set_parent_death_signal(0), 0);
}

TEST_F(ProcessCalls, SetTheMaskOfTheThread) {
  ::sigset_t one, before, now;
  ::sigemptyset(&one);
  ::sigaddset(&one, SIGUSR2);
  EXPECT_EQ(kernel.signal_mask(SIG_BLOCK, &one, &before), 0);
  EXPECT_EQ(kernel.signal_mask(SIG_SETMASK, &before, &now), 0);
  EXPECT_EQ(::sigismember(&now, SIGUSR2), 1);
}

TEST_F(ProcessCalls, FailAsTheyAreTold) {
  int both[2];
  ::siginfo_t info;
  const std::pair<KernelCall, std::function<long()>> calls[] = {
      {KernelCall::kPoll, [&] { return kernel.poll(nullptr, 0, 0); }},
      {KernelCall::kSocketpair, [&] { return kernel.socketpair(both); }},
      {KernelCall::kRecv, [&] { return kernel.recv(-1, nullptr, 0, 0); }},
      {KernelCall::kSend, [&] { return kernel.send(-1, nullptr, 0, 0); }},
      {KernelCall::kFork, [&] { return kernel.fork(); }},
      {KernelCall::kPidfdOpen, [&] { return kernel.pidfd_open(1); }},
      {KernelCall::kPidfdSendSignal,
       [&] { return kernel.pidfd_send_signal(-1, 0); }},
      {KernelCall::kWaitid,
       [&] { return kernel.waitid(P_ALL, 0, &info, WEXITED | WNOHANG); }},
      {KernelCall::kKill, [&] { return kernel.kill(::getpid(), 0); }},
      {KernelCall::kPrctl, [&] { return kernel.set_parent_death_signal(0); }},
      {KernelCall::kFcntl, [&] { return kernel.descriptor_flags(0); }},
  };
  for (const auto& [call, make] : calls) {
    kernel.fail(call, ENOTRECOVERABLE);
    EXPECT_EQ(failure_of(make), ENOTRECOVERABLE) << to_string(call);
    EXPECT_EQ(kernel.calls(call), 1u) << to_string(call);
    EXPECT_EQ(below.calls(call), 0u) << to_string(call);
  }
  // With the error number itself.
  kernel.fail(KernelCall::kSignalMask, EINVAL);
  EXPECT_EQ(kernel.signal_mask(SIG_BLOCK, nullptr, nullptr), EINVAL);
  EXPECT_TRUE(kernel.open_descriptors().empty());
}

// What the kernel below cannot open is not open here either.
TEST_F(ProcessCalls, ListWhatIsOpenOnly) {
  int both[2];
  below.fail(KernelCall::kSocketpair, EMFILE);
  below.fail(KernelCall::kPidfdOpen, EMFILE);
  EXPECT_EQ(failure_of([&] { return kernel.socketpair(both); }), EMFILE);
  EXPECT_EQ(failure_of([&] { return kernel.pidfd_open(::getpid()); }), EMFILE);
  EXPECT_TRUE(kernel.open_descriptors().empty());
}

TEST_F(ProcessCalls, AreNamedAsInTheManPages) {
  std::set<std::string> names;
  for (int call = 0; call <= static_cast<int>(KernelCall::kFcntl); ++call) {
    names.insert(to_string(static_cast<KernelCall>(call)));
  }
  EXPECT_EQ(names.size(), 27u);
  EXPECT_STREQ(to_string(KernelCall::kPoll), "poll");
  EXPECT_STREQ(to_string(KernelCall::kSignalMask), "pthread_sigmask");
  EXPECT_STREQ(to_string(KernelCall::kFcntl), "fcntl");
}

}  // namespace
}  // namespace rondo
