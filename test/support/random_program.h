// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "reactor/clock.h"

namespace rondo::test {

/// What a random program may do next. What it does it to follows from the
/// operation's arguments and from the state that the program is in, so every
/// operation means something, or nothing, at every point.
enum class OpKind : std::uint8_t {
  // Callbacks.
  kCallSoon,
  kCallSoonThreadsafe,
  kPost,  // as another thread does, through the RemoteQueue
  kCallLater,
  kCallAt,
  kCallAtOften,  // more timers at once than a heap takes out one by one
  kReschedule,
  kCancel,
  kOwn,           // an owner takes a handle,
  kDestroyOwner,  // and cancels when it goes
  // Descriptors, as the loop sees them.
  kAddReader,
  kAddWriter,
  kRemoveReader,
  kRemoveWriter,
  kWatch,
  kModifyWatch,
  kUnwatch,
  // Descriptors, as the rest of the program sees them.
  kOpen,
  kClose,         // removed from the loop first, as one should
  kForeignClose,  // and as one should not
  kDuplicate,
  kFeed,
  kDrain,
  kFill,
  kHangUp,
  // The loop.
  kStop,
  kThrow,
  kSpend,  // the callback takes its time
  kMisuse,
  kLookAround,  // snapshot() and what else reads the state
  kCloseLoop,
  // The kernel: some of the next calls fail.
  kFailAdd,
  kFailModify,
  kFailRemove,
  kFailRenewal,
  kInterruptWait,
  kCount,
};

/// One step. `a` and `b` are for whoever runs it.
struct Op {
  OpKind kind = OpKind::kCallSoon;
  std::uint8_t a = 0;
  std::uint8_t b = 0;
  /// Whoever does this step (a callback, the code between two runs) does no
  /// more after it.
  bool last = true;
};

/// How the loop is run.
enum class Driver : std::uint8_t { kRunForever, kRunOnce, kPieces };

/// A small program: one list of steps, taken from the front by whatever runs
/// next.
struct Program {
  std::uint64_t seed = 0;
  Driver driver = Driver::kRunForever;
  unsigned passes_per_poll = 1;
  Duration timer_resolution = std::chrono::milliseconds(1);
  std::vector<Op> ops;
};

/// SplitMix64: small, and the same everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// 0 to n - 1.
  unsigned below(unsigned n) noexcept {
    return static_cast<unsigned>(next() % n);
  }
  bool one_in(unsigned n) noexcept { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

/// The program of this seed, always the same one. Puts it into `program`,
/// whose memory is used again.
void make_random_program(std::uint64_t seed, Program& program);

/// "call_soon".
const char* to_string(OpKind kind) noexcept;

}  // namespace rondo::test
