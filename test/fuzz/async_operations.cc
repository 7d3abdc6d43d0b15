// SPDX-License-Identifier: MIT
//
// The operations that wait.
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "futures/as_completed.h"
#include "futures/coro/coro.h"
#include "futures/coro/with.h"
#include "futures/sleep.h"
#include "futures/wait.h"
#include "futures/wait_for.h"
#include "test/fuzz/operations.h"
#include "test/fuzz/world.h"

namespace rondo::fuzz {
namespace {

using std::chrono::milliseconds;

milliseconds ms(const std::string& word) {
  return milliseconds(std::stoi(word));
}

// ---- What waits ------------------------------------------------------------

Coro<Text> sleep(World&, Frame&, const Line& line) {
  co_await rondo::sleep(ms(line.words[1]));
  co_return Text();
}

Text words_of(Value value) { return std::move(value.text); }
template <class T>
Text words_of(const std::vector<T>& values) {
  return show(values);
}

template <class T>
Coro<Text> await_future(Future<T> future) {
  T value = co_await future;
  co_return words_of(std::move(value));
}

template <class T>
Coro<Text> wait_for_future(Future<T> future, Delay delay) {
  T value = co_await rondo::wait_for(future, delay);
  co_return words_of(std::move(value));
}

Coro<Text> await_(World& world, Frame&, const Line& line) {
  const std::string& name = line.words[1];
  if (name[0] == '@') {
    auto coro = world.start_body(name.substr(1));
    if (!coro) co_return "?";
    Value value = co_await std::move(*coro);
    co_return value.text;
  }
  const auto future = world.future(name);
  if (!future) co_return "?";
  switch (future->index()) {
    case 0:
      co_return co_await await_future(std::get<0>(*future));
    case 1:
      co_return co_await await_future(std::get<1>(*future));
    default:
      co_return co_await await_future(std::get<2>(*future));
  }
}

Coro<Text> wait_for(World& world, Frame&, const Line& line) {
  Duration delay = Duration::max();
  if (line.words[1] != "-") delay = ms(line.words[1]);
  const std::string& name = line.words[2];
  if (name[0] == '@') {
    auto coro = world.start_body(name.substr(1));
    if (!coro) co_return "?";
    Value value = co_await rondo::wait_for(std::move(*coro), delay);
    co_return value.text;
  }
  const auto future = world.future(name);
  if (!future) co_return "?";
  switch (future->index()) {
    case 0:
      co_return co_await wait_for_future(std::get<0>(*future), delay);
    case 1:
      co_return co_await wait_for_future(std::get<1>(*future), delay);
    default:
      co_return co_await wait_for_future(std::get<2>(*future), delay);
  }
}

/// The futures of some names, a body on the spot as a task.
struct Found {
  std::vector<std::string> names;
  std::vector<Future<Value>> futures;
};

Found found_among(World& world, const Line& line, std::size_t first) {
  Found found;
  for (std::size_t i = first; i < line.words.size(); ++i) {
    const std::string& name = line.words[i];
    std::optional<Future<Value>> future;
    if (name[0] == '@') {
      future = world.start_task(name.substr(1));
    } else {
      future = world.plain_future(name);
    }
    if (!future || !*future) continue;
    found.names.push_back(name);
    found.futures.push_back(*future);
  }
  return found;
}

/// The names of those that are in `list`, in the order of the arguments.
std::string names_in(const Found& found,
                     const std::vector<Future<Value>>& list) {
  std::string names;
  for (std::size_t i = 0; i < found.names.size(); ++i) {
    bool is_in = false;
    for (const Future<Value>& future : list) {
      is_in = is_in || future == found.futures[i];
    }
    if (is_in) names += " " + found.names[i];
  }
  return names;
}

Coro<Text> wait(World& world, Frame&, const Line& line) {
  WaitOptions options;
  if (line.words[1] == "first") {
    options.return_when(ReturnWhen::kFirstCompleted);
  } else if (line.words[1] == "exception") {
    options.return_when(ReturnWhen::kFirstException);
  }
  if (line.words[2] != "-") options.timeout(ms(line.words[2]));
  const Found found = found_among(world, line, 3);
  const auto result = co_await rondo::wait(found.futures, options);
  co_return "done" + names_in(found, result.done) + " pending" +
      names_in(found, result.pending);
}

Coro<Text> await_each(World& world, Frame& frame, AsCompleted<Value>& all) {
  while (all.has_next()) {
    std::string words;
    try {
      const Value value = co_await all.next();
      words = show(value);
    } catch (const CancelledError&) {
      throw;
    } catch (...) {
      words = show(std::current_exception());
    }
    world.note(frame.label, "as_completed: " + words);
  }
  co_return Text();
}

Coro<Text> as_completed(World& world, Frame& frame, const Line& line) {
  const Found found = found_among(world, line, 2);
  if (line.words[1] == "-") {
    auto all = rondo::as_completed(found.futures);
    co_return co_await await_each(world, frame, all);
  }
  auto all = rondo::as_completed(found.futures, ms(line.words[1]));
  co_return co_await await_each(world, frame, all);
}

// ---- Locks and their kin ---------------------------------------------------

template <class L>
Coro<Text> acquire_one(L& lock) {
  co_await lock.acquire();
  co_return Text();
}

Coro<Text> no_such() { co_return "?"; }

Coro<Text> acquire(World& world, Frame&, const Line& line) {
  Primitives& all = world.primitives;
  const std::string& name = line.words[1];
  if (Lock* lock = find(all.locks, name)) return acquire_one(*lock);
  if (Semaphore* one = find(all.semaphores, name)) return acquire_one(*one);
  if (Condition* one = find(all.conditions, name)) return acquire_one(*one);
  return no_such();
}

Coro<Text> wait_event(World& world, Frame&, const Line& line) {
  Event* event = find(world.primitives.events, line.words[1]);
  if (event == nullptr) co_return "?";
  co_await event->wait();
  co_return Text();
}

Coro<Text> wait_condition(World& world, Frame&, const Line& line) {
  Condition* condition = find(world.primitives.conditions, line.words[1]);
  if (condition == nullptr) co_return "?";
  co_await condition->wait();
  co_return Text();
}

Coro<Text> wait_barrier(World& world, Frame&, const Line& line) {
  Barrier* barrier = find(world.primitives.barriers, line.words[1]);
  if (barrier == nullptr) co_return "?";
  const int index = co_await barrier->wait();
  co_return std::to_string(index);
}

Coro<Text> reset(World& world, Frame&, const Line& line) {
  Barrier* barrier = find(world.primitives.barriers, line.words[1]);
  if (barrier == nullptr) co_return "?";
  co_await barrier->reset();
  co_return Text();
}

Coro<Text> abort(World& world, Frame&, const Line& line) {
  Barrier* barrier = find(world.primitives.barriers, line.words[1]);
  if (barrier == nullptr) co_return "?";
  co_await barrier->abort();
  co_return Text();
}

template <class Q>
Coro<Text> put_into(Q& queue, const std::string& word) {
  Value value(word);
  co_await queue.put(std::move(value));
  co_return Text();
}

Coro<Text> put(World& world, Frame&, const Line& line) {
  NamedQueue* queue = find(world.primitives.queues, line.words[1]);
  if (queue == nullptr) return no_such();
  return std::visit([&](auto& one) { return put_into(one, line.words[2]); },
                    *queue);
}

template <class Q>
Coro<Text> get_from(Q& queue) {
  Value value = co_await queue.get();
  co_return value.text;
}

Coro<Text> get(World& world, Frame&, const Line& line) {
  NamedQueue* queue = find(world.primitives.queues, line.words[1]);
  if (queue == nullptr) return no_such();
  return std::visit([](auto& one) { return get_from(one); }, *queue);
}

template <class Q>
Coro<Text> join_one(Q& queue) {
  co_await queue.join();
  co_return Text();
}

Coro<Text> join(World& world, Frame&, const Line& line) {
  NamedQueue* queue = find(world.primitives.queues, line.words[1]);
  if (queue == nullptr) return no_such();
  return std::visit([](auto& one) { return join_one(one); }, *queue);
}

// ---- wait_for() of the library's own operations -----------------------------

Text words_of(int number) { return std::to_string(number); }

/// Runs `operation` for at most `delay`.
template <class O>
Coro<Text> within_one(O operation, Duration delay) {
  auto waiting = rondo::wait_for(std::move(operation), delay);
  if constexpr (std::is_void_v<typename O::value_type>) {
    co_await waiting;
    co_return Text();
  } else {
    auto value = co_await waiting;
    co_return words_of(std::move(value));
  }
}

Coro<Text> acquire_within(Primitives& all, const std::string& name,
                          Duration delay) {
  if (Lock* one = find(all.locks, name)) {
    return within_one(one->acquire(), delay);
  }
  if (Semaphore* one = find(all.semaphores, name)) {
    return within_one(one->acquire(), delay);
  }
  if (Condition* one = find(all.conditions, name)) {
    return within_one(one->acquire(), delay);
  }
  return no_such();
}

/// put, get or join.
Coro<Text> use_queue_within(NamedQueue& queue, const Line& line,
                            Duration delay) {
  return std::visit(
      [&](auto& one) {
        if (line.words[2] == "get") return within_one(one.get(), delay);
        if (line.words[2] == "join") return within_one(one.join(), delay);
        return within_one(one.put(Value(line.words[4])), delay);
      },
      queue);
}

/// within D OPERATION NAME...
Coro<Text> within(World& world, Frame&, const Line& line) {
  Duration delay = Duration::max();
  if (line.words[1] != "-") delay = ms(line.words[1]);
  const std::string& word = line.words[2];
  const std::string& name = line.words[3];
  Primitives& all = world.primitives;
  if (word == "sleep") return within_one(rondo::sleep(ms(name)), delay);
  if (word == "acquire") return acquire_within(all, name, delay);
  if (Event* event = find(all.events, name)) {
    return within_one(event->wait(), delay);
  }
  if (Condition* condition = find(all.conditions, name)) {
    return within_one(condition->wait(), delay);
  }
  if (Barrier* barrier = find(all.barriers, name)) {
    return within_one(barrier->wait(), delay);
  }
  if (NamedQueue* queue = find(all.queues, name)) {
    return use_queue_within(*queue, line, delay);
  }
  return no_such();
}

const std::map<std::string_view, Operation::Async> kOperations{
    {"sleep", sleep},
    {"await", await_},
    {"wait_for", wait_for},
    {"wait", wait},
    {"as_completed", as_completed},
    {"acquire", acquire},
    {"wait_event", wait_event},
    {"wait_condition", wait_condition},
    {"wait_barrier", wait_barrier},
    {"reset", reset},
    {"abort", abort},
    {"put", put},
    {"get", get},
    {"join", join},
    {"within", within},
};

}  // namespace

const Operation* find_async_operation(std::string_view word) {
  static const auto operations = [] {
    std::map<std::string_view, Operation> made;
    for (const auto& [name, function] : kOperations) {
      Operation& operation = made[name];
      operation.kind = Operation::Kind::kAsync;
      operation.async = function;
    }
    return made;
  }();
  const auto found = operations.find(word);
  return found == operations.end() ? nullptr : &found->second;
}

}  // namespace rondo::fuzz
