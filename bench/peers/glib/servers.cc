// SPDX-License-Identifier: MIT

#include "bench/peers/glib/servers.h"

#include <gio/gio.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>

#include "bench/peers/glib/loop.h"
#include "bench/peers/loads.h"

namespace {

using glib::Loop;

/// Serves until the input ends.
void run(Loop& loop) {
  const auto on_input = [](int, GIOCondition, void* data) -> gboolean {
    if (peers::input_ended()) static_cast<Loop*>(data)->stop();
    return G_SOURCE_CONTINUE;
  };
  loop.attach(g_unix_fd_source_new(STDIN_FILENO, G_IO_IN),
              glib::as_source_func(+on_input), &loop);
  loop.run();
}

// -- by sources of descriptors -----------------------------------------------

struct Connection {
  Connection(int fd, Loop& its_loop) : socket(fd), loop(its_loop) {
    wait_for(G_IO_IN);
  }

  void wait_for(GIOCondition condition) {
    waits_for = condition;
    loop.attach(g_unix_fd_source_new(socket.fd(), condition),
                glib::as_source_func(on_ready), this);
  }

  static gboolean on_ready(int, GIOCondition events, void* data) {
    auto* self = static_cast<Connection*>(data);
    const auto next = (events & G_IO_OUT) != 0 ? self->socket.on_writable()
                                               : self->socket.on_readable();
    if (next == peers::EchoSocket::Next::kClosed) {
      delete self;
      return G_SOURCE_REMOVE;
    }
    const GIOCondition wanted =
        next == peers::EchoSocket::Next::kReadable ? G_IO_IN : G_IO_OUT;
    if (wanted == self->waits_for) return G_SOURCE_CONTINUE;
    self->wait_for(wanted);
    return G_SOURCE_REMOVE;
  }

  peers::EchoSocket socket;
  Loop& loop;
  GIOCondition waits_for = G_IO_IN;
};

gboolean on_connections(int fd, GIOCondition, void* data) {
  auto& loop = *static_cast<Loop*>(data);
  for (int one = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
       one >= 0;
       one = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) {
    new Connection(one, loop);
  }
  return G_SOURCE_CONTINUE;
}

void serve_by_descriptors() {
  Loop loop;
  const int fd = peers::listen_local();
  loop.attach(g_unix_fd_source_new(fd, G_IO_IN),
              glib::as_source_func(on_connections), &loop);
  peers::print_listening(peers::port_of(fd));
  run(loop);
}

// -- by streams --------------------------------------------------------------

/// Reads, writes all of it, and reads again.
struct Talk {
  explicit Talk(GSocketConnection* its_connection)
      : connection(G_SOCKET_CONNECTION(g_object_ref(its_connection))) {
    g_tcp_connection_set_graceful_disconnect(G_TCP_CONNECTION(connection),
                                             FALSE);
    peers::set_no_delay(
        g_socket_get_fd(g_socket_connection_get_socket(connection)));
    read();
  }
  ~Talk() { g_object_unref(connection); }

  void read() {
    g_input_stream_read_async(
        g_io_stream_get_input_stream(G_IO_STREAM(connection)), memory,
        sizeof memory, G_PRIORITY_DEFAULT, nullptr, on_read, this);
  }
  static void on_read(GObject* stream, GAsyncResult* result, void* data) {
    auto* self = static_cast<Talk*>(data);
    const gssize size =
        g_input_stream_read_finish(G_INPUT_STREAM(stream), result, nullptr);
    if (size <= 0) {
      delete self;
      return;
    }
    g_output_stream_write_all_async(
        g_io_stream_get_output_stream(G_IO_STREAM(self->connection)),
        self->memory, static_cast<gsize>(size), G_PRIORITY_DEFAULT, nullptr,
        on_written, self);
  }
  static void on_written(GObject* stream, GAsyncResult* result, void* data) {
    auto* self = static_cast<Talk*>(data);
    if (g_output_stream_write_all_finish(G_OUTPUT_STREAM(stream), result,
                                         nullptr, nullptr) != FALSE) {
      self->read();
    } else {
      delete self;
    }
  }

  GSocketConnection* connection;
  char memory[64 * 1024];
};

gboolean on_incoming(GSocketService*, GSocketConnection* connection, GObject*,
                     void*) {
  new Talk(connection);
  return TRUE;
}

void serve_by_streams() {
  Loop loop;
  g_main_context_push_thread_default(loop.get());
  GSocketService* service = g_socket_service_new();
  g_socket_listener_set_backlog(G_SOCKET_LISTENER(service), peers::kBacklog);
  GInetAddress* host = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
  GSocketAddress* any_port = g_inet_socket_address_new(host, 0);
  GSocketAddress* address = nullptr;
  if (g_socket_listener_add_address(G_SOCKET_LISTENER(service), any_port,
                                    G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP,
                                    nullptr, &address, nullptr) == FALSE) {
    peers::fail("listen");
  }
  g_signal_connect(service, "incoming", G_CALLBACK(on_incoming), nullptr);
  peers::print_listening(
      g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(address)));
  run(loop);
  g_object_unref(service);
  g_object_unref(address);
  g_object_unref(any_port);
  g_object_unref(host);
  g_main_context_pop_thread_default(loop.get());
}

}  // namespace

void glib::add_servers(peers::Program& program) {
  // Each turn looks at all connections, so to let in ten thousand of them one
  // by one takes half a minute.
  program.add_server("echo", "glib", serve_by_descriptors, {"idle/10000"});
  program.add_server("echo", "gio", serve_by_streams, {"idle/10000"});
}
