// SPDX-License-Identifier: MIT
//
// The operations that do not wait.
#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "futures/gather.h"
#include "futures/shield.h"
#include "test/fuzz/operations.h"
#include "test/fuzz/world.h"

namespace rondo::fuzz {
namespace {

using std::chrono::milliseconds;

const Text kNone;
const Text kNothing = "?";  // the name means nothing, or a bound is reached

milliseconds ms(const std::string& word) {
  return milliseconds(std::stoi(word));
}

// ---- Tasks and futures -----------------------------------------------------

Text print(World&, Frame&, const Line&) { return kNone; }

Text now(World& world, Frame&, const Line&) {
  return std::to_string(std::chrono::duration_cast<milliseconds>(
                            world.loop.time().time_since_epoch())
                            .count());
}

Text spawn(World& world, Frame&, const Line& line) {
  const Future<Value> task = world.start_task(line.words[2]);
  if (!task) return kNothing;
  world.futures[line.words[1]] = task;
  return world.last_label();
}

Text set(World& world, Frame&, const Line& line) {
  const auto future = world.plain_future(line.words[1]);
  if (!future) return kNothing;
  future->set_result(Value(line.words[2]));
  return kNone;
}

Text fail(World& world, Frame&, const Line& line) {
  const auto future = world.plain_future(line.words[1]);
  if (!future) return kNothing;
  future->set_exception(ValueError(line.words[2]));
  return kNone;
}

/// Calls `use(future)` with a future of whatever type; it gives a Text.
template <class Use>
Text with_future(World& world, const Line& line, Use use) {
  const auto future = world.future(line.words[1]);
  if (!future) return kNothing;
  return std::visit(use, *future);
}

Text cancel(World& world, Frame&, const Line& line) {
  return with_future(world, line, [&](const auto& future) -> Text {
    return show(line.words.size() > 2 ? future.cancel(line.words[2])
                                      : future.cancel());
  });
}

Text uncancel(World& world, Frame&, const Line& line) {
  const AnyTask task = world.task(line.words[1]);
  if (!task) return kNothing;
  return std::to_string(task.uncancel());
}

Text cancelling(World& world, Frame&, const Line& line) {
  const AnyTask task = world.task(line.words[1]);
  if (!task) return kNothing;
  return std::to_string(task.cancelling());
}

Text state(World& world, Frame&, const Line& line) {
  return with_future(
      world, line, [](const auto& future) -> Text { return state_of(future); });
}

Text words_of(const Value& value) { return value.text; }
template <class T>
Text words_of(const std::vector<T>& values) {
  return show(values);
}

Text result(World& world, Frame&, const Line& line) {
  return with_future(world, line, [](const auto& future) -> Text {
    return words_of(future.result());
  });
}

Text exception(World& world, Frame&, const Line& line) {
  return with_future(world, line, [](const auto& future) -> Text {
    const std::exception_ptr error = future.exception();
    return error == nullptr ? kNone : Text(show(error));
  });
}

Text all_tasks(World& world, Frame&, const Line&) {
  return std::to_string(rondo::all_tasks(world.loop).size());
}

Text shield(World& world, Frame&, const Line& line) {
  const std::string& name = line.words[2];
  if (name[0] == '@') {
    auto coro = world.start_body(name.substr(1));
    if (!coro) return kNothing;
    world.futures[line.words[1]] = rondo::shield(std::move(*coro));
  } else {
    const auto inner = world.plain_future(name);
    if (!inner) return kNothing;
    world.futures[line.words[1]] = rondo::shield(*inner);
  }
  return kNone;
}

/// An argument of gather(): a future or a coroutine. gather() makes a task of
/// it, in its turn.
class Child {
 public:
  using value_type = Value;

  explicit Child(Future<Value> future) : child_(std::move(future)) {}
  explicit Child(Coro<Value> coro) : child_(std::move(coro)) {}

  friend Future<Value> create_task(EventLoop& loop, Child&& child) {
    if (auto* future = std::get_if<Future<Value>>(&child.child_)) {
      return *future;
    }
    return create_task(loop, std::get<Coro<Value>>(std::move(child.child_)));
  }

 private:
  std::variant<Future<Value>, Coro<Value>> child_;
};

std::vector<Child> children_of(World& world, const Line& line) {
  std::vector<Child> children;
  for (std::size_t i = 2; i < line.words.size(); ++i) {
    const std::string& name = line.words[i];
    if (name[0] == '@') {
      if (auto coro = world.start_body(name.substr(1))) {
        children.emplace_back(std::move(*coro));
      }
    } else if (auto future = world.plain_future(name)) {
      children.emplace_back(std::move(*future));
    }
  }
  return children;
}

Text gather(World& world, Frame&, const Line& line) {
  world.futures[line.words[1]] =
      rondo::gather(world.loop, children_of(world, line));
  return kNone;
}

Text gather_exceptions(World& world, Frame&, const Line& line) {
  world.futures[line.words[1]] =
      rondo::gather(world.loop, return_exceptions, children_of(world, line));
  return kNone;
}

// ---- Callbacks -------------------------------------------------------------

/// A program's callback, as the loop and futures call it.
class Call {
 public:
  Call(World& world, std::string name)
      : world_(&world), name_(std::move(name)) {}
  void operator()() const { world_->run_callback(name_, "called"); }
  template <class T>
  void operator()(const Future<T>& future) const {
    world_->run_callback(name_, "given " + state_of(future));
  }

 private:
  World* world_;
  std::string name_;
};

Text call_soon(World& world, Frame&, const Line& line) {
  if (!world.may_call(line.words[2])) return kNothing;
  world.handles[line.words[1]] =
      world.loop.call_soon(Call(world, line.words[2]));
  return kNone;
}

Text call_later(World& world, Frame&, const Line& line) {
  if (!world.may_call(line.words[3])) return kNothing;
  world.handles[line.words[1]] =
      world.loop.call_later(ms(line.words[2]), Call(world, line.words[3]));
  return kNone;
}

Text call_at(World& world, Frame&, const Line& line) {
  if (!world.may_call(line.words[3])) return kNothing;
  world.handles[line.words[1]] = world.loop.call_at(
      TimePoint(ms(line.words[2])), Call(world, line.words[3]));
  return kNone;
}

Text cancel_handle(World& world, Frame&, const Line& line) {
  const auto found = world.handles.find(line.words[1]);
  if (found == world.handles.end()) return kNothing;
  found->second.cancel();
  return kNone;
}

Text add_callback(World& world, Frame&, const Line& line) {
  return with_future(world, line, [&](const auto& future) -> Text {
    if (!world.may_call(line.words[2])) return kNothing;
    Handle handle = future.add_done_callback(Call(world, line.words[2]));
    world.added.push_back({future, line.words[2], std::move(handle)});
    return kNone;
  });
}

Text remove_callback(World& world, Frame&, const Line& line) {
  return with_future(world, line, [&](const auto& future) -> Text {
    std::size_t removed = 0;
    for (const World::Added& one : world.added) {
      if (one.future == future && one.callback == line.words[2]) {
        removed += future.remove_done_callback(one.handle);
      }
    }
    return std::to_string(removed);
  });
}

Text stop(World& world, Frame&, const Line&) {
  world.stop_asked = true;
  world.loop.stop();
  return kNone;
}

// ---- Raising ---------------------------------------------------------------

Text raise(World&, Frame&, const Line& line) {
  throw ValueError(line.words[1]);
}

Text raise_cancelled(World&, Frame&, const Line& line) {
  if (line.words.size() > 1) throw CancelledError(line.words[1]);
  throw CancelledError();
}

Text reraise(World&, Frame& frame, const Line&) {
  if (frame.handling.empty()) return kNothing;
  std::rethrow_exception(frame.handling.back());
}

// ---- Timeouts and groups ---------------------------------------------------

Text reschedule(World& world, Frame&, const Line& line) {
  const auto found = world.timeouts.find(line.words[1]);
  if (found == world.timeouts.end()) return kNothing;
  if (line.words[2] == "-") {
    found->second->reschedule(std::nullopt);
  } else {
    found->second->reschedule(world.loop.time() + ms(line.words[2]));
  }
  return kNone;
}

Text when(World& world, Frame&, const Line& line) {
  const auto found = world.timeouts.find(line.words[1]);
  if (found == world.timeouts.end()) return kNothing;
  const auto when = found->second->when();
  if (!when) return "-";
  return std::to_string(
      std::chrono::duration_cast<milliseconds>(when->time_since_epoch())
          .count());
}

Text expired(World& world, Frame&, const Line& line) {
  const auto found = world.timeouts.find(line.words[1]);
  if (found == world.timeouts.end()) return kNothing;
  return show(found->second->expired());
}

Text group_spawn(World& world, Frame&, const Line& line) {
  const auto found = world.groups.find(line.words[1]);
  if (found == world.groups.end()) return kNothing;
  const std::shared_ptr<TaskGroup> group = found->second;
  const Future<Value> task = world.start_task(line.words[3], *group);
  if (!task) return kNothing;
  world.futures[line.words[2]] = task;
  return world.last_label();
}

Text group_cancel(World& world, Frame&, const Line& line) {
  const auto found = world.groups.find(line.words[1]);
  if (found == world.groups.end()) return kNothing;
  const std::shared_ptr<TaskGroup> group = found->second;
  group->cancel();
  return kNone;
}

// ---- Locks and their kin ---------------------------------------------------

/// Calls `use` with the lock, semaphore or condition of that name.
template <class Use>
Text with_lock(World& world, const Line& line, Use use) {
  Primitives& all = world.primitives;
  const std::string& name = line.words[1];
  if (Lock* lock = find(all.locks, name)) return use(*lock);
  if (Semaphore* semaphore = find(all.semaphores, name)) return use(*semaphore);
  if (Condition* condition = find(all.conditions, name)) return use(*condition);
  return kNothing;
}

Text release(World& world, Frame&, const Line& line) {
  return with_lock(world, line, [](auto& lock) {
    lock.release();
    return kNone;
  });
}

Text locked(World& world, Frame&, const Line& line) {
  return with_lock(world, line,
                   [](auto& lock) { return Text(show(lock.locked())); });
}

Text set_event(World& world, Frame&, const Line& line) {
  Event* event = find(world.primitives.events, line.words[1]);
  if (event == nullptr) return kNothing;
  event->set();
  return kNone;
}

Text clear(World& world, Frame&, const Line& line) {
  Event* event = find(world.primitives.events, line.words[1]);
  if (event == nullptr) return kNothing;
  event->clear();
  return kNone;
}

Text is_set(World& world, Frame&, const Line& line) {
  Event* event = find(world.primitives.events, line.words[1]);
  if (event == nullptr) return kNothing;
  return show(event->is_set());
}

Text notify(World& world, Frame&, const Line& line) {
  Condition* condition = find(world.primitives.conditions, line.words[1]);
  if (condition == nullptr) return kNothing;
  condition->notify(std::stoul(line.words[2]));
  return kNone;
}

Text notify_all(World& world, Frame&, const Line& line) {
  Condition* condition = find(world.primitives.conditions, line.words[1]);
  if (condition == nullptr) return kNothing;
  condition->notify_all();
  return kNone;
}

Text barrier_state(World& world, Frame&, const Line& line) {
  Barrier* barrier = find(world.primitives.barriers, line.words[1]);
  if (barrier == nullptr) return kNothing;
  return state_of(*barrier);
}

/// Calls `use` with the queue of that name.
template <class Use>
Text with_queue(World& world, const Line& line, Use use) {
  NamedQueue* queue = find(world.primitives.queues, line.words[1]);
  if (queue == nullptr) return kNothing;
  return std::visit(use, *queue);
}

Text spawn_get(World& world, Frame&, const Line& line) {
  NamedQueue* queue = find(world.primitives.queues, line.words[2]);
  if (queue == nullptr) return kNothing;
  world.futures[line.words[1]] = std::visit(
      [&](auto& one) -> Future<Value> {
        return create_task(world.loop, one.get());
      },
      *queue);
  return kNone;
}

Text put_nowait(World& world, Frame&, const Line& line) {
  return with_queue(world, line, [&](auto& queue) -> Text {
    queue.put_nowait(Value(line.words[2]));
    return kNone;
  });
}

Text get_nowait(World& world, Frame&, const Line& line) {
  return with_queue(
      world, line, [](auto& queue) -> Text { return queue.get_nowait().text; });
}

Text task_done(World& world, Frame&, const Line& line) {
  return with_queue(world, line, [](auto& queue) -> Text {
    queue.task_done();
    return kNone;
  });
}

Text qsize(World& world, Frame&, const Line& line) {
  return with_queue(world, line, [](auto& queue) -> Text {
    return std::to_string(queue.qsize());
  });
}

const std::map<std::string_view, Operation::Sync> kOperations{
    {"print", print},
    {"now", now},
    {"spawn", spawn},
    {"set", set},
    {"fail", fail},
    {"cancel", cancel},
    {"uncancel", uncancel},
    {"cancelling", cancelling},
    {"state", state},
    {"result", result},
    {"exception", exception},
    {"all_tasks", all_tasks},
    {"shield", shield},
    {"gather", gather},
    {"gather_exceptions", gather_exceptions},
    {"call_soon", call_soon},
    {"call_later", call_later},
    {"call_at", call_at},
    {"cancel_handle", cancel_handle},
    {"add_callback", add_callback},
    {"remove_callback", remove_callback},
    {"stop", stop},
    {"raise", raise},
    {"raise_cancelled", raise_cancelled},
    {"reraise", reraise},
    {"reschedule", reschedule},
    {"when", when},
    {"expired", expired},
    {"group_spawn", group_spawn},
    {"group_cancel", group_cancel},
    {"release", release},
    {"locked", locked},
    {"set_event", set_event},
    {"clear", clear},
    {"is_set", is_set},
    {"notify", notify},
    {"notify_all", notify_all},
    {"barrier_state", barrier_state},
    {"spawn_get", spawn_get},
    {"put_nowait", put_nowait},
    {"get_nowait", get_nowait},
    {"task_done", task_done},
    {"qsize", qsize},
};

}  // namespace

const Operation* find_sync_operation(std::string_view word) {
  static const auto operations = [] {
    std::map<std::string_view, Operation> made;
    for (const auto& [name, function] : kOperations) {
      Operation& operation = made[name];
      operation.kind = Operation::Kind::kSync;
      operation.sync = function;
    }
    return made;
  }();
  const auto found = operations.find(word);
  return found == operations.end() ? nullptr : &found->second;
}

}  // namespace rondo::fuzz
