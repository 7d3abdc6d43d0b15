// SPDX-License-Identifier: MIT
#include "reactor/internal/timer_heap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <utility>
#include <vector>

namespace rondo::detail {
namespace {

using namespace std::chrono_literals;

/// A heap and the memory of its timers, which are in it or not.
class TimerHeapTest : public testing::Test {
 protected:
  ~TimerHeapTest() override {
    for (TimerEntry* timer : timers_) {
      if (timer->has(Entry::kArmed)) heap_.remove(timer);
      drop_reference(timer);
    }
  }

  /// A timer that is not in the heap.
  TimerEntry* make(TimePoint when) {
    auto* timer = static_cast<TimerEntry*>(pool_->allocate());
    timer->references = 1;
    timer->flags = Entry::kTimer;
    timer->when = when;
    timer->heap = &heap_;
    timers_.push_back(timer);
    return timer;
  }

  TimerEntry* insert(Duration when) {
    TimerEntry* timer = make(TimePoint(when));
    heap_.insert(timer);
    return timer;
  }

  /// Takes the soonest out.
  TimerEntry* pop() {
    heap_.settle();
    TimerEntry* timer = heap_.front();
    EXPECT_EQ(heap_.next_deadline(), timer->when);
    heap_.remove(timer);
    return timer;
  }

  std::vector<TimerEntry*> pop_all() {
    std::vector<TimerEntry*> timers;
    while (!heap_.empty()) timers.push_back(pop());
    return timers;
  }

  std::vector<TimerEntry*> take_due(Duration now, bool one_by_one = false) {
    std::vector<TimerEntry*> timers;
    heap_.take_due(TimePoint(now), one_by_one,
                   [&](TimerEntry* timer) { timers.push_back(timer); });
    return timers;
  }

  const EntryPool::Ptr pool_ = EntryPool::create(EntryPool::Kind::kTimers);
  TimerHeap heap_{*pool_};
  std::vector<TimerEntry*> timers_;
};

using Timers = std::vector<TimerEntry*>;

TEST_F(TimerHeapTest, GivesTheSoonestFirst) {
  TimerEntry* c = insert(3s);
  TimerEntry* a = insert(1s);
  TimerEntry* d = insert(4s);
  TimerEntry* b = insert(2s);
  EXPECT_EQ(heap_.size(), 4u);
  EXPECT_EQ(pop_all(), (Timers{a, b, c, d}));
  EXPECT_TRUE(heap_.empty());
}

// "Adds `timer` with its deadline `when`, behind all that have the same."
TEST_F(TimerHeapTest, GivesEqualDeadlinesInTheOrderOfInsertion) {
  Timers expected;
  for (int index = 0; index < 1000; ++index) expected.push_back(insert(1s));
  EXPECT_EQ(pop_all(), expected);
}

TEST_F(TimerHeapTest, OrdersTheEndsOfTheClock) {
  TimerEntry* last = insert(Duration::max());
  TimerEntry* zero = insert(0ns);
  TimerEntry* first = insert(Duration::min());
  EXPECT_EQ(pop_all(), (Timers{first, zero, last}));
}

// "Takes `timer` out, wherever it is."
TEST_F(TimerHeapTest, RemovesFromAnyPlace) {
  constexpr int kCount = 50;
  for (int victim = 0; victim < kCount; ++victim) {
    SCOPED_TRACE(victim);
    Timers expected(kCount);
    TimerEntry* removed = nullptr;
    for (int index = 0; index < kCount; ++index) {
      // Each of 0..49 s once, in a mixed order.
      const int seconds = index * 7 % kCount;
      TimerEntry* timer = insert(std::chrono::seconds(seconds));
      expected[static_cast<std::size_t>(seconds)] = timer;
      if (index == victim) removed = timer;
    }
    heap_.remove(removed);
    EXPECT_FALSE(removed->has(Entry::kArmed));
    std::erase(expected, removed);
    EXPECT_EQ(pop_all(), expected);
  }
}

TEST_F(TimerHeapTest, TakesATimerBackAfterItWasRemoved) {
  TimerEntry* a = insert(1s);
  TimerEntry* b = insert(1s);
  heap_.remove(a);
  heap_.insert(a);  // behind b now
  EXPECT_EQ(pop_all(), (Timers{b, a}));
}

// "Gives `timer` another deadline: it now counts as made last."
TEST_F(TimerHeapTest, ReschedulesBackForwardAndToTheSame) {
  TimerEntry* a = insert(1s);
  TimerEntry* b = insert(2s);
  TimerEntry* c = insert(3s);
  TimerEntry* d = insert(2s);
  heap_.reschedule(a, TimePoint(2s));
  heap_.reschedule(c, TimePoint(2s));
  heap_.reschedule(b, TimePoint(2s));
  EXPECT_EQ(pop_all(), (Timers{d, a, c, b}));
}

// A deadline that was moved back stands at its old place until it is looked
// at, and can be moved, or taken out, from there.
TEST_F(TimerHeapTest, HandlesATimerThatStandsAtAnOldPlace) {
  TimerEntry* a = insert(1s);
  TimerEntry* b = insert(2s);
  heap_.reschedule(a, TimePoint(9s));
  EXPECT_EQ(heap_.next_deadline(), TimePoint(1s)) << "the move is lazy";
  heap_.reschedule(a, TimePoint(3s));
  EXPECT_EQ(pop(), b);
  heap_.reschedule(a, TimePoint(9s));
  heap_.remove(a);
  EXPECT_TRUE(heap_.empty());

  TimerEntry* c = insert(1s);
  TimerEntry* d = insert(2s);
  heap_.reschedule(c, TimePoint(9s));
  heap_.reschedule(c, TimePoint(500ms));
  EXPECT_EQ(pop_all(), (Timers{c, d}));
}

TEST_F(TimerHeapTest, SettlesHoweverManyAreMovedBack) {
  Timers expected;
  for (int index = 0; index < 100; ++index) {
    expected.push_back(insert(std::chrono::seconds(index)));
  }
  // The other way round, each behind all.
  for (int index = 0; index < 100; ++index) {
    heap_.reschedule(expected[static_cast<std::size_t>(index)],
                     TimePoint(std::chrono::seconds(1000 - index)));
  }
  std::reverse(expected.begin(), expected.end());
  EXPECT_EQ(pop_all(), expected);
}

TEST_F(TimerHeapTest, VisitsEachTimerOnce) {
  Timers expected;
  for (int index = 0; index < 100; ++index) {
    expected.push_back(insert(std::chrono::seconds(index * 37 % 100)));
  }
  Timers visited;
  heap_.for_each([&](TimerEntry& timer) { visited.push_back(&timer); });
  std::sort(expected.begin(), expected.end());
  std::sort(visited.begin(), visited.end());
  EXPECT_EQ(visited, expected);
}

// -- many at once ------------------------------------------------------------

// "Takes out all that are due at `now`, soonest first". So few are taken one
// by one, so many are sorted: the order is the same.
TEST_F(TimerHeapTest, TakesWhatIsDueHoweverMany) {
  for (const int count : {0, 1, 2, 64, 65, 66, 67, 68, 100, 1000}) {
    for (const int later : {0, 1, 2, 5, 1000}) {
      SCOPED_TRACE(testing::Message() << count << " due, " << later << " not");
      std::multimap<Duration, TimerEntry*> due;  // equal keys in order made
      std::multimap<Duration, TimerEntry*> rest;
      for (int index = 0; index < std::max(count, later); ++index) {
        if (index < count) {
          const Duration when = -Duration(index * 7919 % 31);
          due.emplace(when, insert(when));
        }
        if (index < later) {
          const Duration when(1 + index * 7919 % 31);
          rest.emplace(when, insert(when));
        }
      }
      const auto in_order = [](const auto& timers) {
        Timers ordered;
        for (const auto& [when, timer] : timers) ordered.push_back(timer);
        return ordered;
      };
      const Timers taken = take_due(0ns);
      EXPECT_EQ(taken, in_order(due));
      for (TimerEntry* timer : taken) EXPECT_FALSE(timer->has(Entry::kArmed));
      EXPECT_EQ(heap_.size(), rest.size());
      EXPECT_EQ(pop_all(), in_order(rest));
    }
  }
}

// Among the many are some that were moved back: due no more, or later among
// those that are.
TEST_F(TimerHeapTest, TakesOfManyOnlyWhatIsStillDue) {
  Timers expected, moved;
  for (int index = 0; index < 1000; ++index) {
    TimerEntry* timer = insert(Duration(index));
    (index % 3 == 0 ? moved : expected).push_back(timer);
  }
  Timers not_due;
  for (std::size_t index = 0; index < moved.size(); ++index) {
    const bool due = index % 2 == 0;
    heap_.reschedule(moved[index], TimePoint(due ? 1000ns : 1001ns));
    (due ? expected : not_due).push_back(moved[index]);
  }
  EXPECT_EQ(take_due(1000ns), expected);
  EXPECT_EQ(pop_all(), not_due);
}

// "[...] not if `one_by_one`, for a `take` that cannot be trusted to leave the
// heap alone": of each four timers the first cancels the second and moves the
// third.
TEST_F(TimerHeapTest, TakesOneByOneWhileTheTakerChangesTheHeap) {
  Timers due, expected, moved;
  for (std::size_t index = 0; index < 1000; ++index) {
    due.push_back(insert(0ns));
    if (index % 4 == 0 || index % 4 == 3) expected.push_back(due[index]);
    if (index % 4 == 2) moved.push_back(due[index]);
  }
  Timers taken;
  heap_.take_due(TimePoint(0ns), /*one_by_one=*/true, [&](TimerEntry* timer) {
    if (taken.size() % 2 == 0) {
      const std::size_t first = taken.size() * 2;
      heap_.remove(due[first + 1]);
      heap_.reschedule(due[first + 2], TimePoint(1ns));
    }
    taken.push_back(timer);
  });
  EXPECT_EQ(taken, expected);
  EXPECT_EQ(pop_all(), moved);
}

TEST_F(TimerHeapTest, IsUsableAfterTakingMany) {
  for (int round = 0; round < 3; ++round) {
    for (int index = 0; index < 500; ++index) insert(Duration(index));
    EXPECT_EQ(take_due(400ns).size(), 401u);
    TimerEntry* first = insert(0ns);
    EXPECT_EQ(heap_.size(), 100u);
    EXPECT_EQ(pop(), first);
    EXPECT_EQ(pop()->when, TimePoint(401ns));
    EXPECT_EQ(pop_all().size(), 98u);
  }
}

// -- when the numbers are used up --------------------------------------------

constexpr std::uint32_t kLastOrder = std::numeric_limits<std::uint32_t>::max();

// The order in which timers were made outlives the counter that tells it.
TEST_F(TimerHeapTest, KeepsTheOrderAcrossRenumbering) {
  for (std::uint32_t left = 0; left <= 6; ++left) {
    SCOPED_TRACE(left);
    heap_.set_next_order(kLastOrder - left);
    Timers expected;
    for (int index = 0; index < 6; ++index) expected.push_back(insert(1s));
    EXPECT_EQ(pop_all(), expected);
  }
}

TEST_F(TimerHeapTest, KeepsTheOrderAcrossRenumberingOfManyDeadlines) {
  heap_.set_next_order(kLastOrder - 500);
  std::multimap<int, TimerEntry*> model;  // equal keys in order of insertion
  for (int index = 0; index < 1000; ++index) {
    const int seconds = index * 7919 % 13;
    model.emplace(seconds, insert(std::chrono::seconds(seconds)));
  }
  Timers expected;
  for (const auto& [seconds, timer] : model) expected.push_back(timer);
  EXPECT_EQ(pop_all(), expected);
}

// Renumbered in the middle of a reschedule(), when the timer has its new
// deadline but not its new number, and among timers at old places.
TEST_F(TimerHeapTest, RenumbersInTheMiddleOfAReschedule) {
  for (const Duration to : {1s, 2s, 3s, 4s, 5s, 6s}) {
    SCOPED_TRACE(to.count());
    std::multimap<Duration, TimerEntry*> model;
    TimerEntry* moved = insert(3s);
    model.emplace(2s, insert(2s));
    model.emplace(5s, insert(5s));
    TimerEntry* stale = insert(1s);
    model.emplace(3s, insert(3s));
    heap_.reschedule(stale, TimePoint(3s));  // stands at 1 s
    model.emplace(3s, stale);
    heap_.set_next_order(kLastOrder);
    heap_.reschedule(moved, TimePoint(to));
    model.emplace(to, moved);  // behind all that have the same
    Timers expected;
    for (const auto& [when, timer] : model) expected.push_back(timer);
    EXPECT_EQ(pop_all(), expected);
  }
}

TEST_F(TimerHeapTest, RenumbersWhenItIsEmpty) {
  heap_.set_next_order(kLastOrder);
  TimerEntry* a = insert(1s);
  EXPECT_EQ(a->order, 0u);
  EXPECT_EQ(pop(), a);
}

// -- against a model ---------------------------------------------------------

/// What the heap should do, slowly: a sorted map of (deadline, number).
class Model {
 public:
  using Key = std::pair<TimePoint, std::uint64_t>;

  void put(TimerEntry* timer, TimePoint when) {
    take(timer);
    const Key key{when, ++made_};
    keys_[timer] = key;
    order_[key] = timer;
  }
  void take(TimerEntry* timer) {
    const auto found = keys_.find(timer);
    if (found == keys_.end()) return;
    order_.erase(found->second);
    keys_.erase(found);
  }
  std::size_t size() const { return order_.size(); }
  TimerEntry* soonest() const { return order_.begin()->second; }
  TimePoint deadline() const { return order_.begin()->first.first; }
  bool holds(TimerEntry* timer) const { return keys_.contains(timer); }

 private:
  std::map<Key, TimerEntry*> order_;
  std::map<TimerEntry*, Key> keys_;
  std::uint64_t made_ = 0;
};

// A hundred thousand random steps: insert, remove, reschedule anywhere, take
// the soonest or all that is due; few deadlines, so that many are equal; the
// numbers run out now and then. Each step is compared with the model.
TEST_F(TimerHeapTest, DoesWhatASortedMapDoes) {
  for (const std::uint32_t seed : {1u, 20240229u, 3735928559u}) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const auto below = [&](std::uint32_t limit) {
      return static_cast<std::uint32_t>(random() % limit);
    };
    Model model;
    std::vector<TimerEntry*> timers(400);
    for (TimerEntry*& timer : timers) timer = make(TimePoint());
    for (int step = 0; step < 100'000; ++step) {
      TimerEntry* timer = timers[below(400)];
      const TimePoint when(Duration(below(50)));
      // Upwards: since the last time more than fifty numbers were given out.
      if (step % 997 == 0) heap_.set_next_order(kLastOrder - below(50));
      if (below(500) == 0) {
        for (TimerEntry* due :
             take_due(when.time_since_epoch(), below(2) == 0)) {
          ASSERT_EQ(due, model.soonest()) << "step " << step;
          model.take(due);
        }
        ASSERT_TRUE(model.size() == 0 || model.deadline() > when);
      } else if (below(20) == 0 && model.size() > 0) {
        ASSERT_EQ(pop(), model.soonest()) << "step " << step;
        model.take(model.soonest());
      } else if (!model.holds(timer)) {
        timer->when = when;
        heap_.insert(timer);
        model.put(timer, when);
      } else if (below(4) == 0) {
        heap_.remove(timer);
        model.take(timer);
      } else {
        heap_.reschedule(timer, when);
        model.put(timer, when);
      }
      ASSERT_EQ(heap_.size(), model.size()) << "step " << step;
      if (model.size() == 0) continue;
      heap_.settle();
      ASSERT_EQ(heap_.front(), model.soonest()) << "step " << step;
      ASSERT_EQ(heap_.next_deadline(), model.deadline()) << "step " << step;
    }
    for (; model.size() > 0; model.take(model.soonest())) {
      ASSERT_EQ(pop(), model.soonest());
    }
    EXPECT_TRUE(heap_.empty());
  }
}

// -- broken contracts --------------------------------------------------------

using TimerHeapDeathTest = TimerHeapTest;

TEST_F(TimerHeapDeathTest, RefusesATimerThatIsInIt) {
  TimerEntry* timer = insert(1s);
  EXPECT_DEATH(heap_.insert(timer), "check failed: .*kArmed");
}

TEST_F(TimerHeapDeathTest, RefusesToRemoveATimerThatIsNotInIt) {
  TimerEntry* timer = make(TimePoint());
  EXPECT_DEATH(heap_.remove(timer), "check failed: .*kArmed");
}

}  // namespace
}  // namespace rondo::detail
