// SPDX-License-Identifier: MIT
#pragma once

#include <pthread.h>

namespace rondo::detail {

/// A mutex without <mutex>, whose header would come with every include of
/// ours. It never fails: it is neither recursive nor checked.
class Mutex {
 public:
  Mutex() noexcept = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  ~Mutex() { ::pthread_mutex_destroy(&mutex_); }

  /// For pthread_cond_wait(3).
  ::pthread_mutex_t* native() noexcept { return &mutex_; }

 private:
  ::pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

/// Holds a Mutex while it lives.
class MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) noexcept : mutex_(*mutex.native()) {
    ::pthread_mutex_lock(&mutex_);
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  ~MutexLock() { ::pthread_mutex_unlock(&mutex_); }

 private:
  ::pthread_mutex_t& mutex_;
};

}  // namespace rondo::detail
