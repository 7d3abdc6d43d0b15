// SPDX-License-Identifier: MIT
// shows: blocking IO in a thread pool, CPU work in a process pool
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/process_pool.h"
#include "futures/run.h"
#include "futures/run_in_executor.h"
#include "reactor/thread_pool.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::EventLoop;
using rondo::gather;
using rondo::get_running_loop;
using rondo::ProcessPool;
using rondo::run_in_executor;
using rondo::ThreadPool;

static void blocking_io(const char* file) {
  std::ifstream f(file);
  std::ostringstream result;
  result << f.rdbuf();
  print(result.str());
}

// The sum has more than 64 bits: it is kept in two parts, and computed in
// earnest, which a compiler need not do.
static void cpu_bound() {
  constexpr std::uint64_t kPart = 1'000'000'000'000;
  std::uint64_t high = 0;
  volatile std::uint64_t low = 0;
  for (std::uint64_t i = 0; i < 10'000'000; ++i) {
    low = low + i * i;
    high += low / kPart;
    low = low % kPart;
  }
  char text[48];
  std::snprintf(text, sizeof text, "%llu%012llu",
                static_cast<unsigned long long>(high),
                static_cast<unsigned long long>(low));
  print(text);
}

static Coro<> before_cpu_bound() {
  print("在 before_cpu_bound() 完成之前执行了");
  co_return;
}

static Coro<> main_function(ProcessPool& process_pool) {
  EventLoop& loop = get_running_loop();

  // Blocking IO goes to a thread.
  ThreadPool thread_pool(4);
  co_await run_in_executor(loop, thread_pool, blocking_io, "data/demo1.txt");

  // CPU work goes to a process.
  co_await gather(run_in_executor(loop, process_pool, cpu_bound),
                  before_cpu_bound());  // done before cpu_bound()
}

int main() {
  // Its processes are forked here, and that is best done before there are
  // threads. (In the original they are when the work comes.)
  ProcessPool process_pool(4);
  rondo::run(main_function(process_pool));
}
