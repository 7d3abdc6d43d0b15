// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>

#include "futures/sleep.h"
#include "futures/sync/queue.h"
#include "test/futures/sync/sync_world.h"
#include "test/support/script.h"

// A queue whose users are cancelled, or end with their loop, at each moment:
// what was put is got once, or is still there.

namespace rondo {
namespace {

using test::Script;
using test::SyncWorld;

// Three consumers of two items each; two producers with three items each. One
// of the five is the victim.
template <class AQueue>
struct Traffic : SyncWorld {
  Traffic(int which, int maxsize) : queue(maxsize) {
    for (int consumer = 0; consumer < 3; ++consumer) {
      Script script(*this);
      for (int i = 0; i < 2; ++i) {
        script = Script(std::move(script))
                     .await([this] { return queue.get(); },
                            [this](int item) {
                              EXPECT_TRUE(got.insert(item).second) << item;
                              queue.task_done();
                            })
                     .await([] { return sleep(0); });
      }
      auto task = create_task(loop, std::move(script));
      if (consumer == which) victim = task;
    }
    for (int producer = 0; producer < 2; ++producer) {
      Script script(*this);
      for (int i = 0; i < 3; ++i) {
        const int item = 10 * producer + i;
        script = Script(std::move(script))
                     .await([this, item] { return queue.put(item); })
                     .then([this, item] { put.insert(item); });
        if (i == 1) {
          script = Script(std::move(script)).await([] { return sleep(1); });
        }
      }
      auto task = create_task(loop, std::move(script));
      if (3 + producer == which) victim = task;
    }
    may_leave_tasks = true;  // those who share with one who was cancelled
  }

  void expect_sound() override {
    // Nobody waits for what is there.
    const std::string state = text(queue);
    EXPECT_TRUE(queue.empty() || state.find("_getters") == std::string::npos)
        << state;
    EXPECT_TRUE(queue.full() || state.find("_putters") == std::string::npos)
        << state;
    // Let those who still put go on, and count.
    while (!queue.empty()) {
      EXPECT_TRUE(got.insert(queue.get_nowait()).second);
      queue.task_done();
      loop.run_until_idle();
    }
    EXPECT_EQ(got, put) << "an item was lost, or came from nowhere";
    EXPECT_TRUE(queue.join().start(loop).done());
    EXPECT_GE(put.size(), victim.cancelled() ? 3u : 6u);
    queue.shutdown();
    loop.run_until_idle();
    EXPECT_TRUE(all_tasks(loop).empty());
  }

  AQueue queue;
  std::set<int> put;
  std::set<int> got;
};

template <class AQueue>
class QueueCancel : public ::testing::Test {};
using Queues = ::testing::Types<Queue<int>, LifoQueue<int>, PriorityQueue<int>>;
TYPED_TEST_SUITE(QueueCancel, Queues);

TYPED_TEST(QueueCancel, LosesNoItemAndNoWakeUpAtAnyMoment) {
  for (const int maxsize : {0, 1, 2}) {
    for (int which = 0; which < 5; ++which) {
      SCOPED_TRACE("maxsize " + std::to_string(maxsize) + ", victim " +
                   std::to_string(which));
      const test::MakeWorld make = [=] {
        return std::make_unique<Traffic<TypeParam>>(which, maxsize);
      };
      EXPECT_GE(test::cancel_everywhere(make), 5);
    }
  }
}

TYPED_TEST(QueueCancel, EndsWithItsLoopAtAnyMoment) {
  for (int which = 0; which < 5; ++which) {
    const test::MakeWorld make = [=] {
      return std::make_unique<Traffic<TypeParam>>(which, 1);
    };
    EXPECT_GE(test::destroy_everywhere(make), 30);
  }
}

// Who waits in join().
struct Joined : SyncWorld {
  Joined() {
    for (const int item : {1, 2}) queue.put_nowait(item);
    victim = create_task(loop, queue.join());
    auto other = create_task(loop, queue.join());
    for (int i = 0; i < 2; ++i) {
      create_task(loop, Script(*this)
                            .await([this] { return queue.get(); })
                            .await([] { return sleep(1); })
                            .then([this] { queue.task_done(); }));
    }
  }
  void expect_sound() override {
    EXPECT_EQ(text(queue), "<Queue at 0x* maxsize=0>");
  }
  Queue<int> queue;
};

TEST(JoinCancel, LosesNothingAtAnyMoment) {
  EXPECT_GE(test::cancel_everywhere<Joined>(), 4);
  EXPECT_GE(test::destroy_everywhere<Joined>(), 10);
}

// shutdown() comes while both sides wait and one of them is cancelled.
struct ShutDown : SyncWorld {
  explicit ShutDown(bool getting) : queue(1) {
    if (!getting) queue.put_nowait(0);
    for (int i = 0; i < 3; ++i) {
      Script script(*this);
      auto task =
          getting
              ? create_task(loop,
                            Script(*this).await([this] { return queue.get(); }))
              : create_task(
                    loop, Script(*this).await([this] { return queue.put(1); }));
      task.add_done_callback([this](const Future<void>& future) {
        if (!future.cancelled()) order += repr(future.exception()) + " ";
      });
      if (i == 1) victim = task;
    }
    loop.call_later(1, [this] { queue.shutdown(); });
  }
  void expect_sound() override {
    const std::string one = "rondo::QueueShutDown() ";
    EXPECT_EQ(order, victim.cancelled() ? one + one : one + one + one);
  }
  Queue<int> queue;
};

TEST(ShutdownCancel, IsHeardByAllAtAnyMoment) {
  for (const bool getting : {true, false}) {
    const test::MakeWorld make = [getting] {
      return std::make_unique<ShutDown>(getting);
    };
    EXPECT_GE(test::cancel_everywhere(make), 3);
    EXPECT_GE(test::destroy_everywhere(make), 8);
  }
}

}  // namespace
}  // namespace rondo
