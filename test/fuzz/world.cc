// SPDX-License-Identifier: MIT
#include "test/fuzz/world.h"

#include <chrono>
#include <utility>

#include "reactor/exception_context.h"
#include "test/fuzz/operations.h"

namespace rondo::fuzz {

World::World(const Program& program) : program_(program) {
  loop.set_exception_handler([this](EventLoop&,
                                    const ExceptionContext& context) {
    std::string message = context.message;
    if (message.find("never retrieved") != std::string::npos ||
        message.find("was destroyed") != std::string::npos) {
      return;  // Python's garbage collector decides when these come
    }
    if (message.starts_with("Exception in callback")) {
      message = "Exception in callback";
    } else if (message.starts_with("Task ")) {
      message = "Task has errored out but its parent is already completed";
    }
    note("handler",
         message + ": " +
             (context.exception == nullptr ? "None" : show(context.exception)));
  });
}

World::~World() {
  over_ = true;
  loop.close();
}

void World::note(const std::string& who, const std::string& what) {
  if (over_) return;
  trace_ +=
      std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(
                         loop.time().time_since_epoch())
                         .count());
  trace_ += "." + std::to_string(loop.stats().passes);
  trace_ += " ";
  trace_ += who;
  trace_ += " ";
  trace_ += what;
  trace_ += "\n";
}

// ---- Bodies ----------------------------------------------------------------

std::optional<Coro<Value>> World::start_body(const std::string& name,
                                             std::string* label) {
  const auto found = program_.bodies.find(name);
  if (found == program_.bodies.end() || bodies_started_ >= kTasksMax) return {};
  std::string made = name + "." + std::to_string(bodies_started_);
  ++bodies_started_;
  if (label != nullptr) *label = made;
  return run_body(std::move(made), found->second);
}

Coro<Value> World::run_body(std::string label, const Block& block) {
  Frame frame;
  frame.label = std::move(label);
  note(frame.label, "begins");
  try {
    co_await run_block(*this, frame, block);
  } catch (...) {
    note(frame.label, "ends ! " + show(std::current_exception()));
    throw;
  }
  note(frame.label, "ends = " + show(frame.returned));
  co_return frame.returned;
}

Future<Value> World::start_task(const std::string& name) {
  std::string label;
  auto coro = start_body(name, &label);
  if (!coro) return {};
  Task<Value> task = create_task(loop, std::move(*coro));
  tasks_.emplace_back(std::move(label), task);
  return task;
}

Future<Value> World::start_task(const std::string& name, TaskGroup& group) {
  std::string label;
  auto coro = start_body(name, &label);
  if (!coro) return {};
  Task<Value> task = group.create_task(std::move(*coro));
  tasks_.emplace_back(std::move(label), task);
  return task;
}

Coro<void> run_block(World& world, Frame& frame, const Block& block) {
  for (const Line& line : block) {
    const Operation& operation = line.operation;
    if (operation.kind == Operation::Kind::kReturn) {
      frame.returned = Value();
      if (line.words.size() > 1) frame.returned = Value(line.words[1]);
      frame.returns = true;
      co_return;
    }
    if (operation.kind == Operation::Kind::kBlock) {
      co_await operation.async(world, frame, line);
      if (frame.returns) co_return;
      continue;
    }
    try {
      Text value;
      if (operation.kind == Operation::Kind::kSync) {
        value = operation.sync(world, frame, line);
      } else {
        value = co_await operation.async(world, frame, line);
      }
      world.note(frame.label, value ? line.text + " = " + *value : line.text);
    } catch (...) {
      world.note(frame.label,
                 line.text + " ! " + show(std::current_exception()));
      throw;
    }
  }
}

// ---- Callbacks -------------------------------------------------------------

bool World::may_call(const std::string& callback) {
  if (callbacks_made_ >= kCallbacksMax ||
      program_.callbacks.count(callback) == 0) {
    return false;
  }
  ++callbacks_made_;
  return true;
}

void World::run_callback(const std::string& name, const std::string& given) {
  Frame frame;
  frame.label = name + "()";
  note(frame.label, given);
  for (const Line& line : program_.callbacks.at(name)) {
    if (line.operation.kind != Operation::Kind::kSync) continue;
    try {
      const Text value = line.operation.sync(*this, frame, line);
      note(frame.label, value ? line.text + " = " + *value : line.text);
    } catch (...) {
      note(frame.label, line.text + " ! " + show(std::current_exception()));
      throw;
    }
  }
}

// ---- Names -----------------------------------------------------------------

std::optional<NamedFuture> World::future(const std::string& name) {
  if (name == "self") {
    const AnyTask task = current_task(loop);
    if (!task) return {};
    task.state()->add_reference();  // every task of a program gives a Value
    return Future<Value>(*task.state());
  }
  const auto found = futures.find(name);
  if (found == futures.end()) return {};
  return found->second;
}

std::optional<Future<Value>> World::plain_future(const std::string& name) {
  const auto found = future(name);
  if (!found || found->index() != 0) return {};
  return std::get<0>(*found);
}

AnyTask World::task(const std::string& name) {
  const auto found = plain_future(name);
  if (!found || !found->is_task()) return {};
  found->state()->add_reference();
  return AnyTask(*found->state());
}

void World::declare(const std::vector<std::string>& words) {
  if (words[0] == "future") {
    futures[words[1]] = Future<Value>(loop);
  } else if (!primitives.declare(words)) {
    throw BadProgram("no such declaration: " + words[0]);
  }
}

// ---- Running ---------------------------------------------------------------

void World::run_loop(const Future<Value>* until) {
  for (int run = 0; run < kRunsMax; ++run) {
    stop_asked = false;
    Handle on_done;
    if (until != nullptr) {
      on_done = until->add_done_callback([this](AnyFuture) {
        stop_asked = true;
        loop.stop();
      });
    }
    const char* why = nullptr;
    try {
      loop.run_until_idle();
      why = stop_asked ? "stopped" : "idle";
    } catch (const RuntimeError&) {
      why = "endless";
    }
    if (until != nullptr) {
      until->remove_done_callback(on_done);
      if (until->done()) return note("loop", "main is done");
    }
    note("loop", why);
    if (!stop_asked) return;
  }
}

void World::note_end(const std::vector<std::string>& words) {
  trace_ += "end " + words[0] + " " + words[1] + ": ";
  trace_ += words[0] == "future" ? state_of(declared_.at(words[1]))
                                 : primitives.end_state(words);
  trace_ += "\n";
}

void World::run() {
  for (const auto& words : program_.declarations) declare(words);
  for (const auto& [name, future] : futures) {
    declared_[name] = std::get<0>(future);
  }
  const Future<Value> main = start_task("main");
  if (main) {
    run_loop(&main);
    run_loop(nullptr);
    std::vector<Task<Value>> left;
    for (const auto& [label, task] : tasks_) {
      if (!task.done()) left.push_back(task);
    }
    if (!left.empty()) {
      note("loop", "cancels " + std::to_string(left.size()));
      for (const Task<Value>& task : left) task.cancel("end");
      run_loop(nullptr);
    }
  }
  for (const auto& words : program_.declarations) note_end(words);
  for (const auto& [label, task] : tasks_) {
    trace_ += "end " + label + ": " + state_of<Value>(task) + " cancelling " +
              std::to_string(task.cancelling()) + "\n";
  }
}

}  // namespace rondo::fuzz
