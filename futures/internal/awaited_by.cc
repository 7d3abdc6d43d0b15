// SPDX-License-Identifier: MIT
#include "futures/internal/awaited_by.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "futures/internal/child_callback.h"
#include "futures/internal/task_state.h"

namespace rondo::detail {

namespace {

/// Who hears of the end of `future` by `entry`, or null: a callback of the
/// user's.
FutureState* awaiter(const FutureState& future, Entry& entry) {
  if (TaskState* task = TaskState::of(entry)) return task;
  const auto* child = entry.callback.target<ChildCallback>();
  if (child == nullptr) return nullptr;
  FutureState* const found = child->owner().awaiter();
  // A shield listens to itself, too.
  const bool waits = found != nullptr && found->pending() &&
                     (found != &future || found->is_task());
  return waits ? found : nullptr;
}

/// Without looking behind a gather.
std::vector<FutureState*> direct(const FutureState& future) {
  std::vector<FutureState*> found;
  if (future.done()) return found;
  future.for_each_callback([&](Entry& entry) {
    if (FutureState* const one = awaiter(future, entry)) found.push_back(one);
    return true;
  });
  return found;
}

}  // namespace

std::vector<FutureState*> awaited_by(const FutureState& future) {
  std::vector<FutureState*> left = direct(future);
  if (left.size() == 1 && left.front()->is_task()) return left;
  std::reverse(left.begin(), left.end());
  std::vector<FutureState*> found;
  std::unordered_set<const FutureState*> seen;
  while (!left.empty()) {
    FutureState* const next = left.back();
    left.pop_back();
    if (!seen.insert(next).second) continue;
    const std::vector<FutureState*> behind =
        next->is_task() ? std::vector<FutureState*>() : direct(*next);
    if (behind.empty()) {
      found.push_back(next);
    } else {
      left.insert(left.end(), behind.rbegin(), behind.rend());
    }
  }
  return found;
}

}  // namespace rondo::detail
