// SPDX-License-Identifier: MIT
#include <signal.h>

#include <stdexcept>
#include <string>
#include <utility>

#include "reactor/errors.h"
#include "reactor/event_loop.h"

// How callbacks get into the loop and out of it.

namespace rondo {

using detail::Entry;
using detail::TimerEntry;

void EventLoop::refuse_empty(const char* operation) {
  // asyncio's TypeError.
  throw std::invalid_argument("a callable object was expected by " +
                              std::string(operation) + "(), got None");
}

// -- soon and later (what is more often called stands in the header) ---------

TimerHandle EventLoop::arm(Entry* entry, TimePoint when) {
  auto* timer = static_cast<TimerEntry*>(entry);
  timer->references = 0;
  timer->flags = Entry::kTimer;
  timer->when = when;
  timer->heap = &timers_;
  TimerHandle handle(timer);
  timers_.insert(timer);  // may throw: then the handle gives it back
  detail::add_reference(timer);
  return handle;
}

void EventLoop::call_soon_threadsafe(Callback callback,
                                     std::source_location where) {
  const std::uintptr_t guard = guard_.load(std::memory_order_relaxed);
  if (guard == kClosed || guard == kForked) refuse(guard);
  if (!callback) refuse_empty("call_soon_threadsafe");
  if (guard != this_thread() && detail::contexts_in_use()) {
    detail::bind_to_context(callback);
  }
  if (guard == this_thread()) {
    call_soon(std::move(callback), where);
  } else if (!remote_->try_post(callback, where)) {
    refuse(kClosed);  // meanwhile
  }
}

// -- descriptors -------------------------------------------------------------

namespace {

/// An entry on its way into a table: given up if the table throws.
class Pending {
 public:
  explicit Pending(Entry* entry) noexcept : entry_(entry) {
    entry->flags = Entry::kRepeats;
    entry->references = 1;
  }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;
  ~Pending() {
    if (entry_ != nullptr) detail::drop_reference(entry_);
  }
  Entry* get() const noexcept { return entry_; }
  void accepted() noexcept { entry_ = nullptr; }

 private:
  Entry* entry_;
};

}  // namespace

void EventLoop::add_reader(int fd, Callback on_readable,
                           std::source_location where) {
  check_usable();
  Pending entry(
      make_entry(*entries_, std::move(on_readable), where, "add_reader"));
  fds_.set_reader(fd, entry.get());
  entry.accepted();
}

void EventLoop::add_writer(int fd, Callback on_writable,
                           std::source_location where) {
  check_usable();
  Pending entry(
      make_entry(*entries_, std::move(on_writable), where, "add_writer"));
  fds_.set_writer(fd, entry.get());
  entry.accepted();
}

void EventLoop::watch(int fd, Events interest, WatchCallback on_events,
                      std::source_location where) {
  check_usable();
  if (!on_events) refuse_empty("watch");
  // The record of events has to stay where it is, so it has a place of its
  // own: the one allocation of a watch.
  auto call = std::make_unique<detail::WatchCall>(std::move(on_events));
  detail::WatchCall* record = call.get();
  Callback callback(detail::OwnedWatchCall{std::move(call)});
  Pending entry(make_entry(*entries_, std::move(callback), where, "watch"));
  fds_.set_watch(fd, interest, entry.get(), record);
  entry.accepted();
}

void EventLoop::modify_watch(int fd, Events interest) {
  check_usable();
  fds_.modify_watch(fd, interest);
}

bool EventLoop::can_remove() const {
  const std::uintptr_t guard = guard_.load(std::memory_order_relaxed);
  if (guard == kClosed || guard == kForked) return false;
  check_usable();
  return true;
}

bool EventLoop::remove_reader(int fd) {
  return can_remove() && fds_.remove_reader(fd);
}

bool EventLoop::remove_writer(int fd) {
  return can_remove() && fds_.remove_writer(fd);
}

bool EventLoop::unwatch(int fd) {
  return can_remove() && fds_.remove_watch(fd);
}

// -- signals -----------------------------------------------------------------

void EventLoop::add_signal_handler(int signal_number, Callback callback,
                                   std::source_location where) {
  check_usable();
  Pending entry(
      make_entry(*entries_, std::move(callback), where, "add_signal_handler"));
  signals_.add(signal_number, entry.get());
  entry.accepted();
}

bool EventLoop::remove_signal_handler(int signal_number) {
  return can_remove() && signals_.remove(signal_number);
}

}  // namespace rondo
