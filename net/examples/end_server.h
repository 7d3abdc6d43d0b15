// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>

#include "futures/coro/coro.h"
#include "futures/errors.h"
#include "futures/wait_for.h"
#include "net/server.h"

/// Ends a server in order: no new connections; those that are there send what
/// was written to them; those that have not done so in time are dropped.
inline rondo::Coro<> end_server(rondo::Server server, double seconds) {
  server.close();
  server.close_clients();
  bool in_time = true;
  try {
    const rondo::Future<void> closed = server.wait_closed();
    auto waiting = wait_for(closed, seconds);
    co_await waiting;
  } catch (const rondo::TimeoutError&) {
    in_time = false;  // no co_await in a catch
  }
  if (in_time) co_return;
  std::printf("Dropping %zu connections\n", server.client_count());
  server.abort_clients();
  const rondo::Future<void> closed = server.wait_closed();
  co_await closed;
}
