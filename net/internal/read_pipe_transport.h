// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/internal/pipe_transport.h"

namespace rondo::detail {

/// The reading end of a pipe. asyncio's _UnixReadPipeTransport.
class ReadPipeTransport final : public PipeTransport {
 public:
  /// A transport on `pipe`, which is non-blocking and of a kind that can be
  /// read. It begins in the next pass; then `made` is done if it is one.
  static std::shared_ptr<ReadPipeTransport> create(
      EventLoop& loop, UniqueFd pipe, std::shared_ptr<BaseProtocol> protocol,
      Future<void> made);
  /// For create().
  ReadPipeTransport(EventLoop& loop, UniqueFd pipe)
      : PipeTransport(loop, std::move(pipe)) {}

  void close() override { end_soon(nullptr); }
  void pause_reading() override;
  void resume_reading() override;
  bool is_reading() const noexcept override { return is_open() && !is_paused_; }
  void set_protocol(std::shared_ptr<BaseProtocol> protocol) override;

  void write(std::string_view data) override;
  void write_eof() override;
  bool can_write_eof() const noexcept override { return false; }
  std::size_t get_write_buffer_size() override { return 0; }
  WriteBufferLimits get_write_buffer_limits() const noexcept override {
    return {};
  }
  void set_write_buffer_limits(std::optional<std::size_t> high,
                               std::optional<std::size_t> low) override;
  void set_write_buffer_cap(std::size_t bytes) override;

  std::string description() const override;

 private:
  void start() override;
  void stop() noexcept override;
  void forget_protocol() noexcept override;

  void on_readable();
  void read_into_shared();
  void read_into_protocols();
  bool has_read(ssize_t size);
  void on_end_of_stream();

  // The protocol; one of the two.
  class Protocol* stream_protocol_ = nullptr;
  BufferedProtocol* buffered_protocol_ = nullptr;
  bool is_paused_ = false;
  bool has_begun_ = false;  // connection_made() was called
  bool reads_ = false;      // the loop watches for readable
};

}  // namespace rondo::detail
