// SPDX-License-Identifier: MIT
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include <cstdint>
#include <functional>

#include "bench/peers/worker.h"

/// A base. Events are to be deleted before it, or no longer used.
class Base {
 public:
  Base() : Base(event_base_new()) {}
  explicit Base(event_base* base) : base_(base) {
    if (base_ == nullptr) peers::fail("event_base_new");
  }
  Base(const Base&) = delete;
  Base& operator=(const Base&) = delete;
  ~Base() { event_base_free(base_); }

  event_base* get() { return base_; }
  /// Until there is nothing left to wait for.
  void run() { event_base_dispatch(base_); }

  /// Queues `work` to be done in a callback, where the base knows the time
  /// without asking the kernel. It must live until it has run.
  void soon(std::function<void()>& work) {
    event_assign(
        &soon_, base_, -1, 0,
        [](evutil_socket_t, short, void* data) {
          (*static_cast<std::function<void()>*>(data))();
        },
        &work);
    event_active(&soon_, 0, 0);
  }

 private:
  event_base* base_;
  event soon_;
};

inline timeval timeval_of_ms(std::uint32_t ms) {
  return {static_cast<time_t>(ms / 1000),
          static_cast<suseconds_t>(ms % 1000 * 1000)};
}

void add_servers(peers::Program& program);
