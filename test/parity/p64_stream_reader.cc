// SPDX-License-Identifier: MIT
// shows: StreamReader by itself, fed by hand: readline, readexactly
//   (IncompleteReadError), readuntil (LimitOverrunError, two forms), read(n),
//   read(), at_eof, limits, two readers at once, set_exception
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/wait_for.h"
#include "net/stream_reader.h"
#include "test/parity/python_words.h"

using python::Bytes;
using python::print;
using rondo::Coro;
using rondo::create_task;
using rondo::get_running_loop;
using rondo::IncompleteReadError;
using rondo::kStreamLimit;
using rondo::LimitOverrunError;
using rondo::sleep;
using rondo::StreamReader;
using rondo::Task;
using rondo::wait_for;

struct ConnectionResetError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class Awaitable>
static Coro<> show(const char* label, Awaitable aw) {
  try {
    const std::string data = co_await std::move(aw);
    print(label, "->", python::repr(Bytes(data)));
  } catch (const IncompleteReadError& e) {
    const std::string expected =
        e.expected() ? std::to_string(*e.expected()) : "None";
    print(label,
          "-> IncompleteReadError partial=" + python::repr(Bytes(e.partial())) +
              " expected=" + expected + " | " + e.what());
  } catch (const LimitOverrunError& e) {
    print(label, "-> LimitOverrunError consumed=" +
                     std::to_string(e.consumed()) + " | " + e.what());
  } catch (const std::exception&) {
    print(label, "->", python::Error());
  }
}

static StreamReader reader(std::string_view data = "", bool eof = false,
                           std::size_t limit = kStreamLimit) {
  StreamReader r(get_running_loop(), limit);
  if (!data.empty()) r.feed_data(data);
  if (eof) r.feed_eof();
  return r;
}

static Coro<> main_coroutine() {
  StreamReader r = reader("line 1\nline 2\r\nrest", true);
  for (int i = 0; i < 4; ++i) co_await show("readline", r.readline());
  print("at_eof", r.at_eof());
  r = reader("abcdef", true);
  co_await show("readexactly(4)", r.readexactly(4));
  print("at_eof while bytes are buffered:", r.at_eof());
  co_await show("readexactly(0)", r.readexactly(0));
  co_await show("readexactly(4)", r.readexactly(4));
  co_await show("readexactly(1)", r.readexactly(1));
  r = reader("a||b||c", true);
  co_await show("readuntil ||", r.readuntil("||"));
  co_await show("readuntil ||", r.readuntil("||"));
  co_await show("readuntil ||", r.readuntil("||"));
  try {
    co_await show("readuntil empty", r.readuntil(""));
  } catch (const std::invalid_argument&) {
    print("readuntil empty ->", python::Error());
  }

  r = reader("0123456789\nnext\n", false, 8);
  co_await show("readuntil, separator found beyond the limit", r.readuntil());
  co_await show("the data is still there", r.read(3));
  r = reader("0123456789\nnext\n", false, 8);
  co_await show("readline over the limit", r.readline());
  co_await show("readline dropped that line", r.readline());
  r = reader("0123456789abcdefghij", false, 8);
  co_await show("readuntil, separator not found within the limit",
                r.readuntil());
  r = reader("0123456789abcdefghij", false, 8);
  co_await show("readline, no newline within the limit", r.readline());
  auto waits = wait_for(r.read(5), 0.01);
  co_await show("and that cleared the buffer; now", std::move(waits));
  r = reader("12345678\n", false, 8);
  co_await show("a line of exactly the limit and its newline", r.readline());
  r = reader(std::string(65537, 'x') + "\n");
  co_await show("default limit is 64 KiB", r.readline());
  r = reader(std::string(65536, 'x') + "\n");
  const std::string longest = co_await r.readline();
  print("line of 65536 bytes:", longest.size());

  r = reader("abcdef");
  co_await show("read(0)", r.read(0));
  co_await show("read(4) takes what is there", r.read(4));
  co_await show("read(4)", r.read(4));
  Task<std::string> t = create_task(r.read(4));
  co_await sleep(0);
  co_await show("second reader", r.read(1));
  co_await show("second reader, other method", r.readline());
  r.feed_data("xyz123");
  co_await show("first reader", t);
  r.feed_eof();
  co_await show("read() to the end", r.read());
  co_await show("read(5) after EOF", r.read(5));
  co_await show("readline after EOF", r.readline());
  r = reader("l1\nl2\nl3", true);
  std::vector<Bytes> lines;
  while (true) {  // async for
    const std::string x = co_await r.readline();
    if (x.empty()) break;
    lines.emplace_back(x);
  }
  print(lines);
  r = reader();
  t = create_task(r.readline());
  co_await sleep(0);
  r.feed_data("par");
  co_await sleep(0.01);
  print("readline waits for the newline:", !t.done());
  r.set_exception(std::make_exception_ptr(ConnectionResetError("set by hand")));
  co_await show("set_exception", t);
  co_await show("afterwards", r.read(1));
  try {
    StreamReader(get_running_loop(), 0);
  } catch (const std::invalid_argument&) {
    print(python::Error());
  }
}

int main() { rondo::run(main_coroutine()); }
