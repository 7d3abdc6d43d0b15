// SPDX-License-Identifier: MIT
#pragma once

#include <uv.h>

#include <cstdint>
#include <string>

#include "bench/peers/worker.h"

/// `answer`, unless it says that the call named `what` has failed.
inline int uv_checked(int answer, const char* what) {
  if (answer < 0) peers::fail(std::string(what) + ": " + uv_strerror(answer));
  return answer;
}

/// A loop that closes what is still in it. Handles must outlive it: make them
/// before.
class Loop {
 public:
  Loop() { uv_checked(uv_loop_init(&loop_), "uv_loop_init"); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop() {
    uv_walk(
        &loop_,
        [](uv_handle_t* handle, void*) {
          if (!uv_is_closing(handle)) uv_close(handle, nullptr);
        },
        nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);
    uv_checked(uv_loop_close(&loop_), "uv_loop_close");
  }

  uv_loop_t* get() { return &loop_; }
  void run() { uv_run(&loop_, UV_RUN_DEFAULT); }
  void stop() { uv_stop(&loop_); }

 private:
  uv_loop_t loop_;
};

/// Adds one to the counter that is a handle's data.
inline void count(void* data) { ++*static_cast<std::uint64_t*>(data); }

void add_servers(peers::Program& program);
