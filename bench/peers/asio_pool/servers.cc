// SPDX-License-Identifier: MIT

#include "bench/peers/asio_pool/servers.h"

#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <memory>
#include <thread>
#include <utility>

#include "bench/peers/loads.h"

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// Its socket's executor is a strand, so its handlers run one after the other,
/// by either thread.
class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(tcp::socket socket) : socket_(std::move(socket)) {
    socket_.set_option(tcp::no_delay(true));
  }

  void read() {
    socket_.async_read_some(
        asio::buffer(memory_),
        [self = shared_from_this()](const error_code& error, std::size_t size) {
          if (!error) self->write(size);
        });
  }

 private:
  void write(std::size_t size) {
    asio::async_write(
        socket_, asio::buffer(memory_, size),
        [self = shared_from_this()](const error_code& error, std::size_t) {
          if (!error) self->read();
        });
  }

  tcp::socket socket_;
  std::array<char, 64 * 1024> memory_;
};

void accept(asio::io_context& context, tcp::acceptor& acceptor) {
  acceptor.async_accept(asio::make_strand(context), [&](const error_code& error,
                                                        tcp::socket socket) {
    if (!error) std::make_shared<Session>(std::move(socket))->read();
    accept(context, acceptor);
  });
}

void await_end(asio::io_context& context, asio::posix::stream_descriptor& in) {
  in.async_wait(asio::posix::stream_descriptor::wait_read,
                [&](const error_code& error) {
                  if (error || peers::input_ended()) {
                    context.stop();
                  } else {
                    await_end(context, in);
                  }
                });
}

}  // namespace

void asio_pool::serve() {
  asio::io_context context(kThreads);
  tcp::acceptor acceptor(context,
                         tcp::endpoint(asio::ip::address_v4::loopback(), 0));
  acceptor.listen(peers::kBacklog);
  accept(context, acceptor);
  asio::posix::stream_descriptor in(context, dup(STDIN_FILENO));
  await_end(context, in);
  peers::print_listening(acceptor.local_endpoint().port());
  std::thread other([&] { context.run(); });
  context.run();
  other.join();
}
