// SPDX-License-Identifier: MIT
#include "test/support/cancel_everywhere.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>

#include "reactor/exception_context.h"
#include "reactor/repr.h"
#include "test/support/allocation.h"

namespace rondo::test {

namespace {

constexpr int kPassesMax = 10'000;  // a world that does not end by itself
constexpr int kNever = -1;

}  // namespace

World::World() {
  loop.set_exception_handler(
      [this](EventLoop&, const ExceptionContext& context) {
        reports_.push_back(context.message + " " + repr(context.exception));
      });
}

void World::moment() {
  if (cancels_.count(moments_++) != 0 && victim && victim.cancel()) ++effects_;
}

/// One run of a world.
class Attempt {
 public:
  Attempt(const MakeWorld& make, std::set<int> cancels)
      : world_(make()), alive_(world_->alive_) {
    world_->cancels_ = std::move(cancels);
  }

  /// Runs so many passes, or until nothing happens any more. Returns whether
  /// something would.
  bool run(int passes = kPassesMax) {
    for (; passes > 0; --passes) {
      if (world_->loop.next_timeout() == Duration::max()) return false;
      world_->moment();
      world_->loop.run_once();
    }
    return world_->loop.next_timeout() != Duration::max();
  }

  void expect_sound() {
    const auto left = all_tasks(world_->loop);
    if (!world_->may_leave_tasks) {
      for (const AnyTask& task : left) {
        ADD_FAILURE() << "waits for ever: " << to_string(task);
      }
    }
    if (!world_->may_report) {
      for (const std::string& report : world_->reports_) {
        ADD_FAILURE() << "reported: " << report;
      }
    }
    world_->expect_sound();
  }

  /// Ends the loop, and then all the rest.
  void destroy() {
    world_->loop.close();
    EXPECT_TRUE(all_tasks(world_->loop).empty());
    world_.reset();
    EXPECT_EQ(*alive_, 0) << "bodies, or what they keep, were not destroyed";
  }

  /// How many of the cancels found the victim pending.
  int effects() const noexcept { return world_->effects_; }
  int moments() const noexcept { return world_->moments_; }

 private:
  std::unique_ptr<World> world_;
  std::shared_ptr<int> alive_;
};

namespace {

/// Fails the test if `attempt` leaves memory behind. What is kept for the next
/// time is there when it is run once more.
template <class Run>
void without_leak(Run&& attempt) {
  std::int64_t before = live_blocks();
  attempt();
  if (live_blocks() <= before || ::testing::Test::HasFailure()) return;
  before = live_blocks();
  attempt();
  EXPECT_LE(live_blocks(), before) << "blocks were leaked";
}

/// Runs the world to its end. Returns how many cancels had an effect.
int run_to_the_end(const MakeWorld& make, const std::set<int>& cancels) {
  int effects = 0;
  without_leak([&] {
    Attempt attempt(make, cancels);
    EXPECT_FALSE(attempt.run()) << "does not end";
    effects = attempt.effects();
    attempt.expect_sound();
    attempt.destroy();
  });
  return effects;
}

std::string at(const std::set<int>& cancels) {
  std::string text = "cancelled at moment";
  for (const int moment : cancels) text += " " + std::to_string(moment);
  return text;
}

}  // namespace

int cancel_everywhere(const MakeWorld& make) {
  {
    SCOPED_TRACE("not cancelled");
    run_to_the_end(make, {});
  }
  for (int moment = 0;; ++moment) {
    const std::set<int> cancels{moment};
    SCOPED_TRACE(at(cancels));
    if (run_to_the_end(make, cancels) == 0) return moment;
    if (::testing::Test::HasFailure()) return moment;
  }
}

int cancel_twice_everywhere(const MakeWorld& make) {
  int pairs = 0;
  for (int first = 0;; ++first) {
    for (int second = first + 1;; ++second) {
      const std::set<int> cancels{first, second};
      SCOPED_TRACE(at(cancels));
      const int effects = run_to_the_end(make, cancels);
      if (effects == 0) return pairs;
      if (::testing::Test::HasFailure()) return pairs;
      if (effects == 1) break;
      ++pairs;
    }
  }
}

int destroy_everywhere(const MakeWorld& make) {
  int count = 0;
  for (int moment = kNever;; ++moment) {
    const std::set<int> cancels{moment};
    bool had_effect = moment == kNever;
    bool goes_on = true;
    for (int passes = 0; goes_on; ++passes) {
      SCOPED_TRACE(at(cancels) + ", closed after pass " +
                   std::to_string(passes));
      without_leak([&] {
        Attempt attempt(make, cancels);
        goes_on = attempt.run(passes);
        had_effect |= attempt.effects() > 0;
        attempt.destroy();
      });
      ++count;
      if (::testing::Test::HasFailure()) return count;
    }
    if (!had_effect) return count;
  }
}

}  // namespace rondo::test
