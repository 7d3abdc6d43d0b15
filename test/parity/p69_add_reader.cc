// SPDX-License-Identifier: MIT
// shows: add_reader/add_writer: level-triggered, called once per pass while
//   the condition holds; adding again replaces the callback; remove returns
//   whether there was one; a regular file is refused (epoll: EPERM), so there
//   is no asynchronous reading of files
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using python::Bytes;
using python::print;
using rondo::call;
using rondo::Coro;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::sleep;

static Bytes read_bytes(int fd, std::size_t size) {
  std::string data(size, '\0');
  const ssize_t count = ::read(fd, data.data(), size);
  data.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return Bytes(data);
}

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  int ends[2];
  if (::pipe(ends) != 0) throw rondo::RuntimeError("there is no pipe");
  const int r = ends[0];
  const int w = ends[1];
  ::fcntl(r, F_SETFL, O_NONBLOCK);
  int n = 0;

  const auto ready = [&](const char* name) {
    n += 1;
    if (n == 5) {
      print(name, "called 5 times without reading; now reads",
            read_bytes(r, 10));
    }
  };
  loop.add_reader(r, call(ready, "first callback"));
  loop.add_reader(r, call(ready, "second callback"));
  co_await sleep(0.02);
  print("not called while there is nothing:", n);
  if (::write(w, "abc", 3) != 3) throw rondo::RuntimeError("it is broken");
  co_await sleep(0.02);
  print("calls in all:", n);
  const bool first = loop.remove_reader(r);
  const bool second = loop.remove_reader(r);
  print("remove_reader", first, second);
  int m = 0;

  const auto writable = [&] {
    m += 1;
    if (m == 3) loop.remove_writer(w);
  };
  loop.add_writer(w, writable);
  co_await sleep(0.02);
  print("writer calls until removed:", m);
  n = 5;
  loop.add_reader(r, [&loop, r] {
    print("reader sees EOF:", read_bytes(r, 10));
    loop.remove_reader(r);
  });
  ::close(w);
  co_await sleep(0.02);
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
}

int main() { rondo::run(main_function()); }
