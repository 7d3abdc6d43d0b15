// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

// What every program in bench/ is made of: cases, each the same work done by
// several contestants (ours, and floors written by hand), run by turns in one
// process.
//
// Times of a machine that others use too are noise; the ratio of two
// contestants that ran one after the other is not. So each round runs every
// contestant once, in an order that rotates, and a row of the table is the
// median over the rounds of (ours / floor of the same round).

namespace bench {

/// What a contestant is timed by.
enum class Clock {
  kThread,   // processor time of this thread: being pre-empted costs nothing
  kProcess,  // of all threads of this process
  kWall,     // what the user waits
};

/// Nanoseconds on `clock`.
std::int64_t now_ns(Clock clock);

/// Keeps the compiler from proving `value` unused.
template <class T>
inline void keep(const T& value) {
  asm volatile("" : : "r"(&value) : "memory");
}

/// Ends the program with a message: the work was not done.
[[noreturn]] void fail(const std::string& message);

/// One sample of one contestant: so many operations, in named phases.
class Run {
 public:
  Run(std::uint64_t operations, Clock clock)
      : operations_(operations), clock_(clock) {}

  /// How many operations to do.
  std::uint64_t operations() const { return operations_; }

  /// Times `work`. A phase that is measured twice adds up.
  template <class Work>
  void measure(const char* phase, Work&& work) {
    measure(phase, operations_, work);
  }
  /// The same for a phase that does another number of things: `units`.
  template <class Work>
  void measure(const char* phase, std::uint64_t units, Work&& work) {
    const std::int64_t began = now_ns(clock_);
    work();
    add(phase, units, now_ns(clock_) - began);
  }

  /// The work was done: `done` things happened, as many as `expected`. The
  /// count that has to be the number of operations is what a worker reports.
  void check(std::uint64_t done, std::uint64_t expected, const char* what);

  /// How many operations a check has counted; fails if none did.
  std::uint64_t done() const;

  /// Nanoseconds in `phase`; if it is empty, in all.
  std::int64_t took_ns(const std::string& phase) const;

  /// Nanoseconds a unit of `phase`; if it is empty, nanoseconds an operation
  /// in all phases.
  double ns_each(const std::string& phase) const;

 private:
  struct Phase {
    std::string name;
    std::uint64_t units;
    std::int64_t took_ns;
  };

  void add(const char* phase, std::uint64_t units, std::int64_t took_ns);

  std::uint64_t operations_;
  Clock clock_;
  std::uint64_t done_ = 0;
  bool counted_ = false;
  std::vector<Phase> phases_;
};

using Body = std::function<void(Run&)>;

/// What a row has to show.
struct Target {
  enum Kind { kNone, kNs, kRatio, kBytes } kind = kNone;
  double limit = 0;
};
inline Target at_most_ns(double limit) { return {Target::kNs, limit}; }
inline Target at_most_ratio(double limit) { return {Target::kRatio, limit}; }
inline Target at_most_bytes(double limit) { return {Target::kBytes, limit}; }

/// Which side of a row a contestant is on.
enum class Role { kOurs, kFloor };

/// The same work, done by several.
class Case {
 public:
  Case(std::string name, std::uint64_t operations, Clock clock)
      : name_(std::move(name)), operations_(operations), clock_(clock) {}

  /// Adds one who does the work. Ours is called "ours".
  Case& contestant(std::string name, Body body);
  /// Adds a line of the table: ours beside `floor`, in one phase or (empty)
  /// in all.
  Case& row(std::string floor, Target target = {}, std::string phase = "");
  /// The same with another contestant in the place of ours.
  Case& row_of(std::string subject, std::string floor, Target target = {},
               std::string phase = "");
  /// A worker reports the time of this phase only, not of all.
  Case& timed(std::string phase) {
    timed_ = std::move(phase);
    return *this;
  }
  /// Fewer rounds than usual, for what takes long.
  Case& rounds(unsigned count) {
    rounds_ = count;
    return *this;
  }

 private:
  friend class Program;
  struct Contestant {
    std::string name;
    Body body;
    std::vector<Run> samples;
  };
  struct Row {
    std::string subject;
    std::string floor;
    Target target;
    std::string phase;
  };

  Contestant& find(const std::string& name);
  Role role_of(const std::string& contestant) const;
  Target target_of(const std::string& contestant) const;

  std::string name_;
  std::string timed_;
  std::uint64_t operations_;
  Clock clock_;
  unsigned rounds_ = 15;
  std::vector<Contestant> contestants_;
  std::vector<Row> rows_;
};

/// Who of a program's servers takes part in a case that bench/load drives.
struct Served {
  std::string contestant;
  Role role;
  Target target;
};

/// Tells who started this server on which port it listens.
void listening(std::uint16_t port);

/// Bytes of this process that are in memory.
std::int64_t resident_bytes();

/// A program: its cases, and what its command line asks of them.
///
///     NAME [--json] [--plain] [--rounds N] [PATTERN]
///                              a table of the cases with PATTERN in their
///                              names; --plain leaves out the heading
///     NAME --once CASE CONTESTANT N
///                              N operations, nothing printed: for callgrind,
///                              perf and strace
///
/// and what bench/run asks of every contestant, a peer's program too:
///
///     NAME --version           one line
///     NAME --list              each case's name, contestant, operations and
///                              clock (thread, process, wall, server, memory);
///                              ours add the role (ours, floor) and the target
///     NAME --worker CASE CONTESTANT
///                              says "ready", then for each N on stdin does so
///                              many operations and says "NS DONE"
///     NAME --server KIND CONTESTANT
///                              says "listening PORT" and serves until stdin
///                              ends; KIND is echo or accept
///     NAME --memory CASE COUNT CONTESTANT
///                              says how many bytes COUNT of CASE take
///
/// QUICK=1 in the environment: three rounds of a tenth of the work, to see
/// that everything still works.
class Program {
 public:
  Program(int argc, char** argv);

  /// Adds a case that does `operations` a sample. References to cases stay
  /// good.
  Case& add(std::string name, std::uint64_t operations,
            Clock clock = Clock::kThread);
  /// Adds a server: `body` listens, calls listening(), and returns when
  /// standard input has ended.
  void server(std::string kind, std::string contestant,
              std::function<void()> body);
  /// Adds a case of those servers.
  void served(std::string name, std::vector<Served> by);
  /// Adds a case of memory: `body` makes so many and returns what they cost.
  void memory(std::string name, Served by,
              std::function<std::int64_t(std::uint64_t)> body);

  /// Does what was asked for. Returns what main() is to return. A target
  /// missed is no failure, work that was not done is.
  int run();

 private:
  struct Server {
    std::string kind;
    std::string contestant;
    std::function<void()> body;
  };
  struct Memory {
    std::string name;
    Served by;
    std::function<std::int64_t(std::uint64_t)> body;
  };
  struct ServedCase {
    std::string name;
    std::vector<Served> by;
  };

  int run_once();
  int run_worker();
  int run_server() const;
  int run_memory() const;
  int list() const;
  Case& find(const std::string& name);
  void print_heading() const;
  void run_case(Case& one);
  void print_row(Case& one, const Case::Row& row) const;

  std::vector<std::string> arguments_;
  std::string pattern_;
  unsigned rounds_ = 0;
  bool json_ = false;
  bool plain_ = false;
  bool quick_ = false;
  std::deque<Case> cases_;
  std::vector<Server> servers_;
  std::vector<ServedCase> served_;
  std::vector<Memory> memories_;
};

}  // namespace bench

#include "bench/support/harness_impl.h"    // IWYU pragma: export
#include "bench/support/harness_worker.h"  // IWYU pragma: export
