// SPDX-License-Identifier: MIT
#include "reactor/internal/signals.h"

#include <signal.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

#include "reactor/errors.h"

namespace rondo::detail {
namespace {

constexpr int kSignalsMax = 64;

/// Per signal of the process: whose it is, and what was there before.
struct Route {
  std::atomic<SignalSink*> sink{nullptr};
  std::atomic<int> in_handler{0};
  struct ::sigaction previous{};
};

Route routes[kSignalsMax + 1];

extern "C" void rondo_on_signal(int signal_number) {
  const int saved_errno = errno;
  Route& route = routes[signal_number];
  route.in_handler.fetch_add(1);
  if (SignalSink* sink = route.sink.load()) {
    sink->pending.fetch_or(std::uint64_t{1} << (signal_number - 1));
    sink->remote->wake();
  }
  route.in_handler.fetch_sub(1);
  errno = saved_errno;
}

void check_number(int signal_number) {
  if (signal_number < 1 || signal_number > kSignalsMax) {
    throw std::invalid_argument("invalid signal number " +
                                std::to_string(signal_number));
  }
}

}  // namespace

void SignalTable::add(int signal_number, Entry* entry) {
  check_number(signal_number);
  Route& route = routes[signal_number];
  for (Registration& registration : registrations_) {
    if (registration.signal_number != signal_number) continue;
    Entry* replaced = std::exchange(registration.entry, entry);
    cancel(replaced);
    drop_reference(replaced);
    return;
  }
  registrations_.reserve(registrations_.size() + 1);
  SignalSink* nobody = nullptr;
  if (!route.sink.compare_exchange_strong(nobody, &sink_)) {
    throw RuntimeError("sig " + std::to_string(signal_number) +
                       " is already handled by another event loop");
  }
  struct ::sigaction action{};
  action.sa_handler = rondo_on_signal;
  action.sa_flags = SA_RESTART;  // as asyncio: siginterrupt(sig, False)
  ::sigemptyset(&action.sa_mask);
  if (kernel_.sigaction(signal_number, &action, &route.previous) != 0) {
    const int error = errno;
    route.sink.store(nullptr);
    if (error == EINVAL) {
      throw RuntimeError("sig " + std::to_string(signal_number) +
                         " cannot be caught");
    }
    throw std::system_error(
        error, std::generic_category(),
        "sigaction for signal " + std::to_string(signal_number));
  }
  registrations_.push_back({signal_number, entry});
}

bool SignalTable::remove(int signal_number) {
  check_number(signal_number);
  const auto found = std::find_if(
      registrations_.begin(), registrations_.end(),
      [&](const auto& item) { return item.signal_number == signal_number; });
  if (found == registrations_.end()) return false;
  Entry* entry = found->entry;
  registrations_.erase(found);
  leave(signal_number);
  sink_.pending.fetch_and(~(std::uint64_t{1} << (signal_number - 1)));
  cancel(entry);
  drop_reference(entry);
  return true;
}

void SignalTable::collect(ReadyQueue& ready) noexcept {
  std::uint64_t pending = sink_.pending.exchange(0);
  while (pending != 0) {
    const int signal_number = std::countr_zero(pending) + 1;
    pending &= pending - 1;
    for (const Registration& registration : registrations_) {
      if (registration.signal_number != signal_number ||
          registration.entry->has(Entry::kQueued)) {
        continue;
      }
      enqueue(ready, registration.entry);
    }
  }
}

void SignalTable::clear() noexcept {
  while (!registrations_.empty()) remove(registrations_.back().signal_number);
}

void SignalTable::disown() noexcept {
  // By routes, not registrations: another thread may have been in the middle
  // of changing those.
  for (int number = 1; number <= kSignalsMax; ++number) {
    if (routes[number].sink.load() != &sink_) continue;
    // Whoever was in the handler is a thread of the parent.
    routes[number].in_handler.store(0);
    leave(number);
  }
}

/// Gives the signal back to whom it was.
void SignalTable::leave(int signal_number) noexcept {
  Route& route = routes[signal_number];
  if (route.sink.load() != &sink_) return;  // disowned
  kernel_.sigaction(signal_number, &route.previous, nullptr);
  route.sink.store(nullptr);
  // A handler that runs in another thread may still hold the sink. It does
  // not wait for anything, so this is short.
  while (route.in_handler.load() != 0) kernel_.yield();
}

}  // namespace rondo::detail
