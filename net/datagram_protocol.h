// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <memory>
#include <string_view>
#include <system_error>

#include "net/address.h"
#include "reactor/callback.h"

namespace rondo {

class DatagramTransport;

/// What a DatagramTransport calls:
///
///     connection_made  (datagram_received | error_received)*  connection_lost
///     pause_writing, resume_writing: in turn, any time between
///
/// Each is called by the loop, on its thread, and never out of a call of the
/// protocol's own but for pause_writing(). What one throws is told to the
/// loop's exception handler, and the endpoint stays open, as in asyncio; what
/// connection_made() throws ends it.
///
/// No BaseProtocol: that one's connection_made() is given a Transport, whose
/// stream this has not. So the compiler sees who gives a protocol to the wrong
/// kind of transport; asyncio sees it when the first call fails.
///
/// Source: asyncio.DatagramProtocol.
class DatagramProtocol {
 public:
  DatagramProtocol() = default;
  DatagramProtocol(const DatagramProtocol&) = delete;
  DatagramProtocol& operator=(const DatagramProtocol&) = delete;
  virtual ~DatagramProtocol() = default;

  /// First. `transport` is there until connection_lost() has returned;
  /// DatagramTransport::shared_from_this() keeps it longer.
  virtual void connection_made(DatagramTransport& transport) {
    static_cast<void>(transport);
  }
  /// One datagram, as it was sent: whole, and perhaps empty. `data` is there
  /// during the call only. `from` has no address if the sender, a Unix socket,
  /// has none.
  virtual void datagram_received(std::string_view data, const Address& from) {
    static_cast<void>(data);
    static_cast<void>(from);
  }
  /// Something went wrong with a datagram, and the endpoint stays open:
  ///
  ///     ECONNREFUSED and its like  nobody listened for an earlier one
  ///     EMSGSIZE                   one is too large to be sent; or one came
  ///                                that was longer than there is room for,
  ///                                and what is left of it is not delivered
  ///     ENOBUFS                    it did not fit below the write buffer's cap
  ///     any other                  sendmmsg(2) or recvmmsg(2) has failed
  ///
  /// A std::error_code, where asyncio gives an OSError: it is nothing else
  /// ever, and a storm of them allocates nothing.
  virtual void error_received(std::error_code error) {
    static_cast<void>(error);
  }
  /// The write buffer has grown beyond its high-water mark: time to stop.
  /// Called by the sendto() that did it.
  virtual void pause_writing() {}
  /// It has sunk to its low-water mark.
  virtual void resume_writing() {}
  /// Last, exactly once after connection_made(). `error` is null if the
  /// endpoint was closed or aborted here; else what it failed with.
  // NOLINTNEXTLINE(performance-unnecessary-value-param): for who overrides it
  virtual void connection_lost(std::exception_ptr error) {
    static_cast<void>(error);
  }
};

/// Makes the protocol of an endpoint. A function that returns a
/// std::unique_ptr will do as well.
using DatagramProtocolFactory =
    UniqueFunction<std::shared_ptr<DatagramProtocol>()>;

}  // namespace rondo
