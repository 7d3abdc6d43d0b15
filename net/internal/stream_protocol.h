// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "futures/future.h"
#include "net/internal/reader_state.h"
#include "net/protocol.h"
#include "net/stream_reader.h"
#include "net/stream_writer.h"

namespace rondo::detail {

/// What a server does with a connection; gives the task that does it, or none
/// for a plain function.
using StreamHandler = std::function<AnyFuture(StreamReader, StreamWriter)>;

/// Between a transport and its two streams, and what both of these refer to:
/// one object for each connection. asyncio's StreamReaderProtocol, and its
/// StreamReader.
class StreamProtocol final : public Protocol, public ReaderState {
 public:
  /// `handler` is null for a client.
  StreamProtocol(std::size_t limit,
                 std::shared_ptr<const StreamHandler> handler);

  /// Done when the connection has ended. One for each who asks: a task that is
  /// cancelled cancels what it waits for.
  Future<void> wait_closed();
  bool is_lost() const noexcept { return is_lost_; }
  bool is_paused() const noexcept { return is_writing_paused_; }
  /// Begins to wait until writing goes on: the number of this drain, and what
  /// it waits for, which stays until remove_drainer().
  std::pair<std::uint32_t, const Future<void>&> add_drainer();
  void remove_drainer(std::uint32_t number) noexcept;
  /// While a stream refers to it: as a transport keeps it.
  std::shared_ptr<StreamProtocol> shared() noexcept {
    return Referred::shared(*this);
  }

  void connection_made(Transport& transport) override;
  void data_received(std::string_view data) override;
  bool eof_received() override;
  void connection_lost(std::exception_ptr error) override;
  void pause_writing() override { is_writing_paused_ = true; }
  void resume_writing() override;

 private:
  struct Drainer {
    std::uint32_t number;
    Future<void> future;
  };
  /// What a connection has before it is made, or while somebody waits.
  struct Rare : InBlockPool {
    std::shared_ptr<const StreamHandler> handler;  // until connection_made()
    std::vector<Drainer> drainers;
    std::uint32_t drains = 0;  // begun so far
    std::vector<Future<void>> closers;
  };

  void handle(Transport& transport);
  void end(const Future<void>& future) const;
  Rare& rare();

  std::unique_ptr<Rare> rare_;
  std::exception_ptr error_;  // what the connection has ended with
};

}  // namespace rondo::detail
