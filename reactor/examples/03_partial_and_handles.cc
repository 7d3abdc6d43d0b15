// SPDX-License-Identifier: MIT
//
// What a handle shows. A lambda hides what it will do; call(f, arguments...)
// and partial(f, arguments...) can be read, and so can the handle of a
// callback made with them: its name, its arguments and the line that made it,
// as in asyncio's repr. That is what logs and debuggers print.
//
// New against 02: functions with arguments in place of lambdas, and
// to_string(handle).
//
// Expected output:
//   <Handle greet('world', 2) at <any>03_partial_and_handles.cc:<line>>
//   <Handle greet('moon')(3) at <any>03_partial_and_handles.cc:<line>>
//   <Handle main::<lambda>() at <any>03_partial_and_handles.cc:<line>>
//   <TimerHandle when=<number> greet('late', 1) at <any>.cc:<line>>
//   <TimerHandle cancelled when=<number>>
//   hello world, hello world
//   hello moon, hello moon, hello moon
//   the partial's arguments: moon

#include <chrono>
#include <cstdio>
#include <string>
#include <tuple>

#include "reactor/event_loop.h"
#include "reactor/partial.h"

using namespace std::chrono_literals;

static void greet(const std::string& whom, int times) {
  for (int i = 1; i <= times; ++i) {
    std::printf("hello %s%s", whom.c_str(), i < times ? ", " : "\n");
  }
}

static void print(const rondo::Handle& handle) {
  std::puts(to_string(handle).c_str());
}

int main() {
  rondo::EventLoop loop;
  const auto greet_moon = rondo::partial(greet, std::string("moon"));

  print(loop.call_soon(rondo::call(greet, std::string("world"), 2)));
  print(loop.call_soon(rondo::call(greet_moon, 3)));
  print(loop.call_soon([&] { loop.stop(); }));
  rondo::Handle late =
      loop.call_later(1h, rondo::call(greet, std::string("late"), 1));
  print(late);
  late.cancel();
  print(late);
  loop.run_forever();

  std::printf("the partial's arguments: %s\n",
              std::get<0>(greet_moon.args()).c_str());
}
