// SPDX-License-Identifier: MIT
// document: seed 003 says that its command "shutdown" closes the server
// shows: loop.stop() inside run does not end the program cleanly: run throws
//   RuntimeError (exit status 1), after cancelling the tasks that were left.
//   The clean way is to end main (cancel serve_forever, or set an Event main
//   waits for)
#include <memory>

#include "futures/coro/coro.h"
#include "futures/run.h"
#include "futures/sync/event.h"
#include "net/server.h"
#include "test/parity/python_words.h"

using python::print;
using rondo::Coro;
using rondo::create_server;
using rondo::Event;
using rondo::EventLoop;
using rondo::get_running_loop;
using rondo::Protocol;
using rondo::Server;

static std::shared_ptr<Protocol> protocol() {
  return std::make_shared<Protocol>();
}

static Coro<> main_function() {
  EventLoop& loop = get_running_loop();
  loop.call_later(0.05, [&loop] { loop.stop(); });
  const Server server = co_await create_server(protocol, "127.0.0.1", 0);
  struct Finally {
    ~Finally() {
      print("main is cancelled by the clean-up; serving:", server.is_serving());
    }
    const Server& server;
  } const finally{server};
  co_await server.serve_forever();
}

static Coro<> clean() {
  const Server server = co_await create_server(protocol, "127.0.0.1", 0);
  Event ended;
  get_running_loop().call_later(0.05, [&ended] { ended.set(); });
  co_await ended.wait();
  server.close();  // the end of the block
  co_await server.wait_closed();
  print("ended cleanly");
}

int main() {
  return python::run_script([] {
    rondo::run(clean());
    rondo::run(main_function());
  });
}
