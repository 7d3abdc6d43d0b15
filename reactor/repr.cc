// SPDX-License-Identifier: MIT
#include "reactor/repr.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "reactor/callable_name.h"

namespace rondo {
namespace {

// reprlib.Repr: maxstring and maxother are 30, of which "..." takes three.
constexpr std::size_t kMax = 30;
constexpr std::size_t kHead = (kMax - 3) / 2;
constexpr std::size_t kTail = kMax - 3 - kHead;

/// Python's choice of quote: single, unless only that would need escaping.
std::string quote(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char mark = has_single && !has_double ? '"' : '\'';
  std::string quoted(1, mark);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == mark || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\r') {
      quoted += "\\r";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      char escape[5];
      std::snprintf(escape, sizeof escape, "\\x%02x", byte);
      quoted += escape;
    } else {
      quoted += c;  // UTF-8 stays as it is
    }
  }
  quoted += mark;
  return quoted;
}

template <class Number>
std::string digits(Number value) {
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

}  // namespace

std::string repr_text(std::string_view text) {
  std::string quoted = quote(text.substr(0, kMax));
  if (quoted.size() <= kMax && text.size() <= kMax) return quoted;
  if (text.size() < kHead + kTail) return repr_shortened(std::move(quoted));
  quoted = quote(std::string(text.substr(0, kHead)) +
                 std::string(text.substr(text.size() - kTail)));
  return quoted.substr(0, kHead) + "..." + quoted.substr(quoted.size() - kTail);
}

std::string repr_shortened(std::string text) {
  if (text.size() <= kMax) return text;
  return text.substr(0, kHead) + "..." + text.substr(text.size() - kTail);
}

namespace detail {

std::string repr_integer(std::int64_t value) { return digits(value); }

std::string repr_unsigned(std::uint64_t value) { return digits(value); }

std::string repr_floating(double value) {
  std::string text = digits(value);
  // Python marks a float: 2.0, not 2.
  if (std::isfinite(value) && text.find_first_of(".e") == std::string::npos) {
    text += ".0";
  }
  return text;
}

std::string repr_object(const std::type_info& type, const void* address) {
  char text[24];
  std::snprintf(text, sizeof text, "%p", address);
  return "<" + type_name(type) + " object at " + text + ">";
}

}  // namespace detail
}  // namespace rondo
