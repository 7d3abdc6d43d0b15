// SPDX-License-Identifier: MIT
//
// The blocks.
#include <chrono>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/task_group.h"
#include "futures/timeout.h"
#include "test/fuzz/operations.h"
#include "test/fuzz/world.h"

namespace rondo::fuzz {
namespace {

using std::chrono::milliseconds;

milliseconds ms(const std::string& word) {
  return milliseconds(std::stoi(word));
}

/// Runs a block; gives what it threw, or null.
Coro<std::exception_ptr> run_caught(World& world, Frame& frame,
                                    const Block& block) {
  std::exception_ptr error;
  try {
    co_await run_block(world, frame, block);
  } catch (...) {
    error = std::current_exception();
  }
  co_return error;
}

/// Tells how a block ended, and throws on what it ended with.
void end_block(World& world, const Frame& frame, const Line& line,
               const std::exception_ptr& error) {
  if (error == nullptr) {
    world.note(frame.label, line.text + " ends");
    return;
  }
  world.note(frame.label, line.text + " ends ! " + show(error));
  std::rethrow_exception(error);
}

Coro<Text> repeat(World& world, Frame& frame, const Line& line) {
  for (int n = std::stoi(line.words[1]); n > 0 && !frame.returns; --n) {
    co_await run_block(world, frame, line.block);
  }
  co_return Text();
}

/// `async with timeout:`.
Coro<Text> run_timeout(World& world, Frame& frame, const Line& line,
                       std::shared_ptr<Timeout> timeout) {
  world.timeouts[line.words[1]] = timeout;
  timeout->enter();
  world.note(frame.label, line.text);
  std::exception_ptr error = co_await run_caught(world, frame, line.block);
  end_block(world, frame, line, timeout->exit(std::move(error)));
  co_return Text();
}

Coro<Text> timeout(World& world, Frame& frame, const Line& line) {
  std::optional<TimePoint> when;
  if (line.words[2] != "-") when = world.loop.time() + ms(line.words[2]);
  return run_timeout(world, frame, line, std::make_shared<Timeout>(when));
}

Coro<Text> timeout_at(World& world, Frame& frame, const Line& line) {
  std::optional<TimePoint> when;
  if (line.words[2] != "-") when = TimePoint(ms(line.words[2]));
  return run_timeout(world, frame, line, std::make_shared<Timeout>(when));
}

Coro<Text> group(World& world, Frame& frame, const Line& line) {
  const auto group = std::make_shared<TaskGroup>();
  world.groups[line.words[1]] = group;
  group->enter();
  world.note(frame.label, line.text);
  std::exception_ptr error = co_await run_caught(world, frame, line.block);
  try {
    co_await group->exit(std::move(error));
    error = nullptr;
  } catch (...) {
    error = std::current_exception();
  }
  end_block(world, frame, line, error);
  co_return Text();
}

/// `async with lock:`, by acquire() and release() as Python has it: a guard
/// leaves a lock alone that the block has released.
template <class L>
Coro<Text> with_one(World& world, Frame& frame, const Line& line, L& lock) {
  std::exception_ptr error;
  try {
    co_await lock.acquire();
  } catch (...) {
    error = std::current_exception();
  }
  if (error == nullptr) {
    world.note(frame.label, line.text);
    error = co_await run_caught(world, frame, line.block);
    try {
      lock.release();
    } catch (...) {
      error = std::current_exception();
    }
  }
  end_block(world, frame, line, error);
  co_return Text();
}

Coro<Text> nothing() { co_return Text(); }

Coro<Text> with_(World& world, Frame& frame, const Line& line) {
  Primitives& all = world.primitives;
  const std::string& name = line.words[1];
  if (Lock* one = find(all.locks, name)) {
    return with_one(world, frame, line, *one);
  }
  if (Semaphore* one = find(all.semaphores, name)) {
    return with_one(world, frame, line, *one);
  }
  if (Condition* one = find(all.conditions, name)) {
    return with_one(world, frame, line, *one);
  }
  world.note(frame.label, line.text + " = ?");
  return nothing();
}

bool catches(Line::Clause::Kind kind, const std::exception_ptr& error) {
  switch (kind) {
    case Line::Clause::Kind::kCancelled:
      return is_cancelled_error(error);
    case Line::Clause::Kind::kError:
      return !is_cancelled_error(error);
    case Line::Clause::Kind::kAll:
      return true;
    case Line::Clause::Kind::kFinally:
      break;
  }
  return false;
}

Coro<Text> try_(World& world, Frame& frame, const Line& line) {
  std::exception_ptr error = co_await run_caught(world, frame, line.block);
  for (const Line::Clause& clause : line.clauses) {
    if (error == nullptr || !catches(clause.kind, error)) continue;
    world.note(frame.label, "except " + show(error));
    frame.handling.push_back(error);
    error = co_await run_caught(world, frame, clause.block);
    frame.handling.pop_back();
    break;
  }
  for (const Line::Clause& clause : line.clauses) {
    if (clause.kind != Line::Clause::Kind::kFinally) continue;
    world.note(frame.label, "finally");
    const bool returns = std::exchange(frame.returns, false);
    co_await run_block(world, frame, clause.block);
    if (frame.returns) error = nullptr;  // as in Python: swallows it
    frame.returns = frame.returns || (returns && error == nullptr);
  }
  if (error != nullptr) std::rethrow_exception(error);
  co_return Text();
}

const std::map<std::string_view, Operation::Async> kBlocks{
    {"with", with_},      {"repeat", repeat},
    {"timeout", timeout}, {"timeout_at", timeout_at},
    {"group", group},     {"try", try_},
};

}  // namespace

const Operation* find_block(std::string_view word) {
  static const auto blocks = [] {
    std::map<std::string_view, Operation> made;
    for (const auto& [name, function] : kBlocks) {
      Operation& operation = made[name];
      operation.kind = Operation::Kind::kBlock;
      operation.async = function;
    }
    return made;
  }();
  const auto found = blocks.find(word);
  return found == blocks.end() ? nullptr : &found->second;
}

}  // namespace rondo::fuzz
