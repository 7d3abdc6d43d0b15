// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <semaphore>
#include <string>
#include <vector>

namespace rondo::test {

/// Runs the threads of a scenario one at a time and tries every order.
///
/// Wherever a thread says yield() it may be made to wait for another. A
/// schedule is the list of these decisions; all of them are tried, depth
/// first, up to a number of preemptions (of threads that could have gone on):
/// in practice a race needs two or three.
///
///     Explorer explorer(3);
///     do {
///       explorer.run({[&] { first(); }, [&] { second(); }});
///       ASSERT_TRUE(...) << explorer.schedule();
///     } while (explorer.next());
///
/// The scenario must do the same under the same schedule.
class Explorer {
 public:
  explicit Explorer(int preemptions_max) : preemptions_max_(preemptions_max) {}

  /// Runs `bodies`, a thread each, to their ends under the present schedule.
  void run(const std::vector<std::function<void()>>& bodies);

  /// Goes on to the next schedule. False when all have been tried.
  bool next();

  /// In a thread of the scenario: others may go first. In another: nothing.
  void yield();
  /// Others go first until `ready()`.
  void yield_until(const std::function<bool()>& ready);
  /// Another goes first, if any can: for who spins until one has done so.
  void give_way();

  /// Whether all that was left waited for ever, or went round in circles. Then
  /// nobody is held up any more: the scenario has to see to its end itself.
  bool stuck() const { return stuck_; }

  /// The decisions of this run that were not the first choice, as
  /// `step:choice`, for a message.
  std::string schedule() const;

 private:
  struct Task {
    std::binary_semaphore turn{0};
    std::function<bool()> ready = [] { return true; };
    bool finished = false;
  };
  struct Choice {
    std::size_t taken;
    std::size_t options;
  };

  bool can_run(std::size_t task) const;
  std::vector<std::size_t> options() const;
  std::size_t choose(std::size_t options);
  void switch_task();

  const int preemptions_max_;
  std::deque<Task> tasks_;
  std::size_t current_ = 0;
  std::size_t switches_ = 0;
  std::vector<Choice> choices_;
  std::size_t steps_ = 0;  // how many of the choices this run has used
  int preemptions_ = 0;
  bool stuck_ = false;
};

}  // namespace rondo::test
