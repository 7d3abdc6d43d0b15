// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "net/examples/big_integer.h"

/// What Python's bytes and str do that a server in Python gets for free, and
/// that its clients come to depend on: other digits than ours, blanks that are
/// three bytes long. ValueError is std::invalid_argument here, and IndexError
/// the std::out_of_range of at().
namespace python {

/// bytes.decode(): throws std::invalid_argument for what is not UTF-8. Neither
/// are surrogates, nor detours (two bytes where one would do).
inline std::u32string decode(std::string_view bytes) {
  std::u32string text;
  for (std::size_t i = 0; i < bytes.size();) {
    const auto byte = [&](std::size_t at) {
      return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0u;
    };
    const std::size_t start = i;
    char32_t c = byte(i++);
    int more = c < 0x80 ? 0 : c < 0xC2 ? -1 : c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
    const char32_t least[] = {0, 0x80, 0x800, 0x10000};
    const char32_t minimum = least[more < 0 ? 0 : more];
    if (more > 0) c &= 0x3Fu >> more;
    for (; more > 0 && (byte(i) & 0xC0) == 0x80; --more) {
      c = c << 6 | (byte(i++) & 0x3F);
    }
    if (more != 0 || c < minimum || c > 0x10FFFF ||
        (c >= 0xD800 && c < 0xE000)) {
      throw std::invalid_argument("'utf-8' codec can't decode byte at " +
                                  std::to_string(start));
    }
    text += c;
  }
  return text;
}

/// str.isspace() of one character.
inline bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 ||
         c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

/// str.split(): the words between blanks, and none of them empty.
inline std::vector<std::u32string> split(std::u32string_view text) {
  std::vector<std::u32string> words;
  bool in_word = false;
  for (const char32_t c : text) {
    if (is_space(c)) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    words.back() += c;
  }
  return words;
}

/// The value of a decimal digit of any script, or -1. (Of Unicode 14, as
/// CPython 3.11: each script has its ten in a row.)
inline int digit_value(char32_t c) {
  static constexpr char32_t kZeros[] = {
      0x0030,  0x0660,  0x06F0,  0x07C0,  0x0966,  0x09E6,  0x0A66,  0x0AE6,
      0x0B66,  0x0BE6,  0x0C66,  0x0CE6,  0x0D66,  0x0DE6,  0x0E50,  0x0ED0,
      0x0F20,  0x1040,  0x1090,  0x17E0,  0x1810,  0x1946,  0x19D0,  0x1A80,
      0x1A90,  0x1B50,  0x1BB0,  0x1C40,  0x1C50,  0xA620,  0xA8D0,  0xA900,
      0xA9D0,  0xA9F0,  0xAA50,  0xABF0,  0xFF10,  0x104A0, 0x10D30, 0x11066,
      0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650, 0x116C0,
      0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x16A60, 0x16AC0,
      0x16B50, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6, 0x1E140, 0x1E2F0,
      0x1E950, 0x1FBF0};
  for (const char32_t zero : kZeros) {
    if (c >= zero && c < zero + 10) return static_cast<int>(c - zero);
  }
  return -1;
}

/// How many digits int() and str() take, lest somebody keeps a server busy
/// with them: sys.get_int_max_str_digits().
inline constexpr std::size_t kMaxDigits = 4300;

/// int(): a sign, digits, single underscores between them. Throws
/// std::invalid_argument for anything else. `word` has no blanks around it.
inline BigInteger to_int(std::u32string_view word) {
  const bool negative = word.starts_with(U'-');
  if (negative || word.starts_with(U'+')) word.remove_prefix(1);
  std::string digits;
  bool after_digit = false;
  for (const char32_t c : word) {
    const int value = digit_value(c);
    if (value < 0 && !(c == U'_' && after_digit)) {
      throw std::invalid_argument("invalid literal for int() with base 10");
    }
    after_digit = value >= 0;
    if (after_digit) digits += static_cast<char>('0' + value);
  }
  if (!after_digit) {
    throw std::invalid_argument("invalid literal for int() with base 10");
  }
  if (digits.size() > kMaxDigits) {
    throw std::invalid_argument(
        "Exceeds the limit (4300 digits) for integer string conversion");
  }
  return BigInteger(digits, negative);
}

/// str() of an int: throws std::invalid_argument if it has too many digits.
inline std::string str(const BigInteger& number) {
  std::string text = to_string(number);
  if (text.size() - (text.front() == '-' ? 1 : 0) > kMaxDigits) {
    throw std::invalid_argument(
        "Exceeds the limit (4300 digits) for integer string conversion");
  }
  return text;
}

/// repr() of bytes: `b'/it\'s'`, or rather b"/it's".
inline std::string repr(std::string_view bytes) {
  const bool double_quotes = bytes.find('\'') != std::string_view::npos &&
                             bytes.find('"') == std::string_view::npos;
  const char quote = double_quotes ? '"' : '\'';
  std::string text = std::string("b") + quote;
  for (const char c : bytes) {
    constexpr std::string_view kHex = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    if (c == quote || c == '\\') {
      text.append({'\\', c});
    } else if (c == '\t') {
      text += "\\t";
    } else if (c == '\n') {
      text += "\\n";
    } else if (c == '\r') {
      text += "\\r";
    } else if (byte < 0x20 || byte >= 0x7F) {
      text.append({'\\', 'x', kHex[byte >> 4], kHex[byte & 15]});
    } else {
      text += c;
    }
  }
  return text + quote;
}

}  // namespace python
