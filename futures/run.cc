// SPDX-License-Identifier: MIT
#include "futures/run.h"

#include <signal.h>

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "futures/errors.h"
#include "futures/gather.h"
#include "futures/run_in_executor.h"
#include "futures/task.h"
#include "reactor/errors.h"
#include "reactor/exception_context.h"
#include "reactor/internal/log.h"
#include "reactor/kernel.h"

namespace rondo {

namespace detail {

void run_until_done(EventLoop& loop, const AnyFuture& future, bool is_ours) {
  if (is_ours) {
    static_cast<TaskState*>(future.state())->do_not_report_pending();
  }
  struct Stop {  // asyncio's _run_until_complete_cb
    void operator()(const AnyFuture& done) const {
      // That one has left run_forever() already.
      if (!done.cancelled() && is_exit_error(done.exception())) return;
      loop.stop();
    }
    std::string description() const { return "_run_until_complete_cb()"; }
    EventLoop& loop;
  };
  const Handle stop = future.add_done_callback(Stop{loop});
  struct Remove {
    ~Remove() { future.remove_done_callback(stop); }
    const AnyFuture& future;
    const Handle& stop;
  } const remove{future, stop};
  try {
    loop.run_forever();
  } catch (...) {
    if (is_ours && future.done()) future.state()->mark_retrieved();
    throw;
  }
  if (!future.done()) {
    throw RuntimeError("Event loop stopped before Future completed.");
  }
}

void refuse_run(const char* caller) {
  throw RuntimeError(std::string(caller) +
                     " cannot be called from a running event loop");
}

}  // namespace detail

namespace {

bool has_default_sigint() {
  struct ::sigaction now{};
  return linux_kernel().sigaction(SIGINT, nullptr, &now) == 0 &&
         (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_DFL;
}

/// Ctrl-C while the main task runs.
class Interrupts {
 public:
  Interrupts(EventLoop& loop, AnyFuture main)
      : loop_(loop), main_(std::move(main)), handled_(has_default_sigint()) {
    if (handled_) loop_.add_signal_handler(SIGINT, [this] { on_sigint(); });
  }
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;
  ~Interrupts() {
    if (handled_) loop_.remove_signal_handler(SIGINT);
  }
  unsigned count() const noexcept { return count_; }

 private:
  void on_sigint() {
    if (++count_ == 1 && !main_.done()) {
      main_.cancel();
    } else {
      throw KeyboardInterrupt();
    }
  }

  EventLoop& loop_;
  const AnyFuture main_;
  const bool handled_;
  unsigned count_ = 0;
};

void cancel_all_tasks(EventLoop& loop) {
  std::vector<AnyTask> tasks = all_tasks(loop);
  if (tasks.empty()) return;
  for (const AnyTask& task : tasks) task.cancel();
  run_until_complete(loop,
                     detail::gather_ends(loop, {tasks.begin(), tasks.end()}));
  for (const AnyTask& task : tasks) {
    if (task.cancelled() || !task.state()->has_exception()) continue;
    ExceptionContext context(
        "unhandled exception during asyncio.run() shutdown");
    context.exception = task.exception();
    context.extra.emplace_back("task", to_string(task));
    loop.call_exception_handler(context);
  }
}

}  // namespace

Runner::Runner(const LoopOptions& options) : options_(options) {}

Runner::Runner(std::unique_ptr<EventLoop> loop) : loop_(std::move(loop)) {}

Runner::~Runner() {
  try {
    close();
  } catch (...) {
    log_safely([&] {
      log().error("runner: close failed: {}",
                  describe(std::current_exception()));
    });
  }
}

EventLoop& Runner::get_loop() {
  if (closed_) throw RuntimeError("Runner is closed");
  if (loop_ == nullptr) loop_ = new_event_loop(options_);
  return *loop_;
}

void Runner::run_main(const AnyFuture& main) {
  Interrupts interrupts(*loop_, main);
  detail::run_until_done(*loop_, main, /*is_ours=*/main.is_task());
  if (interrupts.count() > 0 && main.cancelled() && main.is_task() &&
      static_cast<detail::TaskState*>(main.state())->uncancel() == 0) {
    throw KeyboardInterrupt();
  }
}

void Runner::close() {
  if (closed_ || loop_ == nullptr) {
    closed_ = true;
    return;
  }
  closed_ = true;
  // The loop is closed, whatever the rest throws.
  struct Close {
    ~Close() { loop.close(); }
    EventLoop& loop;
  } const close{*loop_};
  cancel_all_tasks(*loop_);
  run_until_complete(*loop_, shutdown_default_executor(*loop_));
}

}  // namespace rondo
