// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/sync/event.h"
#include "net/stream_errors.h"
#include "net/stream_reader.h"
#include "net/stream_writer.h"

// The command server, framed: what command_server_framed and the showcase
// share.

/// How long a command may be. A client that sends more without a line feed has
/// something else in mind.
inline constexpr std::size_t kCommandLimit = 1024;

/// What one connection adds up.
class Calculator {
 public:
  /// Carries out a command, and gives the answer to it.
  std::string answer(std::string_view line) {
    const std::string_view command = next_word(line);
    if (command == "add" || command == "multiply") {
      return calculate(command, next_word(line));
    }
    if (command == "reset") {
      total_ = 0;
      return "total: 0\n";
    }
    return "error: unknown command; there are add <number>, "
           "multiply <number>, reset, quit, shutdown\n";
  }

  /// Takes the next word from the beginning of `text`; empty at its end.
  static std::string_view next_word(std::string_view& text) {
    constexpr std::string_view kBlanks = " \t\r\n";
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    const std::string_view word = text.substr(0, text.find_first_of(kBlanks));
    text.remove_prefix(word.size());
    return word;
  }

 private:
  std::string calculate(std::string_view command, std::string_view word) {
    std::int64_t number = 0, result = 0;
    const char* const begin = word.data();
    const char* const end = begin + word.size();
    const auto [rest, error] = std::from_chars(begin, end, number);
    if (word.empty() || error == std::errc::invalid_argument || rest != end) {
      return "error: usage: " + std::string(command) + " <integer>\n";
    }
    const bool overflow =
        error == std::errc::result_out_of_range ||
        (command == "add" ? __builtin_add_overflow(total_, number, &result)
                          : __builtin_mul_overflow(total_, number, &result));
    if (overflow) {
      return "error: more than 64 bits; the total is still " +
             std::to_string(total_) + "\n";
    }
    total_ = result;
    return "total: " + std::to_string(total_) + "\n";
  }

  std::int64_t total_ = 0;
};

/// Serves one connection: a command is a line, however it was sent, and each
/// is answered before the next one is read. Sets `shutdown` when it is told to.
inline rondo::Coro<> serve_commands(rondo::StreamReader reader,
                                    rondo::StreamWriter writer,
                                    rondo::Event& shutdown) {
  Calculator calculator;
  bool is_too_long = false;
  for (;;) {
    std::string line, answer;
    std::size_t too_much = 0;
    try {
      auto reading = reader.readuntil();
      line = co_await reading;
    } catch (const rondo::LimitOverrunError& error) {
      too_much = error.consumed();
    } catch (const rondo::IncompleteReadError&) {
      break;  // the end; half a line before it is half a command
    } catch (const std::system_error&) {
      break;  // a client that breaks off is nothing to report
    }
    if (too_much > 0) {
      // Thrown away as it comes. Its end must not be taken for a command.
      auto reading = reader.read(too_much);
      co_await reading;
      is_too_long = true;
      continue;
    }

    std::string_view rest = line;
    const std::string_view command = Calculator::next_word(rest);
    if (std::exchange(is_too_long, false)) {
      answer = "error: a command has " + std::to_string(kCommandLimit) +
               " bytes at most\n";
    } else if (command.empty()) {
      continue;
    } else if (command == "quit") {
      break;
    } else if (command == "shutdown") {
      writer.write("shutting down\n");
      shutdown.set();
      break;
    } else {
      answer = calculator.answer(line);
    }
    try {
      // Waits while the client does not read: who takes no answers gets no
      // more, and its commands stay where they are.
      co_await writer.write(answer);
    } catch (const std::system_error&) {
      break;
    }
  }
  writer.close();
}
