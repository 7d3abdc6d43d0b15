// SPDX-License-Identifier: MIT
// shows: add_reader/add_writer: level-triggered, called once per pass while
//   the condition holds; adding again replaces the callback; remove returns
//   whether there was one; a regular file is refused (epoll: EPERM), so there
//   is no asynchronous reading of files
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "test/parity/by_callbacks.h"
#include "test/parity/python_words.h"

using python::Bytes;
using python::print;
using rondo::call;
using rondo::EventLoop;

static EventLoop loop;
static int r, w;
static int n = 0;
static int m = 0;

static Bytes read_bytes(int fd, std::size_t size) {
  std::string data(size, '\0');
  const ssize_t count = ::read(fd, data.data(), size);
  data.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return Bytes(data);
}

static void ready(const char* name) {
  n += 1;
  if (n == 5) {
    print(name, "called 5 times without reading; now reads", read_bytes(r, 10));
  }
}

static void writable() {
  m += 1;
  if (m == 3) loop.remove_writer(w);
}

// main() of the original, cut at each of its awaits.

static void after_eof() {
  ::close(r);
  std::FILE* f = std::tmpfile();
  try {
    loop.add_reader(::fileno(f), print);
  } catch (...) {
    print("regular file:", python::Error());
  }
  std::fclose(f);
  try {
    loop.add_reader(-1, print);
  } catch (...) {
    print(python::Error());
  }
  by_callbacks::finish(loop);
}

static void after_writing() {
  print("writer calls until removed:", m);
  n = 5;
  loop.add_reader(r, [] {
    print("reader sees EOF:", read_bytes(r, 10));
    loop.remove_reader(r);
  });
  ::close(w);
  by_callbacks::sleep(loop, 0.02, after_eof);
}

static void after_reading() {
  print("calls in all:", n);
  const bool first = loop.remove_reader(r);
  const bool second = loop.remove_reader(r);
  print("remove_reader", first, second);
  loop.add_writer(w, writable);
  by_callbacks::sleep(loop, 0.02, after_writing);
}

static void after_nothing() {
  print("not called while there is nothing:", n);
  if (::write(w, "abc", 3) != 3) print("the pipe is broken");
  by_callbacks::sleep(loop, 0.02, after_reading);
}

static void main_function() {
  int ends[2];
  if (::pipe(ends) != 0) return print("there is no pipe");
  r = ends[0];
  w = ends[1];
  ::fcntl(r, F_SETFL, O_NONBLOCK);
  loop.add_reader(r, call(ready, "first callback"));
  loop.add_reader(r, call(ready, "second callback"));
  by_callbacks::sleep(loop, 0.02, after_nothing);
}

int main() { by_callbacks::run(loop, main_function); }
