// SPDX-License-Identifier: MIT
//
// The servers: it says when a socket is ready, and reading and writing is its
// user's.

#include <ev.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/peers/libev/loop.h"
#include "bench/peers/loads.h"
#include "bench/peers/worker.h"

namespace {

struct Connection {
  Connection(struct ev_loop* in, int fd) : loop(in), socket(fd) {
    ev_io_init(&watcher, on_ready, fd, EV_READ);
    watcher.data = this;
    ev_io_start(loop, &watcher);
  }
  ~Connection() { ev_io_stop(loop, &watcher); }

  static void on_ready(struct ev_loop* loop, ev_io* watcher, int events) {
    auto* self = static_cast<Connection*>(watcher->data);
    const auto next = (events & EV_WRITE) != 0 ? self->socket.on_writable()
                                               : self->socket.on_readable();
    if (next == peers::EchoSocket::Next::kClosed) {
      delete self;
      return;
    }
    const int wanted =
        next == peers::EchoSocket::Next::kReadable ? EV_READ : EV_WRITE;
    if ((watcher->events & (EV_READ | EV_WRITE)) == wanted) return;
    ev_io_stop(loop, watcher);
    ev_io_set(watcher, watcher->fd, wanted);
    ev_io_start(loop, watcher);
  }

  struct ev_loop* loop;
  peers::EchoSocket socket;
  ev_io watcher;
};

int accept_from(const ev_io* listener) {
  return accept4(listener->fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

void on_echo_connections(struct ev_loop* loop, ev_io* listener, int) {
  for (int fd = accept_from(listener); fd >= 0; fd = accept_from(listener)) {
    new Connection(loop, fd);
  }
}

void on_accept_connections(struct ev_loop*, ev_io* listener, int) {
  for (int fd = accept_from(listener); fd >= 0; fd = accept_from(listener)) {
    // If it fails, nobody is there to tell.
    (void)!send(fd, "x", 1, 0);
    close(fd);
  }
}

void serve(void (*on_connections)(struct ev_loop*, ev_io*, int)) {
  struct ev_loop* loop = ev_default_loop(EVFLAG_AUTO);
  if (loop == nullptr) peers::fail("ev_default_loop");
  ev_io listener;
  ev_io_init(&listener, on_connections, peers::listen_local(), EV_READ);
  ev_io_start(loop, &listener);
  ev_io input;
  ev_io_init(
      &input,
      [](struct ev_loop* in, ev_io*, int) {
        if (peers::input_ended()) ev_break(in, EVBREAK_ALL);
      },
      STDIN_FILENO, EV_READ);
  ev_io_start(loop, &input);
  peers::print_listening(peers::port_of(listener.fd));
  ev_run(loop, 0);
}

}  // namespace

void add_servers(peers::Program& program) {
  program.add_server("echo", "libev", [] { serve(on_echo_connections); });
  program.add_server("accept", "libev", [] { serve(on_accept_connections); });
}
