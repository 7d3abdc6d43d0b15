// SPDX-License-Identifier: MIT
// shows: call_soon gives a Handle, call_later a TimerHandle, neither is a
//   Task; nothing runs before the loop does; what is passed is the callable,
//   with positional arguments
#include <string>
#include <type_traits>

#include "futures/task.h"
#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::AnyFuture;
using rondo::call;
using rondo::EventLoop;
using rondo::Handle;
using rondo::TimerHandle;

/// `*args`, as a tuple's repr.
template <class... Args>
static std::string tuple(const Args&... args) {
  std::string text;
  ((text += (text.empty() ? "" : ", ") + python::repr(args)), ...);
  return "(" + text + (sizeof...(Args) == 1 ? ",)" : ")");
}

struct F {
  template <class... Args>
  void operator()(const Args&... args) const {
    print("f", tuple(args...));
  }
};
static constexpr F f;

template <class T>
static const char* type_name(const T&) {
  return std::is_same_v<T, Handle> ? "Handle" : "TimerHandle";
}

// C++ has no keyword arguments, and a name in place of the function is no
// program.
template <class T>
concept IsCallback =
    requires(EventLoop& loop, T value) { loop.call_later(0.02, value); };
static_assert(IsCallback<F> && !IsCallback<const char*>);

int main() {
  EventLoop loop;
  auto h = loop.call_soon(call(f, 1, 2));
  auto t = loop.call_later(0.04, call(f, 3));
  print(type_name(h), type_name(t), std::is_base_of_v<AnyFuture, Handle>,
        all_tasks(loop).empty() ? "set()" : "some tasks");
  print("not run yet");
  loop.call_later(0.08, [&] { loop.stop(); });
  loop.run_forever();
  loop.close();
}
