// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "futures/future.h"
#include "futures/task.h"
#include "net/internal/reader_state.h"
#include "net/protocol.h"
#include "net/stream_reader.h"
#include "net/stream_writer.h"

namespace rondo::detail {

/// What a server does with a connection; gives the task that does it, or none
/// for a plain function.
using StreamHandler = std::function<AnyFuture(StreamReader, StreamWriter)>;

/// Between a transport and its two streams. asyncio's StreamReaderProtocol.
class StreamProtocol final
    : public Protocol,
      public std::enable_shared_from_this<StreamProtocol> {
 public:
  /// `handler` is null for a client.
  StreamProtocol(std::size_t limit,
                 std::shared_ptr<const StreamHandler> handler) noexcept
      : limit_(limit), handler_(std::move(handler)) {}

  /// There is one since connection_made(). It keeps this.
  std::shared_ptr<ReaderState> reader() {
    return std::shared_ptr<ReaderState>(shared_from_this(), &state());
  }
  /// Done when the connection has ended. One for each who asks: a task that is
  /// cancelled cancels what it waits for.
  Future<void> wait_closed();
  bool is_lost() const noexcept { return is_lost_; }
  /// What the streams go through since start_tls(); null before.
  const std::shared_ptr<Transport>& upgraded() const noexcept {
    return upgraded_;
  }
  void set_upgraded(std::shared_ptr<Transport> transport);
  bool is_paused() const noexcept { return is_paused_; }
  /// Done when writing goes on.
  Future<void> add_drainer();
  void remove_drainer(const Future<void>& drainer) noexcept;

  void connection_made(Transport& transport) override;
  void data_received(std::string_view data) override;
  bool eof_received() override;
  void connection_lost(std::exception_ptr error) override;
  void pause_writing() override { is_paused_ = true; }
  void resume_writing() override;

 private:
  /// Those who wait. Most connections have none.
  struct Waiters {
    std::vector<Future<void>> drainers;
    std::vector<Future<void>> closers;
  };

  ReaderState& state() noexcept {
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): see reader()
    return *reader_;
  }
  void handle(Transport& transport);
  void end(const Future<void>& future) const;
  Waiters& waiters();

  const std::size_t limit_;
  std::optional<ReaderState> reader_;
  std::shared_ptr<const StreamHandler> handler_;
  std::unique_ptr<Waiters> waiters_;
  std::shared_ptr<Transport> upgraded_;
  std::exception_ptr error_;  // what the connection has ended with
  bool is_paused_ = false;
  bool is_lost_ = false;
};

}  // namespace rondo::detail
