// SPDX-License-Identifier: MIT
#pragma once

#include <ev.h>

#include "bench/peers/worker.h"

/// A loop. Watchers are to be stopped before it goes, or no longer used.
class Loop {
 public:
  Loop() : loop_(ev_loop_new(EVFLAG_AUTO)) {
    if (loop_ == nullptr) peers::fail("ev_loop_new");
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() { ev_loop_destroy(loop_); }

  struct ev_loop* get() { return loop_; }
  /// Until there is nothing left to wait for.
  void run() { ev_run(loop_, 0); }
  void stop() { ev_break(loop_, EVBREAK_ONE); }

 private:
  struct ev_loop* loop_;
};

void add_servers(peers::Program& program);
