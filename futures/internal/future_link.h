// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "futures/internal/future_state.h"
#include "futures/internal/loop_state.h"
#include "reactor/remote_queue.h"

namespace rondo::detail {

/// How another thread holds a future of a loop: by something it may copy and
/// drop, which leads to the future on the loop's thread only. (A future is
/// counted without atomics.)
///
/// The link keeps the future until somebody takes it, or the loop closes.
///
/// Threading: post() and the shared_ptr from any thread, the rest on the
///   loop's. Whoever keeps it elsewhere drops it there only after it has been
///   taken or the loop has closed: it travels back to the loop by post().
class FutureLink : public LoopBound {
 public:
  /// A link to `future`, of which it keeps a reference.
  explicit FutureLink(FutureState& future);
  ~FutureLink() override;

  /// The future, and the link's reference with it. Null if it has been taken,
  /// or the loop has closed.
  FutureState* take() noexcept;
  /// Lets go of the future.
  void drop() noexcept;

  /// From any thread: has `callback` run on the loop. If the loop is closed it
  /// is destroyed here. Does not fail: it waits for memory if there is none.
  void post(Callback callback) const noexcept;

 private:
  void abandon() noexcept override;

  const std::shared_ptr<RemoteQueue> remote_;
  FutureState* future_;
};

}  // namespace rondo::detail
