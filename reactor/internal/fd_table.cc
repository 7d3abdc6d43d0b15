// SPDX-License-Identifier: MIT
#include "reactor/internal/fd_table.h"

#include <stdexcept>
#include <string>

#include "reactor/errors.h"

namespace rondo::detail {
namespace {

Token token_of(int fd, std::uint32_t generation) {
  return {static_cast<std::uint32_t>(fd), generation};
}

// The kernel's answer when a descriptor was closed without our knowing and
// its number names something new.
constexpr auto kUnregistered = std::errc::no_such_file_or_directory;

std::system_error failure(const char* operation, int fd, std::errc error) {
  std::string what = std::string(operation) + ": fd " + std::to_string(fd);
  // epoll_ctl(2): EPERM is for what cannot be polled, and cannot be retried.
  if (error == std::errc::operation_not_permitted) {
    what += " is not pollable (a regular file or directory)";
  }
  return {std::make_error_code(error), what};
}

}  // namespace

void FdTable::set_reader(int fd, Entry* entry) {
  set(fd, &Slot::reader, entry, "add_reader");
}

void FdTable::set_writer(int fd, Entry* entry) {
  set(fd, &Slot::writer, entry, "add_writer");
}

void FdTable::set(int fd, Entry* Slot::* which, Entry* entry,
                  const char* operation) {
  for (bool first_try = true;; first_try = false) {
    Slot& slot = slot_for(fd, operation);
    if (slot.watch != nullptr) {
      throw RuntimeError(std::string(operation) + ": fd " + std::to_string(fd) +
                         " is watched; unwatch it first");
    }
    Entry* replaced = std::exchange(slot.*which, entry);
    // The kernel is told even if it should know already: that is how a number
    // that was closed and reused behind our back comes to light.
    const std::errc error = update(fd, slot, wanted(slot));
    if (error == std::errc()) return drop(replaced);
    slot.*which = replaced;
    if (is_lost(error)) lose(fd, error);
    // The number names something new by now, and that is what the caller
    // means: once more, as a first registration.
    if (error != kUnregistered || !first_try) {
      throw failure(operation, fd, error);
    }
  }
}

void FdTable::set_watch(int fd, Events interest, Entry* entry,
                        WatchCall* call) {
  for (bool first_try = true;; first_try = false) {
    Slot& slot = slot_for(fd, "watch");
    if (slot.watch == nullptr &&
        (slot.reader != nullptr || slot.writer != nullptr)) {
      throw RuntimeError("watch: fd " + std::to_string(fd) +
                         " has a reader or a writer; remove it first");
    }
    const Slot before = slot;
    slot.reader = entry;
    slot.watch = call;
    slot.watched = interest;
    const std::errc error = update(fd, slot, wanted(slot));
    if (error == std::errc()) return drop(before.reader);
    slot.reader = before.reader;
    slot.watch = before.watch;
    slot.watched = before.watched;
    slot.reported = before.reported;
    if (is_lost(error)) lose(fd, error);
    if (error != kUnregistered || !first_try) {
      throw failure("watch", fd, error);
    }
  }
}

void FdTable::modify_watch(int fd, Events interest) {
  Slot* slot = find(fd);
  if (slot == nullptr || slot->watch == nullptr) {
    throw RuntimeError("modify_watch: fd " + std::to_string(fd) +
                       " is not watched");
  }
  const Slot before = *slot;
  slot->watched = interest;
  const std::errc error = update(fd, *slot, wanted(*slot));
  if (error != std::errc()) {
    slot->watched = before.watched;
    slot->reported = before.reported;
    if (is_lost(error)) lose(fd, error);
    throw failure("modify_watch", fd, error);
  }
}

bool FdTable::remove_reader(int fd) noexcept {
  return remove(fd, &Slot::reader);
}

bool FdTable::remove_writer(int fd) noexcept {
  return remove(fd, &Slot::writer);
}

bool FdTable::remove(int fd, Entry* Slot::* which) noexcept {
  Slot* slot = find(fd);
  if (slot == nullptr || slot->watch != nullptr || slot->*which == nullptr) {
    return false;
  }
  Entry* removed = std::exchange(slot->*which, nullptr);
  resynchronise(fd);
  drop(removed);
  return true;
}

bool FdTable::remove_watch(int fd) noexcept {
  Slot* slot = find(fd);
  if (slot == nullptr || slot->watch == nullptr) return false;
  slot->watch = nullptr;
  slot->watched = Events::kNone;
  Entry* removed = std::exchange(slot->reader, nullptr);
  resynchronise(fd);
  drop(removed);
  return true;
}

bool FdTable::dispatch(const PolledEvent& event, ReadyQueue& ready) noexcept {
  const int fd = static_cast<int>(event.token.fd);
  Slot* slot = find(fd);
  if (slot == nullptr || slot->registered == Events::kNone ||
      slot->generation != event.token.generation) {
    // Removed between the poll and now: a late report, not a lost one.
    return changed_since_poll_;
  }
  const bool for_reader = !is_cancelled(slot->reader);
  const bool for_writer = !is_cancelled(slot->writer);
  if (!for_reader || !for_writer) {
    // What dies may register something new, which is not meant: see drop().
    remove_cancelled(fd);
    slot = find(fd);
  }
  if (slot->watch != nullptr) {
    if (!for_reader) return true;
    slot->reported = has(slot->watched, Events::kOneShot);
    slot->watch->add(event.events);
    queue(slot->reader, ready);
    return true;
  }
  // Errors and hang-ups go to both: a drained pipe reports EPOLLHUP alone, and
  // whoever waits has to learn of it.
  if (for_reader && slot->reader != nullptr && event.events != Events::kWrite) {
    queue(slot->reader, ready);
  }
  if (for_writer && slot->writer != nullptr && event.events != Events::kRead) {
    queue(slot->writer, ready);
  }
  return true;
}

void FdTable::queue(Entry* entry, ReadyQueue& ready) noexcept {
  // It may still be queued from a pass that an exception cut short.
  if (entry->has(Entry::kQueued)) return;
  enqueue(ready, entry);
}

/// A callback that was cancelled through its Handle (a snapshot has one)
/// would leave an event that nobody takes, again and again.
void FdTable::remove_cancelled(int fd) noexcept {
  if (is_cancelled(find(fd)->reader)) {
    find(fd)->watch != nullptr ? remove_watch(fd) : remove_reader(fd);
  }
  if (is_cancelled(find(fd)->writer)) remove_writer(fd);
}

bool FdTable::is_cancelled(const Entry* entry) noexcept {
  return entry != nullptr && entry->has(Entry::kCancelled);
}

void FdTable::resynchronise(int fd) noexcept {
  Slot& slot = slots_[static_cast<std::size_t>(fd)];
  const std::errc error = update(fd, slot, wanted(slot));
  if (error == std::errc()) return;
  // The rest of what was asked cannot be had either. Better to say so than to
  // leave in the set what nobody waits for: that would spin.
  static_cast<void>(poller_.remove(fd));
  lose(fd, error);
}

std::errc FdTable::renew_all() noexcept {
  for (std::size_t index = 0; index < slots_.size(); ++index) {
    Slot& slot = slots_[index];
    slot.left_out = false;
    // A watch that has had its one report stays silent: out of the set.
    if (slot.registered == Events::kNone || slot.reported) continue;
    const int fd = static_cast<int>(index);
    const std::errc error = poller_.add_to_renewal(
        fd, slot.registered, token_of(fd, slot.generation));
    if (error == std::errc::not_enough_memory ||
        error == std::errc::no_space_on_device) {
      return error;
    }
    slot.left_out = error != std::errc();
  }
  return {};
}

void FdTable::lose_unregistered() noexcept {
  for (std::size_t index = 0; index < slots_.size(); ++index) {
    Slot& slot = slots_[index];
    if (slot.reported) slot.registered = Events::kNone;
    if (slot.left_out) {
      lose(static_cast<int>(index), std::errc::bad_file_descriptor);
    }
  }
}

void FdTable::clear(bool in_kernel) noexcept {
  for (std::size_t fd = 0; fd < slots_.size(); ++fd) {
    Slot& slot = slots_[fd];
    if (in_kernel && slot.registered != Events::kNone) {
      static_cast<void>(poller_.remove(static_cast<int>(fd)));
    }
    const Slot cleared = std::exchange(slot, Slot{});
    drop(cleared.reader);
    drop(cleared.writer);
  }
}

FdTable::Slot& FdTable::slot_for(int fd, const char* operation) {
  if (fd < 0) {
    // asyncio's words, with ours in front.
    throw std::invalid_argument(
        std::string(operation) +
        ": Invalid file descriptor: " + std::to_string(fd));
  }
  const auto index = static_cast<std::size_t>(fd);
  if (index >= slots_.size()) {
    // Descriptors are given out from below, so a number far above is more
    // likely wrong than new. The kernel knows, before we make room for it.
    constexpr std::size_t kFar = 4096;
    if (index >= slots_.size() + kFar) {
      const std::errc error = poller_.remove(fd);
      if (error == std::errc::bad_file_descriptor) {
        throw failure(operation, fd, error);
      }
    }
    slots_.resize(index + 1);
  }
  return slots_[index];
}

FdTable::Slot* FdTable::find(int fd) noexcept {
  const auto index = static_cast<std::size_t>(fd);
  return fd >= 0 && index < slots_.size() ? &slots_[index] : nullptr;
}

Events FdTable::wanted(const Slot& slot) noexcept {
  if (slot.watch != nullptr) return slot.watched;
  return (slot.reader != nullptr ? Events::kRead : Events::kNone) |
         (slot.writer != nullptr ? Events::kWrite : Events::kNone);
}

/// Makes the kernel's registration `interest`. Nothing is kept in the set for
/// a descriptor that nobody asks about: EPOLLHUP and EPOLLERR would come
/// unasked, and spin.
std::errc FdTable::update(int fd, Slot& slot, Events interest) noexcept {
  changed_since_poll_ = true;
  slot.reported = false;
  if (interest == Events::kNone) {
    if (slot.registered == Events::kNone) return {};
    slot.registered = Events::kNone;
    // Closed already: the kernel has dropped it, or will report a token that
    // nobody knows.
    static_cast<void>(poller_.remove(fd));
    return {};
  }
  if (slot.registered != Events::kNone) {
    // A new generation: what was polled before belongs to the old interest.
    const std::errc error =
        poller_.modify(fd, interest, token_of(fd, slot.generation + 1));
    if (error == std::errc()) {
      slot.registered = interest;
      ++slot.generation;
    }
    return error;
  }
  ++slot.generation;
  std::errc error = poller_.add(fd, interest, token_of(fd, slot.generation));
  if (error == std::errc::file_exists) {
    // A registration that we lost sight of (closed, kept alive by a dup, and
    // put back under its number) is taken over.
    error = poller_.modify(fd, interest, token_of(fd, slot.generation));
  }
  if (error == std::errc()) slot.registered = interest;
  return error;
}

/// Whether `error` means that the descriptor is gone, and with it whatever
/// was registered under its number.
bool FdTable::is_lost(std::errc error) noexcept {
  return error == std::errc::bad_file_descriptor || error == kUnregistered;
}

void FdTable::lose(int fd, std::errc error) noexcept {
  Slot& slot = slots_[static_cast<std::size_t>(fd)];
  slot.registered = Events::kNone;
  slot.watched = Events::kNone;
  slot.left_out = false;
  slot.watch = nullptr;
  Entry* reader = std::exchange(slot.reader, nullptr);
  Entry* writer = std::exchange(slot.writer, nullptr);
  if (reader == nullptr && writer == nullptr) return;
  drop(reader);
  drop(writer);
  on_lost_(fd, error);
}

/// What the callback owned may come back here as it dies, so no slot is held
/// on to across this.
void FdTable::drop(Entry* entry) noexcept {
  if (entry == nullptr) return;
  cancel(entry);
  drop_reference(entry);
}

}  // namespace rondo::detail
