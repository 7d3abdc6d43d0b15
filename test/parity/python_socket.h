// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "futures/coro/coro.h"
#include "futures/future.h"
#include "reactor/event_loop.h"
#include "reactor/unique_fd.h"

// Python's socket module, as far as twins use it beside the library: blocking
// clients in another thread, and one end of a socket pair.

namespace python {

/// Python's socket object. Errors are a std::system_error.
class Socket {
 public:
  explicit Socket(rondo::UniqueFd fd) noexcept : fd_(std::move(fd)) {}

  /// A blocking one: socket.create_connection(('127.0.0.1', port)), and
  /// settimeout(5).
  static Socket connect(std::uint16_t port) {
    Socket socket(rondo::UniqueFd(::socket(AF_INET, SOCK_STREAM, 0)));
    const ::sockaddr_in address = localhost(port);
    const ::timeval timeout{5, 0};
    check(::setsockopt(socket.fileno(), SOL_SOCKET, SO_RCVTIMEO, &timeout,
                       sizeof timeout));
    check(::connect(socket.fileno(),
                    reinterpret_cast<const ::sockaddr*>(&address),
                    sizeof address));
    return socket;
  }
  /// bind(('127.0.0.1', 0)). Returns the port.
  std::uint16_t bind() const {
    ::sockaddr_in address = localhost(0);
    ::socklen_t size = sizeof address;
    auto* native = reinterpret_cast<::sockaddr*>(&address);
    check(::bind(fileno(), native, size));
    check(::getsockname(fileno(), native, &size));
    return ntohs(address.sin_port);
  }
  void sendall(std::string_view data) const {
    while (!data.empty()) {
      data.remove_prefix(
          check(::send(fileno(), data.data(), data.size(), MSG_NOSIGNAL)));
    }
  }
  std::string recv(std::size_t size) const {
    std::string data(size, '\0');
    data.resize(check(::recv(fileno(), data.data(), data.size(), 0)));
    return data;
  }
  /// shutdown(SHUT_WR).
  void shutdown() const { check(::shutdown(fileno(), SHUT_WR)); }
  void setblocking(bool on) const {
    check(::fcntl(fileno(), F_SETFL, on ? 0 : O_NONBLOCK));
  }
  void close() noexcept { fd_.reset(); }
  int fileno() const noexcept { return fd_.get(); }
  /// For the library, which owns it from then on.
  rondo::UniqueFd detach() { return std::move(fd_); }

 private:
  static std::size_t check(::ssize_t answer) {
    if (answer >= 0) return static_cast<std::size_t>(answer);
    throw std::system_error(errno, std::generic_category(), "socket");
  }
  static ::sockaddr_in localhost(std::uint16_t port) {
    ::sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  rondo::UniqueFd fd_;
};

/// socket.socketpair(); the first is non-blocking.
inline std::pair<Socket, Socket> socketpair() {
  int fds[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) {
    throw std::system_error(errno, std::generic_category(), "socketpair");
  }
  std::pair<Socket, Socket> pair{rondo::UniqueFd(fds[0]),
                                 rondo::UniqueFd(fds[1])};
  pair.first.setblocking(false);
  return pair;
}

/// loop.sock_recv(socket, size), of a non-blocking socket.
inline rondo::Coro<std::string> sock_recv(const Socket& socket,
                                          std::size_t size) {
  rondo::EventLoop& loop = rondo::get_running_loop();
  std::string data(size, '\0');
  for (;;) {
    const ::ssize_t count = ::recv(socket.fileno(), data.data(), size, 0);
    if (count >= 0) {
      data.resize(static_cast<std::size_t>(count));
      co_return data;
    }
    if (errno != EAGAIN) {
      throw std::system_error(errno, std::generic_category(), "recv");
    }
    const rondo::Future<void> readable(loop);
    const int fd = socket.fileno();
    loop.add_reader(fd, [&loop, fd, readable] {
      loop.remove_reader(fd);
      if (!readable.done()) readable.set_result();
    });
    co_await readable;
  }
}

}  // namespace python
