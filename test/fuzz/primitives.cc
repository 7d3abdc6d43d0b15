// SPDX-License-Identifier: MIT
#include "test/fuzz/primitives.h"

#include <utility>

namespace rondo::fuzz {

bool Primitives::declare(const std::vector<std::string>& words) {
  const std::string& kind = words.at(0);
  const std::string& name = words.at(1);
  const int number = words.size() > 2 ? std::stoi(words[2]) : 0;
  if (kind == "lock") {
    locks[name] = std::make_unique<Lock>();
  } else if (kind == "semaphore") {
    semaphores[name] = std::make_unique<Semaphore>(number);
  } else if (kind == "bounded") {
    semaphores[name] = std::make_unique<BoundedSemaphore>(number);
  } else if (kind == "event") {
    events[name] = std::make_unique<Event>();
  } else if (kind == "condition") {
    conditions[name] = std::make_unique<Condition>();
  } else if (kind == "barrier") {
    barriers[name] = std::make_unique<Barrier>(number);
  } else if (kind == "queue") {
    queues[name] =
        std::make_unique<NamedQueue>(std::in_place_type<Queue<Value>>, number);
  } else if (kind == "lifo") {
    queues[name] = std::make_unique<NamedQueue>(
        std::in_place_type<LifoQueue<Value>>, number);
  } else if (kind == "priority") {
    queues[name] = std::make_unique<NamedQueue>(
        std::in_place_type<PriorityQueue<Value>>, number);
  } else {
    return false;
  }
  return true;
}

std::string state_of(const Barrier& barrier) {
  return std::to_string(barrier.n_waiting()) +
         (barrier.broken() ? " broken" : " whole");
}

std::string Primitives::end_state(const std::vector<std::string>& words) {
  const auto lock_words = [](bool locked) {
    return std::string(locked ? "locked" : "unlocked");
  };
  const std::string& kind = words.at(0);
  const std::string& name = words.at(1);
  if (kind == "lock") return lock_words(locks.at(name)->locked());
  if (kind == "semaphore" || kind == "bounded") {
    return lock_words(semaphores.at(name)->locked());
  }
  if (kind == "condition") return lock_words(conditions.at(name)->locked());
  if (kind == "event") return events.at(name)->is_set() ? "set" : "unset";
  if (kind == "barrier") return state_of(*barriers.at(name));
  return std::visit([](auto& queue) { return std::to_string(queue.qsize()); },
                    *queues.at(name));
}

}  // namespace rondo::fuzz
