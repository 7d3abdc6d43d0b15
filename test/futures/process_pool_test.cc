// SPDX-License-Identifier: MIT
#include "futures/process_pool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "futures/run_in_executor.h"
#include "reactor/errors.h"
#include "reactor/testing/virtual_time.h"
#include "test/futures/bodies.h"
#include "test/support/child_process.h"
#include "test/support/workers.h"

// Workers that live. How they die is in process_pool_broken_test.cc, what the
// kernel may refuse in process_pool_faults_test.cc, how pools and loops end in
// process_pool_end_test.cc.

namespace rondo {
namespace {

using test::end_of;
using test::error_of;
using test::result_of;
using test::thrown_by;
using test::wait_for_end;

int twice(int n) { return 2 * n; }
::pid_t pid() { return ::getpid(); }
std::size_t length(const std::string& text) { return text.size(); }
std::string echo(std::string text) { return text; }

int state = 1;
int change_state() { return state = 2; }

struct Account {
  std::string owner;
  std::optional<long> cents;
};
template <class Archive>
void serialise(Archive& archive, Account& account) {
  archive(account.owner, account.cents);
}
Account deposit(Account account, long cents) {
  account.cents = account.cents.value_or(0) + cents;
  return account;
}

// -- what goes there and what comes back ------------------------------------

TEST(ProcessPool, RunsAFunctionInAnotherProcess) {
  ProcessPool pool(1);
  EventLoop loop;
  EXPECT_EQ(result_of(loop, pool, twice, 21), 42);
  const ::pid_t worker = result_of(loop, pool, pid);
  EXPECT_NE(worker, ::getpid());
  EXPECT_EQ(pool.worker_pids(), std::vector<::pid_t>{worker});
  const Future<int> by_asyncios_name = run_in_executor(loop, pool, twice, 4);
  ASSERT_TRUE(wait_for_end(loop, by_asyncios_name));
  EXPECT_EQ(by_asyncios_name.result(), 8);
}

TEST(ProcessPool, RunsALambdaWithoutCaptures) {
  ProcessPool pool(1);
  EventLoop loop;
  EXPECT_EQ(result_of(loop, pool, [](int a, int b) { return a - b; }, 5, 2), 3);
  const Future<void> nothing = pool.submit(loop, [] {});
  ASSERT_TRUE(wait_for_end(loop, nothing));
  EXPECT_EQ(end_of(nothing), "done");
}

TEST(ProcessPool, ChangesNothingHere) {
  ProcessPool pool(1);
  EventLoop loop;
  EXPECT_EQ(result_of(loop, pool, change_state), 2);
  EXPECT_EQ(state, 1);
}

TEST(ProcessPool, CarriesTextAndTypesOfTheUsers) {
  ProcessPool pool(1);
  EventLoop loop;
  EXPECT_EQ(result_of(loop, pool, length, "literal"), 7u);
  EXPECT_EQ(result_of(loop, pool, length, std::string_view("view")), 4u);
  const Account account = result_of(loop, pool, deposit, Account{"Ada", {}}, 5);
  EXPECT_EQ(account.owner, "Ada");
  EXPECT_EQ(account.cents, 5);
  const auto swap = [](std::tuple<int, std::string> t) {
    return std::pair(std::get<1>(t), std::get<0>(t));
  };
  EXPECT_EQ(result_of(loop, pool, swap, std::tuple<int, std::string>(1, "one")),
            std::pair(std::string("one"), 1));
}

TEST(ProcessPool, CarriesMoreThanASocketHoldsBothWays) {
  ProcessPool pool(2);
  EventLoop loop;
  const std::string large(5'000'000, 'x');
  std::vector<Future<std::string>> futures;
  for (int i = 0; i < 4; ++i) {
    futures.push_back(pool.submit(loop, echo, large + std::to_string(i)));
  }
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(wait_for_end(loop, futures[i]));
    EXPECT_TRUE(futures[i].result() == large + std::to_string(i));
  }
  EXPECT_EQ(result_of(loop, pool, twice, 1), 2);
}

TEST(ProcessPool, CarriesExceptionsBackAsThemselves) {
  ProcessPool pool(1);
  EventLoop loop;
  EXPECT_EQ(error_of(loop, pool, [] { throw std::invalid_argument("bad"); }),
            "std::invalid_argument('bad')");
  EXPECT_EQ(error_of(loop, pool,
                     [] {
                       throw std::system_error(ENOENT, std::system_category(),
                                               "open");
                     }),
            "std::system_error('open: No such file or directory')");
  EXPECT_EQ(error_of(loop, pool, [] { throw RuntimeError("ours"); }),
            "rondo::RuntimeError('ours')");
  EXPECT_EQ(error_of(loop, pool, [] { throw CancelledError("by itself"); }),
            "CancelledError('by itself')");
  EXPECT_EQ(result_of(loop, pool, twice, 1), 2) << "the worker goes on";
}

TEST(ProcessPool, CarriesOtherExceptionsBackAsText) {
  struct ParseError : std::runtime_error {
    using std::runtime_error::runtime_error;
  };
  ProcessPool pool(1);
  EventLoop loop;
  const std::string text =
      error_of(loop, pool, [] { throw ParseError("line 3"); });
  EXPECT_NE(text.find("RemoteError"), std::string::npos);
  EXPECT_NE(text.find("line 3"), std::string::npos);
  EXPECT_EQ(error_of(loop, pool, [] { throw 42; }),
            "rondo::RemoteError('int')");
}

/// Does not survive the way in the direction that it names.
struct Fragile {
  int breaks = 0;  // 1: when written, 2: when read
};
template <class Archive>
void serialise(Archive& archive, Fragile& fragile) {
  constexpr bool kWrites = std::is_same_v<Archive, WriteArchive>;
  archive(fragile.breaks);
  if (fragile.breaks == (kWrites ? 1 : 2)) {
    throw std::domain_error(kWrites ? "written" : "read");
  }
}
Fragile make_fragile(int breaks) { return Fragile{breaks}; }
void take_fragile(Fragile) {}

TEST(ProcessPool, TellsOfWhatDoesNotSurviveTheWay) {
  ProcessPool pool(1);
  EventLoop loop;
  // An argument: written here, read there.
  EXPECT_EQ(thrown_by([&] { pool.submit(loop, take_fragile, Fragile{1}); }),
            "std::domain_error('written')");
  EXPECT_EQ(pool.queued(), 0u);
  EXPECT_EQ(error_of(loop, pool, take_fragile, Fragile{2}),
            "std::domain_error('read')");
  // A result: the other way round.
  EXPECT_EQ(error_of(loop, pool, make_fragile, 1),
            "std::domain_error('written')");
  EXPECT_EQ(error_of(loop, pool, make_fragile, 2), "std::domain_error('read')");
  EXPECT_EQ(result_of(loop, pool, make_fragile, 0).breaks, 0);
}

// -- order ------------------------------------------------------------------

TEST(ProcessPool, RunsTheJobsOfOneWorkerInTheOrderSubmitted) {
  static std::vector<int> seen;  // the worker's
  ProcessPool pool(1);
  EventLoop loop;
  std::vector<Future<void>> futures;
  for (int i = 0; i < 20; ++i) {
    futures.push_back(pool.submit(loop, [](int n) { seen.push_back(n); }, i));
  }
  EXPECT_EQ(pool.queued(), 19u);
  const std::vector<int> order =
      result_of(loop, pool, [] { return std::move(seen); });
  ASSERT_EQ(order.size(), 20u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(order[i], i);
  EXPECT_EQ(pool.queued(), 0u);
  EXPECT_TRUE(seen.empty());
}

TEST(ProcessPool, KeepsAllWorkersBusy) {
  ProcessPool pool(3);
  EventLoop loop;
  std::set<::pid_t> workers;
  std::vector<Future<::pid_t>> futures;
  for (int i = 0; i < 3; ++i) futures.push_back(pool.submit(loop, pid));
  EXPECT_EQ(pool.queued(), 0u);
  for (const Future<::pid_t>& future : futures) {
    ASSERT_TRUE(wait_for_end(loop, future));
    workers.insert(future.result());
  }
  EXPECT_EQ(workers.size(), 3u);
}

// -- loops ------------------------------------------------------------------

TEST(ProcessPool, HoldsVirtualTimeUpWhileAJobIsOut) {
  ProcessPool pool(1);
  VirtualTimeLoop loop;
  std::string order;
  pool.submit(loop, twice, 1).add_done_callback([&](const Future<int>&) {
    order += "job ";
  });
  loop.call_later(std::chrono::hours(1), [&] { order += "hour"; });
  loop.run_until_idle();
  EXPECT_EQ(order, "job hour");
}

TEST(ProcessPool, ServesOneLoopAfterTheOther) {
  ProcessPool pool(2);
  for (int i = 0; i < 3; ++i) {
    EventLoop loop;
    EXPECT_EQ(result_of(loop, pool, twice, i), 2 * i);
  }
  EventLoop first, second;
  EXPECT_EQ(result_of(first, pool, twice, 1), 2);
  EXPECT_EQ(result_of(second, pool, twice, 1), 2);
  const Future<int> out = pool.submit(second, twice, 2);
  EXPECT_EQ(
      thrown_by([&] { pool.submit(first, twice, 1); }),
      "rondo::RuntimeError('This process pool has jobs of another loop')");
  ASSERT_TRUE(wait_for_end(second, out));
  EXPECT_EQ(result_of(first, pool, twice, 1), 2);
}

TEST(ProcessPool, RefusesAClosedLoopAndNoWorkers) {
  EXPECT_EQ(thrown_by([] { ProcessPool none(0); }),
            "std::invalid_argument('max_workers must be greater than 0')");
  ProcessPool pool(1);
  EventLoop loop;
  loop.close();
  EXPECT_EQ(thrown_by([&] { pool.submit(loop, twice, 1); }),
            "rondo::RuntimeError('Event loop is closed')");
}

// -- what a worker is -------------------------------------------------------

TEST(ProcessPool, InitializesEachWorker) {
  static int initialized = 0;
  ProcessPool pool(2, ProcessPoolOptions().initializer([] { ++initialized; }));
  EventLoop loop;
  const auto get = [] { return initialized; };
  EXPECT_EQ(result_of(loop, pool, get), 1);
  EXPECT_EQ(result_of(loop, pool, get), 1);
  EXPECT_EQ(initialized, 0);
}

TEST(ProcessPool, IsNoPoolInAForkedChild) {
  ProcessPool pool(1);
  EventLoop loop;
  const Future<int> out = pool.submit(loop, twice, 1);
  const std::string told = in_child([&] {
    EventLoop own;
    return thrown_by([&] { pool.submit(own, twice, 1); }) + " " +
           thrown_by([&] { pool.shutdown(own); });
  });
  EXPECT_EQ(told,
            "rondo::RuntimeError('This process pool belongs to the parent "
            "process: make a new one after fork()') "
            "rondo::RuntimeError('This process pool belongs to the parent "
            "process: make a new one after fork()')");
  ASSERT_TRUE(wait_for_end(loop, out));
  EXPECT_EQ(out.result(), 2);
}

TEST(ProcessPool, MayBeDestroyedInAForkedChildWhichLeavesTheWorkersAlone) {
  auto pool = std::make_unique<ProcessPool>(1);
  EventLoop loop;
  const ::pid_t worker = result_of(loop, *pool, pid);
  const Future<int> out = pool->submit(loop, twice, 1);
  EXPECT_EQ(in_child([&] {
              pool.reset();
              return std::string("destroyed");
            }),
            "destroyed");
  ASSERT_TRUE(wait_for_end(loop, out));
  EXPECT_EQ(result_of(loop, *pool, pid), worker);
}

}  // namespace
}  // namespace rondo
