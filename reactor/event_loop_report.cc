// SPDX-License-Identifier: MIT
#include <cxxabi.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "reactor/check.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/internal/log.h"
#include "reactor/loop_observer.h"
#include "reactor/snapshot.h"

// What a loop tells of itself: exceptions, its state, its steps.

namespace rondo {

using detail::Entry;
using detail::TimerEntry;
using detail::Token;

// -- exceptions --------------------------------------------------------------

void EventLoop::set_exception_handler(ExceptionHandler handler) {
  check_thread();
  exception_handler_ =
      handler ? std::make_shared<ExceptionHandler>(std::move(handler))
              : nullptr;
}

RONDO_CATCHES_FORCED_UNWIND void EventLoop::call_exception_handler(
    const ExceptionContext& context) {
  check_thread();
  // A copy: the handler may put another one in its place.
  const auto handler = exception_handler_;
  if (handler == nullptr) return default_exception_handler(context);
  try {
    (*handler)(*this, context);
  } catch (const SystemExit&) {
    throw;
  } catch (const KeyboardInterrupt&) {
    throw;
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (...) {
    log().error("Unhandled error in exception handler\ncontext: {}\n{}",
                to_string(context), describe(std::current_exception()));
  }
}

void EventLoop::default_exception_handler(const ExceptionContext& context) {
  log().error("{}", to_string(context));
}

namespace {

/// An argument may have a to_string() that throws.
std::string describe_safely(const Entry& entry) {
  try {
    return entry.callback.description();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (...) {
    return "<its description threw>";
  }
}

}  // namespace

/// Inside the catch block of `entry`'s exception.
void EventLoop::report_exception(Entry* entry) {
  ++stats_.exceptions;
  try {
    ExceptionContext context;
    context.exception = std::current_exception();
    context.handle = Handle(entry);
    context.message = "Exception in callback " + describe_safely(*entry);
    if (entry->where.line() != 0) {  // none for the library's own
      context.message += std::string(" at ") + entry->where.file_name() + ":" +
                         std::to_string(entry->where.line());
    }
    call_exception_handler(context);
  } catch (const std::bad_alloc&) {
    // Not to be described, for want of memory. The place is still known.
    std::fprintf(stderr,
                 "rondo: exception in a callback made at %s:%u; no memory to "
                 "report it\n",
                 entry->where.file_name(),
                 static_cast<unsigned>(entry->where.line()));
  }
}

/// A descriptor was closed behind the loop's back, or the kernel would not
/// keep it. The handler is told from the loop, not from inside the call that
/// found out.
void EventLoop::report_lost_descriptor(int fd, std::errc error) noexcept {
  // ENOENT, EBADF: somebody has closed it, so the number is another's, or will
  // be. Whoever had it would take that one away.
  if (extension_ != nullptr && error != std::errc::no_such_file_or_directory &&
      error != std::errc::bad_file_descriptor) {
    extension_->on_lost_descriptor(fd, error);
  }
  try {
    call_soon([this, fd, error] {
      ExceptionContext context("fd " + std::to_string(fd) +
                               " was lost by the loop (closed before "
                               "remove_reader or remove_writer?); its "
                               "callbacks are cancelled");
      context.extra.emplace_back("error",
                                 std::make_error_code(error).message());
      call_exception_handler(context);
    });
  } catch (...) {
    std::fprintf(stderr, "rondo: fd %d was lost by the loop\n", fd);
  }
}

// -- a new epoll set ---------------------------------------------------------

void EventLoop::rebuild() noexcept {
  const std::errc error = try_rebuild();
  if (error == std::errc()) {
    ++stats_.rebuilds;
  } else if (rebuild_pause_ == Duration::zero()) {
    log_safely([&] {
      log().error("epoll set cannot be renewed: error={}; trying again",
                  std::make_error_code(error).message());
    });
  }
  pause_unless(error == std::errc(), rebuild_pause_);
}

/// After the kernel refused what would have made a report go away: it will
/// come again at once. A pause, longer each time, keeps that from eating the
/// processor.
void EventLoop::pause_unless(bool succeeded, Duration& pause) noexcept {
  constexpr Duration kFirst = std::chrono::milliseconds(1);
  constexpr Duration kLongest = std::chrono::milliseconds(100);
  if (succeeded) {
    pause = Duration::zero();
    return;
  }
  pause = std::clamp(2 * pause, kFirst, kLongest);
  kernel_.sleep_ns(pause.count());
}

std::errc EventLoop::try_rebuild() noexcept {
  std::errc error = poller_.begin_renewal();
  if (error == std::errc()) {
    error = poller_.add_to_renewal(remote_->wake_fd(), Events::kRead,
                                   Token::waker());
  }
  if (error == std::errc()) error = fds_.renew_all();
  if (error == std::errc()) error = poller_.finish_renewal();
  if (error == std::errc()) {
    fds_.lose_unregistered();
  } else {
    poller_.abandon_renewal();
  }
  return error;
}

// -- debugging ---------------------------------------------------------------

void EventLoop::set_debug(bool enabled) noexcept {
  debug_ = enabled;
  update_instrumented();
}

void EventLoop::update_instrumented() noexcept {
  instrumented_ = debug_ || measure_callbacks_ || !observers_.empty() ||
                  guard_ == kForked || guard_ == kClosed;
}

void EventLoop::add_observer(LoopObserver& observer) {
  check_thread();
  observers_.push_back(&observer);
  update_instrumented();
}

bool EventLoop::remove_observer(LoopObserver& observer) {
  check_thread();
  const auto found = std::find(observers_.begin(), observers_.end(), &observer);
  if (found == observers_.end()) return false;
  // An observer may leave in the middle of a step, and nobody else is to miss
  // it: its place goes with the step.
  *found = nullptr;
  if (!notifying_) sweep_observers();
  return true;
}

void EventLoop::sweep_observers() noexcept {
  std::erase(observers_, nullptr);
  update_instrumented();
}

Snapshot EventLoop::snapshot() const {
  check_thread();
  Snapshot snapshot;
  snapshot.time = time();
  snapshot.running = is_running();
  snapshot.closed = is_closed();
  snapshot.stopping = stopping_;
  snapshot.stats = stats_;
  for (const Entry* entry = ready_.front(); entry != nullptr;
       entry = entry->next) {
    snapshot.ready.push_back(Handle(const_cast<Entry*>(entry)));
  }
  std::vector<TimerEntry*> timers;
  timers_.for_each([&](TimerEntry& timer) { timers.push_back(&timer); });
  std::sort(timers.begin(), timers.end(),
            [](const TimerEntry* a, const TimerEntry* b) {
              return a->when < b->when ||
                     (a->when == b->when && a->order < b->order);
            });
  for (TimerEntry* timer : timers) {
    snapshot.timers.push_back(TimerHandle(timer));
  }
  fds_.for_each([&](int fd, Events interest, Entry* reader, Entry* writer) {
    Snapshot::Descriptor descriptor;
    descriptor.fd = fd;
    descriptor.interest = interest;
    if (reader != nullptr) descriptor.reader = Handle(reader);
    if (writer != nullptr) descriptor.writer = Handle(writer);
    snapshot.descriptors.push_back(std::move(descriptor));
  });
  return snapshot;
}

std::string to_string(const EventLoop& loop) {
  const auto flag = [](bool value) { return value ? "True" : "False"; };
  return std::string("<EventLoop running=") + flag(loop.is_running()) +
         " closed=" + flag(loop.is_closed()) +
         " debug=" + flag(loop.get_debug()) + ">";
}

}  // namespace rondo
