// SPDX-License-Identifier: MIT
#pragma once

#include <utility>

#include "reactor/event_loop.h"

// What a coroutine's body leans on, told with callbacks, for originals that
// use coroutines as scaffolding only. Each takes as many passes of the loop as
// it takes in asyncio, so what goes on beside it sees the same order.

namespace by_callbacks {

/// `await asyncio.sleep(delay)`, and `then` is the rest of the coroutine: the
/// timer sets a future's result, and its waiter goes on in the next pass.
inline void sleep(rondo::EventLoop& loop, rondo::Delay delay,
                  rondo::Callback then) {
  loop.call_later(delay, [&loop, then = std::move(then)]() mutable {
    loop.call_soon(std::move(then));
  });
}

/// `loop.run_until_complete(main())`: runs until finish().
inline void run(rondo::EventLoop& loop, rondo::Callback main) {
  loop.call_soon(std::move(main));
  loop.run_forever();
}

/// The end of main(): in the next pass its done-callback stops the loop.
inline void finish(rondo::EventLoop& loop) {
  loop.call_soon([&loop] { loop.stop(); });
}

}  // namespace by_callbacks
