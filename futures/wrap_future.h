// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "futures/concurrent_future.h"
#include "futures/future.h"
#include "futures/internal/future_link.h"

namespace rondo {

namespace detail {

/// A FutureLink among the callbacks of a ConcurrentFuture, on whatever thread:
/// it goes back to its loop to be dropped.
class LinkAbroad {
 public:
  explicit LinkAbroad(std::shared_ptr<FutureLink> link) noexcept
      : link_(std::move(link)) {}
  LinkAbroad(LinkAbroad&&) noexcept = default;
  LinkAbroad& operator=(LinkAbroad&&) = delete;
  ~LinkAbroad() {
    if (link_ != nullptr) send_home(std::move(link_));
  }

  /// Has `use(link)` run on the loop, unless that is closed.
  template <class Use>
  void post(Use use) {
    const FutureLink& link = *link_;
    auto call = [link = std::move(link_), use = std::move(use)]() mutable {
      use(*link);
    };
    // Or a link could be lost here for want of memory, on the wrong thread.
    static_assert(sizeof call <= kInlineCaptureBytes);
    link.post(std::move(call));
  }

 private:
  static void send_home(std::shared_ptr<FutureLink> link) noexcept;

  std::shared_ptr<FutureLink> link_;
};

/// asyncio's _copy_future_state().
template <class T>
void copy_future_state(const ConcurrentFuture<T>& source, FutureState* state) {
  if (state == nullptr) return;
  const Future<T> destination(*state);
  if (destination.done()) return;
  if (source.cancelled()) {
    destination.cancel();
    return;
  }
  std::exception_ptr error = source.exception();
  if (error == nullptr) {
    try {
      if constexpr (std::is_void_v<T>) {
        destination.set_result();
      } else {
        destination.set_result(source.result());
      }
      return;
    } catch (...) {
      error = std::current_exception();
    }
  }
  destination.set_exception(std::move(error));
}

/// Cancels the source when the destination is. It does not keep it: the source
/// keeps the destination.
class CancelSource {
 public:
  explicit CancelSource(std::weak_ptr<ConcurrentState> source) noexcept
      : source_(std::move(source)) {}
  void operator()(const AnyFuture& destination) const {
    if (!destination.cancelled()) return;
    if (const auto source = source_.lock()) ConcurrentState::cancel(source);
  }
  /// As asyncio's.
  std::string description() const {
    return "_chain_future.<locals>._call_check_cancel()";
  }

 private:
  std::weak_ptr<ConcurrentState> source_;
};

}  // namespace detail

/// A future of `loop` that ends as `source` does: what another thread
/// computes, to be awaited. Cancelling it cancels `source`, in the next pass.
///
///     std::string text = co_await wrap_future(loop, answer_of_the_thread);
///
/// If nobody will ever end `source` any more, the future stays pending. So it
/// does if the loop closes before. Virtual time does not wait for it: see
/// RemoteQueue::begin_external_work().
///
/// Threading: on the loop's; `source` may be ended on any.
///
/// Source: asyncio.wrap_future of CPython 3.11.
template <class T>
Future<T> wrap_future(EventLoop& loop, const ConcurrentFuture<T>& source) {
  detail::LoopAccess::check_usable(loop);
  Future<T> destination(loop);
  destination.add_done_callback(detail::CancelSource(source.weak_state()));
  if (source.done()) {
    loop.call_soon([source, destination] {
      destination.state()->add_reference();
      detail::copy_future_state(source, destination.state());
    });
    return destination;
  }
  detail::LinkAbroad link(
      std::make_shared<detail::FutureLink>(*destination.state()));
  source.add_done_callback(
      [link = std::move(link)](ConcurrentFuture<T> ended) mutable {
        link.post([ended = std::move(ended)](detail::FutureLink& home) {
          detail::copy_future_state(ended, home.take());
        });
      });
  return destination;
}

/// The same on the running loop.
template <class T>
Future<T> wrap_future(const ConcurrentFuture<T>& source) {
  return wrap_future(get_running_loop(), source);
}

}  // namespace rondo
