// SPDX-License-Identifier: MIT
//
// add_reader() calls back in every pass that finds a descriptor readable, at
// its end, or hung up, until remove_reader(). The two kinds of end look alike
// to the callback: read() gives 0.
//
// The loop does not own the descriptor. A UniqueFd does here, and the order
// matters: first out of the loop, then close.
//
// New against 03: the loop waits for something outside of the program.
//
// Expected output:
//   queued
//   read 'one'
//   read 'two'
//   end of file: the writer is gone

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "reactor/event_loop.h"
#include "reactor/unique_fd.h"

using namespace std::chrono_literals;

int main() {
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) return std::perror("pipe"), 1;
  const rondo::UniqueFd reader(ends[0]);
  rondo::UniqueFd writer(ends[1]);
  int written = 0;
  const auto write_next = [&] {
    if (written == 2) return writer.reset();
    if (::write(writer.get(), written++ == 0 ? "one" : "two", 3) < 0) {
      std::perror("write");
    }
  };

  rondo::EventLoop loop;
  loop.add_reader(reader.get(), [&] {
    char words[64];
    const ssize_t size = ::read(reader.get(), words, sizeof words);
    if (size > 0) {
      std::printf("read '%.*s'\n", static_cast<int>(size), words);
      loop.call_later(5ms, write_next);
      return;
    }
    std::puts("end of file: the writer is gone");
    loop.remove_reader(reader.get());
    loop.stop();
  });
  loop.call_soon(write_next);
  std::puts("queued");
  loop.run_forever();
}
