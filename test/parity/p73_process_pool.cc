// SPDX-License-Identifier: MIT
// shows: run_in_executor with a process pool: results and exceptions come
//   back, work runs in other processes, the loop goes on, a call cannot change
//   the parent's memory; a worker that dies fails its job
#include <unistd.h>

#include <exception>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/process_pool.h"
#include "futures/run.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::BrokenWorker;
using rondo::Coro;
using rondo::EventLoop;
using rondo::Future;
using rondo::gather;
using rondo::get_running_loop;
using rondo::ProcessPool;
using rondo::run_in_executor;
using Result = std::pair<int, ::pid_t>;

static std::string state = "parent";

static Result work(int x) {
  state = "changed in the child";
  return {x * 2, ::getpid()};
}

static void fail() { throw std::invalid_argument("in the child"); }

static void die() { ::_exit(3); }

/// What it says, without the number of the process.
static std::string without_number(const BrokenWorker& e) {
  std::string text = e.what();
  const std::string pid = std::to_string(e.pid());
  text.replace(text.find(pid), pid.size(), "N");
  return text;
}

static Coro<> main_coroutine() {
  EventLoop& loop = get_running_loop();
  ProcessPool pool(2);
  const auto answer = co_await run_in_executor(loop, pool, work, 21);
  const auto& [r, pid] = answer;
  print(r, "other process:", pid != ::getpid(), "; state here:", state);
  try {
    co_await run_in_executor(loop, pool, fail);
  } catch (const std::invalid_argument& e) {
    const bool has_cause = dynamic_cast<const std::nested_exception*>(&e);
    print("ValueError:", e.what(), "; cause",
          has_cause ? "nested_exception" : "NoneType");
  }
  std::vector<Future<Result>> calls;
  for (int i = 0; i < 5; ++i) {
    calls.push_back(run_in_executor(loop, pool, work, i));
  }
  const std::vector<Result> rs = co_await gather(calls);
  std::vector<int> results;
  std::set<::pid_t> pids;
  for (const auto& [result, p] : rs) {
    results.push_back(result);
    pids.insert(p);
  }
  print(results, "at most 2 processes:", pids.size() <= 2);
  try {
    co_await run_in_executor(loop, pool, die);
  } catch (const BrokenWorker& e) {
    print("BrokenWorker:", without_number(e));
  }
}

int main() { rondo::run(main_coroutine()); }
