// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include "reactor/callable_name.h"

namespace rondo {

/// What a callback may capture without an allocation.
inline constexpr std::size_t kInlineCaptureBytes = 40;

template <class Signature>
class UniqueFunction;

namespace detail {

/// Calling a coroutine function runs nothing, so as a callback it is a
/// mistake, which asyncio reports as "coroutines cannot be used with
/// call_soon()".
template <class F, class... Args>
concept MakesCoroutine = requires {
  typename std::remove_cvref_t<std::invoke_result_t<F, Args...>>::promise_type;
};

}  // namespace detail

/// A move-only std::function: it can own a socket.
///
/// Captures of up to kInlineCaptureBytes (that move without throwing) are
/// kept in place; larger ones take one allocation when it is made. Moving
/// allocates nothing. Calling an empty one is undefined; test it first.
template <class R, class... Args>
class UniqueFunction<R(Args...)> {
 public:
  /// Empty.
  UniqueFunction() noexcept = default;
  /// Empty.
  UniqueFunction(std::nullptr_t) noexcept {}  // NOLINT: converts, as std's
  /// Holds `callable`; a null function pointer gives an empty one.
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, UniqueFunction> &&
             !std::is_member_pointer_v<std::decay_t<F>> &&
             std::is_invocable_r_v<R, std::decay_t<F>&, Args...> &&
             !detail::MakesCoroutine<std::decay_t<F>&, Args...>)
  UniqueFunction(F&& callable) {  // NOLINT: converts, as std::function does
    hold(std::forward<F>(callable));
  }
  /// Leaves `other` empty.
  UniqueFunction(UniqueFunction&& other) noexcept { take(other); }
  /// Destroys what it held. Leaves `other` empty.
  UniqueFunction& operator=(UniqueFunction&& other) noexcept {
    // What this one holds goes last: `other` may be part of it.
    UniqueFunction taken(std::move(other));
    UniqueFunction dropped(std::move(*this));
    take(taken);
    return *this;
  }
  ~UniqueFunction() { reset(); }

  /// Whether it holds something to call.
  explicit operator bool() const noexcept { return operations_ != nullptr; }

  /// As an assignment, but made in place. Empty if that throws. `callable` is
  /// not part of what it holds.
  template <class F>
  void emplace(F&& callable) {
    reset();
    if constexpr (std::is_same_v<std::remove_cvref_t<F>, UniqueFunction>) {
      take(callable);
    } else if constexpr (!std::is_same_v<std::remove_cvref_t<F>,
                                         std::nullptr_t>) {
      hold(std::forward<F>(callable));
    }
  }

  /// Calls what it holds.
  R operator()(Args... args) {
    return operations_->invoke(storage_, std::forward<Args>(args)...);
  }

  /// Destroys what it holds, captures included. It is empty before the first
  /// destructor runs, so one that comes back here finds nothing.
  void reset() noexcept {
    if (operations_ == nullptr) return;
    const Operations* operations = std::exchange(operations_, nullptr);
    if (operations->destroy != nullptr) operations->destroy(storage_);
  }

  /// The F that it holds, or null if it holds something else, as
  /// std::function::target().
  template <class F>
  F* target() noexcept {
    if constexpr (kFits<F>) {
      if (operations_ != &kInPlace<F>) return nullptr;
      return std::launder(reinterpret_cast<F*>(storage_));
    } else {
      if (operations_ != &kOnHeap<F>) return nullptr;
      return *reinterpret_cast<F**>(storage_);
    }
  }

  /// What asyncio would print of it: `f()`, `f(2)` for call(f, 2),
  /// `f(2)()` for partial(f, 2). "None" when empty.
  std::string description() const {
    return operations_ == nullptr ? "None" : operations_->describe(storage_);
  }

 private:
  struct Operations {
    R (*invoke)(void* storage, Args... args);
    /// Null where a copy of the bytes will do.
    void (*relocate)(void* from, void* to) noexcept;
    /// Null where there is nothing to destroy.
    void (*destroy)(void* storage) noexcept;
    std::string (*describe)(const void* storage);
  };

  template <class F>
  static constexpr bool kFits =
      sizeof(F) <= kInlineCaptureBytes && alignof(F) <= alignof(void*) &&
      std::is_nothrow_move_constructible_v<F>;

  template <class F>
  static std::string describe(const F& callable) {
    if constexpr (requires { callable.description(); }) {
      return callable.description();
    } else {
      return callable_name(callable) + "()";
    }
  }

  template <class F>
  static R call(F& callable, Args... args) {
    if constexpr (std::is_void_v<R>) {
      static_cast<void>(callable(std::forward<Args>(args)...));
    } else {
      return callable(std::forward<Args>(args)...);
    }
  }

  template <class F>
  static constexpr Operations kInPlace = {
      [](void* storage, Args... args) -> R {
        return call(*static_cast<F*>(storage), std::forward<Args>(args)...);
      },
      std::is_trivially_copyable_v<F>
          ? nullptr
          : +[](void* from, void* to) noexcept {
              auto* source = static_cast<F*>(from);
              ::new (to) F(std::move(*source));
              source->~F();
            },
      std::is_trivially_destructible_v<F>
          ? nullptr
          : +[](void* storage) noexcept { static_cast<F*>(storage)->~F(); },
      [](const void* storage) {
        return describe(*static_cast<const F*>(storage));
      }};

  template <class F>
  static constexpr Operations kOnHeap = {
      [](void* storage, Args... args) -> R {
        return call(**static_cast<F**>(storage), std::forward<Args>(args)...);
      },
      nullptr,
      [](void* storage) noexcept { delete *static_cast<F**>(storage); },
      [](const void* storage) {
        return describe(**static_cast<F* const*>(storage));
      }};

  /// Into an empty one.
  template <class F>
  void hold(F&& callable) {
    using Stored = std::decay_t<F>;
    if constexpr (std::is_pointer_v<std::remove_reference_t<F>>) {
      if (callable == nullptr) return;
    }
    if constexpr (kFits<Stored>) {
      ::new (static_cast<void*>(storage_)) Stored(std::forward<F>(callable));
      operations_ = &kInPlace<Stored>;
    } else {
      *reinterpret_cast<Stored**>(storage_) =
          new Stored(std::forward<F>(callable));
      operations_ = &kOnHeap<Stored>;
    }
  }

  void take(UniqueFunction& other) noexcept {
    operations_ = std::exchange(other.operations_, nullptr);
    if (operations_ == nullptr) return;
    if (operations_->relocate != nullptr) {
      operations_->relocate(other.storage_, storage_);
    } else {
      // All of it, whatever the callable's size: one known number of bytes is
      // faster than the right one. g++ -O1 warns of the rest.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Wunknown-warning-option"
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
      std::memcpy(storage_, other.storage_, sizeof storage_);
#pragma GCC diagnostic pop
    }
  }

  const Operations* operations_ = nullptr;
  alignas(void*) std::byte storage_[kInlineCaptureBytes];
};

/// What a loop calls. State travels in its captures.
using Callback = UniqueFunction<void()>;

}  // namespace rondo
