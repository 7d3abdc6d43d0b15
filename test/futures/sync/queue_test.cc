// SPDX-License-Identifier: MIT
#include "futures/sync/queue.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "test/futures/bodies.h"
#include "test/futures/sync/sync_world.h"
#include "test/support/passes.h"
#include "test/support/script.h"

namespace rondo {
namespace {

using test::end_of;
using test::Script;
using test::SyncWorld;
using test::thrown_by;

struct QueueWorld : SyncWorld {
  explicit QueueWorld(int maxsize = 0) : queue(maxsize) {}
  // order.append(name + str(await queue.get()))
  Task<void> getter(const std::string& name) {
    return create_task(
        loop, Script(*this).await([this] { return queue.get(); },
                                  [this, name](int item) {
                                    order += name + std::to_string(item) + " ";
                                  }));
  }
  // await queue.put(item); order.append(item)
  Task<void> putter(int item) {
    return create_task(
        loop,
        Script(*this)
            .await([this, item] { return queue.put(item); })
            .then([this, item] { order += "+" + std::to_string(item) + " "; }));
  }
  void get_all() {
    while (!queue.empty()) {
      order += std::to_string(queue.get_nowait()) + " ";
      loop.run_until_idle();
    }
  }
  Queue<int> queue;
};

TEST(Queue, GivesItemsInTheOrderInWhichTheyWerePut) {
  QueueWorld world(2);
  for (const int item : {0, 1, 2, 3}) world.putter(item);
  run_one_pass(world.loop);
  EXPECT_EQ(world.order, "+0 +1 ");
  EXPECT_EQ(world.queue.qsize(), 2u);
  EXPECT_EQ(world.queue.maxsize(), 2);
  EXPECT_TRUE(world.queue.full());
  EXPECT_FALSE(world.queue.empty());
  EXPECT_EQ(world.text(world.queue),
            "<Queue at 0x* maxsize=2 _queue=[0, 1] _putters[2] tasks=2>");
  EXPECT_THROW(world.queue.put_nowait(9), QueueFull);
  world.get_all();
  EXPECT_EQ(world.order, "+0 +1 0 +2 1 +3 2 3 ");
  EXPECT_THROW(world.queue.get_nowait(), QueueEmpty);
}

TEST(Queue, ServesGettersInTheOrderTheyCame) {
  QueueWorld world;
  auto cancelled = world.getter("a");
  for (const char* name : {"b", "c"}) world.getter(name);
  run_one_pass(world.loop);
  EXPECT_EQ(world.text(world.queue), "<Queue at 0x* maxsize=0 _getters[3]>");
  cancelled.cancel();
  world.queue.put_nowait(0);
  world.queue.put_nowait(1);
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "b0 c1 ");
}

TEST(Queue, GivesTheItemToTheNextWhenTheWokenIsCancelled) {
  QueueWorld world;
  auto cancelled = world.getter("d");
  world.getter("e");
  run_one_pass(world.loop);
  world.queue.put_nowait(7);
  cancelled.cancel();
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "e7 ");
  EXPECT_TRUE(cancelled.cancelled());
}

TEST(Queue, GivesTheRoomToTheNextWhenTheWokenIsCancelled) {
  QueueWorld world(1);
  world.queue.put_nowait(0);
  auto cancelled = world.putter(1);
  world.putter(2);
  run_one_pass(world.loop);
  EXPECT_EQ(world.queue.get_nowait(), 0);
  cancelled.cancel();
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "+2 ");
  EXPECT_EQ(world.queue.get_nowait(), 2);
}

// As in asyncio: the item goes to who is there first, the woken waits again.
TEST(Queue, HandsNothingOver) {
  QueueWorld world;
  world.getter("a");
  world.getter("b");
  run_one_pass(world.loop);
  world.queue.put_nowait(1);
  EXPECT_EQ(world.queue.get_nowait(), 1);
  run_one_pass(world.loop);
  world.queue.put_nowait(2);
  world.queue.put_nowait(3);
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "b2 a3 ");
}

TEST(Queue, TakesTwoPassesWhenACallbackPuts) {
  QueueWorld world;
  world.loop.call_soon([&] { world.queue.put_nowait(1); });
  auto task = world.queue.get().start(world.loop);
  run_one_pass(world.loop);
  EXPECT_FALSE(task.done());
  run_one_pass(world.loop);
  EXPECT_EQ(task.result(), 1);
}

TEST(Queue, NeedsNoPassWhenItNeedNotWait) {
  QueueWorld world(1);
  EXPECT_TRUE(world.queue.put(5).start(world.loop).done());
  EXPECT_EQ(world.queue.get().start(world.loop).result(), 5);
}

TEST(Queue, OfNoSizeIsNeverFull) {
  for (const int maxsize : {0, -1}) {
    Queue<int> queue(maxsize);
    EXPECT_FALSE(queue.full());
    EXPECT_EQ(queue.maxsize(), maxsize);
  }
}

TEST(Queue, KeepsItsOrderWhileItGrows) {
  Queue<std::string> queue;
  int next_in = 0;
  int next_out = 0;
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < 7; ++i) queue.put_nowait(std::to_string(next_in++));
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(queue.get_nowait(), std::to_string(next_out++));
    }
  }
  EXPECT_EQ(queue.qsize(), 100u);
}

TEST(Queue, TakesItemsThatCanOnlyBeMoved) {
  SyncWorld world;
  Queue<std::unique_ptr<int>> queue(1);
  queue.put_nowait(std::make_unique<int>(1));
  auto item = std::make_unique<int>(2);
  EXPECT_THROW(queue.put_nowait(std::move(item)), QueueFull);
  ASSERT_NE(item, nullptr) << "it was not taken";
  auto put = queue.put(std::move(item)).start(world.loop);
  EXPECT_EQ(*queue.get_nowait(), 1);
  world.loop.run_until_idle();
  auto got = queue.get().start(world.loop);
  EXPECT_EQ(*got.take_result(), 2);
}

// -- join --------------------------------------------------------------------

TEST(Queue, IsJoinedWhenAllItemsAreDone) {
  QueueWorld world;
  EXPECT_TRUE(world.queue.join().start(world.loop).done());
  for (const int item : {0, 1}) world.queue.put_nowait(item);
  auto joined = world.queue.join().start(world.loop);
  EXPECT_NE(to_string(joined).find("Queue.join()"), std::string::npos);
  world.get_all();
  world.queue.task_done();
  EXPECT_EQ(world.text(world.queue), "<Queue at 0x* maxsize=0 tasks=1>");
  world.loop.run_until_idle();
  EXPECT_FALSE(joined.done());
  world.queue.task_done();
  world.loop.run_until_idle();
  EXPECT_TRUE(joined.done());
  EXPECT_EQ(thrown_by([&] { world.queue.task_done(); }),
            "std::invalid_argument('task_done() called too many times')");
}

// -- shutdown ----------------------------------------------------------------

TEST(Queue, GivesWhatIsLeftAfterAShutdown) {
  QueueWorld world;
  for (const int item : {1, 2}) world.queue.put_nowait(item);
  world.queue.shutdown();
  EXPECT_EQ(world.text(world.queue),
            "<Queue at 0x* maxsize=0 _queue=[1, 2] tasks=2 shutdown>");
  EXPECT_THROW(world.queue.put_nowait(3), QueueShutDown);
  EXPECT_EQ(end_of(world.queue.put(3).start(world.loop)),
            "rondo::QueueShutDown()");
  world.get_all();
  EXPECT_EQ(world.order, "1 2 ");
  EXPECT_THROW(world.queue.get_nowait(), QueueShutDown);
  EXPECT_EQ(end_of(world.queue.get().start(world.loop)),
            "rondo::QueueShutDown()");
}

TEST(Queue, WakesAllWhoWaitWhenItIsShutDown) {
  QueueWorld empty;
  auto a = empty.getter("a");
  auto b = empty.getter("b");
  QueueWorld full(1);
  full.queue.put_nowait(0);
  auto c = full.putter(1);
  auto d = full.putter(2);
  for (QueueWorld* world : {&empty, &full}) {
    run_one_pass(world->loop);
    world->queue.shutdown();
    world->queue.shutdown();
    world->loop.run_until_idle();
  }
  for (const auto& task : {a, b, c, d}) {
    EXPECT_EQ(end_of(task), "rondo::QueueShutDown()");
  }
  EXPECT_EQ(full.queue.get_nowait(), 0);
}

TEST(Queue, DropsItsItemsInAnImmediateShutdown) {
  SyncWorld world;
  Queue<SyncWorld::Alive> queue;
  const auto kept = std::make_shared<int>(0);
  Queue<std::shared_ptr<int>> items;
  for (int i = 0; i < 3; ++i) items.put_nowait(kept);
  EXPECT_EQ(*items.get_nowait(), 0);  // and its task_done() will not come
  auto joined = items.join().start(world.loop);
  items.shutdown(/*immediate=*/true);
  EXPECT_TRUE(items.empty());
  EXPECT_EQ(kept.use_count(), 1);
  world.loop.run_until_idle();
  EXPECT_FALSE(joined.done());
  items.task_done();
  world.loop.run_until_idle();
  EXPECT_TRUE(joined.done());
}

TEST(Queue, IsJoinedByAnImmediateShutdown) {
  QueueWorld world;
  world.queue.put_nowait(1);
  auto joined = world.queue.join().start(world.loop);
  world.queue.shutdown(true);
  world.loop.run_until_idle();
  EXPECT_TRUE(joined.done());
  Queue<int> unused;
  unused.shutdown(true);
  EXPECT_TRUE(unused.join().start(world.loop).done());
}

// -- its end, and other loops ------------------------------------------------

TEST(Queue, BelongsToTheLoopOfItsFirstWaiter) {
  QueueWorld world(1);
  world.getter("a");
  run_one_pass(world.loop);
  VirtualTimeLoop other;
  const std::string refusal = "rondo::RuntimeError('" + to_string(world.queue) +
                              " is bound to a different event loop')";
  EXPECT_EQ(end_of(world.queue.get().start(other)), refusal);
  world.queue.put_nowait(1);
  world.loop.run_until_idle();
  EXPECT_TRUE(world.queue.put(2).start(other).done());
  EXPECT_NE(end_of(world.queue.put(3).start(other)).find("different"),
            std::string::npos);
}

TEST(Queue, FailsThoseWhoWaitWhenItIsDestroyed) {
  QueueWorld world;
  auto queue = std::make_unique<LifoQueue<int>>(1);
  auto woken = queue->get().start(world.loop);
  auto waiting = queue->get().start(world.loop);
  queue->put_nowait(1);
  auto putting = queue->put(2).start(world.loop);
  queue.reset();
  world.loop.run_until_idle();
  for (const AnyFuture& task :
       std::vector<AnyFuture>{woken, waiting, putting}) {
    EXPECT_EQ(end_of(task), "rondo::RuntimeError('LifoQueue was destroyed')");
  }
}

TEST(Queue, WaitsWithoutAnAllocationInSteadyState) {
  QueueWorld world(1);
  world.expect_no_allocation([&] {
    for (int i = 0; i < 40; ++i) {
      auto get = world.queue.get().start(world.loop);
      world.queue.put_nowait(i);
      auto put = world.queue.put(i).start(world.loop);
      run_passes(world.loop, 2);
      EXPECT_EQ(get.result(), i);
      EXPECT_EQ(world.queue.get_nowait(), i);
    }
  });
}

// A body that gives up on its get(), or its put(), without being cancelled.
TEST(Queue, WakesTheNextWhenAnOperationIsDestroyed) {
  QueueWorld world(1);
  std::optional<decltype(world.queue.get())> get(world.queue.get());
  std::optional<decltype(world.queue.put(1))> put(world.queue.put(1));
  const auto fickle = [&](auto& operation) {
    return create_task(world.loop,
                       test::body([&, first = true](Resumption& r) mutable {
                         if (std::exchange(first, false)) {
                           return operation->step(r);
                         }
                         operation.reset();
                         return Step::done();
                       }));
  };
  auto gets = fickle(get);
  world.getter("a");
  run_one_pass(world.loop);
  world.queue.put_nowait(5);
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "a5 ");

  world.queue.put_nowait(6);
  auto puts = fickle(put);
  world.putter(7);
  run_one_pass(world.loop);
  EXPECT_EQ(world.queue.get_nowait(), 6);
  world.loop.run_until_idle();
  EXPECT_EQ(world.order, "a5 +7 ");
}

}  // namespace
}  // namespace rondo
