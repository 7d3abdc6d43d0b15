// SPDX-License-Identifier: MIT
#include "reactor/loop_stats.h"

#include <cstdio>
#include <utility>

namespace rondo {
namespace {

std::string seconds(Duration duration) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6f",
                std::chrono::duration<double>(duration).count());
  return text;
}

}  // namespace

std::string to_string(const LoopStats& stats) {
  const std::pair<const char*, std::uint64_t> counters[] = {
      {"passes", stats.passes},
      {"polls", stats.polls},
      {"sleeps", stats.sleeps},
      {"events", stats.events},
      {"callbacks", stats.callbacks},
      {"exceptions", stats.exceptions},
      {"timers_fired", stats.timers_fired},
      {"remote_calls", stats.remote_calls},
      {"wakeups", stats.wakeups},
      {"rebuilds", stats.rebuilds},
  };
  std::string text;
  for (const auto& [name, value] : counters) {
    text += name;
    text += "=" + std::to_string(value) + " ";
  }
  return text + "lag=" + seconds(stats.lag) +
         " lag_max=" + seconds(stats.lag_max) +
         " callback_time=" + seconds(stats.callback_time);
}

}  // namespace rondo
