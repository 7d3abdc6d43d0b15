// SPDX-License-Identifier: MIT
#include <pthread.h>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "reactor/check.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/internal/log.h"
#include "reactor/internal/running_scope.h"

// How a loop begins and ends, which thread it is on, and what fork(2) does.

namespace rondo {

using detail::Entry;
using detail::EntryPool;
using detail::Token;

namespace {

thread_local EventLoop* running_loop = nullptr;

Duration checked_resolution(const LoopOptions& options) {
  if (options.timer_resolution() <= Duration::zero()) {
    throw std::invalid_argument("LoopOptions: timer_resolution must be > 0");
  }
  return options.timer_resolution();
}

}  // namespace

/// All loops of the process, for fork(2): a child shares the parent's epoll
/// set, and what it registers there would fire in the parent.
class EventLoop::LiveLoops {
 public:
  static LiveLoops& instance() {
    static auto& loops = *new LiveLoops;  // loops may outlive static objects
    return loops;
  }

  void add(EventLoop& loop) {
    const std::lock_guard lock(mutex_);
    loop.next_live_ = first_;
    first_ = &loop;
  }

  void remove(EventLoop& loop) {
    const std::lock_guard lock(mutex_);
    EventLoop** link = &first_;
    while (*link != &loop) link = &(*link)->next_live_;
    *link = loop.next_live_;
  }

 private:
  LiveLoops() {
    // The lock is held across the fork, so the child finds the list whole.
    ::pthread_atfork([] { instance().mutex_.lock(); },
                     [] { instance().mutex_.unlock(); },
                     [] {
                       instance().mark_all_forked();
                       instance().mutex_.unlock();
                     });
  }

  void mark_all_forked() {
    running_loop = nullptr;  // a new loop may run here, see refuse()
    for (EventLoop* loop = first_; loop != nullptr; loop = loop->next_live_) {
      loop->guard_ = kForked;
      loop->remote_->abandon();
      loop->signals_.disown();
      loop->instrumented_ = true;  // so that the batch ends here, see call()
    }
  }

  std::mutex mutex_;
  EventLoop* first_ = nullptr;
};

// -- beginning and end -------------------------------------------------------

EventLoop::EventLoop(const LoopOptions& options)
    : entries_(EntryPool::create(EntryPool::Kind::kEntries)),
      timer_entries_(EntryPool::create(EntryPool::Kind::kTimers)),
      passes_per_poll_(options.passes_per_poll()),
      timers_(*timer_entries_),
      kernel_(options.kernel()),
      poller_(kernel_, checked_resolution(options)),
      fds_(poller_,
           [this](int fd, std::errc e) { report_lost_descriptor(fd, e); }),
      remote_(std::make_shared<RemoteQueue>(kernel_)),
      signals_(kernel_, *remote_),
      busy_poll_(options.busy_poll()),
      measure_callbacks_(options.measure_callbacks()) {
  const std::errc error =
      poller_.add(remote_->wake_fd(), Events::kRead, Token::waker());
  if (error != std::errc()) {
    throw std::system_error(std::make_error_code(error),
                            "epoll_ctl for the loop's eventfd");
  }
  if (passes_per_poll_ == 0) {
    throw std::invalid_argument("LoopOptions: passes_per_poll must be > 0");
  }
  set_debug(options.debug());
  LiveLoops::instance().add(*this);
}

EventLoop::~EventLoop() {
  RONDO_CHECK(!is_running());
  if (!is_closed() && debug_) {
    // asyncio's ResourceWarning.
    log_safely([&] { log().warn("unclosed event loop {}", to_string(*this)); });
  }
  close();
}

void EventLoop::close() {
  if (is_running()) throw RuntimeError("Cannot close a running event loop");
  const std::uintptr_t before = guard_.exchange(kClosed);
  if (before == kClosed) return;
  const bool forked = before == kForked;
  LiveLoops::instance().remove(*this);
  // From here on nothing can be scheduled. All captures are destroyed before
  // the descriptors are closed.
  if (extension_ != nullptr) extension_->on_close();
  std::vector<RemoteQueue::Item> posted;
  signals_.clear();  // before the eventfd goes, to which the handler writes
  if (forked) {
    remote_->close_abandoned();
  } else {
    remote_->close(posted);
  }
  fds_.clear(/*in_kernel=*/!forked);
  while (!timers_.empty()) Handle(timers_.front()).cancel();
  for (Entry* entry = ready_.front(); entry != nullptr; entry = entry->next) {
    detail::cancel(entry);
  }
  // A forked child may close the loop in the middle of a batch, which then
  // still needs its queue to get to its end.
  while (!forked && !ready_.empty()) detail::drop_reference(ready_.pop());
  remote_items_.clear();
  posted.clear();
  poller_.close();
}

std::unique_ptr<EventLoop> new_event_loop(const LoopOptions& options) {
  return std::make_unique<EventLoop>(options);
}

// -- threads -----------------------------------------------------------------

void EventLoop::refuse(std::uintptr_t guard) {
  if (guard == kClosed) throw RuntimeError("Event loop is closed");
  if (guard == kForked) {
    throw RuntimeError(
        "This event loop belongs to the parent process: make a new one after "
        "fork()");
  }
  throw RuntimeError(
      "Non-thread-safe operation invoked on an event loop other than the "
      "current one");
}

EventLoop::RunningScope::RunningScope(EventLoop& loop, Inside inside)
    : loop_(loop), outer_(running_loop) {
  // In CPython's order: closed, running already, another one runs.
  std::uintptr_t guard = loop.guard_;
  if (guard == kClosed || guard == kForked) refuse(guard);
  if (guard == kAnyThread && outer_ != nullptr && inside == Inside::kNoLoop) {
    throw RuntimeError(
        "Cannot run the event loop while another loop is running");
  }
  guard = kAnyThread;
  if (!loop.guard_.compare_exchange_strong(guard, this_thread())) {
    throw RuntimeError("This event loop is already running");
  }
  running_loop = &loop;
  loop.remote_->slept();
}

EventLoop::RunningScope::~RunningScope() {
  // Not in a forked child, where the loop stays unusable.
  if (loop_.guard_ != this_thread()) return;
  running_loop = outer_;
  loop_.remote_->left();
  loop_.guard_ = kAnyThread;  // last: from now on it may be destroyed
}

EventLoop* find_running_loop() noexcept { return running_loop; }

EventLoop& get_running_loop() {
  if (running_loop == nullptr) throw RuntimeError("no running event loop");
  return *running_loop;
}

}  // namespace rondo
