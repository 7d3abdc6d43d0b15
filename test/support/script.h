// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "futures/task.h"
#include "test/support/cancel_everywhere.h"

namespace rondo::test {

/// A TaskBody that awaits one operation after the other, written down as a
/// list: what a coroutine would do, in tests that do without.
///
///     Script(world)
///         .await([&] { return lock.acquire(); })
///         .then([&] { order += 'a'; })
///         .await([&] { return queue.get(); }, [&](int item) { got = item; })
///         .on_error([&](const std::exception_ptr&) { lock.release(); })
///         .await([&] { return sleep(1); })
///         .then([&] { lock.release(); })
///
/// What its functions capture lives as long as it does, as locals would.
class Script {
 public:
  explicit Script(World& world) : world_(&world), alive_(world) {}

  /// Awaits what `make()` gives, an operation or a future.
  template <class Make>
  Script&& await(Make make) && {
    return std::move(*this).await(std::move(make), Ignore());
  }
  /// The same, and calls `on_result` with the result.
  template <class Make, class OnResult>
  Script&& await(Make make, OnResult on_result) && {
    using Awaitable = std::decay_t<std::invoke_result_t<Make&>>;
    lines_.push_back([make,
                      on_result](Script&) mutable -> std::unique_ptr<Awaited> {
      return std::make_unique<Awaiting<Awaitable, OnResult>>(make, on_result);
    });
    return std::move(*this);
  }
  /// Calls `function`.
  template <class F>
  Script&& then(F function) && {
    lines_.push_back([function](Script&) mutable -> std::unique_ptr<Awaited> {
      function();
      return nullptr;
    });
    return std::move(*this);
  }
  /// From here on, `handle` is called with what ends the script; it is thrown
  /// on. An earlier handler is called no more.
  template <class F>
  Script&& on_error(F handle) && {
    lines_.push_back([handle](Script& script) -> std::unique_ptr<Awaited> {
      script.handle_ = handle;
      return nullptr;
    });
    return std::move(*this);
  }

  Step step(Resumption& resumption) {
    try {
      const Step step = go_on(resumption);
      // A cancel of the very task that has just come to its end is nobody's.
      const bool ends = step.kind() == Step::Kind::kDone;
      if (!ends || resumption.task() != world_->victim) world_->moment();
      return step;
    } catch (...) {
      awaited_.reset();
      if (handle_) handle_(std::current_exception());
      throw;
    }
  }
  void result() const noexcept {}
  static constexpr const char* kName = "script";

 private:
  struct Ignore {
    template <class... Result>
    void operator()(Result&&...) const {}
  };
  struct Awaited {
    virtual ~Awaited() = default;
    virtual Step step(Resumption& resumption) = 0;
    virtual void finish() = 0;
  };
  template <class Awaitable, class OnResult>
  struct Awaiting : Awaited {
    template <class Make>
    Awaiting(Make& make, OnResult& f) : awaitable(make()), on_result(f) {}
    Step step(Resumption& resumption) override {
      if constexpr (std::is_base_of_v<AnyFuture, Awaitable>) {
        resumption.check();
        return awaitable.done() ? Step::done() : Step::wait(awaitable);
      } else {
        return awaitable.step(resumption);
      }
    }
    void finish() override {
      if constexpr (std::is_base_of_v<AnyFuture, Awaitable>) {
        if constexpr (std::is_void_v<decltype(awaitable.take_result())>) {
          awaitable.take_result();
          on_result();
        } else {
          on_result(awaitable.take_result());
        }
      } else if constexpr (std::is_void_v<decltype(awaitable.result())>) {
        awaitable.result();
        on_result();
      } else {
        on_result(awaitable.result());
      }
    }
    Awaitable awaitable;
    OnResult on_result;
  };

  Step go_on(Resumption& resumption) {
    if (awaited_ == nullptr) resumption.check();
    while (true) {
      if (awaited_ != nullptr) {
        const Step step = awaited_->step(resumption);
        if (step.kind() != Step::Kind::kDone) return step;
        awaited_->finish();
        awaited_.reset();
      }
      if (next_ == lines_.size()) return Step::done();
      awaited_ = lines_[next_++](*this);
    }
  }

  World* world_;
  World::Alive alive_;
  std::vector<std::function<std::unique_ptr<Awaited>(Script&)>> lines_;
  std::size_t next_ = 0;
  std::unique_ptr<Awaited> awaited_;
  std::function<void(const std::exception_ptr&)> handle_;
};

}  // namespace rondo::test
