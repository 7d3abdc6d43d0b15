// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "futures/operation.h"
#include "net/internal/stream_ref.h"
#include "net/stream_errors.h"

namespace rondo {

namespace detail {
class ReaderState;
}  // namespace detail

/// What StreamReader's limit is unless set: 64 KiB.
inline constexpr std::size_t kStreamLimit = std::size_t{64} * 1024;

/// The reading half of a connection, for one task at a time. A small value:
/// copies mean the same stream. Only for the loop's thread, copies too.
///
///     while (true) {
///       std::string line = co_await reader.readline();
///       if (line.empty()) break;                    // the peer is done
///       ...
///     }
///
/// All reads are operations: a cancel loses nothing, what came stays in the
/// buffer for the next read. They throw what the connection has failed with,
/// and RuntimeError while another task waits in a read. When more than twice
/// the limit waits to be read, the transport pauses.
///
/// Source: asyncio.StreamReader.
class StreamReader {
 public:
  class Read;

  /// Means no stream.
  StreamReader() noexcept = default;
  /// One that is fed by hand. Lines and the like may have `limit` bytes; zero
  /// throws std::invalid_argument.
  explicit StreamReader(EventLoop& loop, std::size_t limit = kStreamLimit);

  /// Up to `size` bytes: what is there, or else what comes next. Empty at the
  /// end of the stream, or for zero.
  Read read(std::size_t size) const;
  /// All until the end of the stream.
  Read read() const;
  /// `size` bytes. Throws IncompleteReadError if the stream ends before.
  Read readexactly(std::size_t size) const;
  /// A line with its `\n`; without it at the end of the stream, and empty when
  /// there is nothing left. A line over the limit throws std::length_error and
  /// is dropped, as far as it has come.
  Read readline() const;
  /// Until the separator, which is part of what this gives. Throws
  /// IncompleteReadError at the end of the stream, LimitOverrunError beyond
  /// the limit (then all stays in the buffer), std::invalid_argument if the
  /// separator is empty.
  Read readuntil(std::string separator = "\n") const;
  /// The same for whichever of several separators ends first; of two that end
  /// together, the shorter. (CPython 3.13.)
  Read readuntil(std::vector<std::string> separators) const;
  /// The same: `readuntil({"\r\n", "\n"})`.
  Read readuntil(std::initializer_list<std::string> separators) const;

  /// Whether the stream has ended and all of it was read.
  bool at_eof() const noexcept;
  /// What the connection has failed with, or null.
  std::exception_ptr exception() const noexcept;

  /// Appends to what there is to read.
  void feed_data(std::string_view data) const;
  /// There will be no more.
  void feed_eof() const;
  /// All reads throw `error` from now on. Throws std::invalid_argument if it
  /// is null.
  void set_exception(std::exception_ptr error) const;

  /// Whether it means a stream.
  explicit operator bool() const noexcept { return static_cast<bool>(state_); }
  /// As asyncio's repr.
  friend std::string to_string(const StreamReader& reader);

  /// For the library.
  explicit StreamReader(std::shared_ptr<detail::ReaderState> state) noexcept;

 private:
  detail::ReaderState& state() const noexcept;

  detail::StreamRef state_;
};

/// What the reads of a StreamReader give.
class [[nodiscard]] StreamReader::Read
    : public Operation<StreamReader::Read, std::string> {
 public:
  /// Which of them.
  enum class Kind : std::uint8_t { kSome, kAll, kExactly, kLine, kUntil };

  /// For StreamReader.
  Read(detail::StreamRef state, Kind kind, std::size_t size) noexcept
      : state_(std::move(state)), size_(size), kind_(kind) {}
  /// The same for readuntil().
  Read(detail::StreamRef state, std::vector<std::string> separators)
      : state_(std::move(state)),
        separators_(std::make_unique<const std::vector<std::string>>(
            std::move(separators))),
        size_(0),
        kind_(Kind::kUntil) {}
  Read(Read&&) = default;
  ~Read();

  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  std::string result();
  /// asyncio's name of it.
  static constexpr const char* kName = "StreamReader.read";

 private:
  bool try_read();
  bool try_read_until(std::span<const std::string> separators);
  [[noreturn]] void refuse(const char* text, std::size_t consumed,
                           std::size_t end);
  const char* name() const noexcept;
  detail::ReaderState& state() const noexcept;

  // One of these waits in each idle connection's coroutine: it is small.
  detail::StreamRef state_;
  std::unique_ptr<const std::vector<std::string>> separators_;
  // Asked for; of kLine and kUntil, how many bytes have no separator in them.
  // When it is done, how many it gives.
  std::size_t size_;
  std::uint32_t wait_ = 0;  // the reader's number of it; zero: none
  Kind kind_;
};

}  // namespace rondo
