// SPDX-License-Identifier: MIT
#include "net/internal/child_transport.h"

#include <signal.h>
#include <sys/stat.h>

#include <new>
#include <source_location>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "net/internal/net_state.h"
#include "net/internal/protocol_call.h"
#include "net/internal/read_pipe_transport.h"
#include "net/internal/write_pipe_transport.h"
#include "reactor/errors.h"
#include "reactor/event_loop.h"
#include "reactor/internal/log.h"
#include "reactor/internal/loop_access.h"

namespace rondo::detail {

/// The protocol of one pipe. asyncio's ReadSubprocessPipeProto and its kin.
/// Child and pipe keep each other until the pipe has ended.
class ChildPipe final : public Protocol {
 public:
  ChildPipe(std::shared_ptr<ChildTransport> child, int fd) noexcept
      : child_(std::move(child)), fd_(fd) {}

  void data_received(std::string_view data) override {
    child_->on_pipe_data(fd_, data);
  }
  void connection_lost(std::exception_ptr error) override {
    child_->on_pipe_lost(fd_, std::move(error));
  }
  void pause_writing() override { child_->on_pause(true); }
  void resume_writing() override { child_->on_pause(false); }

 private:
  const std::shared_ptr<ChildTransport> child_;
  const int fd_;
};

std::shared_ptr<ChildTransport> ChildTransport::create(
    EventLoop& loop, const std::vector<std::string>& argv,
    const SubprocessOptions& options,
    std::shared_ptr<SubprocessProtocol> protocol, Future<void> made) {
  auto transport = std::make_shared<ChildTransport>(
      loop, NetState::of(loop).kernel(), argv, options);
  ChildTransport& t = *transport;
  t.set_protocol(std::move(protocol));
  t.self_ = transport;
  LoopState::of(loop).link(t);
  try {
    t.watch(std::move(made));
  } catch (...) {
    t.give_up();
    throw;
  }
  if (loop.get_debug()) {
    log_safely([&] {
      log().debug("process created: program={} pid={}", argv[0], t.get_pid());
    });
  }
  return transport;
}

ChildTransport::ChildTransport(EventLoop& loop, Kernel& kernel,
                               const std::vector<std::string>& argv,
                               const SubprocessOptions& options)
    : loop_(loop), child_(kernel, argv, options) {}

ChildTransport::~ChildTransport() = default;

/// The pipes begin first: when connection_made() is called they are there, and
/// nothing has come through them yet.
void ChildTransport::watch(Future<void> made) {
  for (int fd = 0; fd < 3; ++fd) connect_pipe(fd);
  if (child_.process_fd() >= 0) {
    loop_.add_reader(child_.process_fd(), [this] { on_process_event(); });
    watched_ = child_.process_fd();
  }
  loop_.call_soon([this, m = std::move(made)]() mutable { begin(m); });
}

void ChildTransport::connect_pipe(int fd) {
  UniqueFd pipe = child_.take_pipe(fd);
  if (!pipe) return;
  auto protocol = std::make_shared<ChildPipe>(
      std::static_pointer_cast<ChildTransport>(shared_from_this()), fd);
  if (fd == 0) {
    pipes_[fd].transport = WritePipeTransport::create(
        loop_, std::move(pipe), S_IFIFO, std::move(protocol), Future<void>());
  } else {
    pipes_[fd].transport = ReadPipeTransport::create(
        loop_, std::move(pipe), std::move(protocol), Future<void>());
  }
  pipes_[fd].is_connected = true;
}

/// It could not be watched: as if it had never been there.
void ChildTransport::give_up() noexcept {
  is_closing_ = true;
  is_over_ = true;
  stop_watching();
  returncode_ = child_.kill_and_reap();
  for (const Pipe& pipe : pipes_) {
    if (pipe.transport != nullptr) pipe.transport->abort();
  }
  protocol_ = nullptr;
  release();
}

void ChildTransport::begin(Future<void>& made) {
  const std::shared_ptr<SubprocessProtocol> keep = protocol_;
  try {
    guarded([&] { keep->connection_made(*this); },
            [this](const std::exception_ptr& error) {
              error_ = error;
              close();
              report(*this,
                     "Fatal error: protocol.connection_made() call failed.",
                     error);
            });
  } catch (...) {
    go_on(made);
    throw;  // SystemExit and its like: the loop may run again
  }
  go_on(made);
}

void ChildTransport::go_on(Future<void>& made) {
  if (!made.done()) {
    if (error_ != nullptr) {
      made.set_exception(error_);
    } else {
      made.set_result();
    }
  }
  if (watched_ < 0) on_process_event();  // somebody else has reaped it
}

// -- its pipes ---------------------------------------------------------------

std::shared_ptr<Transport> ChildTransport::get_pipe_transport(int fd) const {
  return fd >= 0 && fd < 3 ? pipes_[fd].transport : nullptr;
}

void ChildTransport::on_pipe_data(int fd, std::string_view data) {
  if (is_over_) return;
  tell("protocol.pipe_data_received() failed",
       [&] { protocol_->pipe_data_received(fd, data); });
}

void ChildTransport::on_pipe_lost(int fd, std::exception_ptr error) {
  if (is_over_) return;
  pipes_[fd].is_connected = false;
  struct Finish {
    ~Finish() { transport.try_finish(); }
    ChildTransport& transport;
  } const finish{*this};
  tell("protocol.pipe_connection_lost() failed",
       [&] { protocol_->pipe_connection_lost(fd, std::move(error)); });
}

/// What it throws is dealt with by the pipe.
void ChildTransport::on_pause(bool pause) {
  if (is_over_) return;
  const std::shared_ptr<SubprocessProtocol> keep = protocol_;
  if (pause) {
    keep->pause_writing();
  } else {
    keep->resume_writing();
  }
}

// -- the process -------------------------------------------------------------

void ChildTransport::send_signal(int signal_number) {
  const int error = returncode_ ? ESRCH : child_.send_signal(signal_number);
  if (error != 0) {
    throw std::system_error(error, std::generic_category(),
                            "send_signal " + std::to_string(signal_number) +
                                " to process " + std::to_string(get_pid()));
  }
}

Future<int> ChildTransport::wait() {
  const Future<int> ended(loop_);
  if (returncode_) {
    ended.set_result(*returncode_);
  } else {
    std::erase_if(waiters_, [](const Future<int>& w) { return w.done(); });
    waiters_.push_back(ended);
  }
  return ended;
}

void ChildTransport::on_process_event() {
  const std::optional<int> returncode = child_.reap();
  if (!returncode) return;
  stop_watching();
  child_.close_process();
  exited(*returncode);
}

void ChildTransport::exited(int returncode) {
  if (is_over_ || returncode_) return;
  returncode_ = returncode;
  if (loop_.get_debug()) {
    log_safely([&] {
      log().info("{} exited: returncode={}", description(), returncode);
    });
  }
  struct Finish {
    ~Finish() {
      transport.try_finish();
      transport.wake();
    }
    ChildTransport& transport;
  } const finish{*this};
  tell("protocol.process_exited() failed",
       [this] { protocol_->process_exited(); });
}

void ChildTransport::wake() noexcept {
  for (const Future<int>& waiter : std::exchange(waiters_, {})) {
    // Never throws: it is pending, and its callbacks have their memory.
    if (!waiter.done()) waiter.set_result(returncode_.value_or(0));
  }
}

void ChildTransport::stop_watching() noexcept {
  if (watched_ >= 0) loop_.remove_reader(std::exchange(watched_, -1));
}

// -- its end -----------------------------------------------------------------

void ChildTransport::close() {
  if (std::exchange(is_closing_, true)) return;
  const bool is_running = !returncode_;
  for (const Pipe& pipe : pipes_) {
    if (pipe.transport == nullptr) continue;
    // What waits for its stdin nobody will read.
    is_running ? pipe.transport->abort() : pipe.transport->close();
  }
  if (!is_running) return;
  if (loop_.get_debug()) {
    log_safely([&] {
      log().warn("close running child process: kill {}", description());
    });
  }
  child_.kill();
}

void ChildTransport::try_finish() {
  if (is_over_ || is_ending_ || !returncode_) return;
  for (const Pipe& pipe : pipes_) {
    if (pipe.is_connected) return;
  }
  is_ending_ = true;
  is_closing_ = true;
  if (!loop_.is_closed()) queue_end();  // else see abandon()
}

/// In the loop's queue: asyncio's name of it.
struct ChildTransport::End {
  void operator()() const { transport->end(); }
  std::string description() const {
    return "BaseSubprocessTransport._call_connection_lost()";
  }
  ChildTransport* transport;
};

void ChildTransport::queue_end() {
  try {
    loop_.call_soon(End{this}, std::source_location());
  } catch (const std::bad_alloc&) {
    if (!is_waiting()) LoopAccess::at_pass_end(loop_, *this);  // tries again
  }
}

/// Only an end that could not be queued waits for this.
void ChildTransport::on_pass_end() { queue_end(); }

void ChildTransport::end() {
  if (is_over_) return;
  const std::shared_ptr<SubprocessProtocol> keep = protocol_;
  struct LetGo {
    ~LetGo() { transport.let_go(); }
    ChildTransport& transport;
  } const let_go{*this};
  keep->connection_lost(std::exchange(error_, nullptr));
}

void ChildTransport::let_go() noexcept {
  if (std::exchange(is_over_, true)) return;
  const std::shared_ptr<ChildTransport> keep = self_;
  const std::shared_ptr<SubprocessProtocol> protocol = std::move(protocol_);
  // What the end of the pass has in its list lives until then.
  if (!is_waiting()) release();
}

void ChildTransport::release() noexcept {
  LoopState::of(loop_).unlink(*this);
  const std::shared_ptr<ChildTransport> self = std::move(self_);
}

/// The loop is closed: nothing is called any more. Nobody else would wait for
/// the child.
void ChildTransport::abandon() noexcept {
  const std::shared_ptr<ChildTransport> keep = self_;
  is_closing_ = true;
  stop_watching();
  if (!returncode_) returncode_ = child_.kill_and_reap();
  waiters_.clear();
  let_go();
  if (self_ != nullptr) release();  // no pass comes to an end any more
}

// -- failure -----------------------------------------------------------------

template <class Callback>
void ChildTransport::tell(const char* message, Callback&& callback) {
  const std::shared_ptr<SubprocessProtocol> keep = protocol_;
  guarded(callback, [&](const std::exception_ptr& error) {
    report(*this, message, error);
  });
}

// -- what it is --------------------------------------------------------------

void ChildTransport::set_protocol(
    std::shared_ptr<SubprocessProtocol> protocol) {
  if (is_over_) return;
  if (protocol == nullptr) {
    throw std::invalid_argument("set_protocol: no protocol");
  }
  std::swap(protocol_, protocol);  // the old one may be what calls this
}

std::string ChildTransport::description() const {
  std::string text = "<_UnixSubprocessTransport";
  if (is_closing_) text += " closed";
  text += " pid=" + std::to_string(get_pid());
  text += returncode_ ? " returncode=" + std::to_string(*returncode_)
                      : std::string(" running");
  static constexpr const char* kNames[] = {"stdin", "stdout", "stderr"};
  for (int fd = 0; fd < 3; ++fd) {
    if (pipes_[fd].transport == nullptr) continue;
    text +=
        std::string(" ") + kNames[fd] + "=" + to_string(*pipes_[fd].transport);
  }
  return text + ">";
}

}  // namespace rondo::detail
