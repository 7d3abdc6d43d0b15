// SPDX-License-Identifier: MIT
#pragma once

// The other half of harness.h. In a header, because the Makefile makes one
// program of each bench/*.cc and links nothing else to it.

#include <sys/utsname.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include "bench/support/harness.h"
#include "reactor/version.h"

namespace bench {

inline std::int64_t now_ns(Clock clock) {
  static constexpr clockid_t kIds[] = {
      CLOCK_THREAD_CPUTIME_ID, CLOCK_PROCESS_CPUTIME_ID, CLOCK_MONOTONIC};
  timespec now;
  clock_gettime(kIds[static_cast<int>(clock)], &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

inline void fail(const std::string& message) {
  std::fprintf(stderr, "FAILED: %s\n", message.c_str());
  std::exit(1);
}

namespace detail {

inline double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  const double part = at - static_cast<double>(low);
  return values[low] + part * (values[high] - values[low]);
}

inline double median(const std::vector<double>& values) {
  return quantile(values, 0.5);
}

#ifdef __clang__
inline constexpr const char* kCompiler = "clang " __clang_version__;
#else
inline constexpr const char* kCompiler = "g++ " __VERSION__;
#endif
#ifdef __OPTIMIZE__
inline constexpr bool kOptimized = true;
#else
inline constexpr bool kOptimized = false;
#endif

#define RONDO_BENCH_TEXT_OF(number) #number
#define RONDO_BENCH_TEXT(number) RONDO_BENCH_TEXT_OF(number)
inline constexpr const char* kOurVersion =
    "rondo " RONDO_BENCH_TEXT(RONDO_VERSION_MAJOR) "." RONDO_BENCH_TEXT(
        RONDO_VERSION_MINOR) "." RONDO_BENCH_TEXT(RONDO_VERSION_PATCH);
#undef RONDO_BENCH_TEXT
#undef RONDO_BENCH_TEXT_OF

inline std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) {
      return line.substr(line.find(':') + 2);
    }
  }
  return "unknown processor";
}

}  // namespace detail

// -- one sample --------------------------------------------------------------

inline void Run::add(const char* phase, std::uint64_t units,
                     std::int64_t took_ns) {
  for (Phase& known : phases_) {
    if (known.name == phase) {
      known.took_ns += took_ns;
      return;
    }
  }
  phases_.push_back({phase, units, took_ns});
}

inline void Run::check(std::uint64_t done, std::uint64_t expected,
                       const char* what) {
  if (expected == operations_) {
    done_ = done;
    counted_ = true;
  }
  if (done == expected) return;
  fail(std::string(what) + ": " + std::to_string(done) + " instead of " +
       std::to_string(expected));
}

inline std::uint64_t Run::done() const {
  if (!counted_) fail("nothing was counted");
  return done_;
}

inline std::int64_t Run::took_ns(const std::string& phase) const {
  std::int64_t sum_ns = 0;
  for (const Phase& one : phases_) {
    if (phase.empty() || one.name == phase) sum_ns += one.took_ns;
  }
  return sum_ns;
}

inline double Run::ns_each(const std::string& phase) const {
  std::uint64_t units = operations_;
  for (const Phase& one : phases_) {
    if (one.name == phase) units = one.units;
  }
  return static_cast<double>(took_ns(phase)) / static_cast<double>(units);
}

// -- cases -------------------------------------------------------------------

inline Case& Case::contestant(std::string name, Body body) {
  contestants_.push_back({std::move(name), std::move(body), {}});
  return *this;
}

inline Case& Case::row(std::string floor, Target target, std::string phase) {
  return row_of("ours", std::move(floor), target, std::move(phase));
}

inline Case& Case::row_of(std::string subject, std::string floor, Target target,
                          std::string phase) {
  rows_.push_back(
      {std::move(subject), std::move(floor), target, std::move(phase)});
  return *this;
}

inline Case::Contestant& Case::find(const std::string& name) {
  for (Contestant& one : contestants_) {
    if (one.name == name) return one;
  }
  fail("no contestant " + name + " in " + name_);
}

// -- the program -------------------------------------------------------------

inline Program::Program(int argc, char** argv)
    : arguments_(argv + 1, argv + argc) {
  const char* quick = std::getenv("QUICK");
  quick_ = quick != nullptr && *quick != '\0' && *quick != '0';
}

inline Case& Program::add(std::string name, std::uint64_t operations,
                          Clock clock) {
  cases_.emplace_back(std::move(name), operations, clock);
  return cases_.back();
}

inline int Program::run() {
  const std::string mode = arguments_.empty() ? "" : arguments_[0];
  if (mode == "--once") return run_once();
  if (mode == "--list") return list();
  if (mode == "--worker") return run_worker();
  if (mode == "--server") return run_server();
  if (mode == "--memory") return run_memory();
  if (mode == "--version") return std::puts(detail::kOurVersion) < 0;
  for (std::size_t index = 0; index < arguments_.size(); ++index) {
    const std::string& argument = arguments_[index];
    if (argument == "--json") {
      json_ = true;
    } else if (argument == "--plain") {
      plain_ = true;
    } else if (argument == "--rounds" && index + 1 < arguments_.size()) {
      rounds_ = static_cast<unsigned>(std::stoul(arguments_[++index]));
    } else {
      pattern_ = argument;
    }
  }
  if (!json_ && !plain_) print_heading();
  for (Case& one : cases_) {
    if (one.name_.find(pattern_) != std::string::npos) run_case(one);
  }
  return 0;
}

inline void Program::print_heading() const {
  utsname system{};
  uname(&system);
  const std::time_t now = std::time(nullptr);
  char date[32];
  std::strftime(date, sizeof date, "%F %R", std::localtime(&now));
  // What the program cannot know, bench/run says.
  const char* build = std::getenv("BENCH_BUILD");
  const char* commit = std::getenv("BENCH_COMMIT");
  std::printf("date      %s%s\ncommit    %s\n", date,
              quick_ ? ", QUICK: the figures mean nothing" : "",
              commit != nullptr ? commit : "unknown");
  std::printf("processor %s\nkernel    %s %s\n", detail::cpu_model().c_str(),
              system.sysname, system.release);
  std::printf("compiler  %s%s\nbuild     %s\n\n", detail::kCompiler,
              detail::kOptimized ? "" : ", NOT OPTIMISED",
              build != nullptr ? build : "unknown");
  std::printf("%-46s %-9s %9s %9s %6s %13s  %s\n", "row", "floor", "ours ns",
              "floor ns", "ratio", "quartiles", "target");
}

inline int Program::run_once() {
  if (arguments_.size() != 4) fail("--once CASE CONTESTANT N");
  Case& one = find(arguments_[1]);
  Run run(std::stoull(arguments_[3]), one.clock_);
  one.find(arguments_[2]).body(run);
  return 0;
}

inline void Program::run_case(Case& one) {
  const unsigned rounds = rounds_ > 0 ? rounds_ : quick_ ? 3 : one.rounds_;
  const std::uint64_t operations = one.operations_ / (quick_ ? 10 : 1);
  const std::size_t count = one.contestants_.size();
  // Round 0 warms up the caches and the allocator, and is not kept.
  for (unsigned round = 0; round <= rounds; ++round) {
    for (std::size_t turn = 0; turn < count; ++turn) {
      Case::Contestant& by = one.contestants_[(round + turn) % count];
      Run run(operations, one.clock_);
      by.body(run);
      if (round > 0) by.samples.push_back(std::move(run));
    }
  }
  for (const Case::Row& row : one.rows_) print_row(one, row);
  for (Case::Contestant& by : one.contestants_) by.samples.clear();
}

inline void Program::print_row(Case& one, const Case::Row& row) const {
  const std::vector<Run>& ours = one.find(row.subject).samples;
  const std::vector<Run>& floor = one.find(row.floor).samples;
  std::vector<double> our_ns;
  std::vector<double> floor_ns;
  std::vector<double> ratios;
  for (std::size_t round = 0; round < ours.size(); ++round) {
    our_ns.push_back(ours[round].ns_each(row.phase));
    floor_ns.push_back(floor[round].ns_each(row.phase));
    ratios.push_back(our_ns.back() / floor_ns.back());
  }
  const double ns = detail::median(our_ns);
  const double ratio = detail::median(ratios);
  std::string name = one.name_;
  if (!row.phase.empty()) name += " " + row.phase;
  if (row.subject != "ours") name += " " + row.subject;
  char target[32] = "";
  const char* verdict = "";
  if (row.target.kind != Target::kNone) {
    const bool in_ns = row.target.kind == Target::kNs;
    std::snprintf(target, sizeof target, in_ns ? "<= %g ns" : "<= %.4gx",
                  row.target.limit);
    verdict = (in_ns ? ns : ratio) <= row.target.limit ? "ok" : "MISS";
  }
  if (json_) {
    std::printf(
        "{\"row\": \"%s\", \"floor\": \"%s\", \"ns\": %.3f, "
        "\"floor_ns\": %.3f, \"ratio\": %.4f, \"target\": \"%s\", "
        "\"verdict\": \"%s\"}\n",
        name.c_str(), row.floor.c_str(), ns, detail::median(floor_ns), ratio,
        target, verdict);
  } else {
    std::printf("%-46s %-9s %9.2f %9.2f %6.3f %6.3f-%-6.3f  %-9s %s\n",
                name.c_str(), row.floor.c_str(), ns, detail::median(floor_ns),
                ratio, detail::quantile(ratios, 0.25),
                detail::quantile(ratios, 0.75), target, verdict);
  }
  std::fflush(stdout);
}

}  // namespace bench
