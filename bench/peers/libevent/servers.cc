// SPDX-License-Identifier: MIT
//
// The servers, on its listener. "libevent" is the first half of its book,
// events with recv and send; "libevent_bufferevent" the second, the buffered
// connections that it recommends for their comfort.

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/listener.h>

#include "bench/peers/libevent/base.h"
#include "bench/peers/loads.h"
#include "bench/peers/worker.h"

namespace {

// -- echo by events ----------------------------------------------------------

struct Connection {
  Connection(event_base* base, int fd) : socket(fd) {
    event_assign(&readable, base, fd, EV_READ | EV_PERSIST, on_readable, this);
    event_assign(&writable, base, fd, EV_WRITE | EV_PERSIST, on_writable, this);
    event_add(&readable, nullptr);
  }
  ~Connection() {
    event_del(&readable);
    event_del(&writable);
  }

  static void on_readable(evutil_socket_t, short, void* data) {
    auto* self = static_cast<Connection*>(data);
    const auto next = self->socket.on_readable();
    if (next == peers::EchoSocket::Next::kReadable) return;
    if (next == peers::EchoSocket::Next::kClosed) {
      delete self;
      return;
    }
    event_del(&self->readable);
    event_add(&self->writable, nullptr);
  }
  static void on_writable(evutil_socket_t, short, void* data) {
    auto* self = static_cast<Connection*>(data);
    const auto next = self->socket.on_writable();
    if (next == peers::EchoSocket::Next::kWritable) return;
    if (next == peers::EchoSocket::Next::kClosed) {
      delete self;
      return;
    }
    event_del(&self->writable);
    event_add(&self->readable, nullptr);
  }

  peers::EchoSocket socket;
  event readable;
  event writable;
};

void on_event_connection(evconnlistener* listener, evutil_socket_t fd,
                         sockaddr*, int, void*) {
  new Connection(evconnlistener_get_base(listener), fd);
}

// -- echo by bufferevents ----------------------------------------------------

// What may wait to be sent before no more is read.
constexpr std::size_t kUnsentMax = 256 * 1024;

void on_buffer_read(bufferevent* buffered, void*) {
  bufferevent_write_buffer(buffered, bufferevent_get_input(buffered));
  evbuffer* output = bufferevent_get_output(buffered);
  if (evbuffer_get_length(output) > kUnsentMax) {
    bufferevent_disable(buffered, EV_READ);
  }
}

/// All is sent.
void on_buffer_written(bufferevent* buffered, void*) {
  if ((bufferevent_get_enabled(buffered) & EV_READ) == 0) {
    bufferevent_enable(buffered, EV_READ);
  }
}

void on_buffer_event(bufferevent* buffered, short what, void*) {
  if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) {
    bufferevent_free(buffered);
  }
}

void on_buffer_connection(evconnlistener* listener, evutil_socket_t fd,
                          sockaddr*, int, void*) {
  peers::set_no_delay(fd);
  bufferevent* buffered = bufferevent_socket_new(
      evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE);
  if (buffered == nullptr) peers::fail("bufferevent_socket_new");
  bufferevent_setcb(buffered, on_buffer_read, on_buffer_written,
                    on_buffer_event, nullptr);
  bufferevent_enable(buffered, EV_READ | EV_WRITE);
}

// -- accept ------------------------------------------------------------------

void on_accept_connection(evconnlistener*, evutil_socket_t fd, sockaddr*, int,
                          void*) {
  // If it fails, nobody is there to tell.
  (void)!send(fd, "x", 1, 0);
  evutil_closesocket(fd);
}

// -- all ---------------------------------------------------------------------

void serve(evconnlistener_cb on_connection) {
  Base base;
  const int fd = peers::listen_local();
  // A backlog of zero: it listens already.
  evconnlistener* listener =
      evconnlistener_new(base.get(), on_connection, nullptr,
                         LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
  if (listener == nullptr) peers::fail("evconnlistener_new");
  event input;
  event_assign(
      &input, base.get(), STDIN_FILENO, EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* data) {
        if (peers::input_ended()) {
          event_base_loopbreak(static_cast<event_base*>(data));
        }
      },
      base.get());
  peers::checked(event_add(&input, nullptr), "the input");
  peers::print_listening(peers::port_of(fd));
  base.run();
  event_del(&input);
  evconnlistener_free(listener);
}

}  // namespace

void add_servers(peers::Program& program) {
  program.add_server("echo", "libevent", [] { serve(on_event_connection); });
  program.add_server("echo", "libevent_bufferevent",
                     [] { serve(on_buffer_connection); });
  program.add_server("accept", "libevent", [] { serve(on_accept_connection); });
}
