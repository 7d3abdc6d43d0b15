// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <poll.h>

#include <cerrno>
#include <memory>
#include <string>
#include <system_error>

#include "reactor/event_loop.h"
#include "test/support/at_death.h"
#include "test/support/explorer.h"
#include "test/support/scale.h"

// Goal: no order in which threads come to the real loop and its RemoteQueue
// loses a post, a wake-up or the count. FAULTS H1, H2, I13.
//
// Method: an Explorer lets the threads take turns wherever one of them enters
// or leaves the kernel, and in each callback. What happens between two kernel
// calls is one step here; test/model/remote_queue.pml takes that apart.

namespace rondo {
namespace {

using test::AtDeath;
using test::Explorer;

/// Lets others come in before and after each call that posting and sleeping
/// make.
class YieldingKernel : public LinuxKernel {
 public:
  explicit YieldingKernel(Explorer& explorer) : explorer_(explorer) {}

  int epoll_wait(int epoll_fd, ::epoll_event* events, int events_max,
                 int timeout_ms) override {
    explorer_.yield_until([=] {
      ::pollfd asked{epoll_fd, POLLIN, 0};
      return timeout_ms == 0 || ::poll(&asked, 1, 0) == 1;
    });
    if (explorer_.stuck()) {  // ends the loop
      errno = EBADF;
      return -1;
    }
    return then_yield(LinuxKernel::epoll_wait(epoll_fd, events, events_max, 0));
  }
  ssize_t read(int fd, void* buffer, std::size_t size) noexcept override {
    explorer_.yield();
    return then_yield(LinuxKernel::read(fd, buffer, size));
  }
  ssize_t write(int fd, const void* data, std::size_t size) noexcept override {
    explorer_.yield();
    return then_yield(LinuxKernel::write(fd, data, size));
  }
  void yield() noexcept override { explorer_.give_way(); }

 private:
  template <class Answer>
  Answer then_yield(Answer answer) {
    const int error = errno;
    explorer_.yield();
    errno = error;
    return answer;
  }

  Explorer& explorer_;
};

constexpr int kPosts = 2;  // by each of two threads

/// Under a sanitizer each step costs ten times as much.
int preemptions() { return test::scale() < 1 ? 2 : 3; }

/// run_forever(), which YieldingKernel ends when all wait for ever.
void run_until_stopped(EventLoop& loop, const Explorer& explorer) {
  try {
    loop.run_forever();
  } catch (const std::system_error&) {
    EXPECT_TRUE(explorer.stuck());
  }
}

/// What becomes of one post.
struct Fate {
  int ran = 0;
  int died = 0;
  int refused = 0;
};

TEST(RemoteQueueExplorer, NoScheduleLosesAWakeUpOrAPost) {
  Explorer explorer(preemptions());
  YieldingKernel kernel(explorer);
  std::size_t schedules = 0;
  do {
    EventLoop loop(LoopOptions().kernel(kernel));
    std::string order[2];
    int ran = 0;
    const auto poster = [&](int me) {
      for (int number = 0; number < kPosts; ++number) {
        explorer.yield();
        EXPECT_TRUE(loop.remote_queue()->post([&, me, number] {
          order[me] += std::to_string(number);
          explorer.yield();  // behind the take, before the next sleep
          if (++ran == 2 * kPosts) loop.stop();
        }));
      }
    };
    explorer.run({[&] { run_until_stopped(loop, explorer); },
                  [&] { poster(0); }, [&] { poster(1); }});
    ASSERT_FALSE(explorer.stuck()) << "lost a wake-up: " << explorer.schedule();
    ASSERT_EQ(order[0], "01") << explorer.schedule();
    ASSERT_EQ(order[1], "01") << explorer.schedule();
    ++schedules;
  } while (explorer.next());
  RecordProperty("schedules", std::to_string(schedules));
  EXPECT_GT(schedules, 100u);
}

TEST(RemoteQueueExplorer, EachPostThatRacesCloseRunsDiesOrIsRefused) {
  Explorer explorer(preemptions());
  YieldingKernel kernel(explorer);
  std::size_t schedules = 0;
  int outcomes[3] = {};
  do {
    auto loop = std::make_unique<EventLoop>(LoopOptions().kernel(kernel));
    Fate fates[2 * kPosts];
    const auto poster = [&, remote = loop->remote_queue()](int me) {
      for (int number = 0; number < kPosts; ++number) {
        explorer.yield();
        Fate& fate = fates[me * kPosts + number];
        Callback callback([&, dies = AtDeath([&fate] { ++fate.died; })] {
          ++fate.ran;
          loop->stop();  // after the first batch
        });
        if (!remote->post(std::move(callback))) ++fate.refused;
      }
    };
    explorer.run({[&] {
                    run_until_stopped(*loop, explorer);
                    explorer.yield();
                    loop->close();
                    explorer.yield();
                    loop.reset();
                  },
                  [&] { poster(0); }, [&] { poster(1); }});
    ASSERT_FALSE(explorer.stuck()) << "lost a wake-up: " << explorer.schedule();
    for (const Fate& fate : fates) {
      ASSERT_EQ(fate.died, 1) << explorer.schedule();
      ASSERT_LE(fate.ran + fate.refused, 1) << explorer.schedule();
      outcomes[0] += fate.ran;
      outcomes[1] += fate.refused;
      outcomes[2] += 1 - fate.ran - fate.refused;
    }
    ++schedules;
  } while (explorer.next());
  EXPECT_GT(schedules, 100u);
  // All three ends were met with: the scenario is the one we mean.
  EXPECT_GT(outcomes[0], 0) << "none ran";
  EXPECT_GT(outcomes[1], 0) << "none was refused";
  EXPECT_GT(outcomes[2], 0) << "close() destroyed none";
}

TEST(RemoteQueueExplorer, NoScheduleHidesTheEndOfExternalWork) {
  Explorer explorer(preemptions());
  YieldingKernel kernel(explorer);
  std::size_t schedules = 0;
  do {
    EventLoop loop(LoopOptions().kernel(kernel));
    const std::shared_ptr<RemoteQueue> remote = loop.remote_queue();
    remote->begin_external_work();
    remote->begin_external_work();
    const auto worker = [&](bool posts) {
      explorer.yield();
      if (posts) remote->post([&] { explorer.yield(); });
      explorer.yield();
      remote->end_external_work();
    };
    // As VirtualTimeLoop::run_until_idle().
    const auto run = [&] {
      try {
        while (remote->external_work() > 0) {
          explorer.yield();
          loop.run_once();
        }
      } catch (const std::system_error&) {
        EXPECT_TRUE(explorer.stuck());
      }
    };
    explorer.run({run, [&] { worker(true); }, [&] { worker(false); }});
    ASSERT_FALSE(explorer.stuck()) << "sleeps on: " << explorer.schedule();
    ++schedules;
  } while (explorer.next());
  EXPECT_GT(schedules, 100u);
}

}  // namespace
}  // namespace rondo
