// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/future.h"
#include "futures/gather.h"
#include "futures/task.h"
#include "futures/task_group.h"
#include "futures/timeout.h"
#include "reactor/testing/virtual_time.h"
#include "test/fuzz/primitives.h"
#include "test/fuzz/program.h"
#include "test/fuzz/words.h"

namespace rondo::fuzz {

/// A future under a name, of any of the types that a program can make.
using NamedFuture = std::variant<Future<Value>, Future<std::vector<Value>>,
                                 Future<std::vector<Outcome<Value>>>>;

/// Who runs a block of operations.
struct Frame {
  std::string label;
  std::vector<std::exception_ptr> handling;  // innermost except clause last
  Value returned;
  bool returns = false;
};

/// All that a program has, while it runs.
class World {
 public:
  static constexpr int kTasksMax = 30;
  static constexpr int kCallbacksMax = 40;
  static constexpr int kRunsMax = 20;

  explicit World(const Program& program);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  /// Runs the program; then trace() is whole.
  void run();
  const std::string& trace() const { return trace_; }

  void note(const std::string& who, const std::string& what);

  /// Starts a body as a coroutine, and tells its label; none beyond the bound.
  std::optional<Coro<Value>> start_body(const std::string& name,
                                        std::string* label = nullptr);
  /// Starts a body as a task.
  Future<Value> start_task(const std::string& name);
  /// The same as a task of a group. Throws what the group throws.
  Future<Value> start_task(const std::string& name, TaskGroup& group);
  /// The label of the task that was started last.
  const std::string& last_label() const { return tasks_.back().first; }

  /// Whether one more callback may be scheduled: their number is bounded.
  bool may_call(const std::string& callback);
  void run_callback(const std::string& name, const std::string& given);

  /// The future of that name (`self`: the running task), or null.
  std::optional<NamedFuture> future(const std::string& name);
  /// The same of one that is no gather.
  std::optional<Future<Value>> plain_future(const std::string& name);
  /// The task of that name, or none.
  AnyTask task(const std::string& name);

  VirtualTimeLoop loop;
  std::map<std::string, NamedFuture> futures;
  std::map<std::string, Handle> handles;
  std::map<std::string, std::shared_ptr<Timeout>> timeouts;
  std::map<std::string, std::shared_ptr<TaskGroup>> groups;
  Primitives primitives;

  /// A done callback that was added: so that it can be taken back.
  struct Added {
    AnyFuture future;
    std::string callback;
    Handle handle;
  };
  std::vector<Added> added;

  bool stop_asked = false;

 private:
  void declare(const std::vector<std::string>& words);
  void run_loop(const Future<Value>* until);
  Coro<Value> run_body(std::string label, const Block& block);
  void note_end(const std::vector<std::string>& words);

  const Program& program_;
  bool over_ = false;
  std::string trace_;
  std::map<std::string, Future<Value>> declared_;
  int bodies_started_ = 0;
  int callbacks_made_ = 0;
  std::vector<std::pair<std::string, Task<Value>>> tasks_;
};

/// Runs operations; says in `frame` whether one of them was a return.
Coro<void> run_block(World& world, Frame& frame, const Block& block);

}  // namespace rondo::fuzz
