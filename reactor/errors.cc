// SPDX-License-Identifier: MIT
#include "reactor/errors.h"

#include <cxxabi.h>

#include <typeinfo>

#include "reactor/callable_name.h"

namespace rondo {

std::string describe(const std::exception_ptr& error) {
  if (!error) return "no exception";
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return type_name(typeid(e)) + ": " + e.what();
  } catch (const SystemExit& e) {
    return "rondo::SystemExit: " + std::to_string(e.code());
  } catch (const char* text) {
    return std::string("const char*: ") + (text != nullptr ? text : "null");
  } catch (const std::string& text) {
    return "std::string: " + text;
  } catch (...) {
    const std::type_info* type = abi::__cxa_current_exception_type();
    return type != nullptr ? type_name(*type) : "unknown exception";
  }
}

}  // namespace rondo
