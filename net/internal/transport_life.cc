// SPDX-License-Identifier: MIT
#include "net/internal/transport_life.h"

#include <new>
#include <source_location>
#include <utility>

#include "net/internal/protocol_call.h"
#include "net/internal/system_error.h"
#include "reactor/event_loop.h"
#include "reactor/internal/log.h"
#include "reactor/internal/loop_access.h"

// In the order of a life.

namespace rondo::detail {

// -- its beginning -----------------------------------------------------------

void TransportLife::begin_soon(std::shared_ptr<void> self, Future<void> made) {
  loop_.call_soon([this, done = std::move(made)]() mutable { begin(done); });
  self_ = std::move(self);
  LoopState::of(loop_).link(*this);
}

void TransportLife::begin(Future<void>& made) {
  // asyncio goes on with one that has failed. It may be half made, though.
  try {
    tell_made();
  } catch (...) {
    go_on(made);
    throw;  // SystemExit and its like: the loop may run again
  }
  go_on(made);
}

void TransportLife::go_on(Future<void>& made) {
  if (!is_ending()) start();
  if (!made || made.done()) return;
  if (error_ != nullptr) {
    made.set_exception(error_);
  } else {
    made.set_result();
  }
}

// -- the end of a pass -------------------------------------------------------

void TransportLife::flush_later() noexcept {
  // No pass of a closed loop ends, and its list names who is gone.
  if (!is_waiting() && !loop_.is_closed()) {
    LoopAccess::at_pass_end(loop_, *this);
  }
}

void TransportLife::on_pass_end() {
  if (is_over()) {
    release();
  } else if (stage_ == Stage::kEnding) {
    queue_end();
  } else if (stage_ == Stage::kLost) {
    force_close(error_);
  }
}

// -- failure -----------------------------------------------------------------

void TransportLife::fail(const char* message, const std::exception_ptr& error) {
  // Even if the handler leaves the loop.
  struct Close {
    ~Close() { life.force_close(error); }
    TransportLife& life;
    std::exception_ptr error;
  } const close{*this, error};
  report(*this, message, error);
}

void TransportLife::fail(const char* message, const char* operation,
                         int error_number) {
  const std::exception_ptr error = system_error(operation, error_number);
  if (loop_.get_debug()) {
    log_safely([&] {
      log().debug("{}: {}: {}", description(), message, describe(error));
    });
  }
  force_close(error);
}

/// Out of a call of its own, perhaps, which goes on: so it ends later. The
/// exception handler is told by the loop.
void TransportLife::on_lost_descriptor(int fd, std::errc error) noexcept {
  if (is_lost_or_ending() || this->fd() != fd) return;
  stage_ = Stage::kLost;
  error_ = system_error("epoll_ctl", static_cast<int>(error));
  flush_later();
}

// -- its end -----------------------------------------------------------------

void TransportLife::force_close(std::exception_ptr error) {
  if (is_ending()) return;
  discard();
  end_soon(std::move(error));
}

void TransportLife::end_soon(std::exception_ptr error) {
  if (is_ending()) return;
  if (stage_ != Stage::kLost) error_ = std::move(error);
  stage_ = Stage::kEnding;
  stop();
  if (!loop_.is_closed()) queue_end();  // else see abandon()
}

void TransportLife::end_now() {
  stage_ = Stage::kEnding;
  discard();
  stop();
  end();
}

/// In the loop's queue: asyncio's name of it.
struct TransportLife::End {
  void operator()() const { life->end(); }
  // Asked for when `life` may be gone: what connection_lost() throws is
  // reported after it.
  std::string description() const {
    return std::string(asyncio_name) + "._call_connection_lost()";
  }
  TransportLife* life;
  const char* asyncio_name;
};

void TransportLife::queue_end() {
  try {
    loop_.call_soon(End{this, asyncio_name()}, std::source_location());
    stage_ = Stage::kQueued;
  } catch (const std::bad_alloc&) {
    flush_later();  // tries again
  }
}

void TransportLife::end() {
  // Even if connection_lost() throws.
  struct Finish {
    ~Finish() { life.finish(); }
    TransportLife& life;
  } const finish{*this};
  tell_lost(std::exchange(error_, nullptr));
}

void TransportLife::finish() noexcept {
  stage_ = Stage::kOver;
  let_go();
  // What the end of the pass has in its list lives until then.
  if (!is_waiting()) release();
}

void TransportLife::release() noexcept {
  LoopState::of(loop_).unlink(*this);
  const std::shared_ptr<void> self = std::move(self_);
}

/// The loop is closed: nothing is called any more.
void TransportLife::abandon() noexcept {
  const std::shared_ptr<void> keep = self_;
  if (!is_over()) {
    stage_ = Stage::kEnding;
    stop();
    finish();
  }
  if (self_ != nullptr) release();  // no pass comes to an end any more
}

// -- what it is --------------------------------------------------------------

std::string TransportLife::state() const {
  std::string text;
  if (fd() < 0) {
    text = " closed";
  } else if (!is_open()) {
    text = " closing";
  }
  return text + " fd=" + std::to_string(fd());
}

}  // namespace rondo::detail
