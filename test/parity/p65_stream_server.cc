// SPDX-License-Identifier: MIT
// shows: start_server/open_connection: one task per connection; echo by lines;
//   close and wait_closed; an exception in the connection coroutine is
//   reported and closes the connection; reading after the peer closed; writer
//   methods
#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "futures/coro/coro.h"
#include "futures/gather.h"
#include "futures/run.h"
#include "futures/sleep.h"
#include "futures/wait_for.h"
#include "net/streams.h"
#include "test/parity/python_words.h"

using python::Bytes;
using python::print;
using rondo::Coro;
using rondo::current_task;
using rondo::EventLoop;
using rondo::ExceptionContext;
using rondo::gather;
using rondo::get_running_loop;
using rondo::open_connection;
using rondo::OpenConnection;
using rondo::Server;
using rondo::sleep;
using rondo::start_server;
using rondo::StreamReader;
using rondo::Streams;
using rondo::StreamWriter;
using rondo::Task;
using rondo::TimeoutError;
using rondo::wait_for;

static Coro<> main_coroutine() {
  std::vector<bool> names;
  std::vector<std::string> ends;

  const auto serve = [&](StreamReader r, StreamWriter w) -> Coro<> {
    names.push_back(current_task().get_name().starts_with("Task-"));
    while (true) {
      const std::string line = co_await r.readline();
      if (line.empty()) break;
      if (line == "raise\n") {
        throw std::invalid_argument("in the connection coroutine");
      }
      w.write("> " + line);
      co_await w.drain();
    }
    ends.push_back("EOF");
    w.close();
    co_await w.wait_closed();
    ends.push_back("wait_closed returned");
  };
  auto listening = start_server(serve, "127.0.0.1", 0);
  Server server = co_await std::move(listening);
  const std::uint16_t port = server.sockets()[0].getsockname().port();
  {
    const Streams s = co_await open_connection("127.0.0.1", port);
    const auto& [r, w] = s;
    w.write("one\ntwo\nthr");
    const std::string one = co_await r.readline();
    const std::string two = co_await r.readline();
    print(Bytes(one), Bytes(two));
    w.write("ee\n");
    const std::string three = co_await r.readline();
    print(Bytes(three));
    const std::vector<std::string_view> pieces{"a\n", "b\n"};
    w.writelines(pieces);
    const std::string both = co_await r.readexactly(8);
    print(Bytes(both));
    w.write_eof();
    const std::string rest = co_await r.read();
    print("read to EOF:", Bytes(rest), "at_eof", r.at_eof());
    print("server:", ends);
    print("is_closing", w.is_closing());
    w.close();
    print("is_closing", w.is_closing());
    co_await w.wait_closed();
  }
  get_running_loop().set_exception_handler(
      [](EventLoop&, const ExceptionContext& c) {
        print("handler:", c.message, python::repr(c.exception));
      });
  {
    const Streams s = co_await open_connection("127.0.0.1", port);
    s.writer.write("raise\n");
    try {
      auto read = wait_for(s.reader.read(1), 0.2);
      const std::string data = co_await std::move(read);
      print(Bytes(data));
    } catch (const TimeoutError&) {
      print("after the exception the connection is still open");
    }
    s.writer.close();
    co_await sleep(0.02);
  }
  std::vector<Task<Streams>> opening;
  for (int i = 0; i < 20; ++i) {
    opening.push_back(create_task(open_connection("127.0.0.1", port)));
  }
  const std::vector<Streams> rs = co_await gather(opening);
  for (int i = 0; i < 20; ++i) rs[i].writer.write(std::to_string(i) + "\n");
  bool all_right = true;
  for (int i = 0; i < 20; ++i) {
    const std::string line = co_await rs[i].reader.readline();
    all_right = all_right && std::stoi(line.substr(2)) == i;
  }
  print("20 connections at once:", all_right);
  for (const Streams& s : rs) s.writer.close();
  co_await sleep(0.05);
  server.close();
  const bool all = std::count(names.begin(), names.end(), false) == 0;
  print("one task per connection:", names.size(), all,
        "all ended:", ends.size() == 2 * 21);
}

int main() { rondo::run(main_coroutine()); }
