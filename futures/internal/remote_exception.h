// SPDX-License-Identifier: MIT
#pragma once

#include <exception>

#include "futures/archive.h"

namespace rondo::detail {

/// An exception as bytes. The standard library's and rondo's keep their type,
/// anything else arrives as RemoteError. `error` is not null. Throws
/// std::bad_alloc.
void write_exception(WriteArchive& out, const std::exception_ptr& error);

/// What write_exception() wrote. Throws std::out_of_range if it did not.
std::exception_ptr read_exception(ReadArchive& in);

}  // namespace rondo::detail
