// SPDX-License-Identifier: MIT
#include "net/internal/pipe_transport.h"

#include <sys/stat.h>

#include <cerrno>
#include <new>
#include <source_location>
#include <system_error>
#include <utility>

#include "net/internal/system_error.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/internal/log.h"
#include "reactor/internal/loop_access.h"

namespace rondo::detail {

namespace {

const Address kNoAddress;

}  // namespace

PipeTransport::PipeTransport(EventLoop& loop, UniqueFd pipe)
    : loop_(loop), net_(NetState::of(loop)), pipe_(std::move(pipe)) {}

PipeTransport::~PipeTransport() = default;

unsigned PipeTransport::kind_of(Kernel& kernel, int pipe) {
  struct ::stat status{};
  if (kernel.fstat(pipe, &status) != 0) {
    throw std::system_error(errno, std::generic_category(), "fstat of a pipe");
  }
  const unsigned kind = status.st_mode & S_IFMT;
  return kind == S_IFIFO || kind == S_IFSOCK || kind == S_IFCHR ? kind : 0;
}

void PipeTransport::begin_soon(const std::shared_ptr<PipeTransport>& transport,
                               Future<void> made) {
  PipeTransport& t = *transport;
  t.loop_.call_soon([&t, done = std::move(made)]() mutable { t.begin(done); });
  t.self_ = transport;
  LoopState::of(t.loop_).link(t);
}

void PipeTransport::begin(Future<void>& made) {
  if (is_over_) return;
  try {
    tell("Fatal error: protocol.connection_made() call failed.",
         [this] { protocol_->connection_made(*this); });
  } catch (...) {
    go_on(made);
    throw;  // SystemExit and its like: the loop may run again
  }
  go_on(made);
}

void PipeTransport::go_on(Future<void>& made) {
  if (!is_ending_) start();
  if (!made || made.done()) return;
  if (error_ != nullptr) {
    made.set_exception(error_);
  } else {
    made.set_result();
  }
}

void PipeTransport::flush_later() noexcept {
  if (!is_waiting()) LoopAccess::at_pass_end(loop_, *this);
}

void PipeTransport::on_pass_end() {
  if (is_over_) {
    release();
  } else if (is_ending_) {
    if (!end_is_queued_) queue_end();
  } else {
    flush_at_pass_end();
  }
}

// -- its end -----------------------------------------------------------------

void PipeTransport::force_close(std::exception_ptr error) {
  if (is_ending_) return;
  discard();
  end_soon(std::move(error));
}

/// In the loop's queue: asyncio's name of it.
struct PipeTransport::End {
  void operator()() const { transport->end(); }
  std::string description() const {
    return "_UnixPipeTransport._call_connection_lost()";
  }
  PipeTransport* transport;
};

void PipeTransport::end_soon(std::exception_ptr error) {
  if (is_ending_) return;
  is_ending_ = true;
  is_closing_ = true;
  error_ = std::move(error);
  stop();
  if (!loop_.is_closed()) queue_end();  // else see abandon()
}

void PipeTransport::queue_end() {
  try {
    loop_.call_soon(End{this}, std::source_location());
    end_is_queued_ = true;
  } catch (const std::bad_alloc&) {
    flush_later();  // tries again
  }
}

void PipeTransport::end() {
  if (is_over_) return;
  const std::shared_ptr<BaseProtocol> keep = protocol_;  // it may set another
  struct LetGo {
    ~LetGo() { transport.let_go(); }
    PipeTransport& transport;
  } const let_go{*this};
  keep->connection_lost(std::exchange(error_, nullptr));
}

void PipeTransport::let_go() noexcept {
  if (std::exchange(is_over_, true)) return;
  pipe_.reset();
  discard();
  forget_protocol();
  const std::shared_ptr<PipeTransport> keep = self_;
  const std::shared_ptr<BaseProtocol> protocol = std::move(protocol_);
  // What the end of the pass has in its list lives until then.
  if (!is_waiting()) release();
}

void PipeTransport::release() noexcept {
  LoopState::of(loop_).unlink(*this);
  const std::shared_ptr<PipeTransport> self = std::move(self_);
}

/// The loop is closed: nothing is called any more.
void PipeTransport::abandon() noexcept {
  const std::shared_ptr<PipeTransport> keep = self_;
  is_ending_ = true;
  is_closing_ = true;
  stop();
  let_go();
  if (self_ != nullptr) release();  // no pass comes to an end any more
}

// -- failure -----------------------------------------------------------------

void PipeTransport::fail(const char* message, const std::exception_ptr& error) {
  // Even if the handler leaves the loop.
  struct Close {
    ~Close() { transport.force_close(error); }
    PipeTransport& transport;
    std::exception_ptr error;
  } const close{*this, error};
  report(*this, message, error);
}

void PipeTransport::fail(const char* message, const char* operation,
                         int error_number) {
  const std::exception_ptr error = system_error(operation, error_number);
  if (loop_.get_debug()) {
    log_safely([&] {
      log().debug("{}: {}: {}", description(), message, describe(error));
    });
  }
  force_close(error);
}

// -- what it is --------------------------------------------------------------

const Address& PipeTransport::peername() const { return kNoAddress; }

const Address& PipeTransport::sockname() const { return kNoAddress; }

std::string PipeTransport::get_extra_info(std::string_view name,
                                          std::string otherwise) const {
  return name == "pipe" && pipe_ ? std::to_string(pipe_.get()) : otherwise;
}

std::string PipeTransport::state(bool is_polling) const {
  std::string text;
  if (!pipe_) {
    text += " closed";
  } else if (is_closing_) {
    text += " closing";
  }
  text += " fd=" + std::to_string(pipe_.get());
  if (!pipe_) return text + " closed";
  return text + (is_polling ? " polling" : " idle");
}

}  // namespace rondo::detail
