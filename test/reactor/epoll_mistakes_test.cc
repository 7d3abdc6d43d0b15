// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "reactor/event_loop.h"
#include "reactor/testing/scripted_kernel.h"
#include "test/support/descriptors.h"
#include "test/support/passes.h"
#include "test/support/recording_kernel.h"

// The ten epoll mistakes. Each test makes the mistake with the bare system
// calls first, so that one sees it, and then does the same with the loop.

namespace rondo {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

/// The bare system calls.
class BareEpoll {
 public:
  /// Returns zero, or the errno.
  int add(int fd, std::uint32_t events) {
    return control(EPOLL_CTL_ADD, fd, events);
  }
  int modify(int fd, std::uint32_t events) {
    return control(EPOLL_CTL_MOD, fd, events);
  }
  int remove(int fd) { return control(EPOLL_CTL_DEL, fd, 0); }

  /// What is reported at this moment.
  std::vector<::epoll_event> wait() {
    std::vector<::epoll_event> events(16);
    const int count = ::epoll_wait(epoll_.get(), events.data(), 16, 0);
    events.resize(static_cast<std::size_t>(std::max(count, 0)));
    return events;
  }

 private:
  int control(int operation, int fd, std::uint32_t events) {
    ::epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    return ::epoll_ctl(epoll_.get(), operation, fd, &event) == 0 ? 0 : errno;
  }

  UniqueFd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
};

bool is_open(int fd) { return ::dup2(fd, fd) == fd; }

// 1. Calling the reader only when EPOLLIN is set. A pipe that is drained and
// whose writer is gone reports EPOLLHUP alone, so the reader never learns that
// it is over, and the event comes back for ever.
TEST(EpollMistakes, WaitingForDataAloneMissesTheEndOfADrainedPipe) {
  Pipe pipe;
  const int fd = pipe.reader.get();
  pipe.writer.reset();

  BareEpoll bare;
  bare.add(fd, EPOLLIN);
  ASSERT_EQ(bare.wait().size(), 1u);
  EXPECT_EQ(bare.wait()[0].events & EPOLLIN, 0u) << "the mistake waits on";

  EventLoop loop;
  bool ended = false;
  loop.add_reader(fd, [&] {
    char byte;
    ended = ::read(fd, &byte, 1) == 0;
    loop.remove_reader(fd);
  });
  run_one_pass(loop);
  EXPECT_TRUE(ended);
}

// 2. Taking the descriptor's number for its identity. A callback closes a
// descriptor and opens another that gets its number, and an event that was
// reported for the old one, in the same batch, reaches the new one.
TEST(EpollMistakes, ANumberIsNotAnIdentity) {
  UniqueFd first = make_eventfd(1);
  UniqueFd second = make_eventfd(1);
  const int number = second.get();

  BareEpoll bare;
  bare.add(first.get(), EPOLLIN);
  bare.add(number, EPOLLIN);
  const auto batch = bare.wait();
  bare.remove(number);
  second.reset();
  move_onto(make_eventfd(0), number);  // what the first one's callback does
  ASSERT_EQ(batch.size(), 2u);
  EXPECT_EQ(batch[1].data.fd, number) << "the mistake calls the new one";
  ::close(number);

  EventLoop loop;
  int new_calls = 0;
  second = make_eventfd(1);
  loop.add_reader(first.get(), [&] {
    loop.remove_reader(second.get());
    move_onto(make_eventfd(0), second.get());
    loop.add_reader(second.get(), [&] { ++new_calls; });
  });
  loop.add_reader(second.get(), [] {});
  run_passes(loop, 2);
  EXPECT_EQ(new_calls, 0);
}

// 3. Trusting close(2) to unregister. epoll registers the open file, not the
// descriptor, so while a duplicate is open (in a forked child, too) events for
// the closed number go on, and EPOLL_CTL_DEL says EBADF.
TEST(EpollMistakes, ClosingDoesNotUnregisterWhatWasDuplicated) {
  UniqueFd fd = make_eventfd(1);
  const UniqueFd copy = duplicate(fd.get());
  const int number = fd.get();

  BareEpoll bare;
  bare.add(number, EPOLLIN);
  EventLoop loop;
  loop.add_reader(number, [] {});
  fd.reset();
  EXPECT_EQ(bare.wait().size(), 1u);
  EXPECT_EQ(bare.remove(number), EBADF);
  EXPECT_EQ(bare.wait().size(), 1u) << "the mistake has no way out";

  // The right order is remove_reader(), then close(). After the wrong one the
  // loop gets rid of it all the same, by a new epoll set.
  loop.remove_reader(number);
  run_passes(loop, 10);
  EXPECT_EQ(loop.stats().rebuilds, 1u);
  EXPECT_EQ(loop.stats().events, 1u);
}

// 4. Pausing a descriptor by asking for no events. EPOLLHUP and EPOLLERR come
// unasked, so once the peer is gone the wait returns at once, for ever, and
// nobody takes the event.
TEST(EpollMistakes, AskingForNothingDoesNotSilenceAHangUp) {
  SocketPair pair;
  BareEpoll bare;
  bare.add(pair.a.get(), EPOLLIN);
  bare.modify(pair.a.get(), 0);
  EventLoop loop;
  loop.watch(pair.a.get(), Events::kRead, [](Events) {});
  loop.modify_watch(pair.a.get(), Events::kNone);
  pair.b.reset();
  EXPECT_EQ(bare.wait().size(), 1u);
  EXPECT_EQ(bare.wait().size(), 1u) << "the mistake spins";
  run_passes(loop, 10);
  EXPECT_EQ(loop.stats().events, 0u);
}

// 5. Rounding a timeout down to milliseconds. What is left of a timer is less
// than one at last, so the wait gets 0 ms and the loop spins until the
// deadline.
TEST(EpollMistakes, ATimeoutThatIsRoundedDownSpins) {
  const auto rounded_down =
      std::chrono::duration_cast<milliseconds>(microseconds(400));
  EXPECT_EQ(rounded_down, milliseconds(0)) << "the mistake does not sleep";

  RecordingKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  loop.call_later(microseconds(400), [&] { loop.stop(); });
  loop.run_forever();
  EXPECT_EQ(kernel.waits, std::vector<Duration>{milliseconds(1)});
}

// 6. Calling close(2) again when it was interrupted. Linux has closed the
// descriptor whatever it answers, so the second call closes whatever another
// thread has opened under that number meanwhile.
TEST(EpollMistakes, AnInterruptedCloseHasClosed) {
  ScriptedKernel kernel;
  const int number = kernel.eventfd();
  kernel.fail(KernelCall::kClose, EINTR);
  EXPECT_EQ(kernel.close(number), -1);
  move_onto(make_eventfd(), number);  // another thread's
  kernel.close(number);
  EXPECT_FALSE(is_open(number)) << "the mistake has closed it";
  EXPECT_EQ(kernel.ledger_errors().size(), 1u);

  UniqueFd fd(kernel.eventfd(), kernel);
  const int reused = fd.get();
  kernel.fail(KernelCall::kClose, EINTR);
  fd.reset();
  move_onto(make_eventfd(), reused);
  fd.reset();
  EXPECT_TRUE(is_open(reused));
  ::close(reused);
}

// 7. Edge triggering without reading to the end. There is one report for each
// change, so what was left unread is not reported again, and if the peer now
// waits for an answer both wait for ever.
TEST(EpollMistakes, AnEdgeIsReportedOnce) {
  SocketPair pair;
  BareEpoll bare;
  bare.add(pair.a.get(), EPOLLIN | EPOLLET);
  write_text(pair.b.get(), "question");
  char byte;
  EXPECT_EQ(bare.wait().size(), 1u);
  EXPECT_EQ(::read(pair.a.get(), &byte, 1), 1);
  EXPECT_EQ(bare.wait().size(), 0u) << "the mistake never sees the rest";

  // A reader is level-triggered; watch() makes edges an explicit choice.
  EventLoop loop;
  std::string received(&byte, 1);
  loop.add_reader(pair.a.get(), [&] {
    if (::read(pair.a.get(), &byte, 1) == 1) received += byte;
  });
  run_passes(loop, 10);
  EXPECT_EQ(received, "question");
}

/// Runs a hook behind each read(2): what happens between two steps.
class HookedKernel : public LinuxKernel {
 public:
  ssize_t read(int fd, void* buffer, std::size_t size) noexcept override {
    const ssize_t answer = LinuxKernel::read(fd, buffer, size);
    if (after_read) std::exchange(after_read, nullptr)();
    return answer;
  }
  std::function<void()> after_read;
};

// 8. Taking what was posted first, and draining the eventfd then. What comes
// between the two is not taken, and its wake-up is drained away: the loop goes
// to sleep on work.
TEST(EpollMistakes, DrainingAfterTakingLosesAWakeUp) {
  BareEpoll bare;
  const UniqueFd eventfd = make_eventfd();
  bare.add(eventfd.get(), EPOLLIN);
  std::vector<int> posted;
  const auto post = [&](int item) {
    posted.push_back(item);
    write_text(eventfd.get(), std::string("\1\0\0\0\0\0\0\0", 8));
  };
  post(1);
  std::vector<int> taken;
  taken.swap(posted);
  post(2);  // another thread, just now
  read_text(eventfd.get());
  EXPECT_FALSE(posted.empty());
  EXPECT_EQ(bare.wait().size(), 0u) << "the mistake sleeps on it";

  ::signal(SIGUSR1, SIG_IGN);
  HookedKernel kernel;
  EventLoop loop(LoopOptions().kernel(kernel));
  std::string order;
  loop.add_signal_handler(SIGUSR1, [&] { order += 's'; });
  kernel.after_read = [&] {  // just as the loop has drained its eventfd
    loop.remote_queue()->post([&] { order += 'p'; });
    ::raise(SIGUSR1);
  };
  loop.remote_queue()->post([] {});
  run_passes(loop, 2);
  EXPECT_EQ(order, "sp");
  loop.close();
  ::signal(SIGUSR1, SIG_DFL);
}

// 9. Leaving EPOLLOUT on when there is nothing to write. A socket is writable
// nearly always, so each wait returns at once and the processor is busy doing
// nothing.
TEST(EpollMistakes, InterestInWritingThatIsLeftOnSpins) {
  SocketPair pair;
  BareEpoll bare;
  bare.add(pair.a.get(), EPOLLIN | EPOLLOUT);
  write_text(pair.a.get(), "all that there is");
  EXPECT_EQ(bare.wait().size(), 1u);
  EXPECT_EQ(bare.wait().size(), 1u) << "the mistake spins";

  EventLoop loop;
  loop.add_reader(pair.a.get(), [] {});
  loop.add_writer(pair.a.get(), [&] {
    write_text(pair.a.get(), "all that there is");
    loop.remove_writer(pair.a.get());
  });
  run_passes(loop, 10);
  EXPECT_EQ(loop.stats().events, 1u);
}

// 10. Polling a regular file, and not looking at the answer. epoll_ctl() says
// EPERM, as a file is always ready, and a program that waits for its event
// waits for ever.
TEST(EpollMistakes, RegularFilesAreNotPollable) {
  const UniqueFd file = make_regular_file();
  BareEpoll bare;
  EXPECT_EQ(bare.add(file.get(), EPOLLIN), EPERM);
  EXPECT_EQ(bare.wait().size(), 0u) << "the mistake waits";

  EventLoop loop;
  EXPECT_THROW(loop.add_reader(file.get(), [] {}), std::system_error);
}

}  // namespace
}  // namespace rondo
