// SPDX-License-Identifier: MIT
//
// watch() is the level below add_reader(): it hands over the events that
// epoll_wait(2) reports and lets the caller choose how to be told.
// Level-triggered, the default, tells in each pass in which there is
// something to read. Edge-triggered tells only when something has come:
// whoever leaves a rest must come back by himself.
//
// Why leave a rest? A peer that sends without end would keep the callback
// for himself. So it reads a bounded piece, four bytes here, and takes its
// next turn through call_soon(), behind the others.
//
// New against 09: watch() in place of add_reader(), and advance() again.
//
// Expected output:
//   level-triggered
//     event read: 'abcd'
//     event read: 'efgh'
//     an hour later 0 bytes are left
//   edge-triggered
//     event read: 'abcd'
//     an hour later 4 bytes are left
//   edge-triggered, comes back by itself
//     event read: 'abcd'
//     comes back: 'efgh'
//     comes back: nothing more (EAGAIN)
//     an hour later 0 bytes are left

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <string>

#include "reactor/testing/virtual_time.h"
#include "reactor/unique_fd.h"

using namespace std::chrono_literals;
using rondo::Events;

static void show(const char* title, Events interest, bool comes_back) {
  std::puts(title);
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) return std::perror("pipe");
  const rondo::UniqueFd reader(ends[0]);
  const rondo::UniqueFd writer(ends[1]);
  if (::write(writer.get(), "abcdefgh", 8) < 0) return std::perror("write");

  rondo::VirtualTimeLoop loop;
  const std::function<void(const std::string&)> read_four =
      [&](const std::string& why) {
        char words[4];
        if (::read(reader.get(), words, 4) < 4) {
          std::printf("  %s: nothing more (EAGAIN)\n", why.c_str());
          return;
        }
        std::printf("  %s: '%.4s'\n", why.c_str(), words);
        if (comes_back) loop.call_soon([&] { read_four("comes back"); });
      };
  loop.watch(reader.get(), interest,
             [&](Events events) { read_four("event " + to_string(events)); });
  loop.advance(1h);

  int left = 0;
  ::ioctl(reader.get(), FIONREAD, &left);
  std::printf("  an hour later %d bytes are left\n", left);
}

int main() {
  const Events edge = Events::kRead | Events::kEdgeTriggered;
  show("level-triggered", Events::kRead, false);
  show("edge-triggered", edge, false);
  show("edge-triggered, comes back by itself", edge, true);
}
