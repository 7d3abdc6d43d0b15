// SPDX-License-Identifier: MIT
#include "futures/internal/remote_exception.h"

#include <cstdint>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <typeinfo>

#include "futures/errors.h"
#include "futures/remote_error.h"
#include "reactor/callable_name.h"

namespace rondo::detail {
namespace {

/// What stands in front; the types of a list of their own follow kOther.
enum Kind : std::uint8_t {
  kRemoteError,
  kBadAlloc,
  kSystemError,
  kGenericError,
  kCancelledError,
  kSystemExit,
  kKeyboardInterrupt,
  kWithText
};

/// Exceptions that are a type and a text.
template <class... E>
struct TypeList {
  static constexpr std::uint8_t kSize = sizeof...(E);

  /// Which of them `type` is; kSize if none.
  static std::uint8_t index(const std::type_info& type) {
    std::uint8_t found = kSize;
    std::uint8_t number = 0;
    ((typeid(E) == type ? found = number : number, ++number), ...);
    return found;
  }
  static std::exception_ptr make(std::uint8_t index, const std::string& text) {
    std::exception_ptr made;
    std::uint8_t number = 0;
    ((number++ == index ? made = std::make_exception_ptr(E(text)) : made), ...);
    return made;
  }
};
using WithText =
    TypeList<std::runtime_error, std::invalid_argument, std::out_of_range,
             std::logic_error, std::domain_error, std::length_error,
             std::range_error, std::overflow_error, std::underflow_error,
             RuntimeError, InvalidStateError, TimeoutError>;

/// The text that a system_error was made with: its what() without the
/// description of the code.
std::string own_text(const std::system_error& error) {
  std::string text = error.what();
  const std::string message = error.code().message();
  if (text.ends_with(message)) text.resize(text.size() - message.size());
  if (text.ends_with(": ")) text.resize(text.size() - 2);
  return text;
}

void write_text(WriteArchive& out, const std::type_info& type,
                const std::exception& error) {
  const std::string text = error.what();
  const std::uint8_t index = WithText::index(type);
  if (index < WithText::kSize) {
    out(static_cast<std::uint8_t>(kWithText + index), text);
  } else {
    out(kRemoteError, type_name(type), text);
  }
}

bool write_system_error(WriteArchive& out, const std::system_error& error) {
  const std::error_code code = error.code();
  if (typeid(error) != typeid(std::system_error)) return false;
  if (code.category() == std::system_category()) {
    out(kSystemError, code.value(), own_text(error));
    return true;
  }
  if (code.category() == std::generic_category()) {
    out(kGenericError, code.value(), own_text(error));
    return true;
  }
  return false;
}

std::exception_ptr read_remote_error(ReadArchive& in) {
  const auto type = in.read<std::string>();
  return std::make_exception_ptr(RemoteError(type, in.read<std::string>()));
}

std::exception_ptr read_system_error(ReadArchive& in,
                                     const std::error_category& category) {
  const std::error_code code(in.read<int>(), category);
  const auto text = in.read<std::string>();
  return std::make_exception_ptr(text.empty() ? std::system_error(code)
                                              : std::system_error(code, text));
}

std::exception_ptr read_cancelled_error(ReadArchive& in) {
  const auto message = in.read<std::optional<std::string>>();
  return std::make_exception_ptr(message ? CancelledError(*message)
                                         : CancelledError());
}

}  // namespace

void write_exception(WriteArchive& out, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::bad_alloc& e) {
    if (typeid(e) == typeid(std::bad_alloc)) return out(kBadAlloc);
    write_text(out, typeid(e), e);
  } catch (const std::system_error& e) {
    if (!write_system_error(out, e)) write_text(out, typeid(e), e);
  } catch (const RemoteError& e) {
    out(kRemoteError, e.type(), e.message());
  } catch (const std::exception& e) {
    write_text(out, typeid(e), e);
  } catch (const CancelledError& e) {
    out(kCancelledError, e.message());
  } catch (const SystemExit& e) {
    out(kSystemExit, e.code());
  } catch (const KeyboardInterrupt&) {
    out(kKeyboardInterrupt);
  } catch (...) {
    out(kRemoteError, type_name(*error.__cxa_exception_type()), std::string());
  }
}

std::exception_ptr read_exception(ReadArchive& in) {
  const auto kind = in.read<std::uint8_t>();
  switch (kind) {
    case kRemoteError:
      return read_remote_error(in);
    case kBadAlloc:
      return std::make_exception_ptr(std::bad_alloc());
    case kSystemError:
      return read_system_error(in, std::system_category());
    case kGenericError:
      return read_system_error(in, std::generic_category());
    case kCancelledError:
      return read_cancelled_error(in);
    case kSystemExit:
      return std::make_exception_ptr(SystemExit(in.read<int>()));
    case kKeyboardInterrupt:
      return std::make_exception_ptr(KeyboardInterrupt());
    default:
      break;
  }
  const auto index = static_cast<std::uint8_t>(kind - kWithText);
  if (index >= WithText::kSize) {
    throw std::out_of_range("read_exception: no exception was written here");
  }
  return WithText::make(index, in.read<std::string>());
}

}  // namespace rondo::detail
