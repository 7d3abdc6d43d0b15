// SPDX-License-Identifier: MIT
#include "futures/task.h"

#include <utility>

#include "futures/errors.h"
#include "futures/internal/task_state.h"
#include "reactor/check.h"
#include "reactor/errors.h"
#include "reactor/exception_context.h"
#include "reactor/internal/log.h"

// A task's life: start, then step and wakeup in turn, then end. The names and
// the order are those of asyncio's Task.

namespace rondo {

using detail::TaskState;

namespace detail {

/// What a task's entry holds. The loop's list keeps the task until it is done.
struct TaskState::Resume {
  void operator()() const { task->resume(); }
  std::string description() const {
    return task->awaited_ != nullptr
               ? "Task.task_wakeup()"
               : "Task.task_step(" + repr_whole_text(task->name()) + ")";
  }
  TaskState* task;
};

/// While it lives, its task is the current one of the loop.
class TaskState::Entered {
 public:
  explicit Entered(TaskState& task) noexcept
      : home_(task.home_), outer_(std::exchange(home_.current_task, &task)) {}
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;
  ~Entered() { home_.current_task = outer_; }

 private:
  LoopState& home_;
  TaskState* const outer_;
};

TaskState::TaskState(LoopState& home, std::uint64_t number)
    : FutureState(home),
      entry_(
          LoopAccess::make_entry(loop(), Resume{this}, std::source_location())),
      number_(number) {
  entry_->set(Entry::kRepeats);
  is_task_ = true;
  if (contexts_in_use()) [[unlikely]] {
    try {
      extras().context = current_context();
    } catch (...) {
      drop_entry();
      throw;
    }
  }
}

TaskState::~TaskState() { drop_entry(); }

TaskState* TaskState::of(Entry& entry) noexcept {
  const Resume* resume = entry.callback.target<Resume>();
  return resume != nullptr ? resume->task : nullptr;
}

void TaskState::drop_entry() noexcept {
  if (entry_ == nullptr) return;
  entry_->clear(Entry::kRepeats);
  drop_reference(std::exchange(entry_, nullptr));
}

// -- step and wakeup ---------------------------------------------------------

void TaskState::start() {
  LoopAccess::check_usable(loop());
  call_step_soon();
  link();
}

void TaskState::start_eagerly() {
  LoopAccess::check_usable(loop());
  link();
  if (contexts_in_use()) [[unlikely]]
    return resume_in_context();
  Resumption resumption(*this, nullptr);
  step(resumption);
}

void TaskState::resume_in_context() {
  struct Keep {  // the task may end, and its context with it
    explicit Keep(TaskState& t) noexcept : task(t) { task.add_reference(); }
    ~Keep() { task.release(); }
    TaskState& task;
  } const keep(*this);
  const InContext scope(extras().context);
  Resumption resumption(*this, std::exchange(extras_->step_error, nullptr));
  if (awaited_ != nullptr) wakeup(resumption);
  step(resumption);
}

void TaskState::resume() {
  if (contexts_in_use()) [[unlikely]]
    return resume_in_context();
  Resumption resumption(*this, nullptr);
  if (awaited_ != nullptr) {
    wakeup(resumption);
  } else if (extras_ != nullptr) {
    resumption.set_error(std::exchange(extras_->step_error, nullptr));
  }
  step(resumption);
}

// What is rare is kept apart, here and below, so that the way through resume()
// keeps few registers.
[[gnu::noinline]] void note_failure(FutureState& future,
                                    Resumption& resumption) {
  resumption.set_error(future.failure());
}

inline void TaskState::wakeup(Resumption& resumption) {
  FutureState& future = *std::exchange(awaited_, nullptr);
  if (future.is_failed()) [[unlikely]]
    note_failure(future, resumption);
  future.release();  // awaited_'s
  future.release();  // the entry's: who awaits may be the last to have it
}

inline void TaskState::call_step_soon() noexcept {
  detail::add_reference(entry_);
  LoopAccess::push(*home_.loop, entry_);
}

[[gnu::always_inline]] inline void TaskState::step(Resumption& resumption) {
  if (must_cancel_) [[unlikely]] {
    // The request came after what it waited for was done, or before the start.
    if (!is_cancelled_error(resumption.error())) {
      resumption.set_error(take_cancel_error());
    }
    must_cancel_ = false;
  }
  const Entered entered(*this);
  while (true) {
    const Step step = run_body(resumption);
    if (step.kind() == Step::Kind::kYield) {
      call_step_soon();
      return;
    }
    if (step.kind() != Step::Kind::kWait) break;
    try {
      wait_for(*step.future());
      return;
    } catch (...) {
      // For want of memory. That is for the body to hear, where it waits.
      resumption.set_error(std::current_exception());
    }
  }
  end(resumption);
}

[[gnu::noinline]] void TaskState::take_result(Resumption& resumption) {
  resumption.set_error(nullptr);  // a body may swallow it
  if (!must_cancel_) store_result();
}

inline Step TaskState::run_body(Resumption& resumption) {
  try {
    const Step step = advance(resumption);
    if (step.kind() == Step::Kind::kDone) take_result(resumption);
    return step;
  } catch (...) {
    resumption.set_error(std::current_exception());
    // pthread_exit(3), which is no exception: swallowing it aborts the program.
    if (resumption.error() == nullptr) throw;
    return Step::failed();
  }
}

inline void TaskState::wait_for(FutureState& future) {
  if (&future.home() != &home_ || &future == this) [[unlikely]] {
    refuse_to_wait_for(future);
    return;
  }
  detail::add_reference(entry_);
  future.add_entry(entry_);
  future.add_reference();
  awaited_ = &future;
  if (must_cancel_) [[unlikely]]
    cancel_awaited();
}

void TaskState::refuse_to_wait_for(const FutureState& future) {
  const std::string message =
      &future == this
          ? "Task cannot await on itself: " + description()
          : "Task " + description() + " got Future " + future.description() +
                " attached to a different loop";
  extras().step_error = std::make_exception_ptr(RuntimeError(message));
  call_step_soon();
}

/// The body has cancelled its own task, and then went to wait.
void TaskState::cancel_awaited() {
  const std::exception_ptr error = extras_ ? extras_->cancel_error : nullptr;
  if (awaited_->cancel(error)) must_cancel_ = false;
}

/// The body goes first, as the locals of a Python coroutine do; then those who
/// wait hear of it.
void TaskState::end(Resumption& resumption) {
  std::exception_ptr error = resumption.take_error();
  if (error == nullptr && must_cancel_) {
    // Cancelled while it came to its end.
    error = take_cancel_error();
  }
  must_cancel_ = false;
  drop_body();
  status_ = is_cancelled_error(error) ? Status::kCancelled : Status::kFinished;
  log_exception_ = error != nullptr && !cancelled();
  exception_ = error;
  schedule_callbacks();
  drop_entry();
  unlink();  // may destroy this
  if (is_exit_error(error)) std::rethrow_exception(error);
}

// -- cancelling --------------------------------------------------------------

bool TaskState::cancel(const std::exception_ptr& error) {
  log_exception_ = false;
  if (done()) return false;
  // Down the chain of tasks that await each other, to what the last one waits
  // for. In a loop, as the chain may be long; `slow` goes at half the speed,
  // so that it is met again if the chain is a ring.
  TaskState* task = this;
  TaskState* slow = this;
  for (bool odd = false;; odd = !odd) {
    ++task->cancels_requested_;
    FutureState* const next = task->awaited_;
    if (odd) slow = static_cast<TaskState*>(slow->awaited_);
    if (next != nullptr && next != slow) {
      if (next->is_task() && next->pending()) {
        next->mark_retrieved();
        task = static_cast<TaskState*>(next);
        continue;
      }
      if (!next->is_task() && next->cancel(error)) return true;
    }
    task->must_cancel_ = true;
    task->keep_cancel_error(error);
    return true;
  }
}

void TaskState::keep_cancel_error(const std::exception_ptr& error) noexcept {
  if (extras_ == nullptr && error == nullptr) return;
  try {
    extras().cancel_error = error;
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch)
    // It is cancelled, if without the message.
  }
}

std::exception_ptr TaskState::take_cancel_error() noexcept {
  if (extras_ != nullptr && extras_->cancel_error != nullptr) {
    return std::exchange(extras_->cancel_error, nullptr);
  }
  return home_.cancelled_error;
}

// -- the loop's list ---------------------------------------------------------

void TaskState::link() noexcept {
  add_reference();
  in_list_ = true;
  previous_ = home_.last_task;
  (previous_ != nullptr ? previous_->next_ : home_.first_task) = this;
  home_.last_task = this;
}

void TaskState::unlink() noexcept {
  if (!in_list_) return;
  in_list_ = false;
  (previous_ != nullptr ? previous_->next_ : home_.first_task) = next_;
  (next_ != nullptr ? next_->previous_ : home_.last_task) = previous_;
  next_ = previous_ = nullptr;
  release();
}

void TaskState::abandon() noexcept {
  add_reference();
  unlink();
  if (log_destroy_pending_) {
    log_safely([&] {
      ExceptionContext context("Task was destroyed but it is pending!");
      context.extra.emplace_back("task", description());
      loop().call_exception_handler(context);
    });
  }
  if (FutureState* future = std::exchange(awaited_, nullptr)) {
    if (!future->remove_entry(entry_)) future->release();  // the entry's
    future->release();
  }
  detail::cancel(entry_);
  drop_entry();
  drop_body();
  release();
}

void TaskState::dispose() noexcept { FutureState::dispose(); }

// -- text --------------------------------------------------------------------

TaskState::Extras& TaskState::extras() {
  if (extras_ == nullptr) extras_ = std::make_unique<Extras>();
  return *extras_;
}

std::string TaskState::name() const {
  if (extras_ != nullptr && !extras_->name.empty()) return extras_->name;
  return "Task-" + std::to_string(number_);
}

void TaskState::set_name(std::string name) { extras().name = std::move(name); }

std::string TaskState::description() const {
  // Tasks may wait for each other in a ring, or in a long chain. Python's repr
  // has `...` for the first and no end for the second.
  constexpr unsigned kNestedMax = 16;
  static thread_local unsigned nested = 0;
  static thread_local const TaskState* outer[kNestedMax];
  for (unsigned n = 0; n < nested; ++n) {
    if (outer[n] == this) return "...";
  }
  if (nested == kNestedMax) return "...";
  struct Nested {
    explicit Nested(const TaskState* task) noexcept { outer[nested++] = task; }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;
    ~Nested() { --nested; }
  } const guard(this);
  std::string text =
      "<Task " +
      state_description(cancelling() > 0 ? "cancelling" : "pending") +
      " name=" + repr_whole_text(name()) + " coro=<" + body_description() + ">";
  if (awaited_ != nullptr && pending()) {
    text += " wait_for=" + awaited_->description();
  }
  return text + tail_description() + ">";
}

}  // namespace detail

namespace detail {

unsigned take_back_cancel(const AnyTask& task) noexcept {
  return static_cast<TaskState*>(task.state())->take_back_cancel();
}

void start_task(TaskState& task, const TaskOptions& options) {
  if (!options.name().empty()) task.set_name(options.name());
  if (const std::optional<Context>& given = options.context()) {
    Context context = *given;
    task.set_context(std::move(context.map()));
  }
  options.eager_start() ? task.start_eagerly() : task.start();
}

}  // namespace detail

// -- the public face ---------------------------------------------------------

Step Step::wait(const AnyFuture& future) noexcept {
  return wait_state(*future.state());
}

EventLoop& Resumption::loop() const noexcept { return *task_.home().loop; }

AnyTask Resumption::task() const noexcept {
  task_.add_reference();
  return AnyTask(task_);
}

void Resumption::rethrow() { std::rethrow_exception(take_error()); }

std::vector<StackFrame> AnyTask::get_stack() const { return task().stack(); }

std::string AnyTask::format_stack() const {
  const std::vector<StackFrame> frames = get_stack();
  if (frames.empty()) return "No stack for " + to_string(*this) + "\n";
  std::string text =
      "Stack for " + to_string(*this) + " (most recent call last):\n";
  for (const StackFrame& frame : frames) {
    text += "  File \"" + frame.file + "\", line " +
            std::to_string(frame.line) + ", in " + frame.name + "\n";
  }
  return text;
}

AnyTask current_task(EventLoop& loop) {
  TaskState* task = detail::LoopState::of(loop).current_task;
  if (task == nullptr) return AnyTask();
  task->add_reference();
  return AnyTask(*task);
}

AnyTask current_task() { return current_task(get_running_loop()); }

std::vector<AnyTask> all_tasks(EventLoop& loop) {
  std::vector<AnyTask> tasks;
  for (TaskState* task = detail::LoopState::of(loop).first_task;
       task != nullptr; task = task->next_task()) {
    task->add_reference();
    tasks.push_back(AnyTask(*task));
  }
  return tasks;
}

std::vector<AnyTask> all_tasks() { return all_tasks(get_running_loop()); }

}  // namespace rondo
