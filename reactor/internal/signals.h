// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "reactor/internal/entry.h"
#include "reactor/internal/ready_queue.h"
#include "reactor/remote_queue.h"

namespace rondo::detail {

/// Where the signal handler leaves word for a loop.
struct SignalSink {
  std::atomic<std::uint64_t> pending{0};  // bit n - 1 is signal n
  RemoteQueue* remote = nullptr;
};

/// The signals that one loop handles.
///
/// The handler of sigaction(2) does what is safe there (signal-safety(7)): it
/// sets a bit and writes to the loop's eventfd. The callback runs later, as
/// any other. Deliveries that come before it ran are one, as with pending
/// signals everywhere. A process has one disposition for each signal, so a
/// signal belongs to one loop at a time.
class SignalTable {
 public:
  SignalTable(Kernel& kernel, RemoteQueue& remote) noexcept : kernel_(kernel) {
    sink_.remote = &remote;
  }
  SignalTable(const SignalTable&) = delete;
  SignalTable& operator=(const SignalTable&) = delete;

  /// Throws what EventLoop::add_signal_handler() says. Takes over one
  /// reference if it returns.
  void add(int signal_number, Entry* entry);
  /// Returns whether there was one.
  bool remove(int signal_number);
  /// Queues the callbacks of what arrived, lowest number first.
  void collect(ReadyQueue& ready) noexcept;
  /// Whether collect() would find something.
  bool pending() const noexcept {
    return sink_.pending.load(std::memory_order_relaxed) != 0;
  }
  /// Removes all.
  void clear() noexcept;
  /// In a forked child: the signals are not ours here. Destroys no callback.
  /// Async-signal-safe.
  void disown() noexcept;

 private:
  struct Registration {
    int signal_number;
    Entry* entry;
  };

  void leave(int signal_number) noexcept;

  Kernel& kernel_;
  SignalSink sink_;
  std::vector<Registration> registrations_;
};

}  // namespace rondo::detail
