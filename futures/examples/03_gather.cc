// SPDX-License-Identifier: MIT
//
// gather() makes a task of each coroutine and gives all results, in the order
// of the arguments, whoever is done first.
//
// Tasks take turns where they wait, and only there: count("A") and count("B")
// run one after the other while they do not wait for anything. sleep(0) waits
// for one pass of the loop, which is enough to let the others run.
//
// The first exception is gather()'s, at once; the others go on, and nobody
// stops them. 04 has the group that does.
//
// New against 02: one future for several.
//
// Expected output:
//   A 0, A 1, A 2, B 0, B 1, B 2: 3 and 3
//   A 0, B 0, A 1, B 1, A 2, B 2: 3 and 3
//   of a range: 30 10 20
//   gather() threw: boom
//   slow goes on, and ends
//   as results: std::runtime_error('boom'), 5

#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"

using rondo::Coro;
using rondo::gather;

static Coro<int> count(std::string name, bool lets_others_run) {
  for (int i = 0; i < 3; ++i) {
    std::printf("%s %d%s", name.c_str(), i,
                name == "B" && i == 2 ? ": " : ", ");
    if (lets_others_run) co_await rondo::sleep(0);
  }
  co_return 3;
}

static Coro<int> after(double delay, int result) {
  co_await rondo::sleep(delay);
  co_return result;
}

static Coro<int> fail() {
  co_await rondo::sleep(0);
  throw std::runtime_error("boom");
}

static Coro<int> slow() {
  co_await rondo::sleep(0.05);
  std::puts("slow goes on, and ends");
  co_return 5;
}

static Coro<> main_coroutine() {
  for (const bool lets_others_run : {false, true}) {
    const auto counts = co_await gather(count("A", lets_others_run),
                                        count("B", lets_others_run));
    const auto [a, b] = counts;  // apart: g++ 15 leaks a bound co_await
    std::printf("%d and %d\n", a, b);
  }

  std::vector<Coro<int>> sleepers;
  sleepers.push_back(after(0.06, 30));
  sleepers.push_back(after(0.02, 10));
  sleepers.push_back(after(0.04, 20));
  const std::vector<int> results = co_await gather(std::move(sleepers));
  std::printf("of a range: %d %d %d\n", results[0], results[1], results[2]);

  const rondo::Task<int> sibling = create_task(slow());
  try {
    co_await gather(fail(), sibling);
  } catch (const std::runtime_error& error) {
    std::printf("gather() threw: %s\n", error.what());
  }
  co_await sibling;

  const auto outcomes =
      co_await gather(rondo::return_exceptions, fail(), after(0, 5));
  const auto& [failed, done] = outcomes;
  std::printf("as results: %s, %s\n", to_string(failed).c_str(),
              to_string(done).c_str());
}

int main() { rondo::run(main_coroutine()); }
