// SPDX-License-Identifier: MIT
#include "reactor/events.h"

#include <sys/epoll.h>

#include <utility>

namespace rondo {

static_assert(static_cast<std::uint32_t>(Events::kRead) == EPOLLIN);
static_assert(static_cast<std::uint32_t>(Events::kPriority) == EPOLLPRI);
static_assert(static_cast<std::uint32_t>(Events::kWrite) == EPOLLOUT);
static_assert(static_cast<std::uint32_t>(Events::kError) == EPOLLERR);
static_assert(static_cast<std::uint32_t>(Events::kHangup) == EPOLLHUP);
static_assert(static_cast<std::uint32_t>(Events::kReadHangup) == EPOLLRDHUP);
static_assert(static_cast<std::uint32_t>(Events::kOneShot) == EPOLLONESHOT);
static_assert(static_cast<std::uint32_t>(Events::kEdgeTriggered) == EPOLLET);

std::string to_string(Events events) {
  static constexpr std::pair<Events, const char*> kNames[] = {
      {Events::kRead, "read"},
      {Events::kPriority, "priority"},
      {Events::kWrite, "write"},
      {Events::kError, "error"},
      {Events::kHangup, "hangup"},
      {Events::kReadHangup, "read-hangup"},
      {Events::kOneShot, "one-shot"},
      {Events::kEdgeTriggered, "edge-triggered"},
  };
  std::string text;
  for (const auto& [flag, name] : kNames) {
    if (!has(events, flag)) continue;
    if (!text.empty()) text += '|';
    text += name;
  }
  return text.empty() ? "none" : text;
}

}  // namespace rondo
