// SPDX-License-Identifier: MIT
//
// An event loop in 100 lines, without a library.
//
// A map from descriptors to callbacks, a list of timers, and a loop that
// sleeps in the kernel until something of either is due: that is all there is
// to it. An echo server and its client, who speaks when a timer tells it to,
// share this one, so that every branch has something to do. 01 puts the
// library's EventLoop in its place.
//
// What it leaves out is what the library is about: a descriptor closed and
// opened again under its old number while an event for it is on its way, a
// callback that throws or is cancelled, signals, other threads, errors.
//
// Expected output:
//   connection ready: the server accepts, and listens no more
//   readable: the server reads 'hello'
//   writable: the server echoes 'hello'
//   readable: the client reads 'hello' and hangs up
//   interrupt: the client is closed, unregistered, freed

#include <netinet/in.h>  // and with it sys/socket.h
#include <sys/epoll.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <map>

using namespace std::chrono;
struct Callbacks {
  std::function<void()> connection_ready, readable, writable;
};
std::map<int, Callbacks> callbacks;  // by descriptor
std::multimap<steady_clock::time_point, std::function<void()>> timers;
const int epoll_fd = epoll_create1(0);

void ask(int operation, int fd, uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  epoll_ctl(epoll_fd, operation, fd, &event);
}

void forget(int fd) {
  ask(EPOLL_CTL_DEL, fd, 0);  // before close(): a duplicate would live on
  callbacks.erase(fd);
  close(fd);
}

int timeout_ms() {
  if (timers.empty()) return -1;  // only an event can wake us
  const auto left = timers.begin()->first - steady_clock::now();
  return std::max(0, int(ceil<milliseconds>(left).count()));  // floor() spins
}

void run() {
  while (!callbacks.empty() || !timers.empty()) {
    epoll_event events[16];
    const int count = epoll_wait(epoll_fd, events, 16, timeout_ms());
    for (int i = 0; i < count; ++i) {
      const auto [event, data] = events[i];
      if (!callbacks.contains(data.fd)) continue;  // forgotten in this batch
      const Callbacks on = callbacks[data.fd];  // a copy: it may forget itself
      if (on.connection_ready) {
        on.connection_ready();
      } else if (event & EPOLLIN) {
        on.readable();
      } else if (event & EPOLLOUT) {
        on.writable();
      } else {  // EPOLLHUP or EPOLLERR: they come unasked
        std::puts("interrupt: the client is closed, unregistered, freed");
        forget(data.fd);
      }
    }
    while (!timers.empty() && timers.begin()->first <= steady_clock::now()) {
      timers.extract(timers.begin()).mapped()();
    }
  }
}

void serve(int fd) {
  callbacks[fd].readable = [=] {
    char words[16]{};
    if (recv(fd, words, sizeof words - 1, 0) <= 0) return forget(fd);
    std::printf("readable: the server reads '%s'\n", words);
    callbacks[fd].writable = [=] {
      std::printf("writable: the server echoes '%s'\n", words);
      send(fd, words, sizeof words - 1, MSG_NOSIGNAL);
      ask(EPOLL_CTL_MOD, fd, EPOLLIN);
    };
    ask(EPOLL_CTL_MOD, fd, EPOLLOUT);
  };
  ask(EPOLL_CTL_ADD, fd, EPOLLIN);
}

int main() {
  sockaddr_in address{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};  // any port
  auto* where = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, where, size) || listen(listener, 1) ||
      getsockname(listener, where, &size) || connect(client, where, size))
    return std::perror("sockets"), 1;
  callbacks[listener].connection_ready = [=] {
    std::puts("connection ready: the server accepts, and listens no more");
    serve(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK));
    forget(listener);
  };
  callbacks[client].readable = [=] {
    char words[16]{};
    recv(client, words, sizeof words - 1, 0);
    std::printf("readable: the client reads '%s' and hangs up\n", words);
    shutdown(client, SHUT_WR);
    ask(EPOLL_CTL_MOD, client, 0);
  };
  for (const int fd : {listener, client}) ask(EPOLL_CTL_ADD, fd, EPOLLIN);
  timers.emplace(steady_clock::now() + milliseconds(10),
                 [=] { send(client, "hello", 5, MSG_NOSIGNAL); });
  run();
}
