// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "futures/coro/coro.h"
#include "test/fuzz/program.h"
#include "test/fuzz/words.h"

namespace rondo::fuzz {

class World;
struct Frame;

/// What the first word of a line means.
struct Operation {
  enum class Kind { kSync, kAsync, kBlock, kReturn };

  /// Gives what stands behind the `=` in the trace; none for None.
  using Sync = Text (*)(World&, Frame&, const Line&);
  using Async = Coro<Text> (*)(World&, Frame&, const Line&);

  Kind kind = Kind::kReturn;
  Sync sync = nullptr;
  Async async = nullptr;  // also of a block
};

/// Throws BadProgram if there is no such word.
const Operation& find_operation(std::string_view word);

/// The parts of find_operation(): null if it is none of these.
const Operation* find_sync_operation(std::string_view word);
const Operation* find_async_operation(std::string_view word);
const Operation* find_block(std::string_view word);

}  // namespace rondo::fuzz
