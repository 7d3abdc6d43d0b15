// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <string_view>

#include "net/internal/reader_state.h"
#include "net/internal/stream_protocol.h"
#include "net/subprocess.h"

namespace rondo::detail {

/// Between a child and its three streams. asyncio's SubprocessStreamProtocol.
class SubprocessStreams final : public SubprocessProtocol {
 public:
  explicit SubprocessStreams(std::size_t limit) noexcept : limit_(limit) {}

  /// What its stdin is written through; null if that is no pipe. There since
  /// connection_made(), as are the readers.
  const std::shared_ptr<StreamProtocol>& writer() const noexcept {
    return stdin_;
  }
  /// What its descriptor 1 or 2 is read through; null if that is no pipe.
  const std::shared_ptr<ReaderState>& reader(int fd) const noexcept {
    return outputs_[fd - 1].reader;
  }

  void connection_made(SubprocessTransport& transport) override;
  void pipe_data_received(int fd, std::string_view data) override;
  void pipe_connection_lost(int fd, std::exception_ptr error) override;
  void process_exited() override;
  void connection_lost(std::exception_ptr error) override;
  void pause_writing() override;
  void resume_writing() override;

 private:
  class Output {
   public:
    std::shared_ptr<ReaderState> reader;
    bool is_open = false;
  };

  void close_if_done();

  const std::size_t limit_;
  SubprocessTransport* transport_ = nullptr;  // until its end
  std::shared_ptr<StreamProtocol> stdin_;
  Output outputs_[2];
  bool has_exited_ = false;
};

}  // namespace rondo::detail
