// SPDX-License-Identifier: MIT
//
// The servers, as its examples have them: a session that owns itself, and a
// coroutine for each connection. The examples' buffers are of 1 KiB; these are
// of 64 KiB, what the other libraries read at once. Untouched pages of them
// cost no memory.

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/error_code.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <memory>
#include <system_error>
#include <utility>

#include "bench/peers/asio/cases.h"
#include "bench/peers/loads.h"
#include "bench/peers/worker.h"

namespace {

using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;

constexpr std::size_t kBufferSize = 64 * 1024;

// -- echo --------------------------------------------------------------------

class Session : public std::enable_shared_from_this<Session> {
 public:
  // Not "= default": make_shared would clear the buffer first.
  explicit Session(tcp::socket socket) : socket_(std::move(socket)) {}

  void start() {
    socket_.async_read_some(
        asio::buffer(memory_),
        [self = shared_from_this()](const asio::error_code& error,
                                    std::size_t size) {
          if (!error) self->send_back(size);
        });
  }

 private:
  void send_back(std::size_t size) {
    asio::async_write(socket_, asio::buffer(memory_, size),
                      [self = shared_from_this()](const asio::error_code& error,
                                                  std::size_t) {
                        if (!error) self->start();
                      });
  }

  tcp::socket socket_;
  char memory_[kBufferSize];
};

void on_echo_connection(tcp::socket socket) {
  asio::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  std::make_shared<Session>(std::move(socket))->start();
}

awaitable<void> echo(tcp::socket socket) {
  try {
    char memory[kBufferSize];
    while (true) {
      const std::size_t size =
          co_await socket.async_read_some(asio::buffer(memory), use_awaitable);
      co_await asio::async_write(socket, asio::buffer(memory, size),
                                 use_awaitable);
    }
  } catch (const std::system_error&) {
    // The client has gone.
  }
}

awaitable<void> serve_echo(tcp::acceptor& acceptor) {
  while (true) {
    tcp::socket socket = co_await acceptor.async_accept(use_awaitable);
    asio::error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    asio::co_spawn(acceptor.get_executor(), echo(std::move(socket)),
                   asio::detached);
  }
}

// -- accept ------------------------------------------------------------------

void on_accept_connection(tcp::socket socket) {
  asio::error_code ignored;  // if it fails, nobody is there to tell
  socket.write_some(asio::buffer("x", 1), ignored);
}

awaitable<void> serve_accept(tcp::acceptor& acceptor) {
  while (true) {
    on_accept_connection(co_await acceptor.async_accept(use_awaitable));
  }
}

// -- all ---------------------------------------------------------------------

/// Accepts again and again.
void accept_with(tcp::acceptor& acceptor, void (*on_connection)(tcp::socket)) {
  acceptor.async_accept([&acceptor, on_connection](
                            const asio::error_code& error, tcp::socket socket) {
    if (!error) on_connection(std::move(socket));
    accept_with(acceptor, on_connection);
  });
}

void watch_input(asio::io_context& context,
                 asio::posix::stream_descriptor& input) {
  input.async_wait(asio::posix::stream_descriptor::wait_read,
                   [&](const asio::error_code& error) {
                     if (error || peers::input_ended()) return context.stop();
                     watch_input(context, input);
                   });
}

/// `start` is called with the acceptor.
template <class Start>
void serve(Start start) {
  asio::io_context context(kOneThread);
  tcp::acceptor acceptor(context);
  acceptor.open(tcp::v4());
  acceptor.bind({asio::ip::address_v4::loopback(), 0});
  acceptor.listen(peers::kBacklog);
  asio::posix::stream_descriptor input(context, STDIN_FILENO);
  watch_input(context, input);
  start(context, acceptor);
  peers::print_listening(acceptor.local_endpoint().port());
  context.run();
}

void serve_by_callbacks(void (*on_connection)(tcp::socket)) {
  serve([=](asio::io_context&, tcp::acceptor& acceptor) {
    accept_with(acceptor, on_connection);
  });
}

void serve_by_coroutines(awaitable<void> (*accepting)(tcp::acceptor&)) {
  serve([=](asio::io_context& context, tcp::acceptor& acceptor) {
    asio::co_spawn(context, accepting(acceptor), asio::detached);
  });
}

}  // namespace

void add_servers(peers::Program& program) {
  program.add_server("echo", "asio",
                     [] { serve_by_callbacks(on_echo_connection); });
  program.add_server("echo", "asio_coroutines",
                     [] { serve_by_coroutines(serve_echo); });
  program.add_server("accept", "asio",
                     [] { serve_by_callbacks(on_accept_connection); });
  program.add_server("accept", "asio_coroutines",
                     [] { serve_by_coroutines(serve_accept); });
}
