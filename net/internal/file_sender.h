// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "futures/future.h"
#include "reactor/kernel.h"

namespace rondo::detail {

/// A part of a file on its way to a socket: by sendfile(2), or, where that
/// cannot be, read and sent.
class FileSender {
 public:
  /// How far one call of send() has come.
  enum class Outcome : std::uint8_t {
    kDone,     // all is sent, or the file is at its end
    kBlocked,  // the socket takes no more
    kMore,     // others are to have their turn
    kReading,  // see reading()
  };

  /// Throws std::invalid_argument for what is no part of a file.
  FileSender(int file, std::int64_t offset, std::optional<std::int64_t> count,
             bool fallback);
  FileSender(FileSender&&) = default;
  /// Nobody asks any more for what is being read.
  ~FileSender();

  /// Sends what `socket` takes now. Throws SendfileNotAvailableError, and
  /// std::system_error: see is_socket_error().
  Outcome send(EventLoop& loop, Kernel& kernel, int socket);
  /// The other way for a transport that has no socket: kMore is a chunk to be
  /// written, of which sent() is told.
  Outcome read(EventLoop& loop, Kernel& kernel);
  std::string_view chunk() const noexcept {
    return std::string_view(chunk_).substr(chunk_sent_);
  }
  void sent(std::size_t size) noexcept;

  /// What kReading waits for: a thread reads.
  const Future<std::string>& reading() const noexcept { return reading_; }
  /// Whether what send() has thrown is an error of the socket, not the file.
  bool is_socket_error() const noexcept { return is_socket_error_; }
  /// How many bytes were sent.
  std::int64_t total() const noexcept { return total_; }

 private:
  // A step sends no more than this, so that a fast peer does not keep the
  // loop from the others.
  static constexpr std::size_t kBudgetBytes = std::size_t{1} << 20;
  // asyncio's SENDFILE_FALLBACK_READBUFFER_SIZE.
  static constexpr std::size_t kChunkBytes = std::size_t{256} * 1024;

  Outcome send_natively(Kernel& kernel, int socket, std::size_t& budget);
  Outcome send_chunk(Kernel& kernel, int socket, std::size_t& budget);
  std::size_t next_size(std::size_t most) const noexcept;
  [[noreturn]] void fail_socket(const char* operation, int error_number);

  const int file_;
  const std::int64_t offset_;
  const std::optional<std::int64_t> count_;
  const bool fallback_;
  bool is_native_ = true;
  bool is_socket_error_ = false;
  std::int64_t total_ = 0;
  Future<std::string> reading_;
  std::string chunk_;
  std::size_t chunk_sent_ = 0;
};

}  // namespace rondo::detail
