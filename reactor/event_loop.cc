// SPDX-License-Identifier: MIT
#include "reactor/event_loop.h"

#include <cxxabi.h>

#include <algorithm>
#include <utility>

#include "reactor/check.h"
#include "reactor/errors.h"
#include "reactor/internal/log.h"
#include "reactor/internal/running_scope.h"
#include "reactor/loop_observer.h"

// One pass of the loop, from the top of this page to its bottom. The order of
// the six steps is CPython's BaseEventLoop._run_once, and a promise
// (reactor/README.md).
//
// The frames between run_forever() and the system call, and those that return
// right after it, are inline by force: see Kernel for what each would cost.

namespace rondo {

using detail::Entry;
using detail::TimerEntry;

void EventLoop::run_forever() {
  const RunningScope scope(*this, RunningScope::Inside::kNoLoop);
  struct Stopped {
    ~Stopped() { stopping = false; }
    bool& stopping;
  } const stopped{stopping_};
  do {
    do_run_once();
  } while (!stopping_);
}

[[gnu::always_inline]] inline void EventLoop::do_run_once() {
  check_usable();  // a child forked by a callback ends here
  if (instrumented_) notify([&](auto& o) { o.on_pass_begin(*this); });
  ++stats_.passes;
  if (ready_.empty() || ++passes_since_poll_ >= passes_per_poll_) {
    do_poll_events(Duration::max());  // steps 1-3
    do_collect();                     // steps 4-5
  }
  do_run_ready();  // step 6
  if (instrumented_) notify([&](auto& o) { o.on_pass_end(*this); });
}

// -- steps 1-3: how long to sleep; sleep -------------------------------------

[[gnu::always_inline]] inline void EventLoop::do_poll_events(Duration at_most) {
  if (polled_ > 0) return;  // not collected yet: an edge is told once only
  const Duration timeout =
      ready_.empty() ? std::clamp(at_most, Duration::zero(), next_timeout())
                     : Duration::zero();
  if (instrumented_) notify([&](auto& o) { o.on_poll_begin(*this, timeout); });
  passes_since_poll_ = 0;
  fds_.before_poll();
  polled_ = wait(timeout);
  if (instrumented_) notify([&](auto& o) { o.on_poll_end(*this, polled_); });
}

Duration EventLoop::next_timeout() noexcept {
  // A cancelled timer has left the heap already; one that was moved back is
  // put where it belongs now.
  timers_.settle();
  if (!ready_.empty() || !remote_items_.empty() || stopping_ ||
      !pass_ends_.empty()) {
    return Duration::zero();
  }
  if (timers_.empty() || timers_.next_deadline() == TimePoint::max()) {
    return Duration::max();
  }
  // asyncio's MAXIMUM_SELECT_TIMEOUT: more than that is waited for in parts.
  constexpr Duration kLongest = std::chrono::hours(24);
  const TimePoint now = time();
  const TimePoint deadline = timers_.next_deadline();
  if (deadline <= now) return Duration::zero();
  if (deadline > saturating_add(now, kLongest)) return kLongest;
  return deadline - now;
}

[[gnu::always_inline]] inline std::size_t EventLoop::wait(Duration timeout) {
  ++stats_.polls;
  if (timeout == Duration::zero()) {
    return poller_.wait(Duration::zero());
  }
  if (busy_poll_ > Duration::zero()) {
    const std::size_t events = busy_poll(std::min(timeout, busy_poll_));
    if (events > 0) return events;
    if (timeout != Duration::max()) {
      timeout = std::max(Duration::zero(), timeout - busy_poll_);
    }
  }
  // From here on another thread wakes us; if one was faster, no sleep.
  if (!remote_->prepare_sleep()) {
    return poller_.wait(Duration::zero());
  }
  ++stats_.sleeps;
  struct Awake {
    ~Awake() { remote.slept(); }
    RemoteQueue& remote;
  } const awake{*remote_};
  return poller_.wait(timeout);
}

std::size_t EventLoop::busy_poll(Duration limit) {
  const TimePoint end = saturating_add(time(), limit);
  do {
    const std::size_t events = poller_.wait(Duration::zero());
    if (events > 0) return events;
    ++stats_.polls;
  } while (!remote_->pending() && time() < end);
  return 0;
}

// -- steps 4-5: what happened goes into the ready queue ----------------------

[[gnu::always_inline]] inline void EventLoop::do_collect() {
  if (polled_ > 0) enqueue_events();
  if (signals_.pending()) signals_.collect(ready_);
  if (remote_->pending() || !remote_items_.empty()) enqueue_remote();
  if (!timers_.empty()) enqueue_due_timers();
}

void EventLoop::enqueue_events() {
  bool all_known = true;
  for (std::size_t index = 0; index < polled_; ++index) {
    const detail::PolledEvent event = poller_.event(index);
    if (event.token.is_waker()) {
      ++stats_.wakeups;
      // Before the queue is taken, see RemoteQueue.
      pause_unless(remote_->drain(), drain_pause_);
      continue;
    }
    ++stats_.events;
    all_known &= fds_.dispatch(event, ready_);
    if (instrumented_) {
      notify([&](auto& o) {
        o.on_event(*this, static_cast<int>(event.token.fd), event.events);
      });
    }
  }
  polled_ = 0;
  // The kernel reports a descriptor that was closed without remove_reader()
  // while a duplicate keeps it alive. It cannot be taken out of the set any
  // more (epoll(7), Q6), so the set goes.
  if (!all_known) rebuild();
}

void EventLoop::enqueue_remote() {
  // Taken in one piece. An allocation that fails below loses none: the rest
  // is still there in the next pass.
  if (remote_items_.empty()) remote_->take(remote_items_);
  while (remote_done_ < remote_items_.size()) {
    RemoteQueue::Item& item = remote_items_[remote_done_];
    Entry* entry = make_entry(*entries_, std::move(item.callback), item.where,
                              "call_soon_threadsafe");
    ++remote_done_;
    entry->references = 0;
    entry->flags = 0;
    detail::enqueue(ready_, entry);
  }
  stats_.remote_calls += remote_items_.size();
  remote_items_.clear();
  remote_done_ = 0;
}

void EventLoop::enqueue_due_timers() {
  const TimePoint now = time();
  // Of a million timers none is in the cache when its turn comes. Each names
  // the one that runs eight later, so that its memory can be asked for early.
  constexpr std::size_t kAhead = 8;
  TimerEntry* recent[kAhead] = {};
  std::size_t number = 0;
  // asyncio: due is what lies below now plus the clock's resolution, here one
  // nanosecond.
  timers_.take_due(now, instrumented_, [&](TimerEntry* timer) {
    ++stats_.timers_fired;
    stats_.lag = saturating_difference(now, timer->when);
    stats_.lag_max = std::max(stats_.lag_max, stats_.lag);
    TimerEntry*& earlier = recent[number++ % kAhead];
    if (earlier != nullptr) earlier->ahead = timer;
    earlier = timer;
    // It may wait there since a run that an exception cut short. It was moved
    // since, so its place is behind the others.
    if (timer->has(Entry::kQueued)) {
      ready_.remove(timer);
      detail::drop_reference(timer);
    }
    detail::enqueue(ready_, timer);
    detail::drop_reference(timer);  // the heap's
    if (instrumented_) {
      notify([&](auto& o) { o.on_timer_due(*this, TimerHandle(timer)); });
    }
  });
}

// -- step 6: the one place in the library where a user's callback is called --

[[gnu::always_inline]] inline void EventLoop::do_run_ready() {
  if (!ready_.empty()) {
    // Only what is ready now. What these callbacks schedule runs after the
    // next poll, so a callback that reschedules itself cannot starve a socket.
    const Entry* const last = ready_.back();
    Entry* entry;
    do {
      entry = ready_.pop();
      if (entry->has(Entry::kTimer)) {
        __builtin_prefetch(static_cast<TimerEntry*>(entry)->ahead);
      }
      run(entry);
    } while (entry != last);
  }
  if (!pass_ends_.empty()) {
    if (instrumented_) check_usable();  // a child forked by the last callback
    pass_ends_.run();
  }
}

/// An entry that is being run: kept, with its callback, until that returns or
/// throws, whatever it does to itself.
class EventLoop::Run {
 public:
  explicit Run(Entry* entry) noexcept : entry_(entry) {
    entry_->flags ^= Entry::kQueued | Entry::kRunning;
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;
  ~Run() {
    entry_->clear(Entry::kRunning);
    const bool again = entry_->has(Entry::kArmed | Entry::kRepeats) &&
                       !entry_->has(Entry::kCancelled);
    if (!again) entry_->callback.reset();
    // The queue's reference. If it was the last, the captures are gone.
    if (--entry_->references == 0) entry_->pool->release(entry_);
  }

 private:
  Entry* const entry_;
};

inline void EventLoop::run(Entry* entry) {
  if (entry->has(Entry::kCancelled | Entry::kArmed)) {
    entry->clear(Entry::kQueued);
    detail::drop_reference(entry);
    return;
  }
  const Run run(entry);
  ++stats_.callbacks;
  if (instrumented_) [[unlikely]] {
    call_instrumented(entry);
  } else {
    call(entry);
  }
}

RONDO_CATCHES_FORCED_UNWIND inline void EventLoop::call(Entry* entry) {
  try {
    entry->callback();
  } catch (const SystemExit&) {
    throw;  // leaves run_forever(); the rest of the batch stays
  } catch (const KeyboardInterrupt&) {
    throw;
  } catch (const abi::__forced_unwind&) {
    throw;  // pthread_exit(3): swallowing it aborts the program
  } catch (...) {
    report_exception(entry);
  }
}

void EventLoop::call_instrumented(Entry* entry) {
  check_usable();  // a child forked by a callback of this batch ends here
  const Handle handle(entry);
  notify([&](auto& o) { o.on_callback_begin(*this, handle); });
  const TimePoint began = time();
  const auto finished = [&] {
    const Duration took = time() - began;
    stats_.callback_time += took;
    notify([&](auto& o) { o.on_callback_end(*this, handle); });
    if (debug_ && took >= slow_callback_duration_) {
      log_safely([&] {
        log().warn("Executing {} took {:.3f} seconds", to_string(handle),
                   std::chrono::duration<double>(took).count());
      });
    }
  };
  try {
    call(entry);
  } catch (...) {
    finished();
    throw;  // SystemExit and its like
  }
  finished();
}

template <class Notify>
void EventLoop::notify(Notify&& notify) {
  notifying_ = true;
  // By index: an observer may add or remove one.
  for (std::size_t index = 0; index < observers_.size(); ++index) {
    if (observers_[index] != nullptr) notify(*observers_[index]);
  }
  notifying_ = false;
  sweep_observers();
}

// -- the pieces, for who runs the loop by hand -------------------------------

void EventLoop::run_once() {
  const RunningScope scope(*this, RunningScope::Inside::kAnyLoop);
  do_run_once();
}

void EventLoop::poll_events(Duration at_most) {
  const RunningScope scope(*this, RunningScope::Inside::kAnyLoop);
  do_poll_events(at_most);
}

void EventLoop::collect() {
  const RunningScope scope(*this, RunningScope::Inside::kAnyLoop);
  do_collect();
}

void EventLoop::run_ready() {
  const RunningScope scope(*this, RunningScope::Inside::kAnyLoop);
  do_run_ready();
}

}  // namespace rondo
