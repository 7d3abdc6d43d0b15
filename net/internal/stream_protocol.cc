// SPDX-License-Identifier: MIT
#include "net/internal/stream_protocol.h"

#include <utility>

#include "futures/errors.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"

namespace rondo::detail {

StreamProtocol::StreamProtocol(std::size_t limit,
                               std::shared_ptr<const StreamHandler> handler)
    : ReaderState(limit) {
  if (handler != nullptr) rare().handler = std::move(handler);
}

void StreamProtocol::connection_made(Transport& transport) {
  begin(transport.loop());
  set_transport(transport.shared_from_this());
  if (rare_ != nullptr && rare_->handler != nullptr) handle(transport);
}

/// Reports what the handler fails with, and closes the connection (CPython
/// 3.11 leaves it open).
void StreamProtocol::handle(Transport& transport) {
  const std::shared_ptr<Transport> kept = transport.shared_from_this();
  // The task runs code of the handler's, which may be a lambda: kept, too.
  const std::shared_ptr<const StreamHandler> handler =
      std::move(rare_->handler);
  rare_.reset();
  const auto self =
      std::static_pointer_cast<StreamProtocol>(transport.get_protocol());
  const AnyFuture task = (*handler)(StreamReader(self), StreamWriter(self));
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

void StreamProtocol::data_received(std::string_view data) {
  if (!is_forgotten_) feed_received(data);
}

/// Half open, unless nobody is left who may have something to say. (A client's
/// streams may not be there yet.)
bool StreamProtocol::eof_received() {
  feed_eof();
  return !is_forgotten_;
}

void StreamProtocol::connection_lost(std::exception_ptr error) {
  is_lost_ = true;
  error_ = error;
  if (error == nullptr) {
    feed_eof();
  } else {
    set_exception(error);
  }
  if (rare_ == nullptr) return;
  const std::unique_ptr<Rare> waiters = std::move(rare_);
  for (const Future<void>& closer : waiters->closers) end(closer);
  for (const Drainer& drainer : waiters->drainers) end(drainer.future);
}

StreamProtocol::Rare& StreamProtocol::rare() {
  if (rare_ == nullptr) rare_ = std::make_unique<Rare>();
  return *rare_;
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
  const Future<void> closed(loop());
  if (is_lost_) {
    end(closed);
  } else {
    std::vector<Future<void>>& closers = rare().closers;
    std::erase_if(closers, [](const Future<void>& c) { return c.done(); });
    closers.push_back(closed);
  }
  return closed;
}

void StreamProtocol::resume_writing() {
  is_writing_paused_ = false;
  if (rare_ == nullptr) return;
  for (const Drainer& drainer : rare_->drainers) {
    if (!drainer.future.done()) drainer.future.set_result();
  }
}

std::pair<std::uint32_t, const Future<void>&> StreamProtocol::add_drainer() {
  Rare& all = rare();
  if (++all.drains == 0) ++all.drains;
  all.drainers.emplace_back(all.drains, Future<void>(loop()));
  return {all.drains, all.drainers.back().future};
}

void StreamProtocol::remove_drainer(std::uint32_t number) noexcept {
  if (rare_ == nullptr) return;
  std::erase_if(rare_->drainers,
                [&](const Drainer& d) { return d.number == number; });
}

}  // namespace rondo::detail
