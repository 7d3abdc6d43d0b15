// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <exception>
#include <system_error>

namespace rondo::detail {

/// A std::system_error of `operation`; a std::bad_alloc if its text finds no
/// memory.
inline std::exception_ptr system_error(const char* operation,
                                       int error_number) {
  try {
    return std::make_exception_ptr(
        std::system_error(error_number, std::generic_category(), operation));
  } catch (...) {
    return std::current_exception();
  }
}

/// Whether a call on a non-blocking descriptor is to be made again later.
inline bool would_block(int error_number) noexcept {
  return error_number == EAGAIN || error_number == EWOULDBLOCK ||
         error_number == EINTR;
}

}  // namespace rondo::detail
