// SPDX-License-Identifier: MIT
#include "test/support/staged_kernel.h"

#include <cerrno>
#include <chrono>

namespace rondo {

void StagedKernel::go_to_sleep(bool may_sleep) noexcept {
  ++waits_;
  // So that a busy poll comes to an end.
  virtual_kernel.spend(std::chrono::microseconds(1));
  if (!may_sleep || stages_.empty()) return;
  const auto stage = std::move(stages_.front());
  stages_.pop_front();
  stage();
}

int StagedKernel::give_up() noexcept {
  errno = ECANCELED;
  return -1;
}

int StagedKernel::epoll_wait(int epoll_fd, ::epoll_event* events,
                             int events_max, int timeout_ms) noexcept {
  go_to_sleep(timeout_ms != 0);
  if (spun()) return give_up();
  const bool endless = timeout_ms < 0;
  const int answer = ScriptedKernel::epoll_wait(epoll_fd, events, events_max,
                                                endless ? 0 : timeout_ms);
  if (!endless || answer != 0) return answer;
  if (!stages_.empty()) return 0;  // the next stage may end it
  stalled_ = true;
  return give_up();
}

int StagedKernel::epoll_pwait2(int epoll_fd, ::epoll_event* events,
                               int events_max,
                               std::int64_t timeout_ns) noexcept {
  go_to_sleep(timeout_ns != 0);
  if (spun()) return give_up();
  return ScriptedKernel::epoll_pwait2(epoll_fd, events, events_max, timeout_ns);
}

}  // namespace rondo
