// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

#include "reactor/event_loop.h"
#include "reactor/testing/virtual_time.h"
#include "test/support/allocation.h"
#include "test/support/descriptors.h"
#include "test/support/one_pass.h"

// DESIGN 4, "cost is part of the contract": what allocates nothing in steady
// state. Each operation is done a few times to reach that state, and then
// counted over many rounds.

namespace rondo {
namespace {

using std::chrono_literals::operator""ms;
using test::allocations;
using test::allocations_of;

constexpr int kWarmUp = 8;
constexpr int kRounds = 100;
constexpr int kBatch = 300;  // more than a slab of entries

/// What `round()` allocates in steady state, in kRounds of it.
template <class Round>
std::uint64_t steady_allocations(Round&& round) {
  for (int i = 0; i < kWarmUp; ++i) round();
  return allocations_of([&] {
    for (int i = 0; i < kRounds; ++i) round();
  });
}

/// A callback whose captures take so many bytes.
template <std::size_t kBytes>
struct Sized {
  void operator()() const {}
  std::array<std::byte, kBytes> captures;
};

/// The largest that is kept in place, and the smallest that is not.
using Small = Sized<kInlineCaptureBytes>;
using Large = Sized<kInlineCaptureBytes + 1>;

// -- in the loop -------------------------------------------------------------

TEST(Allocation, CallSoonAllocatesNothing) {
  EventLoop loop;
  EXPECT_EQ(steady_allocations([&] {
              for (int i = 0; i < kBatch; ++i) loop.call_soon(Small());
              run_one_pass(loop);
            }),
            0u);
}

TEST(Allocation, CallSoonAllocatesOnceForLargerCaptures) {
  EventLoop loop;
  EXPECT_EQ(steady_allocations([&] {
              for (int i = 0; i < kBatch; ++i) loop.call_soon(Large());
              run_one_pass(loop);
            }),
            std::uint64_t{kBatch} * kRounds);
}

TEST(Allocation, CancellingACallbackAllocatesNothing) {
  EventLoop loop;
  EXPECT_EQ(steady_allocations([&] {
              for (int i = 0; i < kBatch; ++i) loop.call_soon(Small()).cancel();
              run_one_pass(loop);
            }),
            0u);
}

TEST(Allocation, CallLaterAndItsRunAllocateNothing) {
  VirtualTimeLoop loop;
  EXPECT_EQ(steady_allocations([&] {
              for (int i = 0; i < kBatch; ++i) loop.call_later(1ms, Small());
              loop.advance(2ms);
            }),
            0u);
}

TEST(Allocation, CallAtAndItsCancelAllocateNothing) {
  VirtualTimeLoop loop;
  std::vector<TimerHandle> timers(kBatch);
  EXPECT_EQ(steady_allocations([&] {
              for (TimerHandle& timer : timers) {
                timer = loop.call_at(loop.time() + 1ms, Small());
              }
              for (TimerHandle& timer : timers) timer.cancel();
            }),
            0u);
}

TEST(Allocation, CallLaterAllocatesOnceForLargerCaptures) {
  VirtualTimeLoop loop;
  EXPECT_EQ(steady_allocations([&] { loop.call_later(1ms, Large()).cancel(); }),
            std::uint64_t{kRounds});
}

TEST(Allocation, RescheduleAllocatesNothing) {
  VirtualTimeLoop loop;
  std::vector<TimerHandle> timers;
  for (int i = 0; i < kBatch; ++i) {
    timers.push_back(loop.call_later(1ms * i, Small()));
  }
  int turn = 0;
  EXPECT_EQ(steady_allocations([&] {
              ++turn;
              for (int i = 0; i < kBatch; ++i) {
                timers[i].reschedule(loop.time() + 1ms * ((i * turn) % 97));
              }
            }),
            0u);
}

TEST(Allocation, ATimerThatMovesItselfAllocatesNothing) {
  VirtualTimeLoop loop;
  TimerHandle timer;
  timer = loop.call_later(1ms, [&] { timer.reschedule(loop.time() + 1ms); });
  EXPECT_EQ(steady_allocations([&] { loop.advance(10ms); }), 0u);
}

TEST(Allocation, AReadinessCallbackAllocatesNothing) {
  EventLoop loop;
  SocketPair sockets;
  write_text(sockets.b.get(), "x");
  int readable = 0;
  int writable = 0;
  loop.add_reader(sockets.a.get(), [&] { ++readable; });
  loop.add_writer(sockets.a.get(), [&] { ++writable; });
  EXPECT_EQ(steady_allocations([&] { run_one_pass(loop); }), 0u);
  EXPECT_EQ(readable, kWarmUp + kRounds);
  EXPECT_EQ(writable, kWarmUp + kRounds);
}

TEST(Allocation, AddingAndRemovingAReaderAllocatesNothing) {
  EventLoop loop;
  Pipe pipe;
  EXPECT_EQ(steady_allocations([&] {
              loop.add_reader(pipe.reader.get(), Small());
              loop.add_reader(pipe.reader.get(), Small());  // replaces
              loop.remove_reader(pipe.reader.get());
            }),
            0u);
}

TEST(Allocation, AWatchAllocatesOnceAndItsEventsNothing) {
  EventLoop loop;
  Pipe pipe;
  write_text(pipe.writer.get(), "x");
  const int fd = pipe.reader.get();
  const auto watch = [&] { loop.watch(fd, Events::kRead, [](Events) {}); };
  EXPECT_EQ(steady_allocations(watch), std::uint64_t{kRounds});
  EXPECT_EQ(steady_allocations([&] {
              run_one_pass(loop);
              loop.modify_watch(fd, Events::kNone);
              loop.modify_watch(fd, Events::kRead);
            }),
            0u);
}

// FAULTS E4 in passing: a number that names nothing must not cost memory in
// proportion to it.
TEST(Allocation, ADescriptorThatDoesNotExistIsRefusedWithoutRoomForIt) {
  EventLoop loop;
  test::forget_largest_block();
  EXPECT_THROW(loop.add_reader(1'000'000, [] {}), std::system_error);
  EXPECT_LT(test::largest_block(), 100'000u);
}

// -- from outside ------------------------------------------------------------

TEST(Allocation, CallSoonThreadsafeAllocatesNothing) {
  EventLoop loop;
  EXPECT_EQ(steady_allocations([&] {
              for (int i = 0; i < kBatch; ++i) {
                loop.call_soon_threadsafe(Small());
              }
              run_one_pass(loop);
            }),
            0u);
}

TEST(Allocation, CallSoonThreadsafeFromACallbackAllocatesNothing) {
  EventLoop loop;
  const auto allocations_in_a_callback = [&] {
    std::uint64_t count = 0;
    loop.call_soon([&] {
      count = allocations_of([&] {
        for (int i = 0; i < kBatch; ++i) loop.call_soon_threadsafe(Small());
      });
    });
    run_one_pass(loop);
    run_one_pass(loop);
    return count;
  };
  allocations_in_a_callback();  // fills the pool
  EXPECT_EQ(allocations_in_a_callback(), 0u);
}

TEST(Allocation, APostFromAnotherThreadAllocatesNothingOnEitherSide) {
  EventLoop loop;
  std::uint64_t there = 0;
  const auto post_batch = [&] {
    for (int i = 0; i < kBatch; ++i) loop.call_soon_threadsafe(Small());
  };
  const auto post_elsewhere = [&] {
    std::thread([&] { there = allocations_of(post_batch); }).join();
  };
  for (int i = 0; i < kWarmUp; ++i) {
    post_elsewhere();
    run_one_pass(loop);
  }
  for (int i = 0; i < kRounds; ++i) {
    post_elsewhere();
    ASSERT_EQ(there, 0u);
    ASSERT_EQ(allocations_of([&] { run_one_pass(loop); }), 0u);
  }
}

TEST(Allocation, APostAllocatesOnceForLargerCaptures) {
  EventLoop loop;
  EXPECT_EQ(steady_allocations([&] {
              loop.remote_queue()->post(Large());
              run_one_pass(loop);
            }),
            std::uint64_t{kRounds});
}

TEST(Allocation, APostThatIsRefusedAllocatesNothing) {
  EventLoop loop;
  const auto remote = loop.remote_queue();
  loop.close();
  EXPECT_EQ(allocations_of([&] { remote->post(Small()); }), 0u);
}

// -- the counter itself ------------------------------------------------------

TEST(Allocation, IsCountedPerThread) {
  const std::uint64_t before = allocations();
  std::uint64_t there = 0;
  std::thread([&] {
    // A new-expression might be optimised away.
    there = allocations_of([] { ::operator delete(::operator new(100)); });
  }).join();
  EXPECT_EQ(there, 1u);
  EXPECT_GT(allocations(), before);  // the thread's own making
}

}  // namespace
}  // namespace rondo
