// SPDX-License-Identifier: MIT
#include "reactor/repr.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <vector>

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

/// Where each character of UTF-8 text begins, and its end.
std::vector<std::size_t> character_starts(std::string_view text) {
  std::vector<std::size_t> starts;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool continues =
        (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80;
    if (!continues) starts.push_back(at);
  }
  starts.push_back(text.size());
  return starts;
}

/// Python's text[first:] and text[:last], counted in characters.
std::string_view slice(std::string_view text, std::size_t first,
                       std::size_t last) {
  const auto starts = character_starts(text);
  const std::size_t size = starts.size() - 1;
  const std::size_t begin = starts[std::min(first, size)];
  return text.substr(begin, starts[std::min(last, size)] - begin);
}

std::size_t length(std::string_view text) {
  return character_starts(text).size() - 1;
}

/// Head and tail of `text` with "..." between them.
std::string elide(std::string_view text) {
  const std::size_t size = length(text);
  return std::string(slice(text, 0, kHead)) + "..." +
         std::string(slice(text, size - kTail, size));
}

}  // namespace

std::string repr_whole_text(std::string_view text) { return quote(text); }

std::string repr_text(std::string_view text) {
  // reprlib.Repr.repr_str, its ways with short texts included.
  std::string quoted = quote(slice(text, 0, kMax));
  if (length(quoted) <= kMax) return quoted;
  const std::size_t size = length(text);
  const std::size_t tail = size >= kTail ? kTail : std::min(size, kTail - size);
  return elide(quote(std::string(slice(text, 0, kHead)) +
                     std::string(slice(text, size - tail, size))));
}

std::string repr_shortened(std::string_view text) {
  return length(text) <= kMax ? std::string(text) : elide(text);
}

namespace detail {

std::string repr_integer(std::int64_t value) { return digits(value); }

std::string repr_unsigned(std::uint64_t value) { return digits(value); }

std::string repr_floating(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  // Python: the shortest digits that read back as the same number, without an
  // exponent from 1e-4 up to below 1e16.
  char text[400];
  const auto end = std::to_chars(text, text + sizeof text, value,
                                 std::chars_format::scientific)
                       .ptr;
  std::string scientific(text, end);
  const int exponent = std::stoi(scientific.substr(scientific.find('e') + 1));
  if (value != 0 && (exponent < -4 || exponent >= 16)) return scientific;
  const auto fixed_end =
      std::to_chars(text, text + sizeof text, value, std::chars_format::fixed)
          .ptr;
  std::string fixed(text, fixed_end);
  if (fixed.find('.') == std::string::npos) fixed += ".0";
  return fixed;
}

std::string repr_object(const std::type_info& type, const void* address) {
  char text[24];
  std::snprintf(text, sizeof text, "%p", address);
  return "<" + type_name(type) + " object at " + text + ">";
}

}  // namespace detail
}  // namespace rondo
