// SPDX-License-Identifier: MIT
//
// A Queue hands items from task to task. Three workers share the jobs of one
// queue; put() waits while it is full, so the producer cannot run ahead of
// them, and get() waits while it is empty. join() waits until each job is not
// only taken but done. shutdown() ends the workers' loops: a get() from a queue
// that is empty and shut down throws.
//
// The time is virtual, as in 07.
//
// New against 07: tasks that hand something over.
//
// Expected output:
//   0 s: put 0
//   0 s: put 1
//   0 s: worker A takes 0
//   0 s: worker B takes 1
//   0 s: put 2
//   0 s: put 3
//   0 s: worker C takes 2
//   0 s: put 4
//   1 s: worker B takes 3
//   1 s: put 5
//   2 s: worker C takes 4
//   2 s: worker B takes 5
//   3 s: all six are done
//   worker A did 1 job
//   worker C did 2 jobs
//   worker B did 3 jobs

#include <chrono>
#include <cstdio>
#include <memory>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/sync/queue.h"
#include "reactor/testing/virtual_time.h"

using rondo::Coro;

struct Job {
  Job(int n, int s) : number(n), seconds(s) {}
  int number, seconds;
};
using Jobs = rondo::Queue<Job>;

static int now() {
  const auto time = rondo::get_running_loop().time().time_since_epoch();
  return static_cast<int>(time / std::chrono::seconds(1));
}

static Coro<int> work(char name, Jobs& jobs) {
  int done = 0;
  try {
    while (true) {
      const Job job = co_await jobs.get();
      std::printf("%d s: worker %c takes %d\n", now(), name, job.number);
      co_await rondo::sleep(job.seconds);
      jobs.task_done();
      ++done;
    }
  } catch (const rondo::QueueShutDown&) {
    std::printf("worker %c did %d job%s\n", name, done, done == 1 ? "" : "s");
  }
  co_return done;
}

static Coro<> produce(Jobs& jobs) {
  const int seconds[] = {3, 1, 2, 1, 1, 1};
  for (int number = 0; number < 6; ++number) {
    // A statement of its own: g++ 12 -O2 gets the temporary of such a class
    // wrong inside a co_await.
    const Job job(number, seconds[number]);
    co_await jobs.put(job);
    std::printf("%d s: put %d\n", now(), number);
  }
  co_await jobs.join();
  std::printf("%d s: all six are done\n", now());
  jobs.shutdown();
}

static Coro<> main_coroutine() {
  Jobs jobs(2);
  co_await gather(produce(jobs), work('A', jobs), work('B', jobs),
                  work('C', jobs));
}

int main() {
  rondo::Runner runner(std::make_unique<rondo::VirtualTimeLoop>());
  runner.run(main_coroutine());
}
