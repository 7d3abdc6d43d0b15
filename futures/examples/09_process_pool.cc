// SPDX-License-Identifier: MIT
//
// A ProcessPool runs functions in other processes, forked beforehand: what
// crashes there, leaks there or never ends there does not concern this one.
// Arguments and results travel as bytes, so they have to be values; a type of
// one's own says by serialise() what it consists of. What a function throws
// comes back as what it was.
//
// A worker that dies fails its own job with BrokenWorker, and no other; then
// another takes its place. Make the pool first in main(): the workers are
// copies of the program as it is at that moment.
//
// New against 08: processes in the place of threads.
//
// Expected output:
//   before_cpu_bound() is first
//   333333283333335000000
//   here: 0, there: 1
//   Ada is 37 now
//   std::invalid_argument: no such word
//   worker <number> was killed by signal 6 (Aborted) while it ran crash()
//   and the pool still answers: 4

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "futures/coro/coro.h"
#include "futures/process_pool.h"
#include "futures/run.h"

using namespace rondo;

// The sum does not fit into 64 bits.
__extension__ using Number = unsigned __int128;

static Number cpu_bound() {
  Number sum = 0;
  for (Number i = 0; i < 10'000'000; ++i) sum += i * i;
  return sum;
}

static std::string to_text(Number number) {
  std::string text;
  for (; number > 0; number /= 10) {
    text.insert(text.begin(), static_cast<char>('0' + int(number % 10)));
  }
  return text;
}

static Coro<void> before_cpu_bound() {
  std::puts("before_cpu_bound() is first");
  co_return;
}

static int calls = 0;
static int count_call() { return ++calls; }

struct Person {
  std::string name;
  int age = 0;
};

template <class Archive>
void serialise(Archive& archive, Person& person) {
  archive(person.name, person.age);
}

static Person have_birthday(Person person) {
  ++person.age;
  return person;
}

static void fail() { throw std::invalid_argument("no such word"); }
static void crash() { std::abort(); }
static int twice(int n) { return 2 * n; }

static Coro<void> example(ProcessPool& pool) {
  EventLoop& loop = get_running_loop();
  Future<Number> sum = run_in_executor(loop, pool, cpu_bound);
  co_await before_cpu_bound();
  const Number total = co_await sum;
  std::printf("%s\n", to_text(total).c_str());

  const int there = co_await pool.submit(loop, count_call);
  std::printf("here: %d, there: %d\n", calls, there);

  Person ada;
  ada.name = "Ada";
  ada.age = 36;
  const Person older = co_await pool.submit(loop, have_birthday, ada);
  std::printf("%s is %d now\n", older.name.c_str(), older.age);

  try {
    co_await pool.submit(loop, fail);
  } catch (const std::invalid_argument& error) {
    std::printf("std::invalid_argument: %s\n", error.what());
  }
  try {
    co_await pool.submit(loop, crash);
  } catch (const BrokenWorker& error) {
    std::printf("%s\n", error.what());
  }
  const int answer = co_await pool.submit(loop, twice, 2);
  std::printf("and the pool still answers: %d\n", answer);
}

int main() {
  ProcessPool pool(2);
  run(example(pool));
}
