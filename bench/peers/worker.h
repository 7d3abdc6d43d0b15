// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What a peer's program says and understands, so that bench/run can drive it:
//
//     NAME --version                    one line
//     NAME --list                       CASE CONTESTANT OPERATIONS CLOCK, a
//                                       line each; CLOCK is thread, process or
//                                       wall of a worker's case, else server
//                                       or memory
//     NAME --worker CASE CONTESTANT     says "ready"; does N operations for
//                                       each line N, and says "NS DONE"
//     NAME --once CASE CONTESTANT N     N operations, nothing said: for
//                                       callgrind, perf and strace
//     NAME --server KIND [CONTESTANT]   says "listening PORT", serves until its
//                                       input ends
//     NAME --memory CASE COUNT CONTESTANT
//                                       says how many bytes COUNT of CASE take
//
// It knows nothing of rondo, nor of any peer.

namespace peers {

/// Ends the program: the work was not done.
[[noreturn]] inline void fail(const std::string& message) {
  std::fprintf(stderr, "FAILED: %s\n", message.c_str());
  std::exit(1);
}

/// `answer`, unless it says that the call named `what` has failed.
inline int checked(int answer, const char* what) {
  if (answer < 0) fail(std::string(what) + ": " + std::strerror(errno));
  return answer;
}

/// What a case is timed by.
enum class Clock {
  kThread,   // processor time of this thread
  kProcess,  // of all threads
  kWall,
};

inline std::int64_t now_ns(Clock clock) {
  static constexpr clockid_t kIds[] = {
      CLOCK_THREAD_CPUTIME_ID, CLOCK_PROCESS_CPUTIME_ID, CLOCK_MONOTONIC};
  timespec now;
  clock_gettime(kIds[static_cast<int>(clock)], &now);
  return now.tv_sec * std::int64_t{1'000'000'000} + now.tv_nsec;
}

/// So many operations, timed.
class Sample {
 public:
  Sample(std::uint64_t operations, Clock clock)
      : operations_(operations), clock_(clock) {}

  /// How many operations to do.
  std::uint64_t operations() const { return operations_; }

  /// Times `work`; what is timed twice adds up.
  template <class Work>
  void measure(Work&& work) {
    const std::int64_t began = now_ns(clock_);
    work();
    took_ns_ += now_ns(clock_) - began;
  }

  /// Says how many operations were seen to happen, by who did them. It must
  /// come from what the callbacks counted, not from operations().
  void done(std::uint64_t count) { done_ += count; }

  std::int64_t took_ns() const { return took_ns_; }
  std::uint64_t done() const { return done_; }

 private:
  std::uint64_t operations_;
  Clock clock_;
  std::int64_t took_ns_ = 0;
  std::uint64_t done_ = 0;
};

/// Bytes of memory this process has in the machine.
inline std::int64_t resident_bytes() {
  // smaps_rollup, because statm lags behind by some pages.
  std::FILE* file = std::fopen("/proc/self/smaps_rollup", "r");
  if (file == nullptr) fail("/proc/self/smaps_rollup");
  char line[256];
  long long kilobytes = -1;
  while (kilobytes < 0 && std::fgets(line, sizeof line, file) != nullptr) {
    std::sscanf(line, "Rss: %lld kB", &kilobytes);
  }
  std::fclose(file);
  if (kilobytes < 0) fail("no Rss in /proc/self/smaps_rollup");
  return kilobytes * 1024;
}

/// For a server: whether its input has ended. Call it when descriptor 0 is
/// readable.
inline bool input_ended() {
  char ignored[64];
  const ssize_t size = read(STDIN_FILENO, ignored, sizeof ignored);
  return size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR);
}

/// For a server: says where it listens.
inline void print_listening(unsigned port) {
  std::printf("listening %u\n", port);
  std::fflush(stdout);
}

/// A peer's program: what it can do, and what its command line asks of it.
class Program {
 public:
  using Body = std::function<void(Sample&)>;
  using Serve = std::function<void()>;
  /// Makes `count` of them and calls `report` while they live.
  using Hold = std::function<void(std::size_t count,
                                  const std::function<void()>& report)>;

  explicit Program(std::string version) : version_(std::move(version)) {}

  /// Adds a case; a sample of `operations` takes some ten milliseconds.
  void add(std::string name, std::string contestant, std::uint64_t operations,
           Clock clock, Body body) {
    cases_.push_back({std::move(name), std::move(contestant), operations, clock,
                      std::move(body)});
  }
  /// Adds a server, for all cases of that kind but those named in `without`.
  void add_server(std::string kind, std::string contestant, Serve serve,
                  std::vector<std::string> without = {}) {
    servers_.push_back({std::move(kind), std::move(contestant),
                        std::move(serve), std::move(without)});
  }
  void add_memory(std::string name, std::string contestant, Hold hold) {
    memories_.push_back(
        {std::move(name), std::move(contestant), std::move(hold)});
  }

  /// Does what was asked for. Returns what main() is to return.
  int run(int argc, char** argv) {
    const std::vector<std::string> words(argv + 1, argv + argc);
    const std::string asked = words.empty() ? "" : words[0];
    raise_limits();
    if (asked == "--version" && words.size() == 1) {
      std::puts(version_.c_str());
    } else if (asked == "--list" && words.size() == 1) {
      list();
    } else if (asked == "--worker" && words.size() == 3) {
      work(words[1], words[2]);
    } else if (asked == "--once" && words.size() == 4) {
      once(words[1], words[2], words[3]);
    } else if (asked == "--server" && words.size() >= 2 && words.size() <= 3) {
      serve(words[1], words.size() == 3 ? words[2] : "");
    } else if (asked == "--memory" && words.size() == 4) {
      hold(words[1], words[2], words[3]);
    } else {
      std::fprintf(stderr,
                   "usage: --version | --list | --worker CASE CONTESTANT |\n"
                   "       --once CASE CONTESTANT N | --server KIND "
                   "[CONTESTANT] |\n"
                   "       --memory CASE COUNT CONTESTANT\n");
      return 2;
    }
    return 0;
  }

 private:
  struct Case {
    std::string name;
    std::string contestant;
    std::uint64_t operations;
    Clock clock;
    Body body;
  };
  struct Server {
    std::string kind;
    std::string contestant;
    Serve serve;
    std::vector<std::string> without;
  };
  struct Memory {
    std::string name;
    std::string contestant;
    Hold hold;
  };
  /// What a server of `kind` is asked to do, and how often in a sample.
  struct Load {
    std::string_view kind;
    const char* name;
    unsigned operations;
  };
  static constexpr Load kLoads[] = {
      {"echo", "echo/64_c1", 5'000},       {"echo", "echo/64_c64", 10'000},
      {"echo", "echo/64_c64_p16", 50'000}, {"echo", "echo/64_c1000", 10'000},
      {"echo", "echo/16384_c64", 5'000},   {"echo", "echo/16384_c1000", 5'000},
      {"echo", "echo/102400_c64", 1'500},  {"echo", "idle/10000", 10'000},
      {"accept", "accept/c1", 2'000},
  };

  static std::uint64_t number(const std::string& text) {
    const std::uint64_t found = std::strtoull(text.c_str(), nullptr, 10);
    if (found == 0) fail("nothing to do: " + text);
    return found;
  }

  /// As many descriptors as may be, and no signal where a write fails.
  static void raise_limits() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);
  }

  /// Keeps what was freed. Otherwise it depends on the order of frees whether
  /// a sample pays the kernel for its memory again.
  static void keep_memory() {
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_MMAP_MAX, 0);
  }

  const Case& find(const std::string& name,
                   const std::string& contestant) const {
    for (const Case& one : cases_) {
      if (one.name == name && one.contestant == contestant) return one;
    }
    fail("no case " + name + " of " + contestant);
  }

  void list() const {
    static constexpr const char* kClocks[] = {"thread", "process", "wall"};
    for (const Case& one : cases_) {
      std::printf("%s %s %llu %s\n", one.name.c_str(), one.contestant.c_str(),
                  static_cast<unsigned long long>(one.operations),
                  kClocks[static_cast<int>(one.clock)]);
    }
    for (const Memory& one : memories_) {
      std::printf("%s %s 10000 memory\n", one.name.c_str(),
                  one.contestant.c_str());
    }
    for (const Server& one : servers_) {
      for (const Load& load : kLoads) {
        if (load.kind != one.kind) continue;
        if (std::count(one.without.begin(), one.without.end(), load.name) > 0) {
          continue;
        }
        std::printf("%s %s %u server\n", load.name, one.contestant.c_str(),
                    load.operations);
      }
    }
  }

  void work(const std::string& name, const std::string& contestant) const {
    const Case& one = find(name, contestant);
    keep_memory();
    std::puts("ready");
    std::fflush(stdout);
    char line[64];
    while (std::fgets(line, sizeof line, stdin) != nullptr) {
      Sample sample(number(line), one.clock);
      one.body(sample);
      std::printf("%lld %llu\n", static_cast<long long>(sample.took_ns()),
                  static_cast<unsigned long long>(sample.done()));
      std::fflush(stdout);
    }
  }

  void once(const std::string& name, const std::string& contestant,
            const std::string& operations) const {
    const Case& one = find(name, contestant);
    keep_memory();
    Sample sample(number(operations), one.clock);
    one.body(sample);
    if (sample.done() != sample.operations()) {
      fail(std::to_string(sample.done()) + " done instead of " + operations);
    }
  }

  /// The first of that kind, if nobody is named.
  void serve(const std::string& kind, const std::string& contestant) const {
    for (const Server& one : servers_) {
      if (one.kind != kind) continue;
      if (contestant.empty() || one.contestant == contestant) {
        return one.serve();
      }
    }
    fail("no server " + kind + " of " + contestant);
  }

  void hold(const std::string& name, const std::string& count,
            const std::string& contestant) const {
    for (const Memory& one : memories_) {
      if (one.name != name || one.contestant != contestant) continue;
      // What the first of them costs, code paged in and such, is not theirs.
      one.hold(1, [] {});
      const std::int64_t before = resident_bytes();
      one.hold(number(count), [before] {
        std::printf("%lld\n",
                    static_cast<long long>(resident_bytes() - before));
      });
      return;
    }
    fail("no memory of " + name + " of " + contestant);
  }

  std::string version_;
  std::vector<Case> cases_;
  std::vector<Server> servers_;
  std::vector<Memory> memories_;
};

}  // namespace peers
