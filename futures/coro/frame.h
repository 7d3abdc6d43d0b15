// SPDX-License-Identifier: MIT
#pragma once

#ifdef RONDO_WITHOUT_CORO
#error "a build without futures/coro/ includes it"
#endif

#include <coroutine>
#include <cstddef>
#include <exception>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "futures/internal/block_pool.h"
#include "futures/internal/source_function_name.h"
#include "futures/task_body.h"

// The machinery under Coro<T>: what a frame knows, and the trampoline that
// resumes one frame after the other from the same place on the stack.

namespace rondo::detail {

class CoroStack;
struct Frame;

/// Where a child frame is awaited: in the frame of its parent.
class ChildSlot {
 public:
  explicit ChildSlot(std::coroutine_handle<> c) noexcept : child(c) {}
  ChildSlot(const ChildSlot&) = delete;
  ChildSlot& operator=(const ChildSlot&) = delete;
  ~ChildSlot() {
    if (child != nullptr) child.destroy();
  }

  /// The frame that awaits.
  Frame* parent = nullptr;
  /// The frame that is awaited; null when it has been destroyed.
  std::coroutine_handle<> child;
};

/// The part of a promise that does not depend on the result's type: a frame's
/// place in the chain of those that await each other.
///
/// Frames come from the block pool.
struct Frame : InBlockPool {
  explicit Frame(std::source_location at) noexcept
      : where(at), line(at.line()) {}
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  /// The trampoline that resumes it; null until it is started.
  CoroStack* stack = nullptr;
  /// Where it is awaited; null for the outermost.
  ChildSlot* slot = nullptr;
  /// The coroutine's name and source file.
  const std::source_location where;
  /// What left it; while it runs, what left the operation that it awaits.
  std::exception_ptr error;
  /// That of the co_await at which it stands.
  unsigned line;
};

/// An operation that a frame awaits, and that is stepped in its stead.
class AwaitedOperation {
 public:
  virtual ~AwaitedOperation() = default;
  virtual Step step(Resumption& resumption) = 0;
};

/// A task's chain of frames, and its trampoline.
///
/// A frame never resumes another one. It writes down what is to happen next
/// and suspends, which returns to run(); so the stack does not grow with the
/// number of awaits, in any build. (Symmetric transfer would do that only
/// where the compiler makes a tail call of it.)
class CoroStack {
 public:
  CoroStack(std::coroutine_handle<> root, Frame& frame) noexcept
      : root_(root), leaf_(&frame) {
    frame.stack = this;
  }
  CoroStack(const CoroStack&) = delete;
  CoroStack& operator=(const CoroStack&) = delete;
  /// Destroys the frames, innermost first.
  ~CoroStack();

  /// Resumes frames until the outermost has ended or one waits.
  Step run(Resumption& resumption);
  /// The outermost frame.
  std::coroutine_handle<> root() const noexcept { return root_; }
  /// Where each frame stands, outermost first.
  std::vector<StackFrame> frames() const;
  /// The operation in which the innermost frame waits; empty if it waits for a
  /// future. Not while it runs.
  std::string operation_name() const {
    return operation_name_ != nullptr ? operation_name_() : std::string();
  }

  // -- what frames call while they run --

  /// `child` runs next; when it has ended, the frame that runs now.
  void push(Frame& child, ChildSlot& slot) noexcept {
    slot.parent = leaf_;
    child.slot = &slot;
    child.stack = this;
    leaf_ = &child;
  }
  /// The frame that runs now has ended.
  void pop() noexcept {
    leaf_ = leaf_->slot != nullptr ? leaf_->slot->parent : nullptr;
  }
  /// The frame that runs now waits for `future`.
  void wait(FutureState& future) noexcept {
    operation_name_ = nullptr;
    resumption_->next = Step::wait_state(future);
  }
  /// The frame that runs now waits until `operation` is done; its first step
  /// is Resumption::next.
  void wait(AwaitedOperation& operation) noexcept { operation_ = &operation; }
  /// The frame that runs now waits inside an operation of that name.
  void note_operation(std::string (*name)()) noexcept {
    operation_name_ = name;
  }
  /// What the frame that runs now was resumed with.
  Resumption& resumption() const noexcept { return *resumption_; }

 private:
  const std::coroutine_handle<> root_;
  Frame* leaf_;  // null when the outermost has ended
  AwaitedOperation* operation_ = nullptr;
  std::string (*operation_name_)() = nullptr;  // of the last wait
  Resumption* resumption_ = nullptr;           // of the last run(); null before
};

/// `say_hello`, out of what std::source_location says of a coroutine:
/// `rondo::Coro<int> app::say_hello(int)`.
inline std::string coroutine_name(const std::source_location& where) {
  return source_function_name(where);
}

/// `0x7f5c1e3a2b10`.
std::string address_text(const void* address);

/// `say_hello() running at file.cc:7`: where the outermost of `frames` stands;
/// `frames` is null once it has ended.
std::string coroutine_description(const std::source_location& where, bool done,
                                  const CoroStack* frames);

/// "coroutine 'say_hello' was never awaited".
void report_never_awaited(const std::source_location& where) noexcept;

}  // namespace rondo::detail
