// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "reactor/event_loop.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/one_pass.h"

// handle.h: "A Handle that cancels when it is destroyed or overwritten, so
// that a class can own its callbacks and capture `this` in them".

namespace rondo {
namespace {

using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<ScopedHandle>);
static_assert(std::is_nothrow_move_constructible_v<ScopedHandle>);

TEST(ScopedHandle, CancelsWhenItIsDestroyed) {
  EventLoop loop;
  int runs = 0;
  Handle handle;
  {
    const ScopedHandle scoped = loop.call_soon([&] { ++runs; });
    handle = scoped.get();
    EXPECT_FALSE(handle.cancelled());
  }
  EXPECT_TRUE(handle.cancelled());
  run_one_pass(loop);
  EXPECT_EQ(runs, 0);
}

TEST(ScopedHandle, OwnsATimerToo) {
  VirtualTimeLoop loop;
  int runs = 0;
  {
    const ScopedHandle scoped = loop.call_later(1ms, [&] { ++runs; });
  }
  loop.advance(10ms);
  EXPECT_EQ(runs, 0);
}

TEST(ScopedHandle, LetsTheCallbackRunWhileItLives) {
  EventLoop loop;
  int runs = 0;
  const ScopedHandle scoped = loop.call_soon([&] { ++runs; });
  run_one_pass(loop);
  EXPECT_EQ(runs, 1);
}

// "Owns no callback."
TEST(ScopedHandle, MadeByDefaultOwnsNone) {
  ScopedHandle scoped;
  EXPECT_FALSE(scoped.get());
  scoped.cancel();
  EXPECT_FALSE(scoped.release());
}

// "Cancels its own callback, then owns that of `other`."
TEST(ScopedHandle, OverwritingCancelsTheOldCallback) {
  EventLoop loop;
  std::string order;
  ScopedHandle scoped = loop.call_soon([&] { order += 'a'; });
  const Handle old = scoped.get();
  scoped = loop.call_soon([&] { order += 'b'; });
  EXPECT_TRUE(old.cancelled());
  run_one_pass(loop);
  EXPECT_EQ(order, "b");
}

// "Leaves `other` owning none."
TEST(ScopedHandle, MovingHandsTheDutyOver) {
  EventLoop loop;
  int runs = 0;
  ScopedHandle first = loop.call_soon([&] { ++runs; });
  {
    const ScopedHandle second = std::move(first);
    EXPECT_FALSE(first.get());  // NOLINT: promised
    EXPECT_TRUE(second.get());
    EXPECT_FALSE(second.get().cancelled());
  }
  run_one_pass(loop);
  EXPECT_EQ(runs, 0);
}

TEST(ScopedHandle, MovingToItselfKeepsTheCallback) {
  EventLoop loop;
  int runs = 0;
  ScopedHandle scoped = loop.call_soon([&] { ++runs; });
  ScopedHandle& same = scoped;
  scoped = std::move(same);
  run_one_pass(loop);
  EXPECT_EQ(runs, 1);
}

// "The callback without the duty to cancel it; this one owns none then."
TEST(ScopedHandle, ReleaseGivesTheCallbackAwayUncancelled) {
  EventLoop loop;
  int runs = 0;
  Handle released;
  {
    ScopedHandle scoped = loop.call_soon([&] { ++runs; });
    released = scoped.release();
    EXPECT_FALSE(scoped.get());
  }
  EXPECT_FALSE(released.cancelled());
  run_one_pass(loop);
  EXPECT_EQ(runs, 1);
}

TEST(ScopedHandle, CancelIsHandleCancel) {
  EventLoop loop;
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = owned;
  ScopedHandle scoped = loop.call_soon([kept = std::move(owned)] {});
  scoped.cancel();
  EXPECT_TRUE(watched.expired());
  EXPECT_TRUE(scoped.get().cancelled());
}

// -- the class of the header's example ---------------------------------------

/// Closes itself when nobody touched it for 30 s.
class Session {
 public:
  explicit Session(EventLoop& loop) : loop_(loop) { touch(); }
  void touch() {
    idle_ = loop_.call_later(30s, [this] { closed_ = true; });
  }
  bool closed() const { return closed_; }

 private:
  EventLoop& loop_;
  bool closed_ = false;
  ScopedHandle idle_;
};

TEST(ScopedHandle, LetsAClassOwnItsCallbacks) {
  VirtualTimeLoop loop;
  Session session(loop);
  auto gone = std::make_unique<Session>(loop);
  loop.advance(20s);
  session.touch();
  gone.reset();  // its timer would write into freed memory
  loop.advance(29s);
  EXPECT_FALSE(session.closed());
  loop.advance(1s);
  EXPECT_TRUE(session.closed());
}

// An owned timer can be asked and moved: the idle timeout of a server.
TEST(ScopedTimerHandle, IsATimerThatIsOwned) {
  VirtualTimeLoop loop;
  int runs = 0;
  {
    ScopedTimerHandle idle = loop.call_later(30s, [&] { ++runs; });
    EXPECT_EQ(idle->when(), TimePoint(30s));
    EXPECT_TRUE(idle->reschedule(TimePoint(40s)));
    loop.advance(39s);
    EXPECT_EQ(runs, 0);
    loop.advance(1s);
    EXPECT_EQ(runs, 1);
    idle = loop.call_later(1s, [&] { ++runs; });
  }
  loop.run_until_idle();
  EXPECT_EQ(runs, 1);
}

// R3: a callback destroys the object that owns it.
TEST(ScopedHandle, SurvivesItsOwnersEndInItsOwnCallback) {
  struct Owner {
    ScopedHandle handle;
    std::string name = "still here";
  };
  EventLoop loop;
  auto owner = std::make_unique<Owner>();
  std::string seen;
  // `suffix` is a capture that is used after its owner is gone.
  owner->handle = loop.call_soon(
      [&, suffix = std::string("the captures live until it returns")] {
        owner.reset();
        seen = suffix;
      });
  run_one_pass(loop);
  EXPECT_EQ(owner, nullptr);
  EXPECT_EQ(seen, "the captures live until it returns");
}

// R3: a callback destroys the owner of another one of the same batch.
TEST(ScopedHandle, SurvivesItsOwnersEndInTheSameBatch) {
  struct Owner {
    ScopedHandle handle;
    int value = 0;
  };
  EventLoop loop;
  auto owner = std::make_unique<Owner>();
  Owner* raw = owner.get();
  loop.call_soon([&] { owner.reset(); });
  owner->handle = loop.call_soon([raw] { ++raw->value; });
  run_one_pass(loop);
  EXPECT_EQ(owner, nullptr);
}

// handle.h, operator=: what cancel() destroys may come back here. The captures
// of the old callback assign to the handle that is being overwritten.
TEST(ScopedHandle, SurvivesCapturesThatAssignToIt) {
  EventLoop loop;
  std::string order;
  ScopedHandle scoped;
  struct Reassigns {
    ~Reassigns() {
      scoped = loop.call_soon([&text = text] { text += 'c'; });
    }
    EventLoop& loop;
    ScopedHandle& scoped;
    std::string& text;
  };
  scoped =
      loop.call_soon([&order, kept = std::unique_ptr<Reassigns>(new Reassigns{
                                  loop, scoped, order})] { order += 'a'; });
  scoped = loop.call_soon([&] { order += 'b'; });
  run_one_pass(loop);
  EXPECT_EQ(order, "c") << "the last assignment stands";
}

// A callback owned by what it captures: one that is never run is a cycle,
// which the end of the loop breaks (LeakSanitizer).
TEST(ScopedHandle, InItsOwnCapturesIsFreedWithTheLoop) {
  struct Owner {
    ScopedHandle handle;
  };
  std::weak_ptr<Owner> watched;
  {
    EventLoop loop;
    auto owner = std::make_shared<Owner>();
    watched = owner;
    owner->handle = loop.call_soon([owner] {});
  }
  EXPECT_TRUE(watched.expired());
}

}  // namespace
}  // namespace rondo
