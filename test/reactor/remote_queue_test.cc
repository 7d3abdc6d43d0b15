// SPDX-License-Identifier: MIT
#include "reactor/remote_queue.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "reactor/event_loop.h"
#include "reactor/testing/scripted_kernel.h"
#include "test/support/at_death.h"

// The queue by itself, one step after the other. What threads make of it is in
// call_soon_threadsafe_test.cc, every order of its steps in
// remote_queue_explorer_test.cc and, finer still, in test/model.

namespace rondo {
namespace {

using test::AtDeath;
using Items = std::vector<RemoteQueue::Item>;

bool is_readable(int fd) {
  ::pollfd asked{fd, POLLIN, 0};
  return ::poll(&asked, 1, 0) == 1;
}

void run_all(Items& items) {
  for (RemoteQueue::Item& item : items) item.callback();
}

// -- posting and taking ------------------------------------------------------

TEST(RemoteQueue, HandsOverWhatWasPostedInTheOrderPosted) {
  RemoteQueue queue(linux_kernel());
  std::string order;
  for (const char name : {'a', 'b', 'c'}) {
    EXPECT_TRUE(queue.post([&order, name] { order += name; }));
  }
  Items items;
  queue.take(items);
  run_all(items);
  EXPECT_EQ(order, "abc");
}

TEST(RemoteQueue, IsPendingFromTheFirstPostToTheTake) {
  RemoteQueue queue(linux_kernel());
  EXPECT_FALSE(queue.pending());
  queue.post([] {});
  queue.post([] {});
  EXPECT_TRUE(queue.pending());
  Items items;
  queue.take(items);
  EXPECT_EQ(items.size(), 2u);
  EXPECT_FALSE(queue.pending());
}

TEST(RemoteQueue, KeepsTheTwoBatchesApart) {
  RemoteQueue queue(linux_kernel());
  Items items;
  for (int batch = 1; batch <= 4; ++batch) {
    for (int i = 0; i < batch; ++i) queue.post([] {});
    queue.take(items);
    EXPECT_EQ(items.size(), static_cast<std::size_t>(batch));
    items.clear();
  }
}

TEST(RemoteQueue, RemembersWhereAPostWasMade) {
  RemoteQueue queue(linux_kernel());
  const int line = __LINE__ + 1;
  queue.post([] {});
  Items items;
  queue.take(items);
  EXPECT_EQ(items.at(0).where.line(), static_cast<unsigned>(line));
  EXPECT_STREQ(items.at(0).where.file_name(), __FILE__);
}

TEST(RemoteQueue, RefusesAnEmptyCallback) {
  RemoteQueue queue(linux_kernel());
  EXPECT_THROW(queue.post(Callback()), std::invalid_argument);
  EXPECT_FALSE(queue.pending());
}

TEST(RemoteQueue, ThrowsWhenThereIsNoDescriptorToBeHad) {
  ScriptedKernel kernel;
  kernel.fail(KernelCall::kEventfd, EMFILE);
  try {
    RemoteQueue queue(kernel);
    FAIL() << "made a queue without a descriptor";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::too_many_files_open);
    EXPECT_NE(std::string(error.what()).find("eventfd"), std::string::npos);
  }
  EXPECT_TRUE(kernel.open_descriptors().empty());
}

// -- closing: accepted or refused, never dropped (H1) -------------------------

TEST(RemoteQueue, RefusesAfterCloseAndDestroysTheCallbackThere) {
  RemoteQueue queue(linux_kernel());
  Items items;
  queue.close(items);
  int deaths = 0;
  EXPECT_FALSE(queue.post([dies = AtDeath([&] { ++deaths; })] {}));
  EXPECT_EQ(deaths, 1);
  EXPECT_FALSE(queue.pending());
}

TEST(RemoteQueue, HandsToCloseWhatNobodyTook) {
  RemoteQueue queue(linux_kernel());
  int deaths = 0;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(queue.post([dies = AtDeath([&] { ++deaths; })] {}));
  }
  Items items;
  queue.close(items);
  EXPECT_EQ(items.size(), 3u);
  EXPECT_EQ(deaths, 0);
  EXPECT_FALSE(queue.pending());
  items.clear();
  EXPECT_EQ(deaths, 3);
}

TEST(RemoteQueue, MayBeClosedTwice) {
  RemoteQueue queue(linux_kernel());
  queue.post([] {});
  Items first, second;
  queue.close(first);
  queue.close(second);
  EXPECT_EQ(first.size(), 1u);
  EXPECT_TRUE(second.empty());
}

// CPython GH-96827: a thread that is late must find a closed door, not the
// ruins of the loop, or of its kernel.
TEST(RemoteQueue, OutlivesItsLoopAndItsKernel) {
  auto kernel = std::make_unique<ScriptedKernel>();
  auto loop = std::make_unique<EventLoop>(LoopOptions().kernel(*kernel));
  const std::shared_ptr<RemoteQueue> remote = loop->remote_queue();
  remote->begin_external_work();
  loop.reset();
  EXPECT_TRUE(kernel->open_descriptors().empty());
  EXPECT_TRUE(kernel->ledger_errors().empty());
  kernel.reset();
  bool ran = false;
  std::thread late([&] {
    EXPECT_FALSE(remote->post([&] { ran = true; }));
    remote->end_external_work();
  });
  late.join();
  EXPECT_FALSE(ran);
  EXPECT_EQ(remote->external_work(), 0u);
}

TEST(RemoteQueue, RefusesWhatADestructorPostsDuringClose) {
  EventLoop loop;
  const std::shared_ptr<RemoteQueue> remote = loop.remote_queue();
  bool accepted = true;
  struct PostsWhenItDies {
    ~PostsWhenItDies() {
      accepted = remote.post([] {});
    }
    RemoteQueue& remote;
    bool& accepted;
  };
  auto poster = std::make_unique<PostsWhenItDies>(*remote, accepted);
  remote->post([poster = std::move(poster)] {});
  loop.close();
  EXPECT_FALSE(accepted);
}

/// Writes down what becomes of the eventfd; a write takes its time.
class SlowWriteKernel : public LinuxKernel {
 public:
  ssize_t write(int fd, const void* data, std::size_t size) noexcept override {
    about_to_write.count_down();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    const ssize_t count = LinuxKernel::write(fd, data, size);
    order += 'w';
    return count;
  }
  int close(int fd) noexcept override {
    order += 'c';
    return LinuxKernel::close(fd);
  }

  std::latch about_to_write{1};
  std::string order;
};

// Otherwise the write would hit whoever gets the number next.
TEST(RemoteQueue, KeepsItsDescriptorForAThreadThatIsAboutToWrite) {
  SlowWriteKernel kernel;
  RemoteQueue queue(kernel);
  EXPECT_TRUE(queue.prepare_sleep());
  std::thread poster([&] { EXPECT_TRUE(queue.post([] {})); });
  kernel.about_to_write.wait();
  Items items;
  queue.close(items);
  EXPECT_EQ(kernel.order, "wc");
  EXPECT_EQ(items.size(), 1u);
  poster.join();
}

TEST(RemoteQueue, TryPostLeavesARefusedCallbackAlone) {
  RemoteQueue queue(linux_kernel());
  bool ran = false;
  Callback callback([&] { ran = true; });
  EXPECT_TRUE(queue.try_post(callback));
  EXPECT_FALSE(callback);
  Items items;
  queue.close(items);
  callback = [&] { ran = true; };
  EXPECT_FALSE(queue.try_post(callback));
  ASSERT_TRUE(callback);
  callback();
  EXPECT_TRUE(ran);
}

// R17: the child of a fork has nobody who would take it.
TEST(RemoteQueue, RefusesOnceItIsAbandoned) {
  ScriptedKernel kernel;
  RemoteQueue queue(kernel);
  queue.abandon();
  EXPECT_FALSE(queue.post([] {}));
  queue.begin_external_work();
  queue.end_external_work();
  EXPECT_EQ(kernel.calls(KernelCall::kWrite), 0u);
  queue.close_abandoned();
  EXPECT_TRUE(kernel.open_descriptors().empty());
}

// -- waking (H2): at most one write for each time that the loop lies down -----

TEST(RemoteQueue, WritesNothingWhileTheLoopIsAwake) {
  ScriptedKernel kernel;
  RemoteQueue queue(kernel);
  queue.slept();
  for (int i = 0; i < 100; ++i) queue.post([] {});
  EXPECT_EQ(kernel.calls(KernelCall::kWrite), 0u);
  EXPECT_FALSE(is_readable(queue.wake_fd()));
}

TEST(RemoteQueue, WritesOnceForManyPostsToASleepingLoop) {
  ScriptedKernel kernel;
  RemoteQueue queue(kernel);
  Items items;
  for (std::uint64_t sleeps = 1; sleeps <= 3; ++sleeps) {
    EXPECT_TRUE(queue.prepare_sleep());
    for (int i = 0; i < 100; ++i) queue.post([] {});
    EXPECT_EQ(kernel.calls(KernelCall::kWrite), sleeps);
    EXPECT_TRUE(is_readable(queue.wake_fd()));
    queue.slept();
    queue.drain();
    queue.take(items);
    EXPECT_EQ(items.size(), 100u);
    items.clear();
  }
}

TEST(RemoteQueue, DoesNotLetTheLoopSleepOnWhatWasPostedBefore) {
  ScriptedKernel kernel;
  RemoteQueue queue(kernel);
  queue.slept();
  queue.post([] {});
  EXPECT_FALSE(queue.prepare_sleep());
  // Nor does the next post think that it sleeps.
  queue.post([] {});
  EXPECT_EQ(kernel.calls(KernelCall::kWrite), 0u);
}

TEST(RemoteQueue, WritesNothingForALoopThatWokeUpByItself) {
  ScriptedKernel kernel;
  RemoteQueue queue(kernel);
  EXPECT_TRUE(queue.prepare_sleep());
  queue.slept();
  queue.post([] {});
  EXPECT_EQ(kernel.calls(KernelCall::kWrite), 0u);
}

// R20: an outer loop waits for the descriptor of one that does not run.
TEST(RemoteQueue, WritesForALoopThatNobodyRuns) {
  RemoteQueue queue(linux_kernel());
  queue.post([] {});  // before the first run
  EXPECT_TRUE(is_readable(queue.wake_fd()));
  queue.slept();
  queue.drain();
  Items items;
  queue.take(items);
  queue.left();
  EXPECT_FALSE(is_readable(queue.wake_fd()));
  queue.post([] {});
  EXPECT_TRUE(is_readable(queue.wake_fd()));
}

TEST(RemoteQueue, WritesWhenTheLoopIsLeftWithSomethingPending) {
  RemoteQueue queue(linux_kernel());
  queue.slept();
  queue.post([] {});
  EXPECT_FALSE(is_readable(queue.wake_fd()));
  queue.left();
  EXPECT_TRUE(is_readable(queue.wake_fd()));
}

TEST(RemoteQueue, IsReadableFromWakeToDrain) {
  RemoteQueue queue(linux_kernel());
  EXPECT_FALSE(is_readable(queue.wake_fd()));
  queue.wake();
  queue.wake();
  EXPECT_TRUE(is_readable(queue.wake_fd()));
  queue.drain();
  EXPECT_FALSE(is_readable(queue.wake_fd()));
  EXPECT_FALSE(queue.drain());  // of nothing
}

TEST(RemoteQueue, StaysReadableWhenTheCounterIsFull) {
  RemoteQueue queue(linux_kernel());
  const std::uint64_t full = UINT64_MAX - 1;  // eventfd(2): the largest
  ASSERT_EQ(::write(queue.wake_fd(), &full, sizeof full),
            static_cast<ssize_t>(sizeof full));
  EXPECT_TRUE(queue.wake());  // EAGAIN
  EXPECT_TRUE(is_readable(queue.wake_fd()));
  queue.drain();
  EXPECT_FALSE(is_readable(queue.wake_fd()));
}

TEST(RemoteQueue, RepeatsAnInterruptedCall) {  // R10
  ScriptedKernel kernel;
  RemoteQueue queue(kernel);
  kernel.fail(KernelCall::kWrite, EINTR);
  EXPECT_TRUE(queue.wake());
  EXPECT_TRUE(is_readable(queue.wake_fd()));
  kernel.fail(KernelCall::kRead, EINTR);
  EXPECT_TRUE(queue.drain());
  EXPECT_FALSE(is_readable(queue.wake_fd()));
}

TEST(RemoteQueue, DoesNotRepeatACallForEver) {
  ScriptedKernel kernel;
  RemoteQueue queue(kernel);
  kernel.fail(KernelCall::kWrite, EINTR, {.times = ScriptedKernel::kForever});
  EXPECT_FALSE(queue.wake());
  kernel.fail(KernelCall::kRead, EINTR, {.times = ScriptedKernel::kForever});
  EXPECT_FALSE(queue.drain());
}

// A post whose write(2) failed leaves the waking to the next one.
TEST(RemoteQueue, LeavesAWakeUpThatFailedToTheNextPost) {
  ScriptedKernel kernel;
  RemoteQueue queue(kernel);
  EXPECT_TRUE(queue.prepare_sleep());
  kernel.fail(KernelCall::kWrite, EIO);
  EXPECT_TRUE(queue.post([] {}));
  EXPECT_FALSE(is_readable(queue.wake_fd()));
  EXPECT_TRUE(queue.post([] {}));
  EXPECT_TRUE(is_readable(queue.wake_fd()));
}

// -- external work -----------------------------------------------------------

TEST(RemoteQueue, CountsExternalWork) {
  RemoteQueue queue(linux_kernel());
  queue.begin_external_work();
  queue.begin_external_work();
  EXPECT_EQ(queue.external_work(), 2u);
  queue.end_external_work();
  EXPECT_EQ(queue.external_work(), 1u);
}

TEST(RemoteQueue, WakesASleepingLoopForTheLastOneOut) {
  ScriptedKernel kernel;
  RemoteQueue queue(kernel);
  queue.begin_external_work();
  queue.begin_external_work();
  EXPECT_TRUE(queue.prepare_sleep());
  queue.end_external_work();
  EXPECT_FALSE(is_readable(queue.wake_fd())) << "another one is out";
  queue.end_external_work();
  EXPECT_TRUE(is_readable(queue.wake_fd()));
  EXPECT_EQ(kernel.calls(KernelCall::kWrite), 1u);
}

TEST(RemoteQueue, WritesNothingForTheLastOneOutWhileTheLoopIsAwake) {
  ScriptedKernel kernel;
  RemoteQueue queue(kernel);
  queue.slept();
  queue.begin_external_work();
  queue.end_external_work();
  EXPECT_EQ(kernel.calls(KernelCall::kWrite), 0u);
  // But it does not lie down before it has looked once more.
  EXPECT_FALSE(queue.prepare_sleep());
  EXPECT_TRUE(queue.prepare_sleep());
}

TEST(RemoteQueue, WritesOnceForAPostAndTheEndOfItsWork) {
  ScriptedKernel kernel;
  RemoteQueue queue(kernel);
  queue.begin_external_work();
  EXPECT_TRUE(queue.prepare_sleep());
  queue.post([] {});
  queue.end_external_work();
  EXPECT_EQ(kernel.calls(KernelCall::kWrite), 1u);
}

TEST(RemoteQueue, LeavesAWakeUpThatFailedForTheLastOneOutToTheNextPost) {
  ScriptedKernel kernel;
  RemoteQueue queue(kernel);
  queue.begin_external_work();
  EXPECT_TRUE(queue.prepare_sleep());
  kernel.fail(KernelCall::kWrite, EIO);
  queue.end_external_work();
  EXPECT_FALSE(is_readable(queue.wake_fd()));
  EXPECT_TRUE(queue.post([] {}));
  EXPECT_TRUE(is_readable(queue.wake_fd()));
}

}  // namespace
}  // namespace rondo
