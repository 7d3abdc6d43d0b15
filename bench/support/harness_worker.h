// SPDX-License-Identifier: MIT
#pragma once

// The part of harness.h that bench/run talks to: lists, workers, servers.

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>

#include "bench/support/harness.h"

namespace bench {

inline void listening(std::uint16_t port) {
  std::printf("listening %u\n", static_cast<unsigned>(port));
  std::fflush(stdout);
}

inline std::int64_t resident_bytes() {
  std::ifstream info("/proc/self/statm");
  std::int64_t size = 0;
  std::int64_t resident = 0;
  if (!(info >> size >> resident)) fail("no /proc/self/statm");
  return resident * sysconf(_SC_PAGESIZE);
}

inline Role Case::role_of(const std::string& contestant) const {
  for (const Row& row : rows_) {
    if (row.floor == contestant) return Role::kFloor;
  }
  return Role::kOurs;
}

inline Target Case::target_of(const std::string& contestant) const {
  for (const Row& row : rows_) {
    const bool counts = row.phase.empty() || row.phase == timed_;
    if (counts && row.subject == contestant &&
        row.target.kind != Target::kNone) {
      return row.target;
    }
  }
  return {};
}

inline Case& Program::find(const std::string& name) {
  for (Case& one : cases_) {
    if (one.name_ == name) return one;
  }
  fail("no case " + name);
}

inline void Program::server(std::string kind, std::string contestant,
                            std::function<void()> body) {
  servers_.push_back({std::move(kind), std::move(contestant), std::move(body)});
}

inline void Program::served(std::string name, std::vector<Served> by) {
  served_.push_back({std::move(name), std::move(by)});
}

inline void Program::memory(std::string name, Served by,
                            std::function<std::int64_t(std::uint64_t)> body) {
  memories_.push_back({std::move(name), std::move(by), std::move(body)});
}

inline int Program::list() const {
  const auto print = [](const std::string& name, const std::string& contestant,
                        std::uint64_t operations, const char* clock, Role role,
                        const Target& target) {
    static constexpr const char* kUnits[] = {"", "ns", "x", "B"};
    char limit[32] = "-";
    if (target.kind != Target::kNone) {
      std::snprintf(limit, sizeof limit, "<=%.4g%s", target.limit,
                    kUnits[target.kind]);
    }
    std::printf("%s %s %llu %s %s %s\n", name.c_str(), contestant.c_str(),
                static_cast<unsigned long long>(operations), clock,
                role == Role::kFloor ? "floor" : "ours", limit);
  };
  static constexpr const char* kClocks[] = {"thread", "process", "wall"};
  for (const Case& one : cases_) {
    for (const Case::Contestant& by : one.contestants_) {
      print(one.name_, by.name, one.operations_,
            kClocks[static_cast<int>(one.clock_)], one.role_of(by.name),
            one.target_of(by.name));
    }
  }
  for (const ServedCase& one : served_) {
    for (const Served& by : one.by) {
      print(one.name, by.contestant, 0, "server", by.role, by.target);
    }
  }
  for (const Memory& one : memories_) {
    print(one.name, one.by.contestant, 0, "memory", one.by.role, one.by.target);
  }
  return 0;
}

inline int Program::run_worker() {
  if (arguments_.size() != 3) fail("--worker CASE CONTESTANT");
  Case& one = find(arguments_[1]);
  const Body& body = one.find(arguments_[2]).body;
  std::printf("ready\n");
  std::fflush(stdout);
  for (std::uint64_t operations; std::cin >> operations;) {
    Run run(operations, one.clock_);
    body(run);
    std::printf("%lld %llu\n", static_cast<long long>(run.took_ns(one.timed_)),
                static_cast<unsigned long long>(run.done()));
    std::fflush(stdout);
  }
  return 0;
}

inline int Program::run_server() const {
  if (arguments_.size() != 2 && arguments_.size() != 3) {
    fail("--server KIND [CONTESTANT]");
  }
  for (const Server& one : servers_) {
    if (one.kind != arguments_[1]) continue;
    if (arguments_.size() == 3 && one.contestant != arguments_[2]) continue;
    one.body();
    return 0;
  }
  fail("no such server");
}

inline int Program::run_memory() const {
  if (arguments_.size() != 4) fail("--memory CASE COUNT CONTESTANT");
  for (const Memory& one : memories_) {
    if (one.name != arguments_[1] || one.by.contestant != arguments_[3]) {
      continue;
    }
    const std::int64_t bytes = one.body(std::stoull(arguments_[2]));
    std::printf("%lld\n", static_cast<long long>(bytes));
    return 0;
  }
  fail("no such case of memory");
}

}  // namespace bench
