// SPDX-License-Identifier: MIT
#include "futures/errors.h"

#include <typeinfo>

#include "futures/exception_group.h"
#include "reactor/callable_name.h"
#include "reactor/repr.h"

namespace rondo {

namespace {

// What libstdc++ knows of the exception, without throwing it.
bool holds(const std::exception_ptr& error,
           const std::type_info& type) noexcept {
  return error != nullptr && *error.__cxa_exception_type() == type;
}

}  // namespace

bool is_cancelled_error(const std::exception_ptr& error) noexcept {
  return holds(error, typeid(CancelledError));
}

bool is_exit_error(const std::exception_ptr& error) noexcept {
  return holds(error, typeid(SystemExit)) ||
         holds(error, typeid(KeyboardInterrupt));
}

std::string repr(const std::exception_ptr& error) {
  if (!error) return "None";
  try {
    std::rethrow_exception(error);
  } catch (const CancelledError& e) {
    return "CancelledError(" +
           (e.message() ? repr_whole_text(*e.message()) : "") + ")";
  } catch (const ExceptionGroup& e) {
    return to_string(e);
  } catch (const SystemExit& e) {
    return "SystemExit(" + std::to_string(e.code()) + ")";
  } catch (const KeyboardInterrupt&) {
    return "KeyboardInterrupt()";
  } catch (const std::exception& e) {
    const std::string text = *e.what() == '\0' ? "" : repr_whole_text(e.what());
    return type_name(typeid(e)) + "(" + text + ")";
  } catch (...) {
    return type_name(*error.__cxa_exception_type()) + "()";
  }
}

}  // namespace rondo
