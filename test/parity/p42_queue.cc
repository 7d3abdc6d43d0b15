// SPDX-License-Identifier: MIT
// shows: Queue: FIFO, maxsize blocks put, FIFO of blocked putters and getters;
//   get_nowait/put_nowait errors; join/task_done; too many task_done; cancelled
//   getter; LIFO and priority queues
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/sync/queue.h"
#include "futures/wait.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_task;
using rondo::gather;
using rondo::LifoQueue;
using rondo::PriorityQueue;
using rondo::Queue;
using rondo::QueueEmpty;
using rondo::QueueFull;
using rondo::sleep;
using rondo::Task;

static Coro<> bounded() {
  Queue<int> q(2);
  std::vector<std::string> log;

  const auto putter = [&](int n) -> Coro<> {
    co_await q.put(n);
    log.push_back("put " + std::to_string(n));
  };
  std::vector<Task<void>> ts;
  for (int i = 0; i < 4; ++i) ts.push_back(create_task(putter(i)));
  co_await sleep(0);
  print(log, "qsize", q.qsize(), "full", q.full(), "empty", q.empty(), q);
  try {
    q.put_nowait(9);
  } catch (const QueueFull&) {
    print("QueueFull", rondo::repr(std::current_exception()));
  }
  std::vector<int> got;
  for (int i = 0; i < 4; ++i) got.push_back(co_await q.get());
  co_await gather(ts);
  print(got, log);
  try {
    q.get_nowait();
  } catch (const QueueEmpty&) {
    print("QueueEmpty", rondo::repr(std::current_exception()));
  }
}

/// A queue in Python takes numbers and texts.
class Item {
 public:
  explicit Item(int number) : text_(python::repr(number)) {}
  explicit Item(const char* text) : text_(python::repr(text)) {}
  friend std::string to_string(const Item& item) { return item.text_; }

 private:
  std::string text_;
};

static Coro<> getters() {
  Queue<Item> q;
  std::vector<std::pair<std::string, Item>> log;

  const auto getter = [&](std::string name) -> Coro<> {
    const Item item = co_await q.get();
    log.emplace_back(name, item);
  };
  std::vector<Task<void>> ts;
  for (const char* n : {"a", "b", "c"}) ts.push_back(create_task(getter(n)));
  co_await sleep(0);
  ts[0].cancel();
  for (int i = 0; i < 2; ++i) q.put_nowait(Item(i));
  co_await rondo::wait(ts);
  print("getters FIFO, cancelled one skipped:", log);

  ts.clear();
  for (const char* n : {"d", "e"}) ts.push_back(create_task(getter(n)));
  co_await sleep(0);
  q.put_nowait(Item("item"));
  ts[0].cancel();  // d was already woken: e must get the item
  co_await sleep(0);
  co_await sleep(0);
  co_await sleep(0);
  log.erase(log.begin(), log.begin() + 2);
  print("woken getter cancelled:", log, "qsize", q.qsize());
}

static Coro<> main_coroutine() {
  co_await bounded();
  co_await getters();

  Queue<int> q;
  for (int i = 0; i < 3; ++i) q.put_nowait(i);

  const auto consume = [&]() -> Coro<> {
    while (true) {
      const int i = co_await q.get();
      print("consume", i);
      co_await sleep(0);
      q.task_done();
    }
  };
  Task<void> c = create_task(consume());
  co_await q.join();
  print("joined");
  c.cancel();
  try {
    q.task_done();
  } catch (const std::invalid_argument&) {
    print(python::Error());
  }
  co_await q.join();
  print("join with nothing unfinished returns at once");
  PriorityQueue<int> p;
  for (const int i : {5, 1, 4, 1, 3}) p.put_nowait(i);
  std::vector<int> sorted;
  for (int i = 0; i < 5; ++i) sorted.push_back(p.get_nowait());
  print(sorted);
  LifoQueue<int> l;
  for (const int i : {1, 2, 3}) l.put_nowait(i);
  std::vector<int> newest_first;
  for (int i = 0; i < 3; ++i) newest_first.push_back(l.get_nowait());
  print(newest_first);
  print(Queue<int>(-1).full(), Queue<int>(0).maxsize());
}

int main() { rondo::run(main_coroutine()); }
