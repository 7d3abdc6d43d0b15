// SPDX-License-Identifier: MIT
//
// A million small random programs: callbacks, timers, cancels and descriptor
// events in virtual time, with a kernel that fails now and then, each compared
// with a model of the loop at every step.
//
//   test/support/random_program.h  what a program is, and makes one of a seed
//   test/support/loop_model.h      what a loop has to do
//   test/support/program_runner.h  runs a program on a loop and on the model
//   test/support/shadow_kernel.h   what the epoll set really holds
//   test/support/program_files.h   the descriptors
//
// The invariants, by their numbers in FAULTS.md, and where they are checked:
//
//   I1 I2 I3 I4  LoopModel names the callback that has to run next
//   I9 I10       ProgramRunner::end(): descriptors, blocks, captures
//   I11          ProgramRunner::count_idle_pass(), and the length of each sleep
//   I12          each pass polls, and serves what was reported before it ends
//   I13          post() to a loop that sleeps, runs, and is closed
//   I14          ProgramRunner::is_settled(), on_exception()
//
// A failure prints the seed of its program and what the program did;
// RONDO_SEED=n runs that program alone.
#include <gtest/gtest.h>
#include <signal.h>
#include <spdlog/logger.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include "reactor/internal/log.h"
#include "test/support/program_runner.h"
#include "test/support/random_program.h"
#include "test/support/scale.h"

extern "C" void __sanitizer_set_death_callback(void (*callback)())
    __attribute__((weak));

namespace rondo::test {
namespace {

constexpr std::uint64_t kFirstSeed = 1;
constexpr std::size_t kPrograms = 1'000'000;

std::atomic<std::uint64_t> seed_of_the_dead{0};

/// Only what a signal handler may do.
void say_last_words() {
  char text[] = "\nit died in RONDO_SEED=00000000000000000000\n";
  std::uint64_t rest = seed_of_the_dead;
  for (char* digit = text + sizeof text - 3; *digit == '0'; --digit) {
    *digit = static_cast<char>('0' + rest % 10);
    rest /= 10;
  }
  static_cast<void>(!::write(STDERR_FILENO, text, sizeof text - 1));
}

extern "C" void on_deadly_signal(int) { say_last_words(); }

/// A program may kill the process instead of failing: its seed is printed all
/// the same.
class LastWords {
 public:
  LastWords() {
    if (__sanitizer_set_death_callback != nullptr) {
      __sanitizer_set_death_callback(say_last_words);
      return;
    }
    struct sigaction action{};
    action.sa_handler = on_deadly_signal;
    action.sa_flags = static_cast<int>(SA_RESETHAND);  // then it dies as usual
    for (const int number : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE}) {
      ::sigaction(number, &action, nullptr);
    }
  }
  LastWords(const LastWords&) = delete;
  LastWords& operator=(const LastWords&) = delete;
  ~LastWords() {
    if (__sanitizer_set_death_callback != nullptr) {
      __sanitizer_set_death_callback(nullptr);
      return;
    }
    for (const int number : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE}) {
      ::signal(number, SIG_DFL);
    }
  }
};

/// What programs provoke is logged a million times otherwise.
class SilentLog {
 public:
  SilentLog() { log().set_level(spdlog::level::off); }
  SilentLog(const SilentLog&) = delete;
  SilentLog& operator=(const SilentLog&) = delete;
  ~SilentLog() { log().set_level(before_); }

 private:
  const spdlog::level::level_enum before_ = log().level();
};

std::optional<std::uint64_t> seed_asked_for() {
  const char* text = std::getenv("RONDO_SEED");
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

/// What the program of `seed` does, line by line, and how it ends.
std::string trace_of(std::uint64_t seed) {
  ProgramRunner runner;
  Program program;
  make_random_program(seed, program);
  std::string trace;
  const std::string complaint = runner.run(program, &trace);
  return trace + (complaint.empty() ? "all is well" : "WRONG: " + complaint) +
         "\n";
}

TEST(RandomPrograms, DoWhatTheModelSays) {
  const SilentLog silent;
  const LastWords last_words;
  const auto only = seed_asked_for();
  const std::uint64_t first = only.value_or(kFirstSeed);
  const std::uint64_t end = first + (only ? 1 : scaled(kPrograms));
  ProgramRunner runner;
  Program program;
  for (std::uint64_t seed = first; seed < end; ++seed) {
    seed_of_the_dead = seed;
    make_random_program(seed, program);
    const std::string complaint = runner.run(program);
    ASSERT_EQ(complaint, "") << "reproduce: RONDO_SEED=" << seed << "\n"
                             << trace_of(seed);
  }
}

TEST(RandomPrograms, AreTheSameEachTime) {
  const SilentLog silent;
  const LastWords last_words;
  const auto only = seed_asked_for();
  const std::uint64_t first = only.value_or(kFirstSeed);
  const std::uint64_t end = first + (only ? 1 : 300);
  for (std::uint64_t seed = first; seed < end; ++seed) {
    seed_of_the_dead = seed;
    const std::string trace = trace_of(seed);
    if (only) std::cout << trace;
    ASSERT_EQ(trace, trace_of(seed)) << "RONDO_SEED=" << seed;
  }
}

// Goal: the programs get to the places where loops go wrong. Method: count,
// in the first programs, how often they do; the bounds are far below that.
TEST(RandomPrograms, ComeAcrossWhatTheyAreFor) {
  const SilentLog silent;
  constexpr std::uint64_t kSome = 4000;
  ProgramRunner runner;
  Program program;
  for (std::uint64_t seed = kFirstSeed; seed < kFirstSeed + kSome; ++seed) {
    make_random_program(seed, program);
    ASSERT_EQ(runner.run(program), "");
  }
  const ProgramRunner::Seen& seen = runner.seen();
  EXPECT_GT(seen.callbacks, 5 * kSome);
  EXPECT_GT(seen.exceptions, 300u);
  EXPECT_GT(seen.exits, 50u);
  EXPECT_GT(seen.refusals, 300u);
  EXPECT_GT(seen.kernel_errors, 300u);
  EXPECT_GT(seen.losses, 20u);
  EXPECT_GT(seen.renewals, 20u);
  EXPECT_GT(seen.late_reports, 20u);
  EXPECT_GT(seen.moved_while_ready, 20u);
  EXPECT_GT(seen.destructor_steps, 300u);
  EXPECT_GT(seen.posts_to_sleepers, 10u);
}

}  // namespace
}  // namespace rondo::test
