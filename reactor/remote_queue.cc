// SPDX-License-Identifier: MIT
#include "reactor/remote_queue.h"

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace rondo {
namespace {

int create_eventfd(Kernel& kernel) {
  const int fd = kernel.eventfd();
  if (fd < 0) {
    throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  return fd;
}

}  // namespace

/// Not std::mutex: its header would come with every include of this one.
class RemoteQueue::Lock {
 public:
  explicit Lock(RemoteQueue& queue) noexcept : mutex_(queue.mutex_) {
    ::pthread_mutex_lock(&mutex_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() { ::pthread_mutex_unlock(&mutex_); }

 private:
  ::pthread_mutex_t& mutex_;
};

RemoteQueue::RemoteQueue(Kernel& kernel)
    : kernel_(kernel), wake_fd_(create_eventfd(kernel), kernel) {}

RemoteQueue::~RemoteQueue() { ::pthread_mutex_destroy(&mutex_); }

bool RemoteQueue::post(Callback callback, std::source_location where) {
  if (!callback) {
    throw std::invalid_argument(
        "a callable object was expected by call_soon_threadsafe()");
  }
  {
    const Lock lock(*this);
    if (closed_) return false;
    incoming_.emplace_back(std::move(callback), where);
    // Not the first since take(): whoever was has seen to the waking.
    if (pending_.load(std::memory_order_relaxed)) return true;
    pending_.store(true);
  }
  if (sleeping_.load() && sleeping_.exchange(false)) wake();
  return true;
}

void RemoteQueue::end_external_work() noexcept {
  external_work_.fetch_sub(1);
  wake();
}

void RemoteQueue::take(std::vector<Item>& items) {
  const Lock lock(*this);
  // The two buffers change places for ever: no allocation once both have
  // grown.
  incoming_.swap(items);
  pending_.store(false, std::memory_order_relaxed);
}

bool RemoteQueue::prepare_sleep() noexcept {
  sleeping_.store(true);
  if (!pending_.load()) return true;
  sleeping_.store(false, std::memory_order_relaxed);
  return false;
}

void RemoteQueue::close(std::vector<Item>& items) {
  const Lock lock(*this);
  closed_ = true;
  incoming_.swap(items);
  pending_.store(false, std::memory_order_relaxed);
}

void RemoteQueue::wake() noexcept {
  const std::uint64_t one = 1;
  // EAGAIN says that the counter is full: then it is readable as well.
  while (kernel_.write(wake_fd_.get(), &one, sizeof one) < 0 &&
         errno == EINTR) {
  }
}

void RemoteQueue::drain() noexcept {
  std::uint64_t count;
  while (kernel_.read(wake_fd_.get(), &count, sizeof count) < 0 &&
         errno == EINTR) {
  }
}

}  // namespace rondo
