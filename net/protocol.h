// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <span>
#include <string_view>

#include "reactor/callback.h"

namespace rondo {

class Transport;

/// What all protocols have in common. A protocol is what a transport calls:
///
///     connection_made  data_received*  eof_received?  connection_lost
///     pause_writing, resume_writing: in turn, any time between
///
/// Each is called by the loop, on its thread, and never out of a call of the
/// protocol's own. What one throws is told to the loop's exception handler;
/// out of data_received(), buffer_updated() and eof_received() it also ends
/// the connection, and is what connection_lost() is then given.
///
/// Source: asyncio.BaseProtocol.
class BaseProtocol {
 public:
  BaseProtocol() = default;
  BaseProtocol(const BaseProtocol&) = delete;
  BaseProtocol& operator=(const BaseProtocol&) = delete;
  virtual ~BaseProtocol() = default;

  /// First. `transport` is there until connection_lost() has returned;
  /// Transport::shared_from_this() keeps it longer.
  virtual void connection_made(Transport& transport) {
    static_cast<void>(transport);
  }
  /// Last, exactly once after connection_made(). `error` is null if the
  /// connection was closed or aborted here, or if the peer has ended it; else
  /// what it failed with: a std::system_error, or what the protocol has
  /// thrown. (Not a std::error_code, which could not carry the latter.)
  // NOLINTNEXTLINE(performance-unnecessary-value-param): for who overrides it
  virtual void connection_lost(std::exception_ptr error) {
    static_cast<void>(error);
  }
  /// The write buffer has grown beyond its high-water mark: time to stop.
  /// Called by the write() that did it.
  virtual void pause_writing() {}
  /// It has sunk to its low-water mark.
  virtual void resume_writing() {}
};

/// A protocol for a stream of bytes.
///
/// Source: asyncio.Protocol.
class Protocol : public BaseProtocol {
 public:
  /// What one recv(2) gave, never empty: bytes of the stream, with no regard
  /// to how they were written. `data` is there during the call only.
  virtual void data_received(std::string_view data) { static_cast<void>(data); }
  /// The peer will send no more. To return true keeps the connection open for
  /// writing; false, which is what this one does, closes it.
  virtual bool eof_received() { return false; }
};

/// A protocol for a stream of bytes that has its own buffer, to which the
/// transport reads.
///
/// Source: asyncio.BufferedProtocol.
class BufferedProtocol : public BaseProtocol {
 public:
  /// Where the next bytes are to go. Not empty. It stays valid until
  /// buffer_updated() or the next call of this. `size_hint` is how much the
  /// transport would like.
  virtual std::span<char> get_buffer(std::size_t size_hint) = 0;
  /// `size` bytes have been put at its beginning.
  virtual void buffer_updated(std::size_t size) = 0;
  /// See Protocol::eof_received().
  virtual bool eof_received() { return false; }
};

/// Makes the protocol of a connection. A function that returns a
/// std::unique_ptr will do as well. Called once for each connection.
using ProtocolFactory = UniqueFunction<std::shared_ptr<BaseProtocol>()>;

}  // namespace rondo
