// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/internal/pipe_transport.h"
#include "reactor/events.h"

namespace rondo::detail {

/// The writing end of a pipe. asyncio's _UnixWritePipeTransport.
class WritePipeTransport final : public PipeTransport {
 public:
  /// A transport on `pipe`, which is non-blocking and of `kind`, see
  /// kind_of(). It begins in the next pass; then `made` is done if it is one.
  static std::shared_ptr<WritePipeTransport> create(
      EventLoop& loop, UniqueFd pipe, unsigned kind,
      std::shared_ptr<BaseProtocol> protocol, Future<void> made);
  /// For create().
  WritePipeTransport(EventLoop& loop, UniqueFd pipe, unsigned kind);

  void close() override;
  void pause_reading() override {}
  void resume_reading() override {}
  bool is_reading() const noexcept override { return false; }
  void set_protocol(std::shared_ptr<BaseProtocol> protocol) override;

  void write(std::string_view data) override;
  void write_eof() override;
  std::size_t get_write_buffer_size() override;
  WriteBufferLimits get_write_buffer_limits() const noexcept override {
    return limits_;
  }
  void set_write_buffer_limits(std::optional<std::size_t> high,
                               std::optional<std::size_t> low) override;
  void set_write_buffer_cap(std::size_t bytes) override { cap_ = bytes; }

  std::string description() const override;

 private:
  // What one write may add without being written at once.
  static constexpr std::size_t kGatherBytes = std::size_t{16} * 1024;
  // asyncio's LOG_THRESHOLD_FOR_CONNLOST_WRITES.
  static constexpr unsigned kLostWritesLogged = 5;

  void start() override;
  void stop() noexcept override;
  void discard() noexcept override;
  void on_pass_end() override;

  Events interest() const noexcept;
  void watch();
  void on_events(Events events);
  void on_hangup();
  void on_writable();

  std::size_t unsent() const noexcept { return buffer_.size() - sent_; }
  void buffer(std::string_view data);
  void overflow();
  std::size_t write_now(std::string_view data);
  void write_buffer();
  void flush();
  void all_sent();
  void wait_until_writable();
  void stop_waiting();
  void pause_protocol();
  void resume_protocol();

  std::string buffer_;    // what was written, and
  std::size_t sent_ = 0;  // how much of it is gone
  WriteBufferLimits limits_;
  std::size_t cap_ = std::numeric_limits<std::size_t>::max();
  std::uint32_t lost_writes_ = 0;
  const unsigned kind_;
  bool is_watched_ = false;  // by the loop
  bool writes_ = false;      // for writable, too: the kernel takes no more
  bool has_eof_ = false;     // write_eof() was called
  bool protocol_paused_ = false;
};

}  // namespace rondo::detail
