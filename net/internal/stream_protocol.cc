// SPDX-License-Identifier: MIT
#include "net/internal/stream_protocol.h"

#include <utility>

#include "futures/errors.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"

namespace rondo::detail {

void StreamProtocol::connection_made(Transport& transport) {
  reader_.emplace(transport.loop(), limit_);
  state().set_transport(transport.weak_from_this());
  if (handler_ != nullptr) handle(transport);
}

/// Reports what the handler fails with, and closes the connection (CPython
/// 3.11 leaves it open).
void StreamProtocol::handle(Transport& transport) {
  const std::shared_ptr<Transport> kept = transport.shared_from_this();
  // The task runs code of the handler's, which may be a lambda: kept, too.
  const std::shared_ptr<const StreamHandler> handler = std::move(handler_);
  const AnyFuture task = (*handler)(StreamReader(reader()),
                                    StreamWriter(kept, shared_from_this()));
  if (!task) return;
  task.add_done_callback([kept, handler](const AnyFuture& done) {
    if (!done.cancelled() && done.exception() == nullptr) return;
    if (!done.cancelled()) {
      ExceptionContext context("Unhandled exception in client_connected_cb");
      context.exception = done.exception();
      context.extra.emplace_back("transport", to_string(*kept));
      kept->loop().call_exception_handler(context);
    }
    kept->close();
  });
}

void StreamProtocol::set_upgraded(std::shared_ptr<Transport> transport) {
  state().set_transport(transport);
  upgraded_ = std::move(transport);
}

void StreamProtocol::data_received(std::string_view data) {
  state().feed_data(data);
}

/// Half open: the handler may have something left to say.
bool StreamProtocol::eof_received() {
  state().feed_eof();
  return true;
}

void StreamProtocol::connection_lost(std::exception_ptr error) {
  is_lost_ = true;
  error_ = error;
  if (error == nullptr) {
    state().feed_eof();
  } else {
    state().set_exception(error);
  }
  if (waiters_ == nullptr) return;
  const Waiters waiters = std::exchange(*waiters_, {});
  for (const Future<void>& closer : waiters.closers) end(closer);
  for (const Future<void>& drainer : waiters.drainers) end(drainer);
}

StreamProtocol::Waiters& StreamProtocol::waiters() {
  if (waiters_ == nullptr) waiters_ = std::make_unique<Waiters>();
  return *waiters_;
}

void StreamProtocol::end(const Future<void>& future) const {
  if (future.done()) return;
  if (error_ == nullptr) {
    future.set_result();
  } else {
    future.set_exception(error_);
    future.state()->mark_retrieved();  // nobody need wait for it
  }
}

Future<void> StreamProtocol::wait_closed() {
  const Future<void> closed(state().loop());
  if (is_lost_) {
    end(closed);
  } else {
    std::vector<Future<void>>& closers = waiters().closers;
    std::erase_if(closers, [](const Future<void>& c) { return c.done(); });
    closers.push_back(closed);
  }
  return closed;
}

void StreamProtocol::resume_writing() {
  is_paused_ = false;
  if (waiters_ == nullptr) return;
  for (const Future<void>& drainer : std::exchange(waiters_->drainers, {})) {
    if (!drainer.done()) drainer.set_result();
  }
}

Future<void> StreamProtocol::add_drainer() {
  std::vector<Future<void>>& drainers = waiters().drainers;
  drainers.emplace_back(state().loop());
  return drainers.back();
}

void StreamProtocol::remove_drainer(const Future<void>& drainer) noexcept {
  if (waiters_ != nullptr) std::erase(waiters_->drainers, drainer);
}

}  // namespace rondo::detail
