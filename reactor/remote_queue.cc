// SPDX-License-Identifier: MIT
#include "reactor/remote_queue.h"

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace rondo {
namespace {

// A call on a non-blocking eventfd is not interrupted, says eventfd(2). Should
// it be: not for ever.
constexpr int kAttempts = 8;

int create_eventfd(Kernel& kernel) {
  const int fd = kernel.eventfd();
  if (fd < 0) {
    throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  return fd;
}

}  // namespace

RemoteQueue::RemoteQueue(Kernel& kernel)
    : kernel_(kernel), wake_fd_(create_eventfd(kernel), kernel) {}

RemoteQueue::~RemoteQueue() = default;

bool RemoteQueue::post(Callback callback, std::source_location where) {
  return try_post(callback, where);
}

bool RemoteQueue::try_post(Callback& callback, std::source_location where) {
  if (!callback) {
    throw std::invalid_argument(
        "a callable object was expected by post(), got None");
  }
  // Before the lock, for a forked child: see abandon(). Who is refused sees
  // all that the loop did before it closed.
  if (closed_.load(std::memory_order_acquire)) return false;
  {
    const detail::MutexLock lock(mutex_);
    if (closed_.load(std::memory_order_relaxed)) return false;
    incoming_.emplace_back(std::move(callback), where);
    if (!is_to_wake()) return true;
  }
  wake_and_leave();
  return true;
}

/// With the lock. If this returns true, wake_and_leave() follows.
bool RemoteQueue::is_to_wake() noexcept {
  // Not the first since take(): whoever was has seen to the waking.
  if (pending_.load(std::memory_order_relaxed) &&
      !wake_failed_.load(std::memory_order_relaxed)) {
    return false;
  }
  wake_failed_.store(false);
  pending_.store(true);
  return is_first_to_wake();
}

/// With the lock, after what the loop is to wake up for was announced.
bool RemoteQueue::is_first_to_wake() noexcept {
  if (!sleeping_.load() || !sleeping_.exchange(false)) return false;
  wakers_.fetch_add(1);
  return true;
}

/// Without the lock: on one processor the thread that is woken runs at once,
/// and would have to wait for us.
void RemoteQueue::wake_and_leave() noexcept {
  if (!wake()) {
    sleeping_.store(true);
    wake_failed_.store(true);
  }
  wakers_.fetch_sub(1);
}

void RemoteQueue::end_external_work() noexcept {
  if (external_work_.fetch_sub(1) > 1) return;
  work_ended_.store(true);
  if (closed_.load(std::memory_order_relaxed)) return;  // as in try_post()
  {
    const detail::MutexLock lock(mutex_);
    if (closed_.load(std::memory_order_relaxed)) return;
    if (!is_first_to_wake()) return;
  }
  wake_and_leave();
}

void RemoteQueue::take(std::vector<Item>& items) {
  const detail::MutexLock lock(mutex_);
  // The two buffers change places for ever: no allocation once both have
  // grown.
  incoming_.swap(items);
  pending_.store(false, std::memory_order_relaxed);
}

bool RemoteQueue::prepare_sleep() noexcept {
  sleeping_.store(true);
  const bool work_ended = work_ended_.load() && work_ended_.exchange(false);
  if (!pending_.load() && !work_ended) return true;
  sleeping_.store(false, std::memory_order_relaxed);
  return false;
}

void RemoteQueue::close(std::vector<Item>& items) noexcept {
  {
    const detail::MutexLock lock(mutex_);
    closed_.store(true);
    incoming_.swap(items);
    pending_.store(false, std::memory_order_relaxed);
  }
  // Whoever was accepted may still be about to write. That is one system call
  // that does not block.
  while (wakers_.load() != 0) kernel_.yield();
  wake_fd_.reset();
}

bool RemoteQueue::wake() noexcept {
  const std::uint64_t one = 1;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (kernel_.write(wake_fd_.get(), &one, sizeof one) >= 0) return true;
    if (errno == EAGAIN) return true;  // the counter is full: readable as well
    if (errno != EINTR) return false;
  }
  return false;
}

bool RemoteQueue::drain() noexcept {
  std::uint64_t count;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (kernel_.read(wake_fd_.get(), &count, sizeof count) >= 0) return true;
    if (errno != EINTR) return false;
  }
  return false;
}

}  // namespace rondo
