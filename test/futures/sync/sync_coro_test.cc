// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/sleep.h"
#include "futures/sync/barrier.h"
#include "futures/sync/condition.h"
#include "futures/sync/event.h"
#include "futures/sync/lock.h"
#include "futures/sync/queue.h"
#include "futures/sync/semaphore.h"
#include "test/futures/sync/sync_world.h"

// The operations of futures/sync as coroutines await them, and each of them
// cancelled, or ended with its loop, at each moment.

namespace rondo {
namespace {

using test::SyncWorld;

// A type that can stand in a co_await expression is no aggregate: g++ 12
// would destroy it twice.
static_assert(!std::is_aggregate_v<Lock::Acquire>);
static_assert(!std::is_aggregate_v<Lock::Scoped>);
static_assert(!std::is_aggregate_v<Event::Wait>);
static_assert(!std::is_aggregate_v<Condition::Wait>);
static_assert(!std::is_aggregate_v<Semaphore::Acquire>);
static_assert(!std::is_aggregate_v<Semaphore::Scoped>);
static_assert(!std::is_aggregate_v<Barrier::Wait>);
static_assert(!std::is_aggregate_v<Barrier::Reset>);
static_assert(!std::is_aggregate_v<Queue<int>::Get>);
static_assert(!std::is_aggregate_v<Queue<int>::Put>);
static_assert(!std::is_aggregate_v<AnyQueue::Join>);

template <class W>
test::MakeWorld with_victim(int which) {
  return [which] { return std::make_unique<W>(which); };
}

// The count-th task of a world is its victim.
struct CoroWorld : SyncWorld {
  explicit CoroWorld(int which) : which_(which) {}
  template <class T>
  Task<T> start(Coro<T> coro) {
    Task<T> task = create_task(loop, std::move(coro));
    if (count_++ == which_) victim = task;
    return task;
  }

 private:
  int which_;
  int count_ = 0;
};

// -- Lock --------------------------------------------------------------------

struct Locked : CoroWorld {
  explicit Locked(int which) : CoroWorld(which) {
    for (const char* name : {"a", "b", "c"}) start(work(name));
  }
  Coro<void> work(std::string name) {
    const Alive alive(*this);
    for (int i = 0; i < 2; ++i) {
      const LockGuard guard = co_await lock.scoped();
      EXPECT_TRUE(lock.locked());
      order += name + std::to_string(i) + " ";
      co_await sleep(1);
    }
  }
  void expect_sound() override {
    if (!victim.cancelled()) {
      EXPECT_EQ(order, "a0 b0 c0 a1 b1 c1 ");
    }
    EXPECT_EQ(text(lock), "<Lock object at 0x* [unlocked]>");
  }
  Lock lock;
};

TEST(LockCoro, LosesNoWakeUpAtAnyMoment) {
  for (int which = 0; which < 3; ++which) {
    EXPECT_GE(test::cancel_everywhere(with_victim<Locked>(which)), 5);
    EXPECT_GE(test::destroy_everywhere(with_victim<Locked>(which)), 40);
  }
}

// -- Semaphore ---------------------------------------------------------------

struct Limited : CoroWorld {
  explicit Limited(int which) : CoroWorld(which), semaphore(2) {
    for (int i = 0; i < 5; ++i) start(work());
  }
  Coro<void> work() {
    const Alive alive(*this);
    const SemaphoreGuard guard = co_await semaphore.scoped();
    order += "+";
    co_await sleep(1);
    order += "-";
  }
  void expect_sound() override {
    if (!victim.cancelled()) {
      EXPECT_EQ(order, "++--++--+-");
    }
    EXPECT_EQ(text(semaphore),
              "<BoundedSemaphore object at 0x* [unlocked, value:2]>");
  }
  BoundedSemaphore semaphore;
};

TEST(SemaphoreCoro, LosesNoTurnAtAnyMoment) {
  for (int which = 0; which < 5; ++which) {
    EXPECT_GE(test::cancel_everywhere(with_victim<Limited>(which)), 3);
    EXPECT_GE(test::destroy_everywhere(with_victim<Limited>(which)), 20);
  }
}

// -- Event -------------------------------------------------------------------

struct Started : CoroWorld {
  explicit Started(int which) : CoroWorld(which) {
    for (const char* name : {"a", "b"}) start(wait(name));
    create_task(loop, set());
  }
  Coro<void> wait(std::string name) {
    const Alive alive(*this);
    co_await event.wait();
    order += name;
  }
  Coro<void> set() {
    co_await sleep(1);
    event.set();
  }
  void expect_sound() override {
    EXPECT_EQ(order.size(), victim.cancelled() ? 1u : 2u);
    EXPECT_EQ(text(event), "<Event object at 0x* [set]>");
  }
  Event event;
};

TEST(EventCoro, LosesNothingAtAnyMoment) {
  for (int which = 0; which < 2; ++which) {
    EXPECT_GE(test::cancel_everywhere(with_victim<Started>(which)), 3);
    EXPECT_GE(test::destroy_everywhere(with_victim<Started>(which)), 8);
  }
}

// -- Condition ---------------------------------------------------------------

struct Changed : CoroWorld {
  explicit Changed(int which) : CoroWorld(which) {
    for (int i = 0; i < 3; ++i) start(consume());
    for (int i = 0; i < 3; ++i) create_task(loop, produce());
  }
  Coro<void> consume() {
    const Alive alive(*this);
    const LockGuard guard = co_await condition.scoped();
    while (items == 0) co_await condition.wait();
    EXPECT_TRUE(condition.locked());
    --items;
    order += "c";
    co_await sleep(1);  // with the lock held
  }
  Coro<void> produce() {
    const Alive alive(*this);
    co_await sleep(1);
    const LockGuard guard = co_await condition.scoped();
    ++items;
    condition.notify();
    co_await sleep(0);
  }
  void expect_sound() override {
    EXPECT_EQ(static_cast<int>(order.size()) + items, 3);
    EXPECT_LE(items, victim.cancelled() ? 1 : 0);
    EXPECT_EQ(text(condition), "<Condition object at 0x* [unlocked]>");
  }
  Condition condition;
  int items = 0;
};

TEST(ConditionCoro, LosesNoNotificationAtAnyMoment) {
  for (int which = 0; which < 3; ++which) {
    EXPECT_GE(test::cancel_everywhere(with_victim<Changed>(which)), 4);
    EXPECT_GE(test::cancel_twice_everywhere(with_victim<Changed>(which)), 1);
    EXPECT_GE(test::destroy_everywhere(with_victim<Changed>(which)), 30);
  }
}

TEST(ConditionCoro, GivesWhatThePredicateGave) {
  SyncWorld world;
  Condition condition;
  struct Program {
    static Coro<int> run(Condition& condition, int& value) {
      const LockGuard guard = co_await condition.scoped();
      const auto enough = [&value] { return value > 1 ? value : 0; };
      auto waiting = condition.wait_for(enough);
      co_return co_await waiting;
    }
    static Coro<void> change(Condition& condition, int& value) {
      for (int i = 0; i < 3; ++i) {
        co_await sleep(1);
        const LockGuard guard = co_await condition.scoped();
        ++value;
        condition.notify_all();
      }
    }
  };
  int value = 0;
  auto task = create_task(world.loop, Program::run(condition, value));
  create_task(world.loop, Program::change(condition, value));
  world.loop.run_until_idle();
  EXPECT_EQ(task.result(), 2);
}

// -- Barrier -----------------------------------------------------------------

struct Gathered : CoroWorld {
  explicit Gathered(int which) : CoroWorld(which), barrier(2) {
    for (int i = 0; i < 4; ++i) start(come());
    may_leave_tasks = true;  // three for two, when one is cancelled
  }
  Coro<void> come() {
    const Alive alive(*this);
    for (int i = 0; i < 2; ++i)
      order += std::to_string(co_await barrier.wait());
  }
  void expect_sound() override {
    if (!victim.cancelled()) {
      EXPECT_EQ(order.size(), 8u);
      EXPECT_TRUE(all_tasks(loop).empty());
    }
    EXPECT_FALSE(barrier.broken());
    EXPECT_EQ(static_cast<int>(all_tasks(loop).size()), barrier.n_waiting());
    EXPECT_LE(barrier.n_waiting(), 1);
  }
  Barrier barrier;
};

TEST(BarrierCoro, HoldsNobodyUpWithoutNeedAtAnyMoment) {
  for (int which = 0; which < 4; ++which) {
    EXPECT_GE(test::cancel_everywhere(with_victim<Gathered>(which)), 2);
    test::cancel_twice_everywhere(with_victim<Gathered>(which));
    EXPECT_GE(test::destroy_everywhere(with_victim<Gathered>(which)), 10);
  }
}

// -- Queue -------------------------------------------------------------------

struct Piped : CoroWorld {
  explicit Piped(int which) : CoroWorld(which), queue(1) {
    for (int i = 0; i < 2; ++i) start(consume());
    for (int i = 0; i < 2; ++i) start(produce());
  }
  Coro<void> produce() {
    const Alive alive(*this);
    for (int i = 0; i < 2; ++i) {
      auto item = std::make_unique<Alive>(*this);
      co_await queue.put(std::move(item));
      ++put;
    }
  }
  Coro<void> consume() {
    const Alive alive(*this);
    for (int i = 0; i < 2; ++i) {
      const std::unique_ptr<Alive> item = co_await queue.get();
      EXPECT_NE(item, nullptr);
      ++got;
      co_await sleep(0);
      queue.task_done();
    }
  }
  void expect_sound() override {
    EXPECT_EQ(static_cast<std::size_t>(got) + queue.qsize(),
              static_cast<std::size_t>(put));
    EXPECT_EQ(got, victim.cancelled() ? got : 4);
  }
  Queue<std::unique_ptr<Alive>> queue;
  int put = 0;
  int got = 0;
};

TEST(QueueCoro, LosesNoItemAtAnyMoment) {
  for (int which = 0; which < 4; ++which) {
    const test::MakeWorld make = [which] {
      auto world = std::make_unique<Piped>(which);
      world->may_leave_tasks = true;  // whose partner was cancelled
      return world;
    };
    EXPECT_GE(test::cancel_everywhere(make), 2);
    EXPECT_GE(test::destroy_everywhere(make), 12);
  }
}

}  // namespace
}  // namespace rondo
