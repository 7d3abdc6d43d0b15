// SPDX-License-Identifier: MIT
//
// An event loop in 100 lines, without a library.
//
// A map from descriptors to callbacks, a list of timers, and a loop that
// sleeps in the kernel until something of either is due: that is all there is
// to it. A server and its client share this one, so that every branch has
// something to do. 01 puts the library's EventLoop in its place.
//
// What it leaves out is what the library is about: a descriptor closed and
// opened again under its old number while an event for it is on its way, a
// callback that throws or is cancelled, signals, other threads, errors.
//
// Expected output:
//   timer: the client says 'hello'
//   connection ready: the server accepts, and listens no more
//   readable: the server reads 'hello'
//   writable: the server answers 'hello'
//   readable: the client reads 'hello' and says goodbye
//   readable: the server finds the end and closes
//   interrupt: closed, unregistered, freed
//   nothing is left to wait for

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <map>

struct Callbacks {
  std::function<void()> connection_ready, readable, writable;
};
std::map<int, Callbacks> callbacks;                   // by descriptor
std::multimap<long, std::function<void()>> timers;  // by now_ms()
const int epoll_fd = epoll_create1(0);

long now_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return now / std::chrono::milliseconds(1);
}

void ask(int operation, int fd, uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = fd}};
  epoll_ctl(epoll_fd, operation, fd, &event);
}

void forget(int fd) {
  ask(EPOLL_CTL_DEL, fd, 0);  // before close(): a duplicate would live on
  callbacks.erase(fd);
  close(fd);
}

void run() {
  while (!callbacks.empty() || !timers.empty()) {
    long timeout_ms = -1;  // nothing but an event can wake us
    if (!timers.empty()) timeout_ms = timers.begin()->first - now_ms();
    epoll_event events[16];
    const int count = epoll_wait(epoll_fd, events, 16, int(timeout_ms));
    for (int i = 0; i < count; ++i) {
      const auto found = callbacks.find(events[i].data.fd);
      if (found == callbacks.end()) continue;  // forgotten by one before it
      const Callbacks on = found->second;      // a copy: it may forget itself
      if (on.connection_ready) {
        on.connection_ready();
      } else if (events[i].events & EPOLLIN) {
        on.readable();
      } else if (events[i].events & EPOLLOUT) {
        on.writable();
      } else {  // EPOLLHUP or EPOLLERR: they come unasked
        std::puts("interrupt: closed, unregistered, freed");
        forget(events[i].data.fd);
      }
    }
    while (!timers.empty() && timers.begin()->first <= now_ms()) {
      timers.extract(timers.begin()).mapped()();
    }
  }
}

void serve(int fd) {
  callbacks[fd].readable = [fd] {
    char words[16]{};
    if (recv(fd, words, sizeof words, 0) <= 0) return forget(fd);
    std::printf("readable: the server reads '%s'\n", words);
    callbacks[fd].writable = [fd, words] {
      std::printf("writable: the server answers '%s'\n", words);
      send(fd, words, sizeof words, MSG_NOSIGNAL);
      ask(EPOLL_CTL_MOD, fd, EPOLLIN);
    };
    ask(EPOLL_CTL_MOD, fd, EPOLLOUT);
  };
  ask(EPOLL_CTL_ADD, fd, EPOLLIN);
}
