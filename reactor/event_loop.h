// SPDX-License-Identifier: MIT
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "reactor/callback.h"
#include "reactor/clock.h"
#include "reactor/context.h"
#include "reactor/events.h"
#include "reactor/exception_context.h"
#include "reactor/handle.h"
#include "reactor/internal/entry_pool.h"
#include "reactor/internal/epoll_poller.h"
#include "reactor/internal/fd_table.h"
#include "reactor/internal/loop_extension.h"
#include "reactor/internal/pass_end.h"
#include "reactor/internal/ready_queue.h"
#include "reactor/internal/signals.h"
#include "reactor/internal/timer_heap.h"
#include "reactor/loop_options.h"
#include "reactor/loop_stats.h"
#include "reactor/remote_queue.h"

namespace rondo {

class LoopObserver;
struct Snapshot;

namespace detail {
struct LoopAccess;
}

/// Runs callbacks: soon, later, or when a file descriptor is ready.
///
/// Threading: belongs to the thread that runs it, and to whoever holds it
///   while it does not run. Only call_soon_threadsafe() and remote_queue()'s
///   post() may be called from another thread; any other call that can throw
///   throws RuntimeError there. Handles and what is noexcept do not look.
/// Lifetime: outlives every callback made from it. close(), or the end of the
///   loop, cancels them all. In a forked child every call throws
///   RuntimeError; the parent's loop is not disturbed.
/// Errors: an exception that leaves a callback goes to the exception handler;
///   the loop goes on. SystemExit and KeyboardInterrupt leave run_forever().
///   After close() what schedules throws RuntimeError.
/// Cost: in steady state nothing here allocates for captures of up to
///   kInlineCaptureBytes; a pass makes one system call, epoll_wait(2), and an
///   idle loop none.
///
/// Source: asyncio.base_events.BaseEventLoop and
/// asyncio.selector_events.BaseSelectorEventLoop of CPython 3.11.
class EventLoop {
 public:
  /// A loop of its own, with two descriptors: an epoll set and an eventfd.
  /// Throws std::system_error, std::invalid_argument.
  explicit EventLoop(const LoopOptions& options = LoopOptions());
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  /// As close(). A loop must not be destroyed from inside its own callbacks.
  virtual ~EventLoop();

  // -- running --------------------------------------------------------------

  /// Runs passes until one in which stop() was called has ended. If stop()
  /// was called before, runs one pass that does not sleep.
  /// Throws RuntimeError if it, or another loop of this thread, runs already;
  /// std::system_error if its epoll set is broken, std::bad_alloc if there is
  /// no memory for what other threads posted (which stays): it can be run
  /// again.
  void run_forever();

  /// Ends run_forever() with the pass that is being run: callbacks of this
  /// pass still run, what they schedule stays for the next run. From another
  /// thread: `call_soon_threadsafe([&] { loop.stop(); })`.
  void stop() noexcept { stopping_ = true; }

  /// Cancels all callbacks and closes both descriptors. What the callbacks
  /// captured is destroyed here: it may cancel and remove, but not schedule.
  /// No effect the second time. Throws RuntimeError while it runs.
  void close();

  /// Whether run_forever() is on the stack.
  bool is_running() const noexcept { return guard_ > kForked; }
  /// Whether stop() was called and the run has not ended yet: for those who
  /// run the pieces by hand.
  bool is_stopping() const noexcept { return stopping_; }
  /// Whether close() was called.
  bool is_closed() const noexcept { return guard_ == kClosed; }
  /// The loop's clock: monotonic; virtual on a VirtualTimeLoop. Read anew by
  /// each call.
  TimePoint time() const noexcept {
    return TimePoint(Duration(kernel_.monotonic_ns()));
  }

  // -- callbacks ------------------------------------------------------------

  /// Queues `callback` for the next pass: first in, first out, exactly once,
  /// never from inside this call. `where` is the line that to_string(handle)
  /// will show. Throws std::invalid_argument for an empty callback.
  template <class F>
    requires std::is_constructible_v<Callback, F>
  Handle call_soon(F&& callback, std::source_location where =
                                     std::source_location::current()) {
    check_usable();
    detail::Entry* entry =
        make_entry(*entries_, std::forward<F>(callback), where, "call_soon");
    entry->references = 1;  // the queue's
    entry->flags = detail::Entry::kQueued;
    ready_.push(entry);
    return Handle(entry);
  }

  /// Runs `callback` once, no sooner than `delay` after time(). Equal
  /// deadlines run in the order they were made. A negative delay is due at
  /// once, one too large for the clock never. Throws std::invalid_argument
  /// for NaN or an empty callback. O(log n).
  template <class F>
    requires std::is_constructible_v<Callback, F>
  TimerHandle call_later(
      Delay delay, F&& callback,
      std::source_location where = std::source_location::current()) {
    return call_at(saturating_add(time(), delay.value()),
                   std::forward<F>(callback), where);
  }

  /// The same with a moment of time().
  template <class F>
    requires std::is_constructible_v<Callback, F>
  TimerHandle call_at(
      TimePoint when, F&& callback,
      std::source_location where = std::source_location::current()) {
    check_usable();
    return arm(make_entry(*timer_entries_, std::forward<F>(callback), where,
                          "call_at"),
               when);
  }

  /// call_soon() from any thread; wakes the loop if it sleeps. The callback
  /// is queued when the loop next looks, behind what is ready by then. On the
  /// loop's own thread it is call_soon().
  /// Throws RuntimeError if the loop is closed: it is accepted or refused,
  /// never dropped. See RemoteQueue for a thread that may outlive the loop.
  void call_soon_threadsafe(
      Callback callback,
      std::source_location where = std::source_location::current());

  /// The loop's door for other threads, which may outlive it.
  std::shared_ptr<RemoteQueue> remote_queue() const noexcept { return remote_; }

  // -- descriptors ----------------------------------------------------------

  /// Calls `on_readable` in every pass that finds `fd` readable, at its end,
  /// hung up or failed, until remove_reader(fd). Replaces an earlier reader.
  /// Requires: `fd` is non-blocking. Does not own `fd`: remove first, then
  /// close.
  /// Throws std::system_error if the kernel refuses `fd` (EPERM: a regular
  /// file; ENOSPC: epoll(7) max_user_watches), std::invalid_argument if it is
  /// negative, RuntimeError if watch() has it. A failure changes nothing.
  /// One epoll_ctl(2).
  void add_reader(int fd, Callback on_readable,
                  std::source_location where = std::source_location::current());
  /// Once this returns, the reader does not run any more, not even for an
  /// event that is already reported. Returns whether there was one; false on
  /// a closed loop, so that destructors may call it. One epoll_ctl(2).
  bool remove_reader(int fd);
  /// As add_reader(), for when `fd` is writable. When both are ready, the
  /// reader runs first.
  void add_writer(int fd, Callback on_writable,
                  std::source_location where = std::source_location::current());
  /// As remove_reader().
  bool remove_writer(int fd);

  /// What watch() calls: with the events reported since it last ran.
  using WatchCallback = UniqueFunction<void(Events)>;

  /// The level below add_reader(): calls `on_events` with what epoll_wait(2)
  /// reported. Events::kEdgeTriggered and kOneShot are the caller's choice;
  /// kError and kHangup come unasked. Interest kNone keeps the callback and
  /// reports nothing. Replaces an earlier watch of `fd`; excludes a reader or
  /// writer. Throws as add_reader(). asyncio has no such call.
  void watch(int fd, Events interest, WatchCallback on_events,
             std::source_location where = std::source_location::current());
  /// Changes the interest, or re-arms kOneShot. Throws RuntimeError if `fd`
  /// is not watched, std::system_error. One epoll_ctl(2).
  void modify_watch(int fd, Events interest);
  /// As remove_reader().
  bool unwatch(int fd);

  // -- signals --------------------------------------------------------------

  /// Runs `callback` as a normal callback when `signal_number` arrives; waits
  /// for no other callback, so several deliveries may become one call.
  /// Replaces an earlier one. The process's disposition is put back by
  /// remove_signal_handler() and close().
  /// Throws std::invalid_argument for no signal's number, RuntimeError for
  /// one that cannot be caught or that another loop handles.
  void add_signal_handler(
      int signal_number, Callback callback,
      std::source_location where = std::source_location::current());
  /// Returns whether there was one.
  bool remove_signal_handler(int signal_number);

  // -- errors and debugging -------------------------------------------------

  /// Whom to tell of exceptions. An empty handler means the default one.
  void set_exception_handler(ExceptionHandler handler);
  /// The handler set, or null.
  const ExceptionHandler* get_exception_handler() const noexcept {
    return exception_handler_.get();
  }
  /// Tells the handler. What the handler throws is logged.
  void call_exception_handler(const ExceptionContext& context);
  /// Logs the context.
  void default_exception_handler(const ExceptionContext& context);

  /// Debug mode: callbacks that take slow_callback_duration() or longer are
  /// logged with their names, and a loop that is destroyed unclosed is.
  void set_debug(bool enabled) noexcept;
  /// Whether debug mode is on.
  bool get_debug() const noexcept { return debug_; }
  /// 100 ms unless set.
  Duration slow_callback_duration() const noexcept {
    return slow_callback_duration_;
  }
  /// See set_debug().
  void set_slow_callback_duration(Duration limit) noexcept {
    slow_callback_duration_ = limit;
  }

  // -- one pass, in pieces --------------------------------------------------

  /// One pass: poll_events(), collect(), run_ready(). Calling the pieces
  /// gives the same transcript as running, and a debugger, a game's frame or
  /// another loop can stand between them.
  /// Throws RuntimeError while this loop runs; so do the pieces. They may be
  /// called from inside a callback of another loop.
  void run_once();
  /// Steps 1 to 3: works out how long to sleep, not longer than `at_most`,
  /// and asks the kernel. Does not sleep if anything is ready, or if the last
  /// poll's events were not collected yet.
  void poll_events(Duration at_most = Duration::max());
  /// How long the next poll may sleep: zero if anything is ready or due,
  /// Duration::max() if only an event can wake the loop. Not rounded.
  Duration next_timeout() noexcept;
  /// Steps 4 and 5: queues the callbacks of what was reported, of other
  /// threads and signals, then of timers that are due.
  void collect();
  /// Step 6: runs as many callbacks as are ready now.
  void run_ready();

  /// The state as data.
  Snapshot snapshot() const;
  /// What it has done so far.
  const LoopStats& stats() const noexcept { return stats_; }
  /// `observer` sees every step from now on. It outlives its registration.
  void add_observer(LoopObserver& observer);
  /// Returns whether it was there.
  bool remove_observer(LoopObserver& observer);

  /// The epoll descriptor, readable when a descriptor, a signal or another
  /// thread has something for the loop: for running it in pieces inside
  /// another loop, which also has to come back when next_timeout() says so.
  /// When the loop renews its epoll set (stats().rebuilds grows), the number
  /// stays and the outer loop has to register it anew.
  int fd() const noexcept { return poller_.fd(); }

 protected:
  /// Takes a stop() back that no run_forever() has seen.
  void forget_stop() noexcept { stopping_ = false; }

 private:
  friend struct detail::LoopAccess;
  class RunningScope;
  class LiveLoops;
  class Run;

  void do_run_once();
  void do_poll_events(Duration at_most);
  void do_collect();
  void do_run_ready();

  std::size_t wait(Duration timeout);
  std::size_t busy_poll(Duration limit);
  void enqueue_events();
  void enqueue_remote();
  void enqueue_due_timers();
  void run(detail::Entry* entry);
  void call(detail::Entry* entry);
  void call_instrumented(detail::Entry* entry);
  void report_exception(detail::Entry* entry);
  void report_lost_descriptor(int fd, std::errc error) noexcept;
  void rebuild() noexcept;
  std::errc try_rebuild() noexcept;
  void pause_unless(bool succeeded, Duration& pause) noexcept;

  void check_usable() const {
    const std::uintptr_t guard = guard_.load(std::memory_order_relaxed);
    if (guard != kAnyThread && guard != this_thread()) refuse(guard);
  }
  /// The same for calls that a closed loop takes too.
  void check_thread() const {
    const std::uintptr_t guard = guard_.load(std::memory_order_relaxed);
    if (guard > kForked && guard != this_thread()) refuse(guard);
  }
  [[noreturn]] static void refuse(std::uintptr_t guard);
  static std::uintptr_t this_thread() noexcept {
#if __has_builtin(__builtin_thread_pointer)
    return reinterpret_cast<std::uintptr_t>(__builtin_thread_pointer());
#else
    return static_cast<std::uintptr_t>(::pthread_self());
#endif
  }
  void update_instrumented() noexcept;
  void sweep_observers() noexcept;
  bool can_remove() const;

  /// An entry of `pool` that holds `callback`, in no place yet and with no
  /// reference.
  template <class F>
  static detail::Entry* make_entry(detail::EntryPool& pool, F&& callback,
                                   std::source_location where,
                                   const char* operation) {
    detail::Entry* entry = pool.allocate();
    try {
      entry->callback.emplace(std::forward<F>(callback));
      if (!entry->callback) refuse_empty(operation);
      if (detail::contexts_in_use()) [[unlikely]] {
        detail::bind_to_context(entry->callback);
      }
    } catch (...) {
      pool.release(entry);
      throw;
    }
    entry->where = where;
    return entry;
  }
  [[noreturn]] static void refuse_empty(const char* operation);
  TimerHandle arm(detail::Entry* entry, TimePoint when);
  template <class Notify>
  void notify(Notify&& notify);

  // What guard_ is when it is not the thread that runs the loop. One compare
  // in each call so covers threads, fork and close.
  static constexpr std::uintptr_t kAnyThread = 0;
  static constexpr std::uintptr_t kClosed = 1;
  static constexpr std::uintptr_t kForked = 2;

  // The memory of all entries: first, so that it goes last.
  const detail::EntryPool::Ptr entries_;
  const detail::EntryPool::Ptr timer_entries_;
  // Read or written in every pass.
  detail::ReadyQueue ready_;
  std::size_t polled_ = 0;  // events that collect() has not seen yet
  std::atomic<std::uintptr_t> guard_{kAnyThread};
  bool instrumented_ = false;  // debug, observers, measuring, or forked
  bool stopping_ = false;
  bool debug_ = false;
  unsigned passes_since_poll_ = 0;
  const unsigned passes_per_poll_;
  LoopStats stats_;
  detail::TimerHeap timers_;
  Kernel& kernel_;
  detail::EpollPoller poller_;
  detail::FdTable fds_;
  std::shared_ptr<RemoteQueue> remote_;
  std::vector<RemoteQueue::Item> remote_items_;  // taken, oldest first
  std::size_t remote_done_ = 0;  // of these, the ones that are queued
  detail::SignalTable signals_;

  const Duration busy_poll_;
  const bool measure_callbacks_;
  Duration slow_callback_duration_ = std::chrono::milliseconds(100);
  Duration rebuild_pause_{0};
  Duration drain_pause_{0};
  std::vector<LoopObserver*> observers_;  // null: left during this step
  bool notifying_ = false;
  std::shared_ptr<ExceptionHandler> exception_handler_;
  std::unique_ptr<detail::LoopExtension> extension_;
  detail::PassEnds pass_ends_;
  EventLoop* next_live_ = nullptr;  // see LiveLoops
};

/// A new loop. asyncio's new_event_loop().
std::unique_ptr<EventLoop> new_event_loop(
    const LoopOptions& options = LoopOptions());

/// The loop that runs on this thread. Throws RuntimeError("no running event
/// loop") outside of callbacks.
EventLoop& get_running_loop();
/// The same, or null. asyncio's _get_running_loop().
EventLoop* find_running_loop() noexcept;

/// `<EventLoop running=False closed=False debug=False>`, as asyncio's repr.
std::string to_string(const EventLoop& loop);

}  // namespace rondo
