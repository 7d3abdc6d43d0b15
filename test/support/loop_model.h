// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "reactor/clock.h"
#include "reactor/events.h"
#include "test/support/program_files.h"
#include "test/support/shadow_kernel.h"

namespace rondo::test {

/// What an EventLoop has to do, written as plainly as it can be: lists that
/// are searched, nothing clever. It is told of every call that the program
/// makes and of every answer of the kernel, and it says which callback runs
/// next, how long the loop may sleep, and which captures are gone.
///
/// It says so exactly, so one comparison covers several invariants (FAULTS.md):
/// each callback runs once or is cancelled (I1), in order and never early
/// (I2), for its own registration only (I3), not after remove, cancel or
/// close (I4), and in the pass that reported it (I12).
class LoopModel {
 public:
  using Id = std::uint32_t;
  using Serial = ShadowKernel::Serial;
  static constexpr Id kNone = 0;

  enum class Kind : std::uint8_t {
    kSoon,
    kTimer,
    kReader,
    kWriter,
    kWatch,
    kReport,  // the loop's own: a descriptor was lost
  };

  LoopModel();
  /// An empty loop. `first_number` is the descriptor that belongs to place 0.
  void reset(unsigned passes_per_poll, Duration timer_resolution,
             int first_number);

  /// The first thing that was wrong, or empty.
  const std::string& complaint() const { return complaint_; }
  void complain(std::string what);

  // -- what the program does ------------------------------------------------

  /// A callback that the loop does not have yet.
  Id create(Kind kind);
  void call_soon(Id id);
  void post(Id id);
  void call_at(Id id, TimePoint when);
  bool reschedule(Id id, TimePoint when);
  void cancel(Id id);
  void stop() { stopping = true; }
  void close();

  /// For Kind::kReader, kWriter and kWatch. Replaces and cancels.
  void set(Kind kind, int number, Id id);
  void set_interest(int number, Events interest);
  bool has(Kind kind, int number) const;
  void remove(Kind kind, int number);
  /// What epoll is to be asked for.
  Events wanted(int number) const;
  /// A watch that has reported once, and is silent until it is modified.
  bool is_spent(int number) const { return descriptor(number).spent; }
  /// The loop cannot have the descriptor any more: its callbacks are
  /// cancelled, and it tells so in a callback of its own.
  void lose(int number);

  /// Which registration the loop knows as the number's.
  void believe(int number, Serial serial);
  void disbelieve(int number) { descriptor(number).believed = false; }
  bool believes(int number) const { return descriptor(number).believed; }
  /// Goes up with each successful EPOLL_CTL_ADD and MOD: a report from before
  /// is a report of something else.
  std::uint32_t arming(int number) const { return descriptor(number).arming; }
  Serial belief(int number) const { return descriptor(number).serial; }

  // -- what the loop does ---------------------------------------------------

  /// How long it may sleep: zero, a time, or Duration::max().
  Duration sleep(TimePoint now, Duration at_most) const;
  /// The same, not rounded.
  Duration next_timeout(TimePoint now) const;
  /// Whether this pass polls.
  bool polls() const;
  void polled() { passes_since_poll_ = 0; }
  void skip_poll() { ++passes_since_poll_; }
  /// Passes that neither poll nor run anything: nobody sees them.
  void skip_silent_passes();
  /// `arming`: the number's when the loop polled. Returns whether the report
  /// is for anybody.
  bool report(const ShadowKernel::Report& report, std::uint32_t arming);
  /// Step 4, then 5.
  void collect_remote();
  void collect_timers(TimePoint now);
  void begin_batch();
  /// `id` runs: was it its turn?
  void run(Id id, Events events);
  void returned(Id id);
  /// The pass is over: did all that were ready run?
  void end_batch();
  /// An exception left it: what did not run is still ready.
  void cut_batch() { remaining_ = 0; }
  /// The report of a lost descriptor that is next; kNone if another is.
  Id next_report() const;
  /// Its captures are being destroyed: may they be?
  void destroyed(Id id);

  bool is_over(Id id) const;
  bool is_running(Id id) const { return calls_[id].running; }
  bool is_cancelled(Id id) const { return calls_[id].cancelled; }
  bool is_destroyed(Id id) const { return calls_[id].destroyed; }
  bool is_armed(Id id) const { return calls_[id].armed; }
  int number(Id id) const { return calls_[id].number; }
  /// Callbacks whose captures should have been destroyed by now.
  int overdue() const;

  /// Ready, and neither cancelled nor moved since.
  std::size_t ready_to_run() const;
  std::size_t armed_size() const { return armed_.size(); }
  bool has_remote() const { return !remote_.empty(); }
  std::size_t descriptors() const;  // that have a callback

  bool stopping = false;
  // Counters as in LoopStats.
  std::uint64_t callbacks = 0;
  std::uint64_t timers_fired = 0;
  std::uint64_t remote_calls = 0;

 private:
  struct Call {
    explicit Call(Kind what) : kind(what) {}
    Kind kind;
    bool accepted = false;  // by the loop
    bool armed = false;     // a timer that waits
    bool running = false;
    bool ended = false;  // has run, and will not again
    bool cancelled = false;
    bool destroyed = false;  // the captures
    int number = -1;
    std::uint32_t order = 0;
    TimePoint when;
    Events events = Events::kNone;  // a watch's, since it ran last
  };
  struct Descriptor {
    Id reader = kNone;
    Id writer = kNone;
    Id watch = kNone;
    Events watched = Events::kNone;
    bool spent = false;
    bool believed = false;
    Serial serial = 0;
    std::uint32_t arming = 0;
  };

  Descriptor& descriptor(int number) {
    return descriptors_[static_cast<std::size_t>(number - first_number_)];
  }
  const Descriptor& descriptor(int number) const {
    return descriptors_[static_cast<std::size_t>(number - first_number_)];
  }
  static Id& place(Descriptor& descriptor, Kind kind);
  std::size_t ready_size() const { return ready_.size() - front_; }
  void push(Id id);
  bool pass_over(Id id);
  void end(Id id);
  bool repeats(const Call& call) const {
    return call.kind >= Kind::kReader && call.kind <= Kind::kWatch;
  }
  std::string name(Id id) const;

  std::string complaint_;
  std::vector<Call> calls_;  // by id; the first means none
  // Oldest first, from front_ on. kNone is a place that is passed over.
  std::vector<Id> ready_;
  std::size_t front_ = 0;
  std::size_t remaining_ = 0;  // of the batch
  std::vector<Id> remote_;
  std::vector<Id> armed_;  // in no order
  std::vector<Id> due_;
  std::uint32_t orders_ = 0;
  std::array<Descriptor, ProgramFiles::kNumbers> descriptors_;
  int first_number_ = 0;
  unsigned passes_per_poll_ = 1;
  unsigned passes_since_poll_ = 0;
  Duration timer_resolution_{0};
};

}  // namespace rondo::test
