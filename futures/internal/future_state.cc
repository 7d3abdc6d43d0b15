// SPDX-License-Identifier: MIT
#include "futures/internal/future_state.h"

#include "futures/errors.h"
#include "reactor/errors.h"
#include "reactor/exception_context.h"
#include "reactor/internal/log.h"

namespace rondo::detail {

// -- how it ends -------------------------------------------------------------

void FutureState::refuse_second_result() {
  throw InvalidStateError("invalid state");
}

void FutureState::finish() noexcept {
  status_ = Status::kFinished;
  schedule_callbacks();
}

void FutureState::set_exception(std::exception_ptr error) {
  check_settable();
  exception_ = std::move(error);
  log_exception_ = true;
  finish();
}

bool FutureState::cancel(const std::exception_ptr& error) {
  return cancel_pending(error);
}

void FutureState::cancel_quietly() noexcept {
  try {
    cancel(nullptr);
  } catch (...) {  // NOLINT(bugprone-empty-catch)
    // Its callbacks cannot be queued any more.
  }
}

bool FutureState::cancel_pending(const std::exception_ptr& error) {
  log_exception_ = false;
  if (done()) return false;
  check_schedulable();
  exception_ = error;
  status_ = Status::kCancelled;
  schedule_callbacks();
  return true;
}

void FutureState::schedule_callbacks() noexcept {
  if (last_callback_ == nullptr) return;
  EventLoop& loop = *home_.loop;
  Entry* const last = std::exchange(last_callback_, nullptr);
  Entry* entry = last->next;
  while (true) {
    Entry* const next = entry->next;
    if (entry->has(Entry::kCancelled)) [[unlikely]] {
      drop_reference(entry);
    } else {
      add_reference();  // the callback's, see DoneCallbackBase
      LoopAccess::push(loop, entry);
    }
    if (entry == last) return;
    entry = next;
  }
}

// -- what became of it -------------------------------------------------------

void FutureState::throw_result() {
  if (pending()) throw InvalidStateError("Result is not set.");
  std::rethrow_exception(failure());
}

std::exception_ptr FutureState::failure() noexcept {
  log_exception_ = false;
  if (cancelled() && exception_ == nullptr) return home_.cancelled_error;
  return exception_;
}

std::exception_ptr FutureState::exception() {
  if (pending()) throw InvalidStateError("Exception is not set.");
  if (cancelled()) std::rethrow_exception(failure());
  return failure();
}

// -- callbacks ---------------------------------------------------------------

void FutureState::add_entry(Entry* entry) {
  if (done()) {
    add_reference();  // the callback's; given back with the entry if refused
    try {
      LoopAccess::check_usable(loop());
    } catch (...) {
      drop_reference(entry);
      throw;
    }
    LoopAccess::push(*home_.loop, entry);
    return;
  }
  if (last_callback_ == nullptr) {
    entry->next = entry;
  } else {
    entry->next = last_callback_->next;
    last_callback_->next = entry;
  }
  last_callback_ = entry;
}

bool FutureState::remove_entry(Entry* entry) noexcept {
  if (last_callback_ == nullptr) return false;
  Entry* before = last_callback_;
  do {
    if (before->next == entry) {
      if (before == entry) {
        last_callback_ = nullptr;
      } else {
        before->next = entry->next;
        if (last_callback_ == entry) last_callback_ = before;
      }
      // Its captures go now, even if somebody keeps the handle.
      detail::cancel(entry);
      drop_reference(entry);
      return true;
    }
    before = before->next;
  } while (before != last_callback_);
  return false;
}

void bind_done_entry(FutureState& future, Entry* entry) {
  // The callback of one that is done believes that it has a reference, and
  // may be destroyed before it gets one.
  const bool is_done = future.done();
  if (is_done) future.add_reference();
  try {
    bind_to_context(entry->callback);
  } catch (...) {
    drop_reference(entry);
    throw;
  }
  if (is_done) future.release();
}

// -- its end -----------------------------------------------------------------

void FutureState::dispose() noexcept {
  if (log_exception_) report_never_retrieved();
  delete this;
}

void FutureState::drop_callbacks() noexcept {
  Entry* const last = std::exchange(last_callback_, nullptr);
  Entry* entry = last->next;
  while (true) {
    Entry* const next = entry->next;
    detail::cancel(entry);
    const bool was_last = entry == last;
    drop_reference(entry);
    if (was_last) return;
    entry = next;
  }
}

void FutureState::report_never_retrieved() noexcept {
  log_exception_ = false;
  log_safely([&] {
    ExceptionContext context(std::string(type_name()) +
                             " exception was never retrieved");
    context.exception = exception_;
    context.extra.emplace_back("future", description());  // a task's, too
    if (home_.loop != nullptr) {
      home_.loop->call_exception_handler(context);
    } else {
      log().error(to_string(context));
    }
  });
}

void FutureState::refuse_loop() { throw RuntimeError("Event loop is closed"); }

// -- text --------------------------------------------------------------------

std::string FutureState::description() const {
  return "<" + std::string(type_name()) + " " + state_description("pending") +
         tail_description() + ">";
}

std::string FutureState::state_description(const char* pending) const {
  switch (status_) {
    case Status::kPending:
      return pending;
    case Status::kCancelled:
      return "cancelled";
    default:
      return "finished";
  }
}

std::string FutureState::tail_description() const {
  std::string text;
  if (status_ == Status::kFinished) {
    text = exception_ != nullptr ? " exception=" + repr(exception_)
                                 : " result=" + result_description();
  }
  std::string first;
  std::string last;
  std::size_t count = 0;
  for_each_callback([&](Entry& entry) {
    std::string one = entry.callback.description();
    if (entry.where.line() != 0) {
      one += std::string(" at ") + entry.where.file_name() + ":" +
             std::to_string(entry.where.line());
    }
    if (count++ == 0) first = one;
    last = std::move(one);
    return true;
  });
  if (count == 1) text += " cb=[" + first + "]";
  if (count == 2) text += " cb=[" + first + ", " + last + "]";
  if (count > 2) {
    text += " cb=[" + first + ", <" + std::to_string(count - 2) + " more>, " +
            last + "]";
  }
  return text;
}

}  // namespace rondo::detail
