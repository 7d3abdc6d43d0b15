// SPDX-License-Identifier: MIT
#include "net/sock.h"

#include <sys/socket.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "net/internal/net_state.h"

namespace rondo {

namespace {

// MSG_DONTWAIT: not even a blocking socket holds up the loop.
constexpr int kReceive = MSG_DONTWAIT;
constexpr int kSend = MSG_DONTWAIT | MSG_NOSIGNAL;

/// Has `receive(memory)` put up to `size` bytes somewhere, and copies them to
/// `data`: a waiting operation has no memory of its own. Whether it went well.
template <class Receive>
bool receive_into(std::string& data, EventLoop& loop, std::size_t size,
                  Receive&& receive) {
  if (size > detail::NetState::kReadBytes) {
    std::string own(size, '\0');
    const ssize_t count = receive(own.data());
    if (count < 0) return false;
    own.resize(static_cast<std::size_t>(count));
    data = std::move(own);
    return true;
  }
  char* const memory = detail::NetState::of(loop).read_buffer();
  const ssize_t count = receive(memory);
  if (count < 0) return false;
  data.assign(memory, static_cast<std::size_t>(count));
  return true;
}

/// Where a system call writes an address.
struct NativeAddress {
  ::sockaddr_storage storage;
  unsigned size = sizeof storage;
  ::sockaddr* get() noexcept { return reinterpret_cast<::sockaddr*>(&storage); }
  /// As what it has written.
  Address address() noexcept { return Address::from_native(get(), size); }
};

}  // namespace

bool SockRecv::attempt() {
  return receive_into(data_, wait_.loop(), size_, [this](char* memory) {
    return wait_.kernel().recv(wait_.fd(), memory, size_, kReceive);
  });
}

bool SockRecvInto::attempt() {
  const ssize_t count =
      wait_.kernel().recv(wait_.fd(), buffer_.data(), buffer_.size(), kReceive);
  if (count < 0) return false;
  received_ = static_cast<std::size_t>(count);
  return true;
}

bool SockRecvFrom::attempt() {
  NativeAddress from;
  if (!receive_into(
          datagram_.data, wait_.loop(), size_, [this, &from](char* memory) {
            return wait_.kernel().recvfrom(wait_.fd(), memory, size_, kReceive,
                                           from.get(), &from.size);
          })) {
    return false;
  }
  datagram_.from = from.address();
  return true;
}

bool SockRecvFromInto::attempt() {
  NativeAddress from;
  const ssize_t count =
      wait_.kernel().recvfrom(wait_.fd(), buffer_.data(), buffer_.size(),
                              kReceive, from.get(), &from.size);
  if (count < 0) return false;
  received_ = {static_cast<std::size_t>(count), from.address()};
  return true;
}

bool SockSendAll::attempt() {
  while (sent_ < data_.size()) {
    const ssize_t count = wait_.kernel().send(wait_.fd(), data_.data() + sent_,
                                              data_.size() - sent_, kSend);
    if (count < 0) return false;
    sent_ += static_cast<std::size_t>(count);
  }
  return true;
}

bool SockSendTo::attempt() {
  const ssize_t count = wait_.kernel().sendto(
      wait_.fd(), data_.data(), data_.size(), kSend,
      address_ ? address_.native() : nullptr, address_.native_size());
  if (count < 0) return false;
  sent_ = static_cast<std::size_t>(count);
  return true;
}

bool SockConnect::attempt() {
  int error_number = 0;
  if (!has_begun_) {
    has_begun_ = true;
    if (wait_.kernel().connect(wait_.fd(), address_.native(),
                               address_.native_size()) == 0) {
      return true;
    }
    // EINTR: it goes on all the same (connect(2)). EAGAIN is a Unix socket
    // whose listener is busy; nothing goes on then.
    if (errno == EINPROGRESS || errno == EINTR) {
      errno = EAGAIN;  // to be waited for
      return false;
    }
    error_number = errno;
  } else {
    unsigned size = sizeof error_number;
    if (wait_.kernel().getsockopt(wait_.fd(), SOL_SOCKET, SO_ERROR,
                                  &error_number, &size) != 0) {
      error_number = errno;
    }
    if (error_number == 0) return true;
  }
  throw std::system_error(error_number, std::generic_category(),
                          "Connect call failed " + to_string(address_));
}

bool SockAccept::attempt() {
  NativeAddress from;
  Kernel& kernel = wait_.kernel();
  UniqueFd socket(kernel.accept(wait_.fd(), from.get(), &from.size), kernel);
  if (!socket) return false;
  accepted_ = AcceptedSocket(std::move(socket), from.address());
  return true;
}

SockSendfile::SockSendfile(int fd, int file, std::int64_t offset,
                           std::optional<std::int64_t> count, bool fallback)
    : wait_(fd, detail::FdUse::kWriting, kName),
      sender_(file, offset, count, fallback) {}

Step SockSendfile::step(Resumption& resumption) {
  resumption.check();
  EventLoop& loop = resumption.loop();
  if (!wait_.has_begun()) begin(loop);
  using Outcome = detail::FileSender::Outcome;
  switch (sender_.send(loop, wait_.kernel(), wait_.fd())) {
    case Outcome::kDone:
      break;
    case Outcome::kMore:
      return Step::yield();
    case Outcome::kBlocked:
      return wait_.wait();
    case Outcome::kReading:
      wait_.pause();
      return Step::wait(sender_.reading());
  }
  wait_.stop();
  return Step::done();
}

void SockSendfile::begin(EventLoop& loop) {
  wait_.begin(loop);
  int type = 0;
  unsigned size = sizeof type;
  if (wait_.kernel().getsockopt(wait_.fd(), SOL_SOCKET, SO_TYPE, &type,
                                &size) != 0) {
    wait_.fail();
  }
  if (type != SOCK_STREAM) {
    throw std::invalid_argument("only SOCK_STREAM type sockets are supported");
  }
}

SockRecv sock_recv(int fd, std::size_t size) { return SockRecv(fd, size); }

SockRecvInto sock_recv_into(int fd, std::span<char> buffer) {
  return SockRecvInto(fd, buffer);
}

SockRecvFrom sock_recvfrom(int fd, std::size_t size) {
  return SockRecvFrom(fd, size);
}

SockRecvFromInto sock_recvfrom_into(int fd, std::span<char> buffer) {
  return SockRecvFromInto(fd, buffer);
}

SockSendAll sock_sendall(int fd, std::string data) {
  return SockSendAll(fd, std::move(data));
}

SockSendTo sock_sendto(int fd, std::string data, Address address) {
  return SockSendTo(fd, std::move(data), std::move(address));
}

SockConnect sock_connect(int fd, Address address) {
  return SockConnect(fd, std::move(address));
}

SockAccept sock_accept(int fd) { return SockAccept(fd); }

SockSendfile sock_sendfile(int fd, int file, std::int64_t offset,
                           std::optional<std::int64_t> count, bool fallback) {
  return SockSendfile(fd, file, offset, count, fallback);
}

}  // namespace rondo
