// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "futures/operation.h"
#include "net/address.h"
#include "net/internal/file_sender.h"
#include "net/internal/socket_wait.h"
#include "reactor/unique_fd.h"

// Operations on a socket of one's own, one call each: for who has a descriptor
// and no use for a transport.
//
// The socket is non-blocking; in debug mode it is looked at, and one that is
// not is a std::invalid_argument ("the socket must be non-blocking"), as in
// asyncio. It stays open until the operation is done or has been cancelled,
// and stays the caller's.
//
// Each tries at once, and only if it has to wait is the socket watched, which
// costs two epoll_ctl(2). One operation may wait to read from a socket, and one
// to write to it; a second one throws RuntimeError, and so does one on a
// socket that a transport has. (asyncio forgets the first, silently.) All
// throw std::system_error with what the call has failed with, and
// std::invalid_argument for a negative descriptor.

namespace rondo {

namespace detail {

/// An operation that makes one system call as often as it takes. Derived has
/// `bool attempt()`: whether it is done, else errno says why.
template <class Derived, class T>
class SocketOperation : public Operation<Derived, T> {
 public:
  /// See TaskBody.
  Step step(Resumption& resumption) {
    resumption.check();
    if (!wait_.has_begun()) wait_.begin(resumption.loop());
    if (!static_cast<Derived*>(this)->attempt()) {
      if (!SocketWait::would_block()) wait_.fail();
      return wait_.wait();
    }
    wait_.stop();
    return Step::done();
  }

 private:
  friend Derived;
  SocketOperation(int fd, FdUse use) noexcept
      : wait_(fd, use, Derived::kName) {}

  SocketWait wait_;
};

}  // namespace detail

/// What sock_recv() gives.
class [[nodiscard]] SockRecv
    : public detail::SocketOperation<SockRecv, std::string> {
 public:
  /// For sock_recv().
  SockRecv(int fd, std::size_t size) noexcept
      : SocketOperation(fd, detail::FdUse::kReading), size_(size) {}
  /// See SocketOperation.
  bool attempt();
  /// See TaskBody.
  std::string result() { return std::move(data_); }
  /// asyncio's name of it.
  static constexpr const char* kName = "sock_recv";

 private:
  std::size_t size_;
  std::string data_;
};

/// What sock_recv_into() gives.
class [[nodiscard]] SockRecvInto
    : public detail::SocketOperation<SockRecvInto, std::size_t> {
 public:
  /// For sock_recv_into().
  SockRecvInto(int fd, std::span<char> buffer) noexcept
      : SocketOperation(fd, detail::FdUse::kReading), buffer_(buffer) {}
  /// See SocketOperation.
  bool attempt();
  /// See TaskBody.
  std::size_t result() noexcept { return received_; }
  /// asyncio's name of it.
  static constexpr const char* kName = "sock_recv_into";

 private:
  std::span<char> buffer_;
  std::size_t received_ = 0;
};

/// A datagram, and where it came from.
class Datagram {
 public:
  /// None.
  Datagram() = default;
  /// Takes both.
  Datagram(std::string text, Address address)
      : data(std::move(text)), from(std::move(address)) {}
  /// Perhaps empty.
  std::string data;
  /// None if the sender has none.
  Address from;
};

/// What sock_recvfrom() gives.
class [[nodiscard]] SockRecvFrom
    : public detail::SocketOperation<SockRecvFrom, Datagram> {
 public:
  /// For sock_recvfrom().
  SockRecvFrom(int fd, std::size_t size) noexcept
      : SocketOperation(fd, detail::FdUse::kReading), size_(size) {}
  /// See SocketOperation.
  bool attempt();
  /// See TaskBody.
  Datagram result() { return std::move(datagram_); }
  /// asyncio's name of it.
  static constexpr const char* kName = "sock_recvfrom";

 private:
  std::size_t size_;
  Datagram datagram_;
};

/// What sock_recvfrom_into() gives.
class [[nodiscard]] SockRecvFromInto
    : public detail::SocketOperation<SockRecvFromInto,
                                     std::pair<std::size_t, Address>> {
 public:
  /// For sock_recvfrom_into().
  SockRecvFromInto(int fd, std::span<char> buffer) noexcept
      : SocketOperation(fd, detail::FdUse::kReading), buffer_(buffer) {}
  /// See SocketOperation.
  bool attempt();
  /// See TaskBody.
  std::pair<std::size_t, Address> result() { return std::move(received_); }
  /// asyncio's name of it.
  static constexpr const char* kName = "sock_recvfrom_into";

 private:
  std::span<char> buffer_;
  std::pair<std::size_t, Address> received_;
};

/// What sock_sendall() gives.
class [[nodiscard]] SockSendAll
    : public detail::SocketOperation<SockSendAll, void> {
 public:
  /// For sock_sendall().
  SockSendAll(int fd, std::string data) noexcept
      : SocketOperation(fd, detail::FdUse::kWriting), data_(std::move(data)) {}
  /// See SocketOperation.
  bool attempt();
  /// See TaskBody.
  void result() noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "sock_sendall";

 private:
  std::string data_;
  std::size_t sent_ = 0;
};

/// What sock_sendto() gives.
class [[nodiscard]] SockSendTo
    : public detail::SocketOperation<SockSendTo, std::size_t> {
 public:
  /// For sock_sendto().
  SockSendTo(int fd, std::string data, Address address) noexcept
      : SocketOperation(fd, detail::FdUse::kWriting),
        data_(std::move(data)),
        address_(std::move(address)) {}
  /// See SocketOperation.
  bool attempt();
  /// See TaskBody.
  std::size_t result() noexcept { return sent_; }
  /// asyncio's name of it.
  static constexpr const char* kName = "sock_sendto";

 private:
  std::string data_;
  Address address_;
  std::size_t sent_ = 0;
};

/// What sock_connect() gives.
class [[nodiscard]] SockConnect
    : public detail::SocketOperation<SockConnect, void> {
 public:
  /// For sock_connect().
  SockConnect(int fd, Address address) noexcept
      : SocketOperation(fd, detail::FdUse::kWriting),
        address_(std::move(address)) {}
  /// See SocketOperation.
  bool attempt();
  /// See TaskBody.
  void result() noexcept {}
  /// asyncio's name of it.
  static constexpr const char* kName = "sock_connect";

 private:
  Address address_;
  bool has_begun_ = false;
};

/// A connection that sock_accept() has accepted.
class AcceptedSocket {
 public:
  /// None.
  AcceptedSocket() = default;
  /// Takes both.
  AcceptedSocket(UniqueFd fd, Address from)
      : socket(std::move(fd)), address(std::move(from)) {}
  /// Non-blocking, as create_connection(factory, socket) wants it.
  UniqueFd socket;
  /// The other end's.
  Address address;
};

/// What sock_accept() gives.
class [[nodiscard]] SockAccept
    : public detail::SocketOperation<SockAccept, AcceptedSocket> {
 public:
  /// For sock_accept().
  explicit SockAccept(int fd) noexcept
      : SocketOperation(fd, detail::FdUse::kReading) {}
  /// See SocketOperation.
  bool attempt();
  /// See TaskBody.
  AcceptedSocket result() { return std::move(accepted_); }
  /// asyncio's name of it.
  static constexpr const char* kName = "sock_accept";

 private:
  AcceptedSocket accepted_;
};

/// What sock_sendfile() gives.
class [[nodiscard]] SockSendfile
    : public Operation<SockSendfile, std::int64_t> {
 public:
  /// For sock_sendfile().
  SockSendfile(int fd, int file, std::int64_t offset,
               std::optional<std::int64_t> count, bool fallback);
  /// See TaskBody.
  Step step(Resumption& resumption);
  /// See TaskBody.
  std::int64_t result() noexcept { return sender_.total(); }
  /// asyncio's name of it.
  static constexpr const char* kName = "sock_sendfile";

 private:
  void begin(EventLoop& loop);

  detail::SocketWait wait_;
  detail::FileSender sender_;
};

/// Receives up to `size` bytes; none at the end of the stream. No memory is
/// kept while it waits. A cancel loses nothing: bytes are taken when the task
/// goes on, not before.
///
/// Source: asyncio.loop.sock_recv, recv(2).
SockRecv sock_recv(int fd, std::size_t size);
/// The same into `buffer`, which stays until it is done. Gives how many bytes.
///
/// Source: asyncio.loop.sock_recv_into.
SockRecvInto sock_recv_into(int fd, std::span<char> buffer);
/// Receives a datagram, or the first `size` bytes of it. A cancel loses
/// nothing.
///
/// Source: asyncio.loop.sock_recvfrom, recvfrom(2).
SockRecvFrom sock_recvfrom(int fd, std::size_t size);
/// The same into `buffer`, which stays until it is done.
///
/// Source: asyncio.loop.sock_recvfrom_into.
SockRecvFromInto sock_recvfrom_into(int fd, std::span<char> buffer);
/// Sends all of `data`. After a cancel, or an error, nobody knows how much has
/// gone. Never raises SIGPIPE.
///
/// Source: asyncio.loop.sock_sendall, send(2).
SockSendAll sock_sendall(int fd, std::string data);
/// Sends `data`, empty or not, as one datagram to `address`; to whom the socket
/// is connected to if that is none. Gives how many bytes were sent. A cancel
/// means that it was not sent.
///
/// Source: asyncio.loop.sock_sendto, sendto(2).
SockSendTo sock_sendto(int fd, std::string data, Address address);
/// Connects to `address`; names are for getaddrinfo(). Fails with
/// "Connect call failed ('127.0.0.1', 1): Connection refused". After a cancel
/// the kernel goes on with it: the socket is good for nothing but to be closed.
///
/// Source: asyncio.loop.sock_connect, connect(2).
SockConnect sock_connect(int fd, Address address);
/// Accepts a connection. A cancel loses nothing: the next one gets it.
///
/// Source: asyncio.loop.sock_accept, accept(2).
SockAccept sock_accept(int fd);
/// Sends `count` bytes of a file from `offset` on, or all the rest, as
/// sendfile() does, and throws what it does; std::invalid_argument if it is no
/// stream socket. After a cancel nobody knows how much has gone.
///
/// Source: asyncio.loop.sock_sendfile.
SockSendfile sock_sendfile(int fd, int file, std::int64_t offset = 0,
                           std::optional<std::int64_t> count = std::nullopt,
                           bool fallback = true);

}  // namespace rondo
