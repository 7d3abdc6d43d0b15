// SPDX-License-Identifier: MIT
#include "futures/call_graph.h"

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <iterator>
#include <unordered_map>

#include "futures/errors.h"
#include "futures/internal/awaited_by.h"
#include "futures/internal/source_function_name.h"
#include "futures/internal/task_state.h"
#include "futures/task.h"
#include "reactor/errors.h"
#include "reactor/repr.h"

namespace rondo {

using detail::FutureState;
using detail::TaskState;
using Again = FutureCallGraph::Again;
using CallStack = std::vector<FrameCallGraphEntry>;

FutureCallGraph::~FutureCallGraph() {
  // In a loop: what a member has becomes a member before it is destroyed.
  while (!awaited_by.empty()) {
    FutureCallGraph last = std::move(awaited_by.back());
    awaited_by.pop_back();
    if (awaited_by.empty()) {
      awaited_by.swap(last.awaited_by);
      continue;
    }
    try {
      awaited_by.insert(awaited_by.end(),
                        std::move_iterator(last.awaited_by.begin()),
                        std::move_iterator(last.awaited_by.end()));
      last.awaited_by.clear();
    } catch (...) {  // NOLINT(bugprone-empty-catch)
      // No memory: `last` does it by itself, one level deeper.
    }
  }
}

// -- the call stack ----------------------------------------------------------

CallStack detail::call_stack(const TaskState& task) {
  CallStack stack;
  std::string operation = task.operation_name();
  if (!operation.empty()) {
    stack.emplace_back(std::move(operation), std::string(), 0U, true);
  }
  std::vector<StackFrame> frames = task.stack();
  for (auto frame = frames.rbegin(); frame != frames.rend(); ++frame) {
    stack.emplace_back(std::move(frame->name), std::move(frame->file),
                       frame->line, true);
  }
  return stack;
}

std::string detail::future_id(const FutureState& future) {
  char text[2 + 2 * sizeof(void*) + 1];
  std::snprintf(text, sizeof text, "0x%" PRIxPTR,
                reinterpret_cast<std::uintptr_t>(&future));
  return text;
}

namespace {

/// The current task stands at `where`, and not at its last co_await.
void put_in_front(CallStack& stack, const std::source_location& where) {
  std::string name = detail::source_function_name(where);
  if (!stack.empty() && stack.front().name == name &&
      stack.front().file == where.file_name()) {
    stack.front().line = where.line();
    return;
  }
  stack.emplace(stack.begin(), std::move(name), where.file_name(), where.line(),
                false);
}

void apply_limit(CallStack& stack, int limit) {
  const std::size_t kept = static_cast<std::size_t>(
      limit < 0 ? -static_cast<std::int64_t>(limit) : limit);
  if (kept >= stack.size()) return;
  const auto count = static_cast<std::ptrdiff_t>(kept);
  if (limit < 0) {
    stack.erase(stack.begin() + count, stack.end());
  } else {
    stack.erase(stack.begin(), stack.end() - count);
  }
}

// -- the graph ---------------------------------------------------------------

class Capture {
 public:
  Capture(std::optional<int> limit, const std::source_location& where)
      : limit_(limit), where_(where) {}

  FutureCallGraph run(FutureState& future) {
    FutureCallGraph graph = node(future);
    descend(graph);
    while (!levels_.empty()) {
      Level& level = levels_.back();
      if (level.next == level.awaiters.size()) {
        seen_[level.node->future.state()].on_path = false;
        levels_.pop_back();
        continue;
      }
      FutureState& awaiter = *level.awaiters[level.next++];
      level.node->awaited_by.push_back(node(awaiter));
      descend(level.node->awaited_by.back());
    }
    return graph;
  }

 private:
  struct Level {
    FutureCallGraph* node;
    std::vector<FutureState*> awaiters;
    std::size_t next;
  };
  struct Seen {
    bool on_path = true;
    bool has_awaiters = false;
  };

  FutureCallGraph node(FutureState& future) const {
    future.add_reference();
    FutureCallGraph graph{AnyFuture(future)};
    if (!future.is_task() || limit_ == 0) return graph;
    graph.call_stack = detail::call_stack(static_cast<TaskState&>(future));
    if (future.home().current_task == &future) {
      put_in_front(graph.call_stack, where_);
    }
    if (limit_) apply_limit(graph.call_stack, *limit_);
    return graph;
  }

  /// The awaiters of `graph` come next, unless they have been here.
  void descend(FutureCallGraph& graph) {
    FutureState& future = *graph.future.state();
    const auto [place, is_new] = seen_.try_emplace(&future);
    Seen& seen = place->second;
    if (!is_new) {
      if (seen.has_awaiters) {
        graph.again = seen.on_path ? Again::kCycle : Again::kAbove;
      }
      return;
    }
    std::vector<FutureState*> awaiters = detail::awaited_by(future);
    seen.has_awaiters = !awaiters.empty();
    graph.awaited_by.reserve(awaiters.size());  // so that none moves
    levels_.push_back({&graph, std::move(awaiters), 0});
  }

  const std::optional<int> limit_;
  const std::source_location& where_;
  std::vector<Level> levels_;
  std::unordered_map<const FutureState*, Seen> seen_;
};

FutureCallGraph capture(FutureState& future, std::optional<int> limit,
                        const std::source_location& where) {
  return Capture(limit, where).run(future);
}

/// The current task of the running loop, or none.
AnyTask running_task() {
  EventLoop* loop = nullptr;
  try {
    loop = &get_running_loop();
  } catch (const RuntimeError&) {
    throw RuntimeError(
        "capture_call_graph() is called outside of a running event loop and "
        "no *future* to introspect was provided");
  }
  return current_task(*loop);
}

// -- text --------------------------------------------------------------------

class Text {
 public:
  std::string of(const FutureCallGraph& graph) {
    begin(graph);
    while (!levels_.empty()) {
      Level& level = levels_.back();
      if (level.next == level.node->awaited_by.size()) {
        levels_.pop_back();
      } else {
        begin(level.node->awaited_by[level.next++]);
      }
    }
    text_.pop_back();  // the last newline
    return std::move(text_);
  }

 private:
  struct Level {
    const FutureCallGraph* node;
    std::size_t next;
  };

  void begin(const FutureCallGraph& graph) {
    const FutureState& future = *graph.future.state();
    const std::string id = detail::future_id(future);
    if (future.is_task()) {
      line("* Task(name=" +
           repr_whole_text(static_cast<const TaskState&>(future).name()) +
           ", id=" + id + ")");
    } else {
      line("* Future(id=" + id + ")");
    }
    if (!graph.call_stack.empty()) line("  + Call stack:");
    for (const FrameCallGraphEntry& entry : graph.call_stack) {
      std::string text = "  |   ";
      if (!entry.file.empty()) {
        text += "File " + repr_whole_text(entry.file) + ", line " +
                std::to_string(entry.line) + ", ";
      }
      line(text + (entry.is_async ? "in async " : "in ") + entry.name + "()");
    }
    if (graph.again != Again::kNo) {
      line(graph.again == Again::kCycle ? "  + Awaited by: (cycle)"
                                        : "  + Awaited by: (shown above)");
    } else if (!graph.awaited_by.empty()) {
      line("  + Awaited by:");
    }
    levels_.push_back({&graph, 0});
  }

  void line(const std::string& text) {
    text_.append(4 * std::min(levels_.size(), kCallGraphIndentMax), ' ');
    text_ += text;
    text_ += '\n';
  }

  std::vector<Level> levels_;
  std::string text_;
};

void print(const std::string& text, std::FILE* file) {
  std::fputs((text + "\n").c_str(), file);
}

}  // namespace

std::string to_string(const FutureCallGraph& graph) { return Text().of(graph); }

FutureCallGraph capture_call_graph(const AnyFuture& future,
                                   std::optional<int> limit,
                                   std::source_location where) {
  return capture(*future.state(), limit, where);
}

std::optional<FutureCallGraph> capture_call_graph(std::optional<int> limit,
                                                  std::source_location where) {
  const AnyTask task = running_task();
  if (!task) return std::nullopt;
  return capture(*task.state(), limit, where);
}

std::string format_call_graph(const AnyFuture& future, std::optional<int> limit,
                              std::source_location where) {
  return to_string(capture(*future.state(), limit, where));
}

std::string format_call_graph(std::optional<int> limit,
                              std::source_location where) {
  const std::optional<FutureCallGraph> graph = capture_call_graph(limit, where);
  return graph ? to_string(*graph) : std::string();
}

void print_call_graph(const AnyFuture& future, std::FILE* file,
                      std::optional<int> limit, std::source_location where) {
  print(format_call_graph(future, limit, where), file);
}

void print_call_graph(std::FILE* file, std::optional<int> limit,
                      std::source_location where) {
  print(format_call_graph(limit, where), file);
}

}  // namespace rondo
