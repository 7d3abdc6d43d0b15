// SPDX-License-Identifier: MIT
// shows: call_soon is FIFO; callbacks scheduled while a pass runs go to the
//   next one, behind everything that is already waiting for it; arguments are
//   passed positionally
#include <string>
#include <vector>

#include "reactor/event_loop.h"
#include "reactor/partial.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::call;
using rondo::EventLoop;

static EventLoop loop;
static int it = 0;

static void tick() {
  it += 1;
  if (it < 5) {
    loop.call_soon(tick);
  } else {
    loop.stop();
  }
}

struct Child {
  std::string name;
  std::vector<Child> children;
};

static void cb(const std::string& name, const std::vector<Child>& children) {
  print("iteration", it, name);
  for (const Child& c : children) {
    loop.call_soon(call(cb, c.name, c.children));
  }
}

int main() {
  loop.call_soon(tick);
  loop.call_soon(
      call(cb, "a", std::vector<Child>{{"a1", {{"a1x", {}}}}, {"a2", {}}}));
  loop.call_soon(call(cb, "b", std::vector<Child>{{"b1", {}}}));
  loop.call_soon(call(cb, "c", std::vector<Child>{}));
  loop.run_forever();
  loop.close();
}
