// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "futures/sync/barrier.h"
#include "futures/sync/condition.h"
#include "futures/sync/event.h"
#include "futures/sync/lock.h"
#include "futures/sync/queue.h"
#include "futures/sync/semaphore.h"
#include "test/fuzz/words.h"

namespace rondo::fuzz {

/// A queue of one of the three kinds.
using NamedQueue =
    std::variant<Queue<Value>, LifoQueue<Value>, PriorityQueue<Value>>;

/// The locks and their kin of a program, by name.
class Primitives {
 public:
  /// Makes one: {"semaphore", "s", "2"}. False if it is none of these.
  bool declare(const std::vector<std::string>& words);
  /// What the trace says about it at the end.
  std::string end_state(const std::vector<std::string>& words);

  template <class T>
  using Named = std::map<std::string, std::unique_ptr<T>>;

  Named<Lock> locks;
  Named<Semaphore> semaphores;
  Named<Event> events;
  Named<Condition> conditions;
  Named<Barrier> barriers;
  Named<NamedQueue> queues;
};

/// What is in `map` under a name, or null.
template <class T>
T* find(const Primitives::Named<T>& map, const std::string& name) {
  const auto found = map.find(name);
  return found == map.end() ? nullptr : found->second.get();
}

std::string state_of(const Barrier& barrier);

}  // namespace rondo::fuzz
