// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <exception>
#include <new>

#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/exception_context.h"

namespace rondo::detail {

/// Calls `callback`, which calls a protocol; with what that throws,
/// `on_error`. Whether it has thrown nothing. SystemExit and its like go on.
template <class Callback, class OnError>
bool guarded(Callback&& callback, OnError&& on_error) {
  try {
    callback();
    return true;
  } catch (const SystemExit&) {
    throw;
  } catch (const KeyboardInterrupt&) {
    throw;
  } catch (...) {
    const std::exception_ptr error = std::current_exception();
    if (error == nullptr) throw;  // pthread_exit(3)
    on_error(error);
    return false;
  }
}

/// Tells the exception handler of the transport's loop of `error`.
template <class AnyTransport>
void report(const AnyTransport& transport, const char* message,
            const std::exception_ptr& error) {
  EventLoop& loop = transport.loop();
  if (loop.is_closed()) return;
  try {
    ExceptionContext context(message);
    context.exception = error;
    context.extra.emplace_back("transport", transport.description());
    loop.call_exception_handler(context);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "rondo: %s fd=%d; no memory to report it\n", message,
                 transport.fd());
  }
}

}  // namespace rondo::detail
