// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/coro/with.h"
#include "futures/gather.h"
#include "futures/shield.h"
#include "futures/sleep.h"
#include "futures/wait.h"
#include "futures/wait_for.h"
#include "test/support/cancel_everywhere.h"

// Cancels a task, once and twice, at every moment of scenes made of wait_for,
// timeout, TaskGroup, gather, shield and wait; and ends the loop at every step
// of them, under address sanitizer. An outside cancel is never hidden, nothing
// leaks, nothing is called after its end.

namespace rondo {
namespace {

using test::cancel_everywhere;
using test::cancel_twice_everywhere;
using test::destroy_everywhere;
using test::World;

/// Something of the scene that has to be given back: it is taken when a
/// coroutine begins and given back when it ends, however that comes.
class Held {
 public:
  Held(World& world, int& held) : alive_(world), held_(&held) { ++*held_; }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { --*held_; }

 private:
  World::Alive alive_;
  int* held_;
};

/// A scene whose victim is cancelled; what it says of the end is checked.
class Scene : public World {
 public:
  void expect_sound() override {
    EXPECT_EQ(held, 0);
    EXPECT_TRUE(victim.done());
    // Whoever asked is heard, and what the library itself asks for is taken
    // back: the count says how many asked from outside.
    if (victim.cancelling() > 0 && !may_fail) {
      EXPECT_TRUE(victim.cancelled()) << "an outside cancel was hidden";
    }
    if (victim.cancelled()) {
      EXPECT_GT(victim.cancelling(), 0u) << "nobody had asked";
    }
  }

  int held = 0;
  bool may_fail = false;
};

Coro<int> works(Scene& scene, double seconds, int result) {
  const Held held(scene, scene.held);
  co_await sleep(seconds / 2);
  co_await sleep(seconds / 2);
  co_return result;
}

/// As works(), with a clean-up that waits.
Coro<int> cleans_up(Scene& scene, double seconds, int result) {
  const Held held(scene, scene.held);
  std::exception_ptr error;
  try {
    co_await sleep(seconds);
  } catch (...) {
    error = std::current_exception();
  }
  if (error != nullptr) {
    co_await sleep(0.5);
    std::rethrow_exception(error);
  }
  co_return result;
}

/// Runs one of the coroutines as the victim.
template <class Main>
class SceneOf : public Scene {
 public:
  explicit SceneOf(Main main) { victim = create_task(loop, main(*this)); }
};

template <class Main>
void everywhere(Main main) {
  const auto make = [main] { return std::make_unique<SceneOf<Main>>(main); };
  EXPECT_GE(cancel_everywhere(make), 2);
  cancel_twice_everywhere(make);
  EXPECT_GE(destroy_everywhere(make), 2);
}

TEST(CancelEverywhere, WaitForOfACoroutine) {
  everywhere([](Scene& scene) -> Coro<void> {
    co_await wait_for(works(scene, 2, 7), 5);
    co_await wait_for(cleans_up(scene, 2, 7), 5);
  });
}

TEST(CancelEverywhere, WaitForThatTimesOut) {
  everywhere([](Scene& scene) -> Coro<void> {
    for (const double delay : {1.0, 0.0}) {
      try {
        co_await wait_for(cleans_up(scene, 5, 7), delay);
        ADD_FAILURE();
      } catch (const TimeoutError&) {
      }
    }
  });
}

TEST(CancelEverywhere, WaitForOfATask) {
  everywhere([](Scene& scene) -> Coro<void> {
    co_await wait_for(create_task(works(scene, 2, 7)), 5);
    try {
      co_await wait_for(create_task(works(scene, 5, 7)), 1);
      ADD_FAILURE();
    } catch (const TimeoutError&) {
    }
    co_await wait_for(sleep(1), 5);
  });
}

/// The deadline and the end of the work come in one pass.
TEST(CancelEverywhere, WaitForWhoseTimeIsOverInThePassOfTheEnd) {
  everywhere([](Scene& scene) -> Coro<void> {
    try {
      co_await wait_for(works(scene, 2, 7), 2);
    } catch (const TimeoutError&) {
    }
    try {
      co_await wait_for(create_task(works(scene, 2, 7)), 2);
    } catch (const TimeoutError&) {
    }
  });
}

Coro<void> nested_timeouts(Scene& scene, double outer_s, double inner_s) {
  Timeout outer = timeout(outer_s);
  try {
    co_await with(outer, [](Scene& s, double delay) -> Coro<void> {
      try {
        co_await with(timeout(delay), cleans_up(s, 5, 7));
      } catch (const TimeoutError&) {
      }
      co_await sleep(1);
    }(scene, inner_s));
  } catch (const TimeoutError&) {
  }
}

TEST(CancelEverywhere, NestedTimeouts) {
  everywhere([](Scene& scene) -> Coro<void> {
    co_await nested_timeouts(scene, 10, 1);
    co_await nested_timeouts(scene, 1, 10);
    co_await nested_timeouts(scene, 1, 1);
    co_await nested_timeouts(scene, 1.5, 1);
  });
}

TEST(CancelEverywhere, AGroupThatEndsWell) {
  everywhere([](Scene& scene) -> Coro<void> {
    TaskGroup group;
    co_await with(group, [](Scene& s, TaskGroup& g) -> Coro<void> {
      g.create_task(works(s, 2, 1));
      g.create_task(cleans_up(s, 3, 2));
      co_await works(s, 1, 3);
    }(scene, group));
  });
}

Coro<void> fails(Scene& scene, double after) {
  const Held held(scene, scene.held);
  co_await sleep(after);
  throw std::runtime_error("fails");
}

TEST(CancelEverywhere, AGroupThatFails) {
  const auto make = [] {
    const auto main = [](Scene& scene) -> Coro<void> {
      scene.may_fail = true;  // what fails goes before a cancel
      for (const bool block_waits : {true, false}) {
        try {
          TaskGroup group;
          co_await with(group,
                        [](Scene& s, TaskGroup& g, bool waits) -> Coro<void> {
                          g.create_task(fails(s, 1));
                          g.create_task(cleans_up(s, 3, 2));
                          if (waits) co_await works(s, 5, 3);
                        }(scene, group, block_waits));
          ADD_FAILURE() << "threw nothing";
        } catch (const ExceptionGroup&) {
        }
      }
    };
    return std::make_unique<SceneOf<decltype(main)>>(main);
  };
  EXPECT_GE(cancel_everywhere(make), 2);
  cancel_twice_everywhere(make);
  EXPECT_GE(destroy_everywhere(make), 2);
}

TEST(CancelEverywhere, AGroupThatEndsItself) {
  everywhere([](Scene& scene) -> Coro<void> {
    TaskGroup group;
    co_await with(group, [](Scene& s, TaskGroup& g) -> Coro<void> {
      g.create_task(cleans_up(s, 3, 2));
      co_await sleep(1);
      g.cancel();
      co_await works(s, 1, 3);
    }(scene, group));
  });
}

TEST(CancelEverywhere, NestedGroupsUnderATimeout) {
  const auto make = [] {
    const auto main = [](Scene& scene) -> Coro<void> {
      scene.may_fail = true;
      try {
        co_await with(timeout(2), [](Scene& s) -> Coro<void> {
          TaskGroup outer;
          co_await with(outer, [](Scene& in, TaskGroup& g) -> Coro<void> {
            g.create_task(cleans_up(in, 5, 1));
            TaskGroup inner;
            co_await with(inner, [](Scene& deep, TaskGroup& h) -> Coro<void> {
              h.create_task(cleans_up(deep, 5, 2));
              co_await works(deep, 4, 3);
            }(in, inner));
          }(s, outer));
        }(scene));
      } catch (const TimeoutError&) {
      }
    };
    return std::make_unique<SceneOf<decltype(main)>>(main);
  };
  EXPECT_GE(cancel_everywhere(make), 2);
  cancel_twice_everywhere(make);
  EXPECT_GE(destroy_everywhere(make), 2);
}

TEST(CancelEverywhere, AGather) {
  everywhere([](Scene& scene) -> Coro<void> {
    co_await gather(works(scene, 1, 1), cleans_up(scene, 2, 2), sleep(1.5));
    co_await gather(return_exceptions, works(scene, 1, 1),
                    cleans_up(scene, 2, 2));
    std::vector<Coro<int>> some;
    some.push_back(works(scene, 1, 1));
    some.push_back(cleans_up(scene, 1, 1));
    co_await gather(std::move(some));
  });
}

TEST(CancelEverywhere, AShield) {
  everywhere([](Scene& scene) -> Coro<void> {
    co_await shield(works(scene, 2, 7));
    co_await wait_for(shield(works(scene, 2, 7)), 5);
    try {
      co_await wait_for(shield(works(scene, 5, 7)), 1);
      ADD_FAILURE();
    } catch (const TimeoutError&) {
    }
  });
}

TEST(CancelEverywhere, AWait) {
  everywhere([](Scene& scene) -> Coro<void> {
    std::vector<Task<int>> some;
    some.push_back(create_task(works(scene, 1, 1)));
    some.push_back(create_task(cleans_up(scene, 2, 2)));
    co_await rondo::wait(some, ReturnWhen::kFirstCompleted);
    co_await rondo::wait(some, WaitOptions().timeout(0.5));
    co_await rondo::wait(some);
  });
}

TEST(CancelEverywhere, AChainOfTasksAndOfCoroutines) {
  everywhere([](Scene& scene) -> Coro<void> {
    const auto level = [](Scene& s) -> Coro<void> {
      const Held held(s, s.held);
      co_await create_task(works(s, 1, 1));
      co_await cleans_up(s, 1, 1);
    };
    co_await create_task(level(scene));
    co_await level(scene);
  });
}

// A cancel inside a cancel: the clean-up cancels its own task again.
TEST(CancelEverywhere, ATaskThatCancelsItselfInItsCleanUp) {
  const auto make = [] {
    const auto main = [](Scene& scene) -> Coro<void> {
      const Held held(scene, scene.held);
      try {
        co_await sleep(1);
        co_await sleep(1);
      } catch (const CancelledError&) {
        current_task().cancel();
        throw;
      }
    };
    return std::make_unique<SceneOf<decltype(main)>>(main);
  };
  EXPECT_GE(cancel_everywhere(make), 2);
  cancel_twice_everywhere(make);
  EXPECT_GE(destroy_everywhere(make), 2);
}

}  // namespace
}  // namespace rondo
