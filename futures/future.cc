// SPDX-License-Identifier: MIT
#include "futures/future.h"

#include <stdexcept>

#include "futures/operation.h"
#include "reactor/errors.h"

namespace rondo {

namespace detail {

void refuse_task_operation(const char* operation) {
  throw RuntimeError(std::string("Task does not support ") + operation +
                     " operation");
}

std::exception_ptr cancelled_error(std::string message) {
  std::exception_ptr error =
      std::make_exception_ptr(CancelledError(std::move(message)));
  // Without memory it holds a std::bad_alloc.
  if (!is_cancelled_error(error)) std::rethrow_exception(error);
  return error;
}

void check_same_loop(const EventLoop& loop, const AnyFuture& future) {
  if (future.state()->home().loop == &loop) return;
  throw std::invalid_argument(
      "The future belongs to a different loop than the one specified as the "
      "loop argument");
}

}  // namespace detail

void AnyFuture::do_set_exception(std::exception_ptr error) const {
  if (state_->is_task()) detail::refuse_task_operation("set_exception");
  if (error == nullptr) {
    throw std::invalid_argument("set_exception: invalid exception object");
  }
  state_->set_exception(std::move(error));
}

}  // namespace rondo
