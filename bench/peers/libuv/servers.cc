// SPDX-License-Identifier: MIT
//
// The servers. Write first with uv_try_write, and with uv_write what the
// socket did not take: its documentation has both, and so a message costs
// neither a copy nor an epoll_ctl. Reading uses one buffer of the suggested
// size for all, which a library that reads when it calls allows.

#include <uv.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "bench/peers/libuv/loop.h"
#include "bench/peers/loads.h"
#include "bench/peers/worker.h"

namespace {

// -- echo --------------------------------------------------------------------

struct Connection {
  uv_tcp_t tcp;
};

/// What the socket did not take at once.
struct Rest {
  uv_write_t request;
  std::string bytes;
};

uv_handle_t* handle_of(uv_stream_t* stream) {
  return reinterpret_cast<uv_handle_t*>(stream);
}

void close_connection(uv_stream_t* stream) {
  if (uv_is_closing(handle_of(stream))) return;
  uv_close(handle_of(stream), [](uv_handle_t* handle) {
    delete static_cast<Connection*>(handle->data);
  });
}

void on_alloc(uv_handle_t*, std::size_t, uv_buf_t* buffer) {
  static char memory[64 * 1024];
  *buffer = uv_buf_init(memory, sizeof memory);
}

void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer);

/// Nothing is read until the rest is sent: who does not fetch gets no more.
void write_rest(uv_stream_t* stream, const char* bytes, std::size_t size) {
  uv_read_stop(stream);
  auto* rest = new Rest{{}, std::string(bytes, size)};
  rest->request.data = rest;
  const uv_buf_t buffer =
      uv_buf_init(rest->bytes.data(), static_cast<unsigned>(size));
  const auto on_written = [](uv_write_t* request, int status) {
    uv_stream_t* written_to = request->handle;
    delete static_cast<Rest*>(request->data);
    if (status < 0) return close_connection(written_to);
    uv_read_start(written_to, on_alloc, on_read);
  };
  if (uv_write(&rest->request, stream, &buffer, 1, on_written) < 0) {
    delete rest;
    close_connection(stream);
  }
}

void on_read(uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer) {
  if (size < 0) return close_connection(stream);
  if (size == 0) return;
  const uv_buf_t all = uv_buf_init(buffer->base, static_cast<unsigned>(size));
  int sent = uv_try_write(stream, &all, 1);
  if (sent == size) return;
  if (sent == UV_EAGAIN) sent = 0;
  if (sent < 0) return close_connection(stream);
  write_rest(stream, buffer->base + sent,
             static_cast<std::size_t>(size - sent));
}

void on_echo_connection(uv_stream_t* listener, int status) {
  if (status < 0) return;
  auto* connection = new Connection;
  connection->tcp.data = connection;
  auto* stream = reinterpret_cast<uv_stream_t*>(&connection->tcp);
  uv_checked(uv_tcp_init(listener->loop, &connection->tcp), "uv_tcp_init");
  if (uv_accept(listener, stream) < 0) return close_connection(stream);
  uv_tcp_nodelay(&connection->tcp, 1);
  uv_read_start(stream, on_alloc, on_read);
}

// -- accept ------------------------------------------------------------------

void on_accept_connection(uv_stream_t* listener, int status) {
  if (status < 0) return;
  auto* connection = new Connection;
  connection->tcp.data = connection;
  auto* stream = reinterpret_cast<uv_stream_t*>(&connection->tcp);
  uv_checked(uv_tcp_init(listener->loop, &connection->tcp), "uv_tcp_init");
  if (uv_accept(listener, stream) == 0) {
    char byte[] = "x";
    const uv_buf_t buffer = uv_buf_init(byte, 1);
    uv_try_write(stream, &buffer, 1);  // if it fails, nobody is there to tell
  }
  close_connection(stream);
}

// -- both --------------------------------------------------------------------

void serve(uv_connection_cb on_connection) {
  uv_loop_t* loop = uv_default_loop();
  uv_tcp_t listener;
  uv_checked(uv_tcp_init(loop, &listener), "uv_tcp_init");
  sockaddr_in address;
  uv_ip4_addr("127.0.0.1", 0, &address);
  auto* native = reinterpret_cast<sockaddr*>(&address);
  uv_checked(uv_tcp_bind(&listener, native, 0), "uv_tcp_bind");
  uv_checked(uv_listen(reinterpret_cast<uv_stream_t*>(&listener),
                       peers::kBacklog, on_connection),
             "uv_listen");
  uv_os_fd_t fd;
  uv_checked(uv_fileno(reinterpret_cast<uv_handle_t*>(&listener), &fd),
             "uv_fileno");
  uv_poll_t input;
  uv_checked(uv_poll_init(loop, &input, STDIN_FILENO), "the input");
  uv_poll_start(&input, UV_READABLE | UV_DISCONNECT,
                [](uv_poll_t* poll, int, int) {
                  if (peers::input_ended()) uv_stop(poll->loop);
                });
  peers::print_listening(peers::port_of(fd));
  uv_run(loop, UV_RUN_DEFAULT);
}

}  // namespace

void add_servers(peers::Program& program) {
  program.add_server("echo", "libuv", [] { serve(on_echo_connection); });
  program.add_server("accept", "libuv", [] { serve(on_accept_connection); });
}
