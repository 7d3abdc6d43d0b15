// SPDX-License-Identifier: MIT
#include "reactor/context.h"

#include <algorithm>
#include <vector>

namespace rondo {

namespace detail {

class ContextMap {
 public:
  struct Binding {
    std::uint64_t variable;
    ContextValue value;
  };
  std::vector<Binding> bindings;  // few, so a search is a walk
};

namespace {

thread_local ContextMapPtr current;

/// A callback and the context that it is to run in.
class BoundCallback {
 public:
  BoundCallback(Callback callback, ContextMapPtr map)
      : inner(std::make_unique<Callback>(std::move(callback))),
        map_(std::move(map)) {}

  void operator()() {
    const InContext scope(map_);
    (*inner)();
  }
  std::string description() const { return inner->description(); }

  std::unique_ptr<Callback> inner;

 private:
  ContextMapPtr map_;
};

}  // namespace

ContextNumber::ContextNumber() noexcept {
  static std::atomic<std::uint64_t> count{0};
  value_ = ++count;
  context_variables.fetch_add(1, std::memory_order_relaxed);
}

ContextValue get_context_value(std::uint64_t variable) {
  if (current == nullptr) return nullptr;
  for (const ContextMap::Binding& binding : current->bindings) {
    if (binding.variable == variable) return binding.value;
  }
  return nullptr;
}

ContextValue set_context_value(std::uint64_t variable, ContextValue value) {
  auto changed = current == nullptr ? std::make_shared<ContextMap>()
                                    : std::make_shared<ContextMap>(*current);
  auto& bindings = changed->bindings;
  auto at = std::find_if(bindings.begin(), bindings.end(), [&](auto& binding) {
    return binding.variable == variable;
  });
  if (at == bindings.end()) {
    at = bindings.insert(at, ContextMap::Binding{variable, nullptr});
  }
  ContextValue old = std::exchange(at->value, std::move(value));
  if (at->value == nullptr) bindings.erase(at);
  current = std::move(changed);
  return old;
}

ContextMapPtr exchange_context(ContextMapPtr map) noexcept {
  return std::exchange(current, std::move(map));
}

const ContextMapPtr& current_context() noexcept { return current; }

void bind_to_context(Callback& callback) {
  callback = BoundCallback(std::move(callback), current);
}

Callback& unbound(Callback& callback) noexcept {
  const BoundCallback* bound = callback.target<BoundCallback>();
  return bound != nullptr ? *bound->inner : callback;
}

}  // namespace detail

}  // namespace rondo
