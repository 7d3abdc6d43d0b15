// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "reactor/internal/entry.h"
#include "reactor/internal/epoll_poller.h"
#include "reactor/internal/ready_queue.h"

namespace rondo::detail {

/// The callable of a watch() entry: hands over the events gathered since it
/// last ran.
class WatchCall {
 public:
  using Function = UniqueFunction<void(Events)>;

  explicit WatchCall(Function function) : function_(std::move(function)) {}

  void add(Events events) noexcept { events_ = events_ | events; }
  void operator()() { function_(std::exchange(events_, Events::kNone)); }
  std::string description() const { return function_.description(); }

 private:
  Function function_;
  Events events_ = Events::kNone;
};

/// Keeps a WatchCall at one address while the Callback that holds it moves.
struct OwnedWatchCall {
  void operator()() { (*call)(); }
  std::string description() const { return call->description(); }
  std::unique_ptr<WatchCall> call;
};

/// Who is called when a descriptor is ready.
///
/// Indexed by descriptor. A slot's generation goes up with each registration
/// in the epoll set, and a report that names another one belongs to nobody.
///
/// Invariant, but for a moment inside a call: `registered` is what the kernel
/// was last told, kNone if the descriptor is not in the epoll set.
class FdTable {
 public:
  /// Told of a descriptor that the kernel no longer knows as ours: its
  /// callbacks are cancelled by then. Must not throw or come back here.
  using OnLost = UniqueFunction<void(int fd, std::errc error)>;

  FdTable(EpollPoller& poller, OnLost on_lost)
      : poller_(poller), on_lost_(std::move(on_lost)) {}
  FdTable(const FdTable&) = delete;
  FdTable& operator=(const FdTable&) = delete;

  /// Registers `entry`, cancelling the one that it replaces. Takes over one
  /// reference if it returns. Throws std::system_error, std::bad_alloc,
  /// std::invalid_argument (a negative descriptor), RuntimeError (watched).
  void set_reader(int fd, Entry* entry);
  void set_writer(int fd, Entry* entry);
  /// `entry` holds `call`.
  void set_watch(int fd, Events interest, Entry* entry, WatchCall* call);
  void modify_watch(int fd, Events interest);

  /// Cancels the callback. Returns whether there was one.
  bool remove_reader(int fd) noexcept;
  bool remove_writer(int fd) noexcept;
  bool remove_watch(int fd) noexcept;

  /// To be called before each poll: what is reported from then on is current.
  void before_poll() noexcept { changed_since_poll_ = false; }
  /// Queues whoever asked for what is reported: reader before writer. Returns
  /// false if the kernel has a registration that we have not.
  bool dispatch(const PolledEvent& event, ReadyQueue& ready) noexcept;

  /// Puts everything into the set that the poller is renewing. An error is
  /// the kernel's want of memory; descriptors that are not open any more are
  /// left out, and lost with lose_unregistered().
  std::errc renew_all() noexcept;
  /// After the renewal: gives up what renew_all() left out.
  void lose_unregistered() noexcept;

  /// Cancels everything. `in_kernel` is false in a forked child, which shares
  /// the parent's set and must not change it.
  void clear(bool in_kernel) noexcept;

  /// Each descriptor with a callback: visit(fd, registered, reader, writer).
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t fd = 0; fd < slots_.size(); ++fd) {
      const Slot& slot = slots_[fd];
      if (slot.reader != nullptr || slot.writer != nullptr) {
        visit(static_cast<int>(fd), slot.registered, slot.reader, slot.writer);
      }
    }
  }

 private:
  struct Slot {
    Entry* reader = nullptr;  // or the watch's
    Entry* writer = nullptr;
    WatchCall* watch = nullptr;
    std::uint32_t generation = 0;
    Events registered = Events::kNone;
    Events watched = Events::kNone;  // what the watch asks for
    bool reported = false;           // a kOneShot watch that is silent now
    bool left_out = false;           // of a renewal
  };

  void set(int fd, Entry* Slot::* which, Entry* entry, const char* operation);
  bool remove(int fd, Entry* Slot::* which) noexcept;
  Slot& slot_for(int fd, const char* operation);
  Slot* find(int fd) noexcept;
  static Events wanted(const Slot& slot) noexcept;
  std::errc update(int fd, Slot& slot, Events interest) noexcept;
  static void queue(Entry* entry, ReadyQueue& ready) noexcept;
  void remove_cancelled(int fd) noexcept;
  static bool is_cancelled(const Entry* entry) noexcept;
  void resynchronise(int fd) noexcept;
  static bool is_lost(std::errc error) noexcept;
  void lose(int fd, std::errc error) noexcept;
  static void drop(Entry* entry) noexcept;

  EpollPoller& poller_;
  OnLost on_lost_;
  std::vector<Slot> slots_;
  bool changed_since_poll_ = false;
};

}  // namespace rondo::detail
