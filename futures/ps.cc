// SPDX-License-Identifier: MIT
#include "futures/ps.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "futures/call_graph.h"
#include "futures/internal/awaited_by.h"
#include "futures/internal/loop_state.h"
#include "futures/internal/task_state.h"

namespace rondo {

namespace {

using detail::FutureState;
using detail::TaskState;

/// A task by its place in the loop's list.
using Index = std::size_t;

struct Listed {
  const TaskState* task;
  std::string name;
  std::vector<FrameCallGraphEntry> stack;  // innermost first
  std::vector<Index> awaited_by;
  std::vector<Index> awaits;
};

/// All tasks of `loop`, oldest first, and who waits for whom.
std::vector<Listed> list_tasks(EventLoop& loop) {
  std::vector<Listed> tasks;
  std::unordered_map<const FutureState*, Index> indexes;
  for (const TaskState* task = detail::LoopState::of(loop).first_task;
       task != nullptr; task = task->next_task()) {
    indexes.emplace(task, tasks.size());
    tasks.push_back({task, task->name(), detail::call_stack(*task), {}, {}});
  }
  for (Index index = 0; index < tasks.size(); ++index) {
    for (const FutureState* one : detail::awaited_by(*tasks[index].task)) {
      const auto found = indexes.find(one);
      if (found == indexes.end()) continue;  // a gather for which nobody waits
      tasks[index].awaited_by.push_back(found->second);
      tasks[found->second].awaits.push_back(index);
    }
  }
  return tasks;
}

// -- ps ----------------------------------------------------------------------

/// Appends `text`, and what it lacks to so many characters, and a space.
void append_column(std::string& line, const std::string& text,
                   std::size_t width) {
  line += text;
  const auto characters = static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) {
        return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;  // of UTF-8
      }));
  line.append(characters < width ? width - characters : 0, ' ');
  line += ' ';
}

void append_row(std::string& table, const std::vector<std::string>& cells) {
  static constexpr std::size_t kWidths[] = {10, 20, 20, 50, 50, 15, 15};
  for (std::size_t column = 0; column < cells.size(); ++column) {
    append_column(table, cells[column], kWidths[column]);
  }
  table.back() = '\n';
}

/// `sleep -> play`.
std::string chain(const Listed& task) {
  std::string text;
  for (const FrameCallGraphEntry& entry : task.stack) {
    if (!text.empty()) text += " -> ";
    text += entry.name;
  }
  return text;
}

// -- pstree ------------------------------------------------------------------

/// The circles in the graph of who waits for whom: one for each way back that
/// a depth-first search meets. asyncio.tools._find_cycles, in a loop.
class CycleSearch {
 public:
  explicit CycleSearch(const std::vector<Listed>& tasks)
      : tasks_(tasks), states_(tasks.size()) {}

  /// Each as its tasks, the first one again at the end.
  std::vector<std::vector<Index>> run() {
    // From those that wait, in the order of those for whom they do.
    for (const Listed& task : tasks_) {
      for (const Index awaiter : task.awaited_by) {
        if (!states_[awaiter].entered) search_from(awaiter);
      }
    }
    return std::move(cycles_);
  }

 private:
  struct State {
    bool entered = false;
    std::optional<std::size_t> place;  // on the path
    std::size_t next = 0;              // of what it awaits
  };

  void search_from(Index start) {
    enter(start);
    while (!path_.empty()) {
      State& state = states_[path_.back()];
      const std::vector<Index>& awaits = tasks_[path_.back()].awaits;
      if (state.next == awaits.size()) {
        state.place.reset();
        path_.pop_back();
        continue;
      }
      const Index child = awaits[state.next++];
      if (!states_[child].entered) {
        enter(child);
      } else if (const auto place = states_[child].place) {
        std::vector<Index>& cycle = cycles_.emplace_back(
            path_.begin() + static_cast<std::ptrdiff_t>(*place), path_.end());
        cycle.push_back(child);
      }
    }
  }

  void enter(Index index) {
    states_[index].entered = true;
    states_[index].place = path_.size();
    path_.push_back(index);
  }

  const std::vector<Listed>& tasks_;
  std::vector<State> states_;
  std::vector<Index> path_;
  std::vector<std::vector<Index>> cycles_;
};

std::string describe(const std::vector<std::vector<Index>>& cycles,
                     const std::vector<Listed>& tasks) {
  std::string text =
      "ERROR: await-graph contains cycles - cannot print a tree!\n\n";
  for (const std::vector<Index>& cycle : cycles) {
    text += "cycle: ";
    for (const Index index : cycle) text += tasks[index].name + " → ";
    text.resize(text.size() - std::string(" → ").size());
    text += '\n';
  }
  return text;
}

/// The tree of a graph without circles.
class Tree {
 public:
  explicit Tree(const std::vector<Listed>& tasks)
      : tasks_(tasks), shown_(tasks.size()) {}

  std::string run() {
    for (Index index = 0; index < tasks_.size(); ++index) {
      if (!tasks_[index].awaited_by.empty()) continue;
      left_.push_back({index, Indent{}, true});
      while (!left_.empty()) {
        Branch branch = std::move(left_.back());
        left_.pop_back();
        add(std::move(branch));
      }
    }
    return std::move(text_);
  }

 private:
  /// What stands in front of a line.
  struct Indent {
    std::string text;
    std::size_t levels = 0;
  };
  struct Branch {
    Index task;
    Indent indent;
    bool last;
  };

  void add(Branch branch) {
    const Listed& task = tasks_[branch.task];
    const bool again = shown_[branch.task] && !task.awaits.empty();
    shown_[branch.task] = true;
    add_line(branch.indent, branch.last,
             "(T) " + task.name + (again ? " (shown above)" : ""));
    if (again) return;
    bool last = branch.last;
    for (auto entry = task.stack.rbegin(); entry != task.stack.rend();
         ++entry) {
      deepen(branch.indent, std::exchange(last, true));
      std::string label = " " + entry->name;
      if (!entry->file.empty()) {
        label += " " + entry->file + ":" + std::to_string(entry->line);
      }
      add_line(branch.indent, true, label);
    }
    deepen(branch.indent, last);
    // The last one first: what is put on the stack last comes next.
    for (auto child = task.awaits.rbegin(); child != task.awaits.rend();
         ++child) {
      left_.push_back({*child, branch.indent, child == task.awaits.rbegin()});
    }
  }

  void add_line(const Indent& indent, bool last, const std::string& label) {
    text_ += indent.text;
    text_ += last ? "└── " : "├── ";
    text_ += label;
    text_ += '\n';
  }

  static void deepen(Indent& indent, bool last) {
    if (indent.levels == kTreeIndentMax) return;
    ++indent.levels;
    indent.text += last ? "    " : "│   ";
  }

  const std::vector<Listed>& tasks_;
  std::vector<bool> shown_;
  std::vector<Branch> left_;
  std::string text_;
};

}  // namespace

std::string format_ps(EventLoop& loop) {
  const std::vector<Listed> tasks = list_tasks(loop);
  const std::string tid = std::to_string(::gettid());
  std::string table;
  append_row(table, {"tid", "task id", "task name", "coroutine stack",
                     "awaiter chain", "awaiter name", "awaiter id"});
  table += std::string(180, '-') + "\n";
  for (const Listed& task : tasks) {
    const std::string id = detail::future_id(*task.task);
    const std::string stack = chain(task);
    for (const Index index : task.awaited_by) {
      const Listed& awaiter = tasks[index];
      append_row(table, {tid, id, task.name, stack, chain(awaiter),
                         awaiter.name, detail::future_id(*awaiter.task)});
    }
    if (task.awaited_by.empty()) {
      append_row(table, {tid, id, task.name, stack, "", "", "0x0"});
    }
  }
  return table;
}

std::string format_pstree(EventLoop& loop) {
  const std::vector<Listed> tasks = list_tasks(loop);
  const std::vector<std::vector<Index>> cycles = CycleSearch(tasks).run();
  return cycles.empty() ? Tree(tasks).run() : describe(cycles, tasks);
}

PrintTasksOnSignal::PrintTasksOnSignal(EventLoop& loop, int signal_number,
                                       std::FILE* file)
    : loop_(loop), signal_number_(signal_number) {
  loop.add_signal_handler(signal_number, [&loop, file] {
    std::fputs((format_ps(loop) + "\n" + format_pstree(loop)).c_str(), file);
    std::fflush(file);
  });
}

PrintTasksOnSignal::~PrintTasksOnSignal() {
  loop_.remove_signal_handler(signal_number_);
}

}  // namespace rondo
