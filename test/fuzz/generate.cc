// SPDX-License-Identifier: MIT
//
// generate SEED FIRST COUNT: writes the programs number FIRST, FIRST + 1, ...
// of a seed, in the language of README.md. The same numbers give the same
// programs. Depends on nothing but the standard library.
//
// A program has few names and few durations, so that things meet: at the same
// future, under the same lock, in the same millisecond. Each draws a handful
// of families of operations, so that those of a family meet often.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

/// splitmix64.
class Random {
 public:
  explicit Random(std::uint64_t state) : state_(state) {}

  std::uint64_t next() {
    state_ += 0x9E3779B97F4A7C15U;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }
  /// Below `bound`, which is small: the bias does not matter.
  int below(int bound) {
    return static_cast<int>(next() % static_cast<std::uint64_t>(bound));
  }
  bool chance(int percent) { return below(100) < percent; }

  template <class T>
  const T& one_of(const std::vector<T>& items) {
    return items[static_cast<std::size_t>(
        below(static_cast<int>(items.size())))];
  }

 private:
  std::uint64_t state_;
};

enum Family : int {
  kFutures,
  kGather,
  kWait,
  kWaitFor,
  kTimeout,
  kGroup,
  kShield,
  kAsCompleted,
  kLock,
  kSemaphore,
  kBounded,
  kEvent,
  kCondition,
  kBarrier,
  kQueue,
  kLifo,
  kPriority,
  kCallbacks,
  kStop,
  kCounts,
  kFamilyCount,
};

using Words = std::vector<std::string>;

class Program {
 public:
  explicit Program(std::uint64_t seed) : random_(seed) { write(); }

  const std::string& text() const { return text_; }

 private:
  // ---- Words ---------------------------------------------------------------

  void line(int depth, const std::string& words) {
    text_.append(static_cast<std::size_t>(depth) * 2, ' ');
    text_ += words;
    text_ += '\n';
  }

  bool has(Family family) const {
    return families_[static_cast<std::size_t>(family)];
  }

  std::string duration() {
    static const Words kDurations{"0", "1", "1", "1", "2", "2",
                                  "2", "3", "3", "5", "-1"};
    return random_.one_of(kDurations);
  }
  std::string timeout() {
    static const Words kTimeouts{"0", "1", "1", "1", "2", "2",
                                 "2", "3", "3", "5", "-", "-1"};
    return random_.one_of(kTimeouts);
  }
  std::string value() {
    static const Words kValues{"1", "2", "3"};
    return random_.one_of(kValues);
  }
  std::string body() { return random_.one_of(bodies_); }
  std::string task() { return random_.one_of(tasks_); }

  /// One of `names`, which begin with the tasks. In the body of a task rather
  /// one of those behind it: tasks that wait for themselves or for each other
  /// end a program soon.
  std::string behind_us(const Words& names) {
    const auto first = static_cast<int>(body_number_) + 1;
    const auto count = static_cast<int>(names.size());
    if (first < count && !random_.chance(12))
      return names[static_cast<std::size_t>(first +
                                            random_.below(count - first))];
    return random_.one_of(names);
  }

  /// What may be awaited: by name, or a body on the spot.
  std::string future(int percent_of_bodies = 0) {
    if (random_.chance(percent_of_bodies)) return "@" + body();
    if (random_.chance(1)) return "self";
    return behind_us(futures_);
  }
  /// What may stand beside others in gather, wait and as_completed: futures
  /// and tasks, but not the futures that gather makes (they hold lists).
  std::string plain_future(int percent_of_bodies) {
    if (random_.chance(percent_of_bodies)) return "@" + body();
    return behind_us(plain_futures_);
  }
  std::string plain_futures(int percent_of_bodies) {
    static const std::vector<int> kCounts{1, 2, 2, 2, 3, 3};
    std::string words;
    for (int n = random_.one_of(kCounts); n > 0; --n)
      words += " " + plain_future(percent_of_bodies);
    return words;
  }
  std::string message() {
    static const Words kMessages{"", "", "", " m", " n"};
    return random_.one_of(kMessages);
  }
  std::string timeout_name() {
    if (!open_timeouts_.empty() && random_.chance(75))
      return random_.one_of(open_timeouts_);
    return either("t1", "t2");
  }
  std::string group() {
    if (!open_groups_.empty() && random_.chance(75))
      return random_.one_of(open_groups_);
    return either("g1", "g2");
  }

  std::string queue() {
    Words queues;
    if (has(kQueue)) queues.emplace_back("queue");
    if (has(kLifo)) queues.emplace_back("lifo");
    if (has(kPriority)) queues.emplace_back("prio");
    return random_.one_of(queues);
  }
  std::string semaphore() {
    if (has(kSemaphore) && has(kBounded))
      return random_.chance(50) ? "sem" : "bsem";
    return has(kSemaphore) ? "sem" : "bsem";
  }
  bool has_queue() const { return has(kQueue) || has(kLifo) || has(kPriority); }
  bool has_semaphore() const { return has(kSemaphore) || has(kBounded); }

  // ---- Operations ----------------------------------------------------------

  /// Chooses among operations with weights.
  class Choice {
   public:
    void add(int weight, std::string words) {
      if (weight <= 0) return;
      items_.push_back({weight, std::move(words)});
      total_ += weight;
    }
    std::string take(Random& random) const {
      int at = random.below(total_);
      for (const Item& item : items_) {
        at -= item.weight;
        if (at < 0) return item.words;
      }
      return items_.back().words;
    }

   private:
    struct Item {
      int weight;
      std::string words;
    };
    std::vector<Item> items_;
    int total_ = 0;
  };

  /// An operation that does not wait.
  std::string sync_operation(bool in_callback) {
    Choice choice;
    choice.add(10, "cancel " + task() + message());
    choice.add(in_callback || crowd_ ? 1 : 5, "cancel self" + message());
    choice.add(crowd_ ? 1 : 8, "spawn " + task() + " " + body());
    choice.add(2, "state " + future());
    choice.add(1, "result " + future());
    choice.add(1, "exception " + future());
    choice.add(in_callback || crowd_ ? 1 : 3, "raise x");
    choice.add(1, "raise_cancelled" + message());
    choice.add(1, "print here");
    choice.add(1, "all_tasks");
    if (has(kFutures)) {
      choice.add(12, "set " + plain() + " " + value());
      choice.add(6, "fail " + plain() + " y");
      choice.add(8, "cancel " + plain() + message());
    }
    if (has(kCounts)) {
      choice.add(8, "uncancel " + either(task(), "self"));
      choice.add(4, "cancelling " + either(task(), "self"));
      choice.add(8, "cancel self" + message());
    }
    if (has(kGather)) {
      choice.add(10, "gather all" + plain_futures(20));
      choice.add(10, "gather_exceptions all" + plain_futures(20));
      choice.add(6, "cancel all" + message());
    }
    if (has(kShield)) {
      choice.add(16, "shield sh " + plain_future(20));
      choice.add(8, "cancel sh" + message());
    }
    if (has(kTimeout)) {
      const bool inside = !open_timeouts_.empty();
      choice.add(inside ? 10 : 2,
                 "reschedule " + timeout_name() + " " + timeout());
      choice.add(1, "expired " + timeout_name());
      choice.add(1, "when " + timeout_name());
    }
    if (has(kGroup)) {
      choice.add(open_groups_.empty() ? 1 : 4, "group_cancel " + group());
      choice.add(open_groups_.empty() ? 2 : 14,
                 "group_spawn " + group() + " " + task() + " " + body());
    }
    if (has(kLock)) {
      choice.add(10, "release lock");
      choice.add(2, "locked lock");
    }
    if (has_semaphore()) {
      choice.add(10, "release " + semaphore());
      choice.add(2, "locked " + semaphore());
    }
    if (has(kEvent)) {
      choice.add(12, "set_event event");
      choice.add(6, "clear event");
      choice.add(2, "is_set event");
    }
    if (has(kCondition)) {
      choice.add(8, "notify cond " + either("1", "2"));
      choice.add(6, "notify_all cond");
      choice.add(3, "release cond");
      choice.add(2, "locked cond");
    }
    if (has(kBarrier)) choice.add(4, "barrier_state bar");
    if (has_queue()) {
      choice.add(10, "put_nowait " + queue() + " " + value());
      choice.add(6, "get_nowait " + queue());
      choice.add(4, "spawn_get " + task() + " " + queue());
      choice.add(5, "task_done " + queue());
      choice.add(2, "qsize " + queue());
    }
    if (has(kCallbacks)) {
      choice.add(8, "call_soon " + handle() + " " + callback());
      choice.add(
          8, "call_later " + handle() + " " + duration() + " " + callback());
      choice.add(3,
                 "call_at " + handle() + " " + duration() + " " + callback());
      choice.add(6, "cancel_handle " + handle());
      choice.add(12, "add_callback " + future() + " " + callback());
      choice.add(5, "remove_callback " + future() + " " + callback());
    }
    if (has(kStop)) choice.add(5, "stop");
    return choice.take(random_);
  }

  /// An operation that waits.
  std::string async_operation() {
    Choice choice;
    choice.add(20, "sleep " + (crowd_ ? either("0", "1") : duration()));
    choice.add(10, "await " + future(15));
    if (has(kFutures)) choice.add(12, "await " + plain());
    if (has(kGather)) choice.add(16, "await all");
    if (has(kShield)) choice.add(16, "await sh");
    if (has(kWait)) {
      static const Words kModes{"first", "exception", "all"};
      choice.add(24, "wait " + random_.one_of(kModes) + " " + timeout() +
                         plain_futures(15));
    }
    if (has(kWaitFor))
      choice.add(24, "wait_for " + timeout() + " " + future(35));
    if (has(kAsCompleted))
      choice.add(24, "as_completed " + timeout() + plain_futures(15));
    if (has(kLock)) choice.add(16, "acquire lock");
    if (has_semaphore()) choice.add(16, "acquire " + semaphore());
    if (has(kEvent)) choice.add(20, "wait_event event");
    if (has(kCondition)) {
      choice.add(8, "acquire cond");
      choice.add(14, "wait_condition cond");
    }
    if (has(kBarrier)) {
      choice.add(24, "wait_barrier bar");
      choice.add(4, "reset bar");
      choice.add(3, "abort bar");
    }
    if (has(kWaitFor) || has(kTimeout)) choice.add(8, within());
    if (has_queue()) {
      choice.add(14, "put " + queue() + " " + value());
      choice.add(14, "get " + queue());
      choice.add(4, "join " + queue());
    }
    return choice.take(random_);
  }

  /// wait_for() of an operation of the library itself.
  std::string within() {
    Choice choice;
    choice.add(4, "sleep " + duration());
    if (has(kLock)) choice.add(20, "acquire lock");
    if (has_semaphore()) choice.add(20, "acquire " + semaphore());
    if (has(kEvent)) choice.add(20, "wait_event event");
    if (has(kCondition)) choice.add(20, "wait_condition cond");
    if (has(kBarrier)) choice.add(20, "wait_barrier bar");
    if (has_queue()) {
      choice.add(20, "get " + queue());
      choice.add(14, "put " + queue() + " " + value());
      choice.add(4, "join " + queue());
    }
    return "within " + timeout() + " " + choice.take(random_);
  }

  /// The first line of a block.
  std::string block_operation() {
    Choice choice;
    choice.add(30, "try");
    choice.add(4, "repeat 2");
    if (has(kTimeout)) {
      choice.add(30, "timeout " + timeout_name() + " " + timeout());
      choice.add(6, "timeout_at " + timeout_name() + " " + duration());
    }
    if (has(kGroup)) choice.add(40, "group " + either("g1", "g2"));
    if (has(kLock)) choice.add(30, "with lock");
    if (has_semaphore()) choice.add(30, "with " + semaphore());
    if (has(kCondition)) choice.add(40, "with cond");
    return choice.take(random_);
  }

  std::string either(const std::string& one, const std::string& other) {
    return random_.chance(60) ? one : other;
  }
  std::string plain() { return random_.chance(65) ? "f" : "g"; }
  std::string handle() { return either("h1", "h2"); }
  std::string callback() { return either("k", "m"); }

  // ---- Blocks --------------------------------------------------------------

  /// `count` lines, some of them blocks.
  void block(int depth, int count) {
    while (count > 0) {
      const int roll = random_.below(100);
      if (roll < 26 && depth < 5 && count > 1) {
        const int inside = 1 + random_.below(count > 4 ? 4 : count);
        nested(depth, inside);
        count -= inside + 1;
      } else if (roll < 64) {
        line(depth, sync_operation(false));
        --count;
      } else {
        line(depth, async_operation());
        --count;
      }
    }
  }

  void nested(int depth, int count) {
    const std::string head = block_operation();
    line(depth, head);
    const bool is_group = head.starts_with("group ");
    const bool is_timeout = head.starts_with("timeout");
    if (is_timeout)
      open_timeouts_.push_back(head.substr(head.find(' ') + 1, 2));
    if (is_group) {  // of use only with tasks in it
      open_groups_.push_back(head.substr(6));
      const std::string spawn = "group_spawn " + head.substr(6) + " ";
      line(depth + 1, spawn + task() + " " + body());
      if (random_.chance(60)) line(depth + 1, spawn + task() + " " + body());
    } else if (head == "with cond") {
      line(depth + 1,
           random_.chance(60) ? "wait_condition cond" : "notify cond 1");
    }
    block(depth + 1, count);
    if (is_group) open_groups_.pop_back();
    if (is_timeout) open_timeouts_.pop_back();
    if (head == "try") clauses(depth);
  }

  void clauses(int depth) {
    static const Words kCatches{"cancelled", "cancelled", "error", "all",
                                "all"};
    const bool catches = random_.chance(80);
    if (catches) {
      line(depth, "except " + random_.one_of(kCatches));
      const int roll = random_.below(100);
      if (roll < 50) {
        line(depth + 1, "print caught");
      } else {
        block(depth + 1, 1);
      }
      if (random_.chance(30)) line(depth + 1, "reraise");
    }
    if (!catches || random_.chance(20)) {
      line(depth, "finally");
      block(depth + 1, 1);
    }
  }

  // ---- The program ---------------------------------------------------------

  void write() {
    crowd_ = random_.chance(40);
    for (int n = 1 + random_.below(crowd_ ? 2 : 3); n > 0; --n)
      families_[static_cast<std::size_t>(random_.below(kFamilyCount))] = true;
    if (random_.chance(crowd_ ? 15 : 40)) families_[kFutures] = true;
    if (random_.chance(15)) families_[kCounts] = true;
    const bool has_callbacks = has(kCallbacks);

    if (crowd_) {
      bodies_ = random_.chance(50) ? Words{"A"} : Words{"A", "B"};
      tasks_ =
          random_.chance(50) ? Words{"a", "b", "c"} : Words{"a", "b", "c", "d"};
    } else {
      bodies_ = random_.chance(70) ? Words{"A", "B"} : Words{"A", "B", "C"};
      tasks_ = random_.chance(70) ? Words{"a", "b"} : Words{"a", "b", "c"};
    }
    plain_futures_ = tasks_;
    if (has(kFutures)) {
      line(0, "future f");
      line(0, "future g");
      for (const char* name : {"f", "g"}) plain_futures_.emplace_back(name);
    }
    futures_ = plain_futures_;
    if (has(kGather)) futures_.emplace_back("all");
    if (has(kShield)) {
      futures_.emplace_back("sh");
      plain_futures_.emplace_back("sh");
    }
    declare(kLock, "lock lock", {});
    declare(kSemaphore, "semaphore sem", {"0", "1", "1", "2"});
    declare(kBounded, "bounded bsem", {"0", "1", "1", "2"});
    declare(kEvent, "event event", {});
    declare(kCondition, "condition cond", {});
    declare(kBarrier, "barrier bar", {"1", "2", "2", "3"});
    declare(kQueue, "queue queue", {"0", "1", "1", "2"});
    declare(kLifo, "lifo lifo", {"0", "1", "1", "2"});
    declare(kPriority, "priority prio", {"0", "1", "1", "2"});

    if (has_callbacks) {
      for (const char* name : {"k", "m"}) {
        line(0, std::string("callback ") + name);
        for (int n = 1 + random_.below(2); n > 0; --n)
          line(1, sync_operation(true));
      }
    }
    for (const std::string& name : bodies_) {
      body_number_ = &name - bodies_.data();
      line(0, "body " + name);
      block(1, crowd_ ? 1 + random_.below(3) : 2 + random_.below(6));
      if (random_.chance(50)) line(1, "return " + value());
    }
    body_number_ = -1;
    line(0, "main");
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      if (random_.chance(crowd_ ? 95 : 85))
        line(1, "spawn " + tasks_[i] + " " + bodies_[i % bodies_.size()]);
    }
    block(1, (crowd_ ? 5 : 3) + random_.below(8));
  }

  void declare(Family family, const std::string& words, const Words& numbers) {
    if (!has(family)) return;
    line(0, numbers.empty() ? words : words + " " + random_.one_of(numbers));
  }

  Random random_;
  std::array<bool, kFamilyCount> families_{};
  bool crowd_ = false;  // many tasks with little to do: they meet in a queue
  std::ptrdiff_t body_number_ = -1;  // of the body being written; -1: main
  Words bodies_;
  Words tasks_;
  Words futures_;
  Words plain_futures_;
  Words open_timeouts_;  // whose blocks we are in
  Words open_groups_;
  std::string text_;
};

/// So that seed 1's second program is not seed 2's first.
std::uint64_t mix(std::uint64_t seed, std::uint64_t number) {
  return Random(seed * 0x9E3779B97F4A7C15U ^ Random(number).next()).next();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: generate SEED FIRST COUNT\n";
    return 2;
  }
  const std::uint64_t seed = std::strtoull(argv[1], nullptr, 10);
  const std::uint64_t first = std::strtoull(argv[2], nullptr, 10);
  const std::uint64_t count = std::strtoull(argv[3], nullptr, 10);
  std::string out;
  for (std::uint64_t n = first; n < first + count; ++n) {
    out += "=== " + std::to_string(seed) + "." + std::to_string(n) + "\n";
    out += Program(mix(seed, n)).text();
    if (out.size() > 1U << 16U) {
      std::cout.write(out.data(), static_cast<std::streamsize>(out.size()));
      out.clear();
    }
  }
  out += "===\n";
  std::cout << out;
}
